// Maps shared memory of each kind; a child writes the first half of each and ends. Prints each kind, where it is mapped,
// and how much memory its object takes; for each line that it reads, how much they take now.
//
//   shares dies     dies of a fault at a line of input
//   shares beside   as that, and the child lives until the input ends
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE = 4 << 20, KINDS = 4 };

static char *mapped[KINDS];
static int files[KINDS] = {-1, -1, -1, -1};

static char *map(int file)
{
    return mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
}

static long taken(void)
{
    long bytes = 0;
    for (int kind = 0; kind < KINDS; kind++) {
        struct stat found;
        if (files[kind] >= 0 && !fstat(files[kind], &found))
            bytes += found.st_blocks * 512;
    }
    return bytes;
}

int main(int count, char **arguments)
{
    int beside = count > 1 && !strcmp(arguments[1], "beside");
    int ready[2];
    if (pipe(ready))
        return 91;
    char name[64];
    mapped[0] = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int segment = shmget(IPC_PRIVATE, SIZE, IPC_CREAT | 0600);
    mapped[1] = shmat(segment, NULL, 0);
    shmctl(segment, IPC_RMID, NULL);
    files[2] = memfd_create("shares", 0);
    snprintf(name, sizeof name, "/dev/shm/shares-%d", getpid());
    files[3] = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    unlink(name);
    for (int kind = 2; kind < KINDS; kind++) {
        if (ftruncate(files[kind], SIZE))
            return 90;
        mapped[kind] = map(files[kind]);
    }
    if (!fork()) {
        for (int kind = 0; kind < KINDS; kind++)
            memset(mapped[kind], 'A' + kind, SIZE / 2);
        struct pollfd input = {0, 0, 0};
        if (write(ready[1], "", 1) < 0)
            _exit(92);
        while (beside && poll(&input, 1, -1) <= 0) {
        }
        _exit(0);
    }
    char written;
    if (read(ready[0], &written, 1) != 1)
        return 93;
    if (!beside)
        wait(NULL);
    for (int kind = 0; kind < KINDS; kind++)
        printf("%p ", (void *)mapped[kind]);
    do {
        printf("%ld\n", taken());
        fflush(stdout);
        if (getchar() < 0)
            break;
        if (count > 1)
            *(volatile char *)8 = 0;
    } while (1);
    return 0;
}
