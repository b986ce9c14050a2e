// Variables that differ from what its file has for them.
#include <stdio.h>
#include <unistd.h>

int state = 1;
char filler[9000] = {1};
int retries = 3;
int total;
const char *config = "default.conf";

int main(void)
{
    state = 42;
    retries = 99;
    total = 12345;
    config = "production.conf";
    puts("ready");
    fflush(stdout);
    pause();
}
