// A process that is at work all the time and checks each result: direct reads (O_DIRECT) and reads through an io_uring, block by
// block, of a file that it makes in the folder of its first argument; a pipe, children, threads, timers, locks of files. From
// the line "end" on it stops, and prints how many of each were done, and what it has: descriptors, threads, children, and a sum
// over its memory. If a result is wrong it says so and ends with 2.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK 4096
#define BLOCKS 256
#define MEMORY (8 << 20)
#define CHECK(holds, what)                                            \
    if (!(holds)) {                                                   \
        printf("WRONG %s: %s, line %d\n", what, strerror(errno), __LINE__); \
        fflush(stdout);                                               \
        _exit(2);                                                     \
    }

static atomic_int ends;
static atomic_long direct, rings, pipes, children, threads, alarms;
static char path[256];

static void fill(char *block, uint64_t number) {
    for (int at = 0; at < BLOCK / 8; at++) ((uint64_t *)block)[at] = number * 0x9E3779B97F4A7C15 + at;
}

static void check(const char *block, uint64_t number, const char *what) {
    char wanted[BLOCK];
    fill(wanted, number);
    CHECK(!memcmp(block, wanted, BLOCK), what);
}

static void make_file(void) {
    char block[BLOCK];
    int file = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    for (int number = 0; number < BLOCKS; number++) {
        fill(block, number);
        CHECK(write(file, block, BLOCK) == BLOCK, "write");
    }
    CHECK(!fsync(file) && !close(file), "fsync");
}

static void *read_direct(void *_) {
    int file = open(path, O_RDONLY | O_DIRECT);
    CHECK(file >= 0, "open O_DIRECT");
    char *buffer = mmap(0, 16 * BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (uint64_t round = 0; !ends; round++) {
        uint64_t number = round * 16 % BLOCKS;
        memset(buffer, 0xEE, 16 * BLOCK);
        CHECK(pread(file, buffer, 16 * BLOCK, number * BLOCK) == 16 * BLOCK, "direct read");
        for (int at = 0; at < 16; at++) check(buffer + at * BLOCK, number + at, "directly read block");
        direct++;
    }
    return NULL;
}

// One read at a time, of one block, by the two rings that the kernel shares.
static void *read_by_ring(void *_) {
    struct io_uring_params p = {0};
    int ring = syscall(SYS_io_uring_setup, 4, &p);
    CHECK(ring >= 0, "io_uring_setup");
    int file = open(path, O_RDONLY | O_DIRECT);
    char *buffer = mmap(0, BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *sq = mmap(0, p.sq_off.array + p.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING);
    char *cq = mmap(0, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_CQ_RING);
    struct io_uring_sqe *entries = mmap(0, p.sq_entries * sizeof *entries, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQES);
    _Atomic unsigned *tail = (void *)(sq + p.sq_off.tail), *head = (void *)(cq + p.cq_off.head), *done = (void *)(cq + p.cq_off.tail);
    unsigned mask = *(unsigned *)(sq + p.sq_off.ring_mask), cq_mask = *(unsigned *)(cq + p.cq_off.ring_mask);
    for (uint64_t round = 0; !ends; round++) {
        uint64_t number = round * 7 % BLOCKS;
        memset(buffer, 0xEE, BLOCK);
        unsigned at = *tail & mask;
        entries[at] = (struct io_uring_sqe){.opcode = IORING_OP_READ, .fd = file, .addr = (uint64_t)buffer, .len = BLOCK, .off = number * BLOCK, .user_data = round};
        ((unsigned *)(sq + p.sq_off.array))[at] = at;
        (*tail)++;
        int submitted = 0;
        while (*done == *head) {
            int count = syscall(SYS_io_uring_enter, ring, submitted ? 0 : 1, 1, IORING_ENTER_GETEVENTS, 0, 0);
            CHECK(count >= 0 || errno == EINTR, "io_uring_enter");
            submitted |= count > 0;
        }
        struct io_uring_cqe *end = (struct io_uring_cqe *)(cq + p.cq_off.cqes) + (*head & cq_mask);
        CHECK(end->user_data == round && end->res == BLOCK, "end of a read by ring");
        (*head)++;
        check(buffer, number, "block read by ring");
        rings++;
    }
    return NULL;
}

static void *use_pipe(void *_) {
    int ends_of[2];
    CHECK(!pipe(ends_of), "pipe");
    for (long round = 0; !ends; round++) {
        long back = 0;
        CHECK(write(ends_of[1], &round, sizeof round) == sizeof round, "write to a pipe");
        CHECK(read(ends_of[0], &back, sizeof back) == sizeof back && back == round, "read of a pipe");
        pipes++;
    }
    return NULL;
}

static void *have_children(void *_) {
    int file = open(path, O_RDONLY);
    CHECK(!flock(file, LOCK_EX), "flock");
    for (int round = 0; !ends; round++) {
        int status = 0, other = open(path, O_RDONLY);
        pid_t child = fork();
        CHECK(child >= 0, "fork");
        if (!child) _exit(round & 0x7f);
        CHECK(waitpid(-1, &status, 0) == child && WEXITSTATUS(status) == (round & 0x7f), "waitpid(-1)");
        // The lock is ours as long as no copy of the descriptor is closed in another process.
        CHECK(flock(other, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK, "the lock is gone");
        close(other);
        children++;
        usleep(1000);
    }
    return NULL;
}

static void *bring_back(void *number) { return number; }

static void *make_threads(void *_) {
    for (long round = 1; !ends; round++) {
        pthread_t thread;
        void *back = NULL;
        CHECK(!pthread_create(&thread, NULL, bring_back, (void *)round), "pthread_create");
        CHECK(!pthread_join(thread, &back) && back == (void *)round, "pthread_join");
        threads++;
        usleep(500);
    }
    return NULL;
}

static void on_alarm(int _) { alarms++; }

static long entries_in(const char *folder) {
    long count = 0;
    DIR *entries = opendir(folder);
    CHECK(entries, "opendir");
    while (readdir(entries)) count++;
    closedir(entries);
    return count;
}

int main(int _, char **arguments) {
    void *(*const works[])(void *) = {read_direct, read_by_ring, use_pipe, have_children, make_threads};
    enum { WORKS = sizeof works / sizeof *works };
    pthread_t all[WORKS];
    const char *own[] = {"/proc/self/fd", "/proc/self/task"};
    char line[16];
    long before[2];
    snprintf(path, sizeof path, "%s/busy", arguments[1]);
    make_file();
    char *memory = malloc(MEMORY);
    for (int at = 0; at < MEMORY; at += 8) *(uint64_t *)(memory + at) = at * 31;
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval often = {{0, 10000}, {0, 10000}};
    setitimer(ITIMER_REAL, &often, NULL);
    for (int at = 0; at < WORKS; at++) pthread_create(&all[at], NULL, works[at], NULL);
    while (!direct || !rings || !pipes || !children || !threads || !alarms) usleep(1000);
    for (int at = 0; at < 2; at++) before[at] = entries_in(own[at]);
    printf("ready %d\n", getpid());
    fflush(stdout);
    CHECK(fgets(line, sizeof line, stdin), "line");
    // Descriptors and threads that come and go make a difference of two at most.
    for (int at = 0; at < 2; at++) CHECK(labs(entries_in(own[at]) - before[at]) <= 2, own[at]);
    ends = 1;
    for (int at = 0; at < WORKS; at++) pthread_join(all[at], NULL);
    int status = 0, child = waitpid(-1, &status, __WALL | WNOHANG);
    CHECK(child == -1 && errno == ECHILD, "a child is left");
    for (int at = 0; at < MEMORY; at += 8) CHECK(*(uint64_t *)(memory + at) == (uint64_t)at * 31, "memory");
    printf("%ld %ld %ld %ld %ld %ld\n", direct, rings, pipes, children, threads, alarms);
}
