// Maps one object of memory three times. Each page begins with its number and 'V' in the upper bytes. The first argument is the
// number of pages. With the second, "split", every second page of the third mapping cannot be written to, so that it is as many
// mappings as it has pages, and was not touched. Prints where the three begin, to which its stack points. The second was not
// touched.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096 };

int main(int count, char **arguments) {
    long pages = atol(arguments[1]);
    int file = memfd_create("views", 0);
    if (ftruncate(file, pages * PAGE)) return 1;
    int both = PROT_READ | PROT_WRITE;
    char *first = mmap(0, pages * PAGE, both, MAP_SHARED, file, 0);
    char *gap = mmap(0, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *second = mmap(0, pages * PAGE, both, MAP_SHARED, file, 0);
    char *other = mmap(0, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *third = mmap(0, pages * PAGE, both, MAP_SHARED, file, 0);
    char *volatile all[] = {first, second, third};
    if (!gap || !other) return 2;
    for (long number = 0; number < pages; number++) {
        uint64_t word = (uint64_t)'V' << 56 | (uint64_t)number;
        memcpy(first + number * PAGE, &word, 8);
        if (count == 2 && *(volatile uint64_t *)(third + number * PAGE) != word) return 4;
    }
    for (long number = 0; count > 2 && number < pages; number += 2)
        if (mprotect(third + number * PAGE, PAGE, PROT_READ)) return 3;
    close(file);
    printf("%p %p %p ready\n", (void *)all[0], (void *)all[1], (void *)all[2]);
    fflush(stdout);
    getchar();
}
