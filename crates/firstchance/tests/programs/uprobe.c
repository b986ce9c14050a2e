/* uprobe FILE FUNCTION PID: arms a uprobe at the function's first instruction, says `armed`, and
   keeps it until it is killed. */
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <signal.h>
#include <unistd.h>

static uint64_t offset_of(const char *file, const char *function)
{
    struct stat info;
    int fd = open(file, O_RDONLY);
    if (fd < 0 || fstat(fd, &info))
        return 0;
    const char *base = mmap(NULL, info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    const Elf64_Ehdr *head = (const void *)base;
    const Elf64_Shdr *sections = (const void *)(base + head->e_shoff);
    for (int i = 0; i < head->e_shnum; i++) {
        if (sections[i].sh_type != SHT_SYMTAB)
            continue;
        const char *names = base + sections[sections[i].sh_link].sh_offset;
        const Elf64_Sym *symbols = (const void *)(base + sections[i].sh_offset);
        for (uint64_t s = 0; s < sections[i].sh_size / sizeof *symbols; s++) {
            const Elf64_Shdr *home = &sections[symbols[s].st_shndx % head->e_shnum];
            if (!strcmp(names + symbols[s].st_name, function))
                return symbols[s].st_value - home->sh_addr + home->sh_offset;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    int type = 0;
    FILE *file = fopen("/sys/bus/event_source/devices/uprobe/type", "r");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc < 4 || !file || fscanf(file, "%d", &type) != 1) {
        fprintf(stderr, "no uprobes here\n");
        return 1;
    }
    struct perf_event_attr attr = {
        .size = sizeof attr,
        .type = type,
        .config1 = (uintptr_t)argv[1],
        .config2 = offset_of(argv[1], argv[2]),
    };
    if (syscall(SYS_perf_event_open, &attr, atoi(argv[3]), -1, -1, PERF_FLAG_FD_CLOEXEC) < 0) {
        perror("perf_event_open");
        return 1;
    }
    printf("armed\n");
    fflush(stdout);
    for (;;)
        pause();
}
