// Maps one object of memory three times, each page of which begins with its number and 'V' in the upper bytes. Prints where:
//
//   first    pages 0 to 6143, of which it has touched all but the last 1024 here
//   second   the same pages, of which it has touched none here but the last 1024
//   third    pages 4096 to 10239, read-only
//
// Pages 2048 to 3071 do not exist. Pages 6144 to 10239 are written by another mapping, which is gone.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 10240, MAPPED = 6144, SHIFT = 4096 };

static void fill(char *memory, long page, long first, long end) {
    for (long number = first; number < end; number++) {
        uint64_t word = (uint64_t)'V' << 56 | (uint64_t)number;
        for (long at = 0; number < 2048 || number >= 3072 ? at < PAGE : 0; at += 8)
            memcpy(memory + (number - page) * PAGE + at, &word, 8);
    }
}

int main(void) {
    int file = memfd_create("views", 0);
    if (ftruncate(file, (long)PAGES * PAGE)) return 1;
    int both = PROT_READ | PROT_WRITE;
    char *first = mmap(0, MAPPED * PAGE, both, MAP_SHARED, file, 0);
    char *gap = mmap(0, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *second = mmap(0, MAPPED * PAGE, both, MAP_SHARED, file, 0);
    char *other = mmap(0, MAPPED * PAGE, both, MAP_SHARED, file, SHIFT * PAGE);
    fill(first, 0, 0, MAPPED - 1024);
    fill(second, 0, MAPPED - 1024, MAPPED);
    fill(other, SHIFT, MAPPED, PAGES);
    munmap(other, MAPPED * PAGE);
    char *third = mmap(0, MAPPED * PAGE, PROT_READ, MAP_SHARED, file, SHIFT * PAGE);
    close(file);
    if (!gap) return 2;
    printf("%p %p %p ready\n", (void *)first, (void *)second, (void *)third);
    fflush(stdout);
    getchar();
}
