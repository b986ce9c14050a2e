// Functions of which one is inlined, without any library but that of the system, so that every compiler can make it.
typedef void *HANDLE;
__declspec(dllimport) HANDLE __stdcall GetStdHandle(unsigned long);
__declspec(dllimport) int __stdcall WriteFile(HANDLE, const void *, unsigned long, unsigned long *, void *);
__declspec(dllimport) unsigned long __stdcall GetCurrentProcessId(void);
__declspec(dllimport) void __stdcall Sleep(unsigned long);

static volatile int sum, goes_on = 1;

static void tell(void)
{
    char text[32] = "ready ";
    unsigned long pid = GetCurrentProcessId(), digits = 1, at = 6, written;
    while (pid / digits > 9)
        digits *= 10;
    for (; digits; digits /= 10)
        text[at++] = '0' + pid / digits % 10;
    text[at++] = '\n';
    WriteFile(GetStdHandle((unsigned long)-11), text, at, &written, 0);
}

__attribute__((noinline)) static void stands(int n)
{
    sum += n;
    while (goes_on)
        Sleep(1000);
}

static inline __attribute__((always_inline)) void inner(int n)
{
    for (int i = 0; i < n; i++)
        sum += i;
    stands(n + 1);
    sum++;
}

__attribute__((noinline)) static void outer(int n)
{
    sum *= 2;
    inner(n);
    sum++;
}

int start(void)
{
    tell();
    outer(3);
    sum++;
    return sum;
}
