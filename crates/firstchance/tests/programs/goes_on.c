// goes_on HOW: waits for a line, loses threads, goes on, waits for a second line, and ends with code 4.
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void wait_for_a_line(void)
{
    int letter;
    puts("ready");
    fflush(stdout);
    while ((letter = getchar()) != '\n')
        if (letter < 0)
            _exit(92);
}

static void *wait_for_ever(void *unused)
{
    for (;;)
        pause();
    return unused;
}

static void *execute(void *unused)
{
    execl("/proc/self/exe", "goes_on", "end", NULL);
    return unused;
}

// A filter kills this thread alone, at its call of getppid(2).
static void *forbidden(void *its_id)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_THREAD),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {.len = 4, .filter = rules};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
        _exit(93);
    *(volatile pid_t *)its_id = gettid();
    getppid();
    return NULL;
}

// To the C library, the thread has not ended: it cannot be joined.
static void lose_a_thread(void)
{
    volatile pid_t id = 0;
    pthread_t thread;
    pthread_create(&thread, NULL, forbidden, (void *)&id);
    while (!id || !syscall(SYS_tgkill, getpid(), id, 0))
        usleep(1000);
    wait_for_a_line();
}

int main(int count, char **arguments)
{
    const char *how = count > 1 ? arguments[1] : "end";
    pthread_t thread;
    wait_for_a_line();
    if (!strcmp(how, "end"))
        _exit(4);
    for (int i = 0; i < 3; i++)
        pthread_create(&thread, NULL, wait_for_ever, NULL);
    if (!strcmp(how, "thread-killed"))
        lose_a_thread();
    if (!strcmp(how, "first-executes"))
        execute(NULL);
    if (!strcmp(how, "other-executes")) {
        pthread_create(&thread, NULL, execute, NULL);
        wait_for_ever(NULL);
    }
    _exit(4);
}
