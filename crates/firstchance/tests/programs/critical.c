// Two threads of Windows that lock each other up with two critical sections.
#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <windows.h>

CRITICAL_SECTION orders, customers;
static HANDLE both_have_one;
static LONG have;

static void lock_second(CRITICAL_SECTION *first, CRITICAL_SECTION *second) {
    EnterCriticalSection(first);
    if (InterlockedIncrement(&have) == 2)
        SetEvent(both_have_one);
    WaitForSingleObject(both_have_one, INFINITE);
    EnterCriticalSection(second);
}

static DWORD WINAPI other(void *unused) {
    lock_second(&customers, &orders);
    return 0;
}

int main(void) {
    InitializeCriticalSection(&orders);
    InitializeCriticalSection(&customers);
    both_have_one = CreateEventA(NULL, TRUE, FALSE, NULL);
    DWORD id;
    _setmode(1, _O_BINARY);
    HANDLE thread = CreateThread(NULL, 0, other, NULL, 0, &id);
    printf("ready %lu\n", GetCurrentProcessId());
    fflush(stdout);
    lock_second(&orders, &customers);
    WaitForSingleObject(thread, INFINITE);
    return 0;
}
