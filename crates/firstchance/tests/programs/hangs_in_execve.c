// Executes another program and does not get there: its second thread is traced by its parent, which never lets it end.
// Prints the pid of the process that hangs once it does. Ends, with that process, when its input ends.
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

static int told[2], go[2];

static void *second(void *unused) {
    int self = syscall(SYS_gettid);
    write(told[1], &self, sizeof self);
    for (;;) pause();
    return unused;
}

static void executes(void) {
    pthread_t thread;
    char byte;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pthread_create(&thread, 0, second, 0);
    read(go[0], &byte, 1);
    execl("/bin/sleep", "sleep", "1000", (char *)0);
}

// Whether the process waits for the end of its other threads.
static int hangs(int pid) {
    char path[64], text[512], state = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *stat = fopen(path, "r");
    if (stat && fgets(text, sizeof text, stat)) sscanf(text, "%*d (%*[^)]) %c", &state);
    if (stat) fclose(stat);
    return state == 'D';
}

int main(void) {
    int thread;
    pipe(told);
    pipe(go);
    int child = fork();
    if (!child) executes();
    read(told[0], &thread, sizeof thread);
    if (ptrace(PTRACE_SEIZE, thread, 0, PTRACE_O_TRACEEXIT)) return perror("seize"), 1;
    write(go[1], "", 1);
    while (!hangs(child)) usleep(1000);
    printf("%d\n", child);
    fflush(stdout);
    getchar();
    kill(child, SIGKILL);
    return 0;
}
