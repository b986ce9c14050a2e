// Maps a file whose path is nearly 4 KiB long as often as its argument says, one half of it as images. Works in the folder
// that it is started in. Aborts then, if it has another argument. Else forks so many children as each line of its input
// says, which abort at once.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int count, char **arguments) {
    int wanted = count > 1 ? atoi(arguments[1]) : 0;
    char folder[251];
    memset(folder, 'd', 250);
    folder[250] = 0;
    for (int depth = 0; depth < 15; depth++)
        if ((mkdir(folder, 0700) && errno != EEXIST) || chdir(folder)) return 1;
    int file = open("file", O_RDWR | O_CREAT, 0700);
    if (file < 0 || ftruncate(file, 3 * 4096)) return 1;
    char *room = mmap(NULL, wanted * 4096UL, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    for (int at = 0; at < wanted; at++) {
        int access = PROT_READ | (at % 2 ? PROT_EXEC : 0);
        // Not in a row, so that the kernel does not make one mapping of two.
        if (mmap(room + at * 4096UL, 4096, access, MAP_PRIVATE | MAP_FIXED, file, at % 2 * 8192) == MAP_FAILED) return 2;
    }
    if (count > 2) abort();
    printf("ready\n");
    fflush(stdout);
    char line[16];
    while (fgets(line, sizeof line, stdin)) {
        for (int left = atoi(line); left > 0; left--)
            if (fork() == 0) abort();
        while (wait(NULL) > 0) {}
        printf("ended\n");
        fflush(stdout);
    }
    for (;;) pause();
}
