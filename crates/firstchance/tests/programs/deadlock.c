// Two threads wait for each other's mutex, one waits to read and one to write what the first thread has locked, and that waits
// for one of them to end. Each gives itself a name.
// -DRECURSIVE: the mutexes may be locked again by who has them.
#include <pthread.h>
#include <stdio.h>
#include <sys/prctl.h>

static pthread_mutex_t orders = PTHREAD_MUTEX_INITIALIZER, customers = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t prices = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t both;

static void *lock_both(const char *name, pthread_mutex_t *first, pthread_mutex_t *second)
{
    prctl(PR_SET_NAME, name);
    pthread_mutex_lock(first);
    pthread_barrier_wait(&both);
    pthread_mutex_lock(second);
    return 0;
}

static void *a(void *_)
{
    return lock_both("thread-a", &orders, &customers);
}

static void *b(void *_)
{
    return lock_both("thread-b", &customers, &orders);
}

static void *reads(void *_)
{
    prctl(PR_SET_NAME, "reader");
    pthread_rwlock_rdlock(&prices);
    return 0;
}

static void *writes(void *_)
{
    prctl(PR_SET_NAME, "writer");
    pthread_rwlock_wrlock(&prices);
    return 0;
}

int main(void)
{
    void *(*const works[])(void *) = {a, b, reads, writes};
    pthread_t threads[4];
    prctl(PR_SET_NAME, "deadlock");
#ifdef RECURSIVE
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&orders, &recursive);
    pthread_mutex_init(&customers, &recursive);
#endif
    pthread_barrier_init(&both, 0, 2);
    pthread_rwlock_wrlock(&prices);
    for (int at = 0; at < 4; at++) pthread_create(&threads[at], 0, works[at], 0);
    puts("ready");
    fflush(stdout);
    pthread_join(threads[0], 0);
}
