/* A Windows program that is none of ours: threads, handles, an image loaded and unloaded again. */
#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <windows.h>

static DWORD WINAPI waits(void *nothing)
{
    (void)nothing;
    Sleep(INFINITE);
    return 0;
}

int main(void)
{
    HMODULE gone = LoadLibraryA("hid.dll");
    if (!gone || !FreeLibrary(gone))
        return 1;
    for (int n = 0; n < 100; n++)
        CreateEventA(NULL, TRUE, FALSE, NULL);
    for (int n = 0; n < 3; n++)
        CreateThread(NULL, 0, waits, NULL, 0, NULL);
    _setmode(_fileno(stdout), _O_BINARY);
    printf("ready %lu\n", GetCurrentProcessId());
    fflush(stdout);
    Sleep(INFINITE);
    return 0;
}
