/* The system's own writer of dumps: minidump PID FILE TYPE. */
#include <windows.h>

#include <dbghelp.h>
#include <stdio.h>
#include <stdlib.h>

typedef BOOL WINAPI Write(HANDLE, DWORD, HANDLE, MINIDUMP_TYPE, void *, void *, void *);

int main(int count, char **words)
{
    if (count != 4)
        return 2;
    DWORD pid = strtoul(words[1], NULL, 10);
    MINIDUMP_TYPE type = strtoul(words[3], NULL, 16);
    HANDLE process = OpenProcess(PROCESS_ALL_ACCESS, FALSE, pid);
    HANDLE file = CreateFileA(words[2], GENERIC_READ | GENERIC_WRITE, 0, NULL, CREATE_NEW, 0, NULL);
    if (!process || file == INVALID_HANDLE_VALUE)
        return 3;
    HMODULE library = LoadLibraryA("dbghelp.dll");
    Write *write = library ? (Write *)(void *)GetProcAddress(library, "MiniDumpWriteDump") : NULL;
    return !write || !write(process, pid, file, type, NULL, NULL, NULL);
}
