// A process of which a clone is made: it has MIB of private memory, and what a clone does not have. Prints its addresses,
// then answers lines: "children" with how many SIGCHLD came and what waitpid(-1) says, "sum" with a sum over its memory, which
// "write" leaves as it is, though it writes to each page. With "huge" its memory is made of huge pages, with "kept" much of it
// is kept from forks, with "filter" it may not fork.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SMALL (1 << 20)

static volatile int ended;
static int advice = MADV_NORMAL;

static void on_child(int signal) { ended += signal == SIGCHLD; }

// From now on clone(2) fails with EPERM.
static void forbid_clone(void) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static char *filled(char letter, size_t size, int flags, int file) {
    char *memory = mmap(0, size, PROT_READ | PROT_WRITE, flags, file, 0);
    madvise(memory, size, advice);
    memset(memory, letter, size);
    return memory;
}

int main(int count, char **arguments) {
    size_t size = (size_t)atoi(arguments[1]) << 20;
    char line[16];
    int status;
    if (count > 2 && !strcmp(arguments[2], "faults")) syscall(SYS_userfaultfd, 1);
    if (count > 2 && !strcmp(arguments[2], "filter")) forbid_clone();
    if (count > 2 && !strcmp(arguments[2], "huge")) advice = MADV_HUGEPAGE;
    size_t kept_size = count > 2 && !strcmp(arguments[2], "kept") ? size / 3 : SMALL;
    signal(SIGCHLD, on_child);
    int own = memfd_create("own", 0);
    if (ftruncate(own, SMALL)) return 1;
    char *private = filled('P', size, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    char *kept = filled('K', kept_size, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    char *wiped = filled('W', SMALL, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    char *shared = filled('S', SMALL, MAP_SHARED, own);
    madvise(kept, kept_size, MADV_DONTFORK);
    madvise(wiped, SMALL, MADV_WIPEONFORK);
    printf("%p %p %p %p\n", private, kept, wiped, shared);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        long sum = 0;
        if (!strncmp(line, "children", 8)) {
            int child = waitpid(-1, &status, WNOHANG);
            printf("%d %d\n", ended, child < 0 ? -errno : child);
        }
        for (size_t at = 0; !strncmp(line, "sum", 3) && at < size; at += 4096) sum += private[at];
        for (size_t at = 0; !strncmp(line, "write", 5) && at < size; at += 4096) private[at] = 'P';
        if (!strncmp(line, "write", 5)) puts("written");
        if (!strncmp(line, "sum", 3)) printf("%ld\n", sum);
        fflush(stdout);
    }
}
