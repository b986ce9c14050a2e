// A thread that waits in CALL for MILLISECONDS, again and again, with a handler of SIGUSR2 that does not restart it. Prints
// "ready", then a line for each return: its result, or its error as a negative number, and how many milliseconds it took.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int pair[2], pipes[2], file, epoll, semaphore, ring, server, client;
static struct timespec wait_for;
static int milliseconds;
static char bytes[1 << 16];
static struct iovec piece = {bytes, sizeof bytes};
static struct mmsghdr messages[1] = {{.msg_hdr = {.msg_iov = &piece, .msg_iovlen = 1}}};
static struct sockaddr_un address = {.sun_family = AF_UNIX};

static void on_signal(int signal) { (void)signal; }

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

static int is(const char *name, const char *other) { return !strcmp(name, other); }

static void limit(int socket) {
    struct timeval limit = {milliseconds / 1000, milliseconds % 1000 * 1000};
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

static void prepare(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, 0);
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGUSR2, &action, 0);
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    limit(pair[0]);
    if (pipe(pipes)) exit(1);
    epoll = epoll_create1(0);
    // What is made here is gone with the process.
    if (unshare(CLONE_NEWIPC)) exit(1);
    semaphore = semget(IPC_PRIVATE, 1, 0600);
    struct io_uring_params parameters = {0};
    ring = syscall(SYS_io_uring_setup, 4, &parameters);
    file = open("/proc/self/exe", O_RDONLY);
    // A server whose queue is full.
    snprintf(address.sun_path, sizeof address.sun_path, "@interrupted-%d", getpid());
    address.sun_path[0] = 0;
    server = socket(AF_UNIX, SOCK_STREAM, 0);
    limit(server);
    bind(server, (struct sockaddr *)&address, sizeof address);
    listen(server, 0);
}

// Has writes of the socket wait.
static void fill(int socket) {
    while (send(socket, bytes, sizeof bytes, MSG_DONTWAIT) > 0) {}
}

static void fill_queue(void) {
    connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address);
    client = socket(AF_UNIX, SOCK_STREAM, 0);
    limit(client);
}

static long make(const char *call) {
    struct epoll_event event;
    struct sembuf take = {0, -1, 0};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    struct msghdr *message = &messages[0].msg_hdr;
    off_t from = 0;
    if (is(call, "epoll_wait")) return epoll_wait(epoll, &event, 1, milliseconds);
    if (is(call, "epoll_pwait2")) return syscall(SYS_epoll_pwait2, epoll, &event, 1, &wait_for, 0, 8);
    if (is(call, "sigtimedwait")) return sigtimedwait(&set, 0, &wait_for);
    if (is(call, "semtimedop")) return semtimedop(semaphore, &take, 1, &wait_for);
    if (is(call, "recv")) return recv(pair[0], bytes, sizeof bytes, 0);
    if (is(call, "recvmsg")) return recvmsg(pair[0], message, 0);
    if (is(call, "recvmmsg")) return recvmmsg(pair[0], messages, 1, 0, 0);
    if (is(call, "read")) return read(pair[0], bytes, sizeof bytes);
    if (is(call, "readv")) return readv(pair[0], &piece, 1);
    if (is(call, "accept")) return accept(server, 0, 0);
    if (is(call, "splice")) return splice(pair[0], 0, pipes[1], 0, 1, 0);
    if (is(call, "io_uring_enter")) return syscall(SYS_io_uring_enter, ring, 0, 1, IORING_ENTER_GETEVENTS, 0, 0);
    if (is(call, "connect")) {
        if (!client) fill_queue();
        return connect(client, (struct sockaddr *)&address, sizeof address);
    }
    fill(pair[0]);
    if (is(call, "send")) return send(pair[0], bytes, 1, 0);
    if (is(call, "sendmsg")) return sendmsg(pair[0], message, 0);
    if (is(call, "sendmmsg")) return sendmmsg(pair[0], messages, 1, 0);
    if (is(call, "write")) return write(pair[0], bytes, 1);
    if (is(call, "writev")) return writev(pair[0], &piece, 1);
    if (is(call, "sendfile")) return sendfile(pair[0], file, &from, 1);
    exit(2);
}

int main(int count, char **arguments) {
    milliseconds = atoi(arguments[2]);
    wait_for = (struct timespec){milliseconds / 1000, milliseconds % 1000 * 1000000L};
    prepare();
    puts("ready");
    fflush(stdout);
    for (int time = count; time; time++) {
        double begin = now();
        long result = make(arguments[1]);
        printf("%ld %.0f\n", result < 0 ? -(long)errno : result, now() - begin);
        fflush(stdout);
    }
}
