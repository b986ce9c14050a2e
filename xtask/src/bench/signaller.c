// signaller: for each line "go" works for a second while a timer sends 10,000 signals, which it
// handles; prints how much work was done and how many signals came.
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

static volatile long signals;

static void handle(int unused)
{
    (void)unused;
    signals++;
}

static double seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void every(long microseconds)
{
    struct itimerval timer = {{0, microseconds}, {0, microseconds}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

int main(void)
{
    char line[16];
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    puts("ready signaller");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        volatile long work = 0;
        double end = seconds() + 1;
        signals = 0;
        every(100);
        while (seconds() < end)
            for (int i = 0; i < 1000; i++)
                work++;
        every(0);
        printf("work %ld %ld\n", work, signals);
        fflush(stdout);
    }
}
