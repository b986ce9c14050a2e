/* The target of a callback routine: four pages with a text each, a text that nobody chooses, two threads. */
#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <string.h>
#include <windows.h>

static DWORD WINAPI waits(void *nothing)
{
    (void)nothing;
    Sleep(INFINITE);
    return 0;
}

static char *pages(int count)
{
    return VirtualAlloc(NULL, 4096 * count, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE);
}

int main(void)
{
    char *block = pages(4), *other = pages(1);
    for (int n = 0; n < 4; n++)
        sprintf(block + 4096 * n + 100, "page-%c-%s", 'a' + n, "chosen");
    sprintf(other + 100, "%s-chosen", "never");
    DWORD excluded, bare;
    CreateThread(NULL, 0, waits, NULL, 0, &excluded);
    CreateThread(NULL, 0, waits, NULL, 0, &bare);
    _setmode(_fileno(stdout), _O_BINARY);
    printf("fact block 0x%llx\nfact excluded %lu\nfact bare %lu\nready %lu\n",
           (unsigned long long)(size_t)block, excluded, bare, GetCurrentProcessId());
    fflush(stdout);
    Sleep(INFINITE);
    return 0;
}
