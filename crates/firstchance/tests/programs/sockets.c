// A server with one connection over TCP and one over a socket with a path, whose other ends another process has.
// sockets PATH wait|abort: tells the pid of the other process and the port, and then waits for a request, or aborts.
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void check(int result, const char *what) {
    if (result < 0) {
        perror(what);
        exit(1);
    }
}

static int connected(int family, struct sockaddr *address, socklen_t size) {
    int peer = socket(family, SOCK_STREAM, 0);
    check(peer, "socket");
    check(connect(peer, address, size), "connect");
    return peer;
}

int main(int count, char **arguments) {
    struct sockaddr_in inet = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    socklen_t size = sizeof inet;
    if (count < 3)
        return 2;
    strncpy(path.sun_path, arguments[1], sizeof path.sun_path - 1);
    int listeners[] = {socket(AF_INET, SOCK_STREAM, 0), socket(AF_UNIX, SOCK_STREAM, 0)};
    check(bind(listeners[0], (struct sockaddr *)&inet, sizeof inet), "bind");
    check(bind(listeners[1], (struct sockaddr *)&path, sizeof path), "bind");
    check(getsockname(listeners[0], (struct sockaddr *)&inet, &size), "getsockname");
    check(listen(listeners[0], 5) | listen(listeners[1], 5), "listen");
    pid_t other = fork();
    check(other, "fork");
    if (other == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int ends[] = {connected(AF_INET, (struct sockaddr *)&inet, size),
                      connected(AF_UNIX, (struct sockaddr *)&path, sizeof path)};
        check(send(ends[1], "five!", 5, 0), "send");
        close(listeners[0]);
        close(listeners[1]);
        for (;;)
            pause();
    }
    int ends[] = {accept(listeners[0], NULL, NULL), accept(listeners[1], NULL, NULL)};
    check(ends[0] | ends[1], "accept");
    char byte;
    check(recv(ends[1], &byte, 1, MSG_PEEK), "recv");
    printf("%d %d\n", other, ntohs(inet.sin_port));
    fflush(stdout);
    if (!strcmp(arguments[2], "abort"))
        abort();
    check(recv(ends[0], &byte, 1, 0), "recv");
    return 0;
}
