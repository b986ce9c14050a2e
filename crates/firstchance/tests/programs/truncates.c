// truncates FOLDER: maps sixteen copies of its own program file as code, and cuts them short and writes them again, for ever.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { COPIES = 16, LARGEST = 1 << 20 };

int main(int count, char **arguments)
{
    static char image[LARGEST];
    static int files[COPIES];
    int self = open("/proc/self/exe", O_RDONLY);
    long size = read(self, image, sizeof image);
    if (count < 2 || size <= 0)
        return 90;
    for (int i = 0; i < COPIES; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/copy%d.so", arguments[1], i);
        files[i] = open(path, O_RDWR | O_CREAT, 0700);
        if (write(files[i], image, size) != size)
            return 91;
        if (mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_PRIVATE, files[i], 0) == MAP_FAILED)
            return 92;
    }
    puts("ready");
    fflush(stdout);
    for (;;) {
        for (int i = 0; i < COPIES; i++)
            if (ftruncate(files[i], 0))
                return 93;
        for (int i = 0; i < COPIES; i++)
            if (pwrite(files[i], image, size, 0) != size)
                return 94;
    }
}
