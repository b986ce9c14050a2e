// A process that maps COUNT copies of its own file as images, each 256 MiB long with a hole, and with HEADERS program headers as
// their first bytes say. Prints "ready".
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static char bytes[1 << 20];

int main(int count, char **arguments) {
    if (count < 4) return 2;
    int own = open("/proc/self/exe", O_RDONLY);
    ssize_t length = read(own, bytes, sizeof bytes);
    *(unsigned short *)(bytes + 56) = (unsigned short)atoi(arguments[3]);
    for (int number = 0; number < atoi(arguments[2]); number++) {
        char name[256];
        snprintf(name, sizeof name, "%s/image-%d.so", arguments[1], number);
        int file = open(name, O_CREAT | O_RDWR, 0755);
        if (write(file, bytes, length) != length || ftruncate(file, 256 << 20)) return 1;
        char *image = mmap(0, sizeof bytes, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
        volatile char first = *image;
        (void)first;
        close(file);
        unlink(name);
    }
    puts("ready");
    fflush(stdout);
    pause();
}
