// Has a command line of as many MiB as its argument says, which any user may set (PR_SET_MM_MAP in prctl(2)).
#define _GNU_SOURCE
#include <linux/prctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

// The fields of /proc/self/stat from `start_code` on, by their numbers in proc_pid_stat(5).
static unsigned long field(const char *stat, int number) {
    const char *at = strrchr(stat, ')') + 2;
    for (int i = 3; i < number; i++) at = strchr(at, ' ') + 1;
    return strtoul(at, NULL, 10);
}

int main(int count, char **arguments) {
    size_t size = count > 1 ? strtoul(arguments[1], NULL, 10) << 20 : 0;
    char *line = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    char stat[4096] = "";
    FILE *file = fopen("/proc/self/stat", "r");
    if (line == MAP_FAILED || !file || !fgets(stat, sizeof stat, file)) return 1;
    struct prctl_mm_map map = {
        .start_code = field(stat, 26), .end_code = field(stat, 27),
        .start_data = field(stat, 45), .end_data = field(stat, 46),
        .start_brk = field(stat, 47),  .brk = (unsigned long)sbrk(0),
        .start_stack = field(stat, 28),
        .arg_start = (unsigned long)line, .arg_end = (unsigned long)line + size,
        .env_start = field(stat, 50),  .env_end = field(stat, 51),
        .exe_fd = -1,
    };
    if (prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0)) return 2;
    // No NUL: one argument, all of it touched.
    memset(line, 'x', size);
    printf("ready\n");
    fflush(stdout);
    for (;;) pause();
}
