/* Crashes in a thread of its own, and does what Windows then does with the command line that
 * AeDebug has: starts it with its pid, an event, and the address of JIT_DEBUG_INFO. */
#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <string.h>
#include <windows.h>

static LONG WINAPI filter(EXCEPTION_POINTERS *told)
{
    static const char *key = "SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\AeDebug";
    char line[2048], command[2048];
    DWORD size = sizeof line;
    SECURITY_ATTRIBUTES inherited = {sizeof inherited, NULL, TRUE};
    STARTUPINFOA start = {.cb = sizeof start};
    PROCESS_INFORMATION debugger;
    JIT_DEBUG_INFO info = {.dwSize = sizeof info};
    HANDLE waits[2];

    if (RegGetValueA(HKEY_LOCAL_MACHINE, key, "Debugger", RRF_RT_REG_SZ, NULL, line, &size))
        return EXCEPTION_EXECUTE_HANDLER;
    info.dwProcessorArchitecture = PROCESSOR_ARCHITECTURE_AMD64;
    info.dwThreadID = GetCurrentThreadId();
    info.lpExceptionAddress = (ULONG64)(ULONG_PTR)told->ExceptionRecord->ExceptionAddress;
    info.lpExceptionRecord = (ULONG64)(ULONG_PTR)told->ExceptionRecord;
    info.lpContextRecord = (ULONG64)(ULONG_PTR)told->ContextRecord;
    waits[0] = CreateEventA(&inherited, TRUE, FALSE, NULL);
    snprintf(command, sizeof command, line, (long)GetCurrentProcessId(),
             (long)(LONG_PTR)waits[0], (void *)&info);
    if (!CreateProcessA(NULL, command, NULL, NULL, TRUE, 0, NULL, NULL, &start, &debugger))
        return EXCEPTION_EXECUTE_HANDLER;
    waits[1] = debugger.hProcess;
    printf("%s\n", WaitForMultipleObjects(2, waits, FALSE, INFINITE) ? "ended" : "signalled");
    fflush(stdout);
    return EXCEPTION_EXECUTE_HANDLER;
}

static DWORD WINAPI crash(void *unused)
{
    *(volatile int *)0x10 = 1;
    return unused != NULL;
}

int main(int count, char **words)
{
    HANDLE thread;
    char word[16];

    if (count > 1 && !strcmp(words[1], "told"))
        SetUnhandledExceptionFilter(filter);
    _setmode(_fileno(stdout), _O_BINARY);
    printf("ready %lu\n", GetCurrentProcessId());
    fflush(stdout);
    if (!fgets(word, sizeof word, stdin))
        return 1;
    thread = CreateThread(NULL, 0, crash, NULL, 0, NULL);
    WaitForSingleObject(thread, INFINITE);
    return 0;
}
