// Forks a child at each line of its input, which dies of a fault before anybody can have looked at it.
//
//   dies_at_once THREADS    the child has so many threads more
//   dies_at_once THREADS MAPPINGS    it has so many mappings, too
//   dies_at_once vforks     as with no threads, but the child has our memory, and stands on our stack
//   dies_at_once aborts     dies itself, of abort(), at once
//   dies_at_once executes MICROSECONDS    executes `dies_at_once faults` after this time
//   dies_at_once threads TIMES    a second thread executes `dies_at_once threads` so often, then it dies of a fault
//   dies_at_once faults     dies itself, of a fault, at once
//   dies_at_once later MICROSECONDS    dies itself, of a fault, after this time
//   dies_at_once survives   sends itself a fault as the first process of a pid namespace, and lives on (root)
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_barrier_t all_there;

static void *waits(void *nothing) {
    pthread_barrier_wait(&all_there);
    pause();
    return nothing;
}

__attribute__((noinline)) static void dies_in_child(int threads, int number) {
    char text[32];
    snprintf(text, sizeof text, "CHILD-DATA-%d", number);
    pthread_barrier_init(&all_there, NULL, threads + 1);
    for (int i = 0; i < threads; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, waits, NULL);
    }
    if (threads > 0) pthread_barrier_wait(&all_there);
    *(volatile char *)8 = text[0];
}

// The kernel delivers a signal that the first process of a namespace has blocked, and drops it then.
static int survives(void) {
    if (unshare(CLONE_NEWPID)) return 1;
    if (fork() == 0) {
        sigset_t fault;
        sigemptyset(&fault);
        sigaddset(&fault, SIGSEGV);
        sigprocmask(SIG_BLOCK, &fault, NULL);
        kill(getpid(), SIGSEGV);
        sigprocmask(SIG_UNBLOCK, &fault, NULL);
        _exit(7);
    }
    int status = 0;
    wait(&status);
    printf("%s\n", WIFEXITED(status) && WEXITSTATUS(status) == 7 ? "lives" : "died");
    return 0;
}

static void *executes_again(void *arguments) {
    char **old = arguments, left[16];
    snprintf(left, sizeof left, "%d", atoi(old[2]) - 1);
    execl("/proc/self/exe", old[0], "threads", left, NULL);
    return NULL;
}

static void executes_by_threads(char **arguments) {
    if (atoi(arguments[2]) == 0) dies_in_child(0, 7);
    pthread_t thread;
    pthread_create(&thread, NULL, executes_again, arguments);
    pthread_join(thread, NULL);
}

// No two of them in a row become one: their rights differ.
static void maps(int mappings) {
    char *base = mmap(NULL, mappings * 4096L, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < mappings; i += 2) mprotect(base + i * 4096L, 4096, PROT_READ);
}

int main(int count, char **arguments) {
    if (count > 1 && !strcmp(arguments[1], "aborts")) abort();
    if (count > 1 && !strcmp(arguments[1], "survives")) return survives();
    if (count > 1 && !strcmp(arguments[1], "faults")) dies_in_child(0, 7);
    if (count > 2 && !strcmp(arguments[1], "later")) {
        usleep(atoi(arguments[2]));
        dies_in_child(0, 7);
    }
    if (count > 2 && !strcmp(arguments[1], "threads")) executes_by_threads(arguments);
    if (count > 2 && !strcmp(arguments[1], "executes")) {
        usleep(atoi(arguments[2]));
        execl("/proc/self/exe", arguments[0], "faults", NULL);
    }
    int vforks = count > 1 && !strcmp(arguments[1], "vforks");
    char line[16];
    if (count > 2) maps(atoi(arguments[2]));
    printf("ready\n");
    fflush(stdout);
    for (int number = 1; fgets(line, sizeof line, stdin); number++) {
        if ((vforks ? vfork() : fork()) == 0) {
            dies_in_child(atoi(arguments[1]), number);
            _exit(0);
        }
        wait(NULL);
        printf("ended\n");
        fflush(stdout);
    }
    return 0;
}
