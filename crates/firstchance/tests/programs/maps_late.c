// With an argument, a child is forked for each byte that comes, and waited for at once; it does the rest after a moment.
// Waits for a byte, then maps memory, loads a library, prints where the memory is, and faults in a thread with a name.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE = 3 << 20 };

__attribute__((noinline)) static int late_fault(volatile int *place)
{
    return *place + 1;
}

static void *work(void *unused)
{
    pthread_setname_np(pthread_self(), "late-worker");
    char deep[2000];
    memset(deep, late_fault((int *)16), sizeof deep);
    return unused;
}

static int fork_for_each_byte(void)
{
    while (getchar() >= 0) {
        int child = fork();
        if (child == 0) {
            usleep(20000);
            return 1;
        }
        waitpid(child, NULL, 0);
    }
    return 0;
}

// Makes a page that must not be in a dump.
static void make_secret(int byte)
{
    char *secret = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(secret, byte, 4096);
    madvise(secret, 4096, MADV_DONTDUMP);
}

int main(int count, char **unused)
{
    (void)unused;
    pthread_t thread;
    puts("ready");
    fflush(stdout);
    make_secret(0xA7);
    if (count > 1 ? !fork_for_each_byte() : getchar() < 0)
        return 92;
    make_secret(0xB7);
    char *late = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int at = 0; at < SIZE; at += 4096)
        strcpy(late + at, "LATE-DATA");
    if (!dlopen("libz.so.1", RTLD_NOW))
        return 93;
    printf("%p\n", (void *)late);
    fflush(stdout);
    pthread_create(&thread, NULL, work, NULL);
    pthread_join(thread, NULL);
}
