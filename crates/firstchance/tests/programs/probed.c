/* Says where its function `probed` lies and which eight bytes it begins with, then sleeps. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

__attribute__((noinline)) int probed(int value)
{
    __asm__ volatile("" ::: "memory");
    return value * 7 + 3;
}

int main(void)
{
    unsigned long bytes;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    memcpy(&bytes, (const void *)probed, sizeof bytes);
    printf("value %d\naddress %p\nbytes %#lx\nready %d\n", probed(1), (void *)probed, bytes, getpid());
    fflush(stdout);
    for (;;)
        pause();
}
