/* One sleeping thread with known content: `ready PID` as the process sees itself. */
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

unsigned long known[512] = { 0x1d1e1d1e1d1e1d1e };

int main(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    printf("ready %d\n", getpid());
    fflush(stdout);
    for (;;)
        pause();
}
