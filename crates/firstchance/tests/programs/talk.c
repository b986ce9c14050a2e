/* Threads that are asleep for good, and a first one that counts the lines it is told. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

static pthread_barrier_t started;

static void *asleep(void *nothing)
{
    pthread_barrier_wait(&started);
    for (;;)
        pause();
    return nothing;
}

int main(void)
{
    char line[64];
    pthread_t thread;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pthread_barrier_init(&started, NULL, 4);
    for (int i = 0; i < 3; i++)
        if (pthread_create(&thread, NULL, asleep, NULL))
            return 1;
    pthread_barrier_wait(&started);
    puts("ready");
    fflush(stdout);
    for (int count = 0; fgets(line, sizeof line, stdin); count++) {
        printf("pong %d\n", count);
        fflush(stdout);
    }
    return 0;
}
