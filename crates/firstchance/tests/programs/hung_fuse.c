/* hung_fuse FOLDER [WHERE [detached]]: mounts a file system there that never answers a read, and maps its one file.
   Says `ready PID` of the process that has the mapping. WHERE: `stack`, it crashes with its stack there;
   `start`, the same in the first page, which the kernel reads for its core; `arguments`, its command line is there. `detached`: the file system is unmounted once the file is mapped. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE = 65536 };

static int detached;

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

/* Crashes with a stack whose pages nobody gives. */
static void crash_on(char *stack)
{
    __asm__ volatile("mov %0, %%rsp; mov %0, %%rbp; xor %%eax, %%eax; jmp *%%rax" ::"r"(stack + 64));
}

static void map(const char *folder, const char *where, char *argument)
{
    char path[4096];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(path, sizeof path, "%s/file", folder);
    int file = open(path, O_RDONLY);
    int access = PROT_READ | PROT_WRITE;
    off_t offset = strcmp(where, "start") ? 4096 : 0;
    char *pages = mmap(NULL, SIZE, access, MAP_PRIVATE, file, offset);
    if (file < 0 || pages == MAP_FAILED) {
        perror(path);
        _exit(1);
    }
    if (detached && umount2(folder, MNT_DETACH))
        perror("umount2");
    printf("ready %d\n", getpid());
    fflush(stdout);
    if (!strcmp(where, "stack") || !strcmp(where, "start"))
        crash_on(pages);
    if (!strcmp(where, "arguments"))
        mmap((void *)((unsigned long)argument & ~4095UL), 4096, access, MAP_PRIVATE | MAP_FIXED, file, 0);
    for (;;)
        pause();
}

int main(int argc, char **argv)
{
    char options[128];
    const char *folder = argc > 1 ? argv[1] : "";
    const char *where = argc > 2 ? argv[2] : "";
    detached = argc > 3;
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
        map(folder, where, argv[argc - 1]);
    }
    waitpid(mapper, NULL, 0);
    return 0;
}
