// Shows an object of memory that nobody else has, as a heap may be: a window of chunks, and all of it once more. Each page
// begins with its number in the object. Prints where both are, and the number of its descriptor.
//
//   writes   a thread writes a number behind that of each page, one page after the other, and then the next number
//   "move"   shows the chunks in reverse order from now on, by new mappings, looks at each page, and prints "moved". Unless
//            the thread writes, all of it is not shown once more any longer
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, CHUNK = 4 << 20, CHUNKS = 16, WORDS = PAGE / 8 };
#define SIZE ((long)CHUNK * CHUNKS)

static volatile uint64_t *all;

static void *writes(void *none) {
    for (uint64_t number = 1;; number++)
        for (long page = 0; page < SIZE / PAGE; page++) all[page * WORDS + 1] = number;
    return none;
}

int main(int count, char **words) {
    int file = memfd_create("heap", 0);
    if (ftruncate(file, SIZE)) return 1;
    int both = PROT_READ | PROT_WRITE;
    // The window is the lower one, by which the pages are read.
    all = mmap(0, SIZE, both, MAP_SHARED, file, 0);
    char *window = mmap(0, SIZE, both, MAP_SHARED, file, 0);
    for (long page = 0; page < SIZE / PAGE; page++) all[page * WORDS] = page;
    pthread_t thread;
    int is_written = count > 1 && !strcmp(words[1], "writes");
    if (is_written) pthread_create(&thread, 0, writes, 0);
    printf("%p %p %d\n", (void *)window, (void *)all, file);
    fflush(stdout);
    char line[80];
    while (fgets(line, sizeof line, stdin)) {
        for (long chunk = 0; chunk < CHUNKS; chunk++)
            mmap(window + chunk * CHUNK, CHUNK, both, MAP_SHARED | MAP_FIXED, file, (CHUNKS - 1 - chunk) * CHUNK);
        if (!is_written) munmap((void *)all, SIZE);
        uint64_t sum = 0;
        for (long page = 0; page < SIZE / PAGE; page++) sum += ((volatile uint64_t *)window)[page * WORDS];
        puts(sum ? "moved" : "empty");
        fflush(stdout);
    }
}
