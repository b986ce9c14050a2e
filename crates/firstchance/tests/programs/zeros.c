// Touches so many MiB (first argument) of memory of zeros, but for its first and last word, and prints its address.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int count, char **arguments) {
    size_t size = (size_t)atoi(arguments[count - 1]) << 20;
    int *memory = aligned_alloc(4096, size);
    memset(memory, 0, size);
    memory[0] = 7;
    memory[size / sizeof *memory - 1] = 9;
    printf("%p\n", (void *)memory);
    fflush(stdout);
    pause();
}
