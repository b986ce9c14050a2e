/* hung_fuse FOLDER: mounts a file system there that never answers a read, and maps its one file.
   Says `ready PID` of the process that has the mapping. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE = 65536 };

static void serve(int fd)
{
    static char in[1 << 17];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        ssize_t got = read(fd, in, sizeof in);
        if (got <= 0)
            _exit(0);
        struct fuse_in_header *head = (void *)in;
        struct {
            struct fuse_out_header head;
            union {
                struct fuse_init_out init;
                struct fuse_entry_out entry;
                struct fuse_attr_out attr;
                struct fuse_open_out open;
            } body;
        } out = { .head = { .unique = head->unique } };
        size_t size = 0;
        switch (head->opcode) {
        case FUSE_INIT:
            out.body.init.major = 7;
            out.body.init.minor = 31;
            out.body.init.max_readahead = 4096;
            out.body.init.max_write = 4096;
            size = sizeof out.body.init;
            break;
        case FUSE_LOOKUP:
            out.body.entry.nodeid = 2;
            out.body.entry.attr_valid = out.body.entry.entry_valid = 100;
            out.body.entry.attr.ino = 2;
            out.body.entry.attr.mode = S_IFREG | 0644;
            out.body.entry.attr.size = SIZE;
            out.body.entry.attr.nlink = 1;
            size = sizeof out.body.entry;
            break;
        case FUSE_GETATTR:
            out.body.attr.attr_valid = 100;
            out.body.attr.attr.ino = head->nodeid;
            out.body.attr.attr.nlink = 1;
            out.body.attr.attr.mode = head->nodeid == 1 ? S_IFDIR | 0755 : S_IFREG | 0644;
            out.body.attr.attr.size = head->nodeid == 1 ? 0 : SIZE;
            size = sizeof out.body.attr;
            break;
        case FUSE_OPEN:
        case FUSE_OPENDIR:
            size = sizeof out.body.open;
            break;
        case FUSE_READ:
        case FUSE_FORGET:
        case FUSE_BATCH_FORGET:
        case FUSE_INTERRUPT:
            continue;
        default:
            out.head.error = -ENOSYS;
        }
        out.head.len = sizeof out.head + size;
        if (write(fd, &out, out.head.len) < 0)
            continue;
    }
}

static void map(const char *folder)
{
    char path[4096];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(path, sizeof path, "%s/file", folder);
    int file = open(path, O_RDONLY);
    if (file < 0 || mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, file, 0) == MAP_FAILED) {
        perror(path);
        _exit(1);
    }
    printf("ready %d\n", getpid());
    fflush(stdout);
    for (;;)
        pause();
}

int main(int argc, char **argv)
{
    char options[128];
    const char *folder = argc > 1 ? argv[1] : "";
    /* In a mount namespace of our own nothing stays behind, whoever kills us. */
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
        perror("unshare");
        return 1;
    }
    int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd);
    if (mount("hung", folder, "fuse", MS_NOSUID | MS_NODEV, options)) {
        perror("mount");
        return 1;
    }
    pid_t server = fork();
    if (server == 0)
        serve(fd);
    pid_t mapper = fork();
    if (mapper == 0) {
        close(fd);
        map(folder);
    }
    waitpid(mapper, NULL, 0);
    return 0;
}
