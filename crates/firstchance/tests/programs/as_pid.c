/* as_pid PID: a process that has this pid and waits. Needs the right to choose pids (root). */
#define _GNU_SOURCE
#include <linux/sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    pid_t wanted = argc > 1 ? atoi(argv[1]) : 0;
    struct clone_args args = {
        .exit_signal = SIGCHLD,
        .set_tid = (uintptr_t)&wanted,
        .set_tid_size = 1,
    };
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    long child = syscall(SYS_clone3, &args, sizeof args);
    if (child < 0) {
        perror("clone3");
        return 1;
    }
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        printf("ready %d\n", getpid());
        fflush(stdout);
        for (;;)
            pause();
    }
    waitpid(child, NULL, 0);
    return 0;
}
