// Threads that wait in functions which the compiler inlines into others, as far as it optimises.
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile int sum;

__attribute__((noinline)) static void stands(int how)
{
    if (how)
        abort();
    for (;;)
        pause();
}

static inline __attribute__((always_inline)) void innermost(int n, int how)
{
    sum += n;
    stands(how);
    sum -= n;
}

static inline __attribute__((always_inline)) void inner(int n, int how)
{
    for (int i = 0; i < n; i++)
        sum += i;
    innermost(n + 1, how);
    sum++;
}

__attribute__((noinline)) static void outer(int n, int how)
{
    sum *= 2;
    inner(n, how);
    sum++;
}

static void handler(int number)
{
    sum += number;
    outer(number, 0);
}

static void *works(void *argument)
{
    outer(*(int *)argument, 0);
    sum++;
    return NULL;
}

// The first thread stands in a signal handler or aborts; another one stands by itself.
int main(int count, char **arguments)
{
    static int three = 3;
    pthread_t thread;
    pthread_create(&thread, NULL, works, &three);
    printf("ready\n");
    fflush(stdout);
    if (count > 1 && strcmp(arguments[1], "abort") == 0) {
        outer(count, 1);
    } else if (count > 1) {
        signal(SIGUSR1, handler);
        raise(SIGUSR1);
    } else {
        outer(count, 0);
    }
    sum++;
    return sum;
}
