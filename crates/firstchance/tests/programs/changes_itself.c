// Says "ready"; when told to go on, it takes another title, another name and another user, as servers do, and crashes.
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define NOBODY 65534

int main(int count, char **arguments)
{
    char line[16];
    puts("ready");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        return 1;
    // To the last byte of the arguments: the kernel takes that for a title.
    static const char title[] = "served: a title ";
    char *last = arguments[count - 1] + strlen(arguments[count - 1]);
    memset(arguments[0], '#', (size_t)(last - arguments[0]) + 1);
    if ((size_t)(last - arguments[0]) < sizeof title)
        return 2;
    memcpy(arguments[0], title, sizeof title - 1);
    prctl(PR_SET_NAME, "served");
    if (setgid(NOBODY) || setuid(NOBODY))
        return 3;
    raise(SIGSEGV);
    return 0;
}
