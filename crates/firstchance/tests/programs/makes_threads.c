// Its first thread makes one thread after the other, and counts: exits with 2 if a thread ran twice, not at all, or brought
// something else back. The argument is its memory in MiB.
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_long ran;

static void *bring_back(void *number) {
    ran++;
    return number;
}

int main(int count, char **arguments) {
    size_t size = (size_t)atoi(arguments[count - 1]) << 20;
    memset(malloc(size), 'P', size);
    printf("ready %d\n", getpid());
    fflush(stdout);
    for (long made = 1;; made++) {
        pthread_t thread;
        void *back = NULL;
        if (pthread_create(&thread, NULL, bring_back, (void *)made) || pthread_join(thread, &back)) return 3;
        if (ran != made || (long)back != made) return 2;
    }
}
