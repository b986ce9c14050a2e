// With `pose FOLDER FILE`: in namespaces of its own, puts an empty file system on FOLDER and makes FILE there, with the
// inode that FILE had outside; maps it, and ends its first thread, so that the kernel does not show the mapped file.
// With `lease FILE`: maps FILE and holds a lease on it. With `holes`: maps memory of a memfd that is all hole, executable.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIZE = 64 << 10, HOLE = 48 << 20 };

static void put(const char *path, const char *text)
{
    int file = open(path, O_WRONLY);
    if (file < 0 || write(file, text, strlen(text)) < 0)
        exit(92);
    close(file);
}

static void enter_own_namespaces(void)
{
    char map[2][64];
    snprintf(map[0], sizeof map[0], "0 %d 1", getuid());
    snprintf(map[1], sizeof map[1], "0 %d 1", getgid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
        exit(93);
    put("/proc/self/setgroups", "deny");
    put("/proc/self/uid_map", map[0]);
    put("/proc/self/gid_map", map[1]);
}

static void *wait_for_ever(void *unused)
{
    puts("ready");
    fflush(stdout);
    for (;;)
        pause();
    return unused;
}

static void map(int file, int size, int rights)
{
    if (file < 0 || mmap(NULL, size, rights, MAP_PRIVATE, file, 0) == MAP_FAILED)
        exit(94);
}

static void pose(const char *folder, const char *path)
{
    struct stat wanted, made;
    if (stat(path, &wanted))
        exit(95);
    enter_own_namespaces();
    if (mount("test", folder, "tmpfs", 0, "mode=755"))
        exit(96);
    for (made.st_ino = 1; made.st_ino + 1 < wanted.st_ino;) {
        int file = open(folder, O_TMPFILE | O_RDWR, 0600);
        fstat(file, &made);
        close(file);
    }
    int file = open(path, O_RDWR | O_CREAT, 0600);
    if (ftruncate(file, SIZE) || fstat(file, &made) || made.st_ino != wanted.st_ino)
        exit(97);
    map(file, SIZE, PROT_READ);
    pthread_t thread;
    pthread_create(&thread, NULL, wait_for_ever, NULL);
    pthread_exit(NULL);
}

static void lease(const char *path)
{
    signal(SIGIO, SIG_IGN);
    int file = open(path, O_RDWR | O_CREAT, 0600);
    if (ftruncate(file, SIZE))
        exit(98);
    map(file, SIZE, PROT_READ);
    if (fcntl(file, F_SETLEASE, F_WRLCK))
        exit(99);
    wait_for_ever(NULL);
}

int main(int count, char **words)
{
    if (count == 4)
        pose(words[2], words[3]);
    if (count == 3)
        lease(words[2]);
    int file = memfd_create("holes", 0);
    if (ftruncate(file, HOLE))
        return 91;
    map(file, HOLE, PROT_READ | PROT_EXEC);
    wait_for_ever(NULL);
}
