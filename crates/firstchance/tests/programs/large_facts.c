// Forks so many children as its argument says, each with 2,000 descriptors of a file whose path is nearly 4 KiB long, and with
// an environment of 1.5 MB. Works in the folder that it is started in. They abort at a line of input.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DESCRIPTORS = 2000, VARIABLES = 15, LENGTH = 100000 };

static void execute_again(char *program) {
    struct rlimit most = {DESCRIPTORS + 100, DESCRIPTORS + 100};
    char folder[251];
    memset(folder, 'd', 250);
    folder[250] = 0;
    for (int depth = 0; depth < 15; depth++)
        if ((mkdir(folder, 0700) && errno != EEXIST) || chdir(folder)) exit(1);
    int file = open("file", O_RDWR | O_CREAT, 0700);
    if (file < 0 || setrlimit(RLIMIT_NOFILE, &most)) exit(1);
    for (int at = 0; at < DESCRIPTORS; at++)
        if (dup(file) < 0) exit(2);
    static char variables[VARIABLES][LENGTH];
    char *environment[VARIABLES + 1] = {0};
    for (int at = 0; at < VARIABLES; at++) {
        memset(variables[at], 'x', LENGTH - 1);
        variables[at][0] = 'A' + at;
        variables[at][1] = '=';
        environment[at] = variables[at];
    }
    char *arguments[] = {program, NULL};
    execve(program, arguments, environment);
    exit(3);
}

int main(int count, char **arguments) {
    if (count < 2) {
        putchar('.');
        fflush(stdout);
        for (;;) pause();
    }
    int wanted = atoi(arguments[1]), output[2];
    pid_t children[wanted];
    if (pipe(output)) return 1;
    for (int at = 0; at < wanted; at++)
        if ((children[at] = fork()) == 0) {
            dup2(output[1], 1);
            execute_again(arguments[0]);
        }
    for (int at = 0; at < wanted; at++) {
        char ready;
        if (read(output[0], &ready, 1) != 1) return 2;
    }
    printf("ready\n");
    fflush(stdout);
    getchar();
    for (int at = 0; at < wanted; at++) kill(children[at], SIGABRT);
    while (wait(NULL) > 0) {}
    printf("ended\n");
    fflush(stdout);
    for (;;) pause();
}
