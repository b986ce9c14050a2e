// six_threads: waits for a line, then three threads start one each, and all six end together. It says how many it
// joined, and ends with the next line.
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static pthread_barrier_t all_are_there;

static void *end_with_all(void *unused)
{
    pthread_barrier_wait(&all_are_there);
    return unused;
}

static void *start_another(void *other)
{
    if (pthread_create(other, NULL, end_with_all, NULL))
        _exit(90);
    return end_with_all(NULL);
}

static void wait_for_a_line(void)
{
    int letter;
    while ((letter = getchar()) != '\n')
        if (letter < 0)
            _exit(91);
}

int main(void)
{
    pthread_t threads[6];
    int joined = 0;
    pthread_barrier_init(&all_are_there, NULL, 6);
    puts("ready");
    fflush(stdout);
    wait_for_a_line();
    for (int i = 0; i < 3; i++)
        if (pthread_create(&threads[i], NULL, start_another, &threads[i + 3]))
            _exit(92);
    for (int i = 0; i < 6; i++)
        joined += !pthread_join(threads[i], NULL);
    printf("joined %d\n", joined);
    fflush(stdout);
    wait_for_a_line();
    _exit(0);
}
