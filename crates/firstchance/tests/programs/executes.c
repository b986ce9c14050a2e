// executes WHO MILLISECONDS PROGRAM [ARGUMENT...]: waits for so long, and executes the program; in another thread than the
// first if WHO is "other".
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char **program;

static void *execute(void *nothing) {
    execvp(program[0], program);
    _exit(7);
    return nothing;
}

int main(int count, char **arguments) {
    if (count < 4) return 9;
    usleep(atoi(arguments[2]) * 1000);
    program = arguments + 3;
    if (strcmp(arguments[1], "other")) execute(NULL);
    pthread_t other;
    pthread_create(&other, NULL, execute, NULL);
    pthread_join(other, NULL);
    return 8;
}
