// Has 64 MiB of memory that does not repeat itself, and counts in one place of each MiB, one after the other, all the time.
// Prints its pid and the address of the first place.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PLACES = 64, MIB = 1 << 20 };

int main(void)
{
    uint64_t *memory = aligned_alloc(MIB, PLACES * MIB), state = 88172645463325252;
    for (size_t at = 0; at < PLACES * (MIB / 8); at++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        memory[at] = state;
    }
    for (uint64_t count = 0;; count++) {
        for (int place = 0; place < PLACES; place++)
            *(volatile uint64_t *)&memory[place * (MIB / 8)] = count;
        if (count == 1) {
            printf("ready %d %p\n", getpid(), (void *)memory);
            fflush(stdout);
        }
        usleep(1000);
    }
}
