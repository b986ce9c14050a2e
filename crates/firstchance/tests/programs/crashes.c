// crashes [KEY=VALUE]...: prepares what it is told, in that order, then ends as it is told.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static void *sleeper(void *unused)
{
    for (;;)
        pause();
    return unused;
}

__attribute__((noinline)) static void boom(volatile int *place)
{
    *place = 1;
}

static void limit_core(rlim_t bytes)
{
    struct rlimit limit = {bytes, bytes};
    setrlimit(RLIMIT_CORE, &limit);
}

static void fill(size_t mebibytes)
{
    size_t size = mebibytes << 20;
    char *memory = malloc(size);
    for (size_t at = 0; at < size; at += 4096)
        memset(memory + at, (int)(at >> 12 | 1), 64);
}

static void end(const char *how)
{
    if (!strcmp(how, "segv"))
        boom((volatile int *)16);
    if (!strcmp(how, "abort"))
        abort();
    if (!strcmp(how, "quit"))
        raise(SIGQUIT);
    if (!strcmp(how, "xcpu"))
        raise(SIGXCPU);
    printf("ready %d\n", (int)getpid());
    fflush(stdout);
    for (;;)
        pause();
}

/* Puts an entry into the auxiliary vector whose type is no small number. Every process may. */
static void odd_auxv(void)
{
    static unsigned long odd[40] = {0x7100000077UL, 1};
    unsigned long stat[60];
    char text[4096];
    int file = open("/proc/self/auxv", O_RDONLY);
    ssize_t size = read(file, odd + 2, sizeof odd - 4 * sizeof *odd);
    close(file);
    file = open("/proc/self/stat", O_RDONLY);
    text[read(file, text, sizeof text - 1)] = 0;
    close(file);
    int at = 3;
    for (char *word = strtok(strrchr(text, ')') + 2, " "); word && at < 60; word = strtok(NULL, " "))
        stat[at++] = strtoul(word, NULL, 10);
    struct prctl_mm_map map = {
        .start_code = stat[26], .end_code = stat[27], .start_stack = stat[28],
        .start_data = stat[45], .end_data = stat[46], .start_brk = stat[47],
        .brk = (unsigned long)sbrk(0),
        .arg_start = stat[48], .arg_end = stat[49], .env_start = stat[50], .env_end = stat[51],
        .auxv = (void *)odd, .auxv_size = size + 2 * sizeof *odd, .exe_fd = -1,
    };
    if (prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0))
        perror("prctl");
}

static void *end_by_thread(void *how)
{
    end(how);
    return NULL;
}

static void end_without_leader(char *how)
{
    pthread_t thread;
    pthread_create(&thread, NULL, end_by_thread, how);
    pthread_exit(NULL);
}

static void start(int threads)
{
    pthread_t thread;
    while (threads-- > 0)
        pthread_create(&thread, NULL, sleeper, NULL);
}

int main(int count, char **words)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int at = 1; at < count; at++) {
        char *value = strchr(words[at], '=');
        if (!value)
            return 2;
        *value++ = 0;
        if (!strcmp(words[at], "name"))
            prctl(PR_SET_NAME, value);
        if (!strcmp(words[at], "threads"))
            start(atoi(value));
        if (!strcmp(words[at], "mib"))
            fill((size_t)atol(value));
        if (!strcmp(words[at], "core"))
            limit_core((rlim_t)atol(value));
        if (!strcmp(words[at], "auxv") && !strcmp(value, "odd"))
            odd_auxv();
        if (!strcmp(words[at], "dumpable"))
            prctl(PR_SET_DUMPABLE, atoi(value));
        if (!strcmp(words[at], "user") && (setgid(atoi(value)) || setuid(atoi(value))))
            return 3;
        if (!strcmp(words[at], "end-without-leader"))
            end_without_leader(value);
        if (!strcmp(words[at], "end"))
            end(value);
    }
    return 0;
}
