/* A callback routine as users of MiniDumpWriteDump write them. The environment names the block of memory (CHOSEN_BLOCK, in
   hexadecimal digits), the thread that is left out, the thread whose stack is, and whether the dump is cancelled or the routine crashes. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#include <dbghelp.h>

static unsigned long long number(const char *name, int base)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, base) : 0;
}

static BOOL ends_with(const WCHAR *text, const WCHAR *end)
{
    size_t length = wcslen(text), of_end = wcslen(end);
    return length >= of_end && !_wcsicmp(text + length - of_end, end);
}

/* What follows the thread's handle. gcc packs a CONTEXT to four bytes; Visual C++, and with it dbghelp, leaves it at a
   multiple of 16. */
struct told {
    CONTEXT context;
    ULONG size;
    ULONG base_low, base_high, end_low, end_high;
};

static void tell_thread(const MINIDUMP_THREAD_CALLBACK *thread)
{
    const struct told *told = (const void *)((const char *)thread + 16);
    ULONG64 base = told->base_low | (ULONG64)told->base_high << 32;
    ULONG64 end = told->end_low | (ULONG64)told->end_high << 32;
    BOOL stands = base <= told->context.Rsp && told->context.Rsp < end;
    BOOL same = GetThreadId(thread->ThreadHandle) == thread->ThreadId;
    printf("told thread %s %s %lu\n", stands ? "on its stack" : "elsewhere", same ? "by its handle" : "unknown",
           told->size);
}

static void tell_module(HANDLE process, const MINIDUMP_MODULE_CALLBACK *module)
{
    char start[2] = "";
    SIZE_T got = 0;
    ReadProcessMemory(process, (void *)(size_t)module->BaseOfImage, start, 2, &got);
    BOOL is_image = got == 2 && start[0] == 'M' && start[1] == 'Z' && module->SizeOfImage >= 4096;
    printf("told module %ls %s\n", wcsrchr(module->FullPath, L'\\') + 1, is_image ? "is an image" : "is none");
}

static BOOL memory(MINIDUMP_CALLBACK_OUTPUT *out)
{
    static int asked;
    out->MemoryBase = asked == 0 ? number("CHOSEN_BLOCK", 16) : 0x10;
    out->MemorySize = asked == 0 ? 4 * 4096 : 24;
    return asked++ < 2;
}

static BOOL removed(MINIDUMP_CALLBACK_OUTPUT *out)
{
    static int asked;
    out->MemoryBase = number("CHOSEN_BLOCK", 16) + 4096;
    out->MemorySize = asked++ == 0 ? 4096 : 0;
    return TRUE;
}

__declspec(dllexport) BOOL CALLBACK MiniDumpCallbackRoutine(PVOID nothing, const PMINIDUMP_CALLBACK_INPUT in,
                                                            PMINIDUMP_CALLBACK_OUTPUT out)
{
    (void)nothing;
    fflush(stdout);
    switch (in->CallbackType) {
    case IncludeThreadCallback:
        return in->IncludeThread.ThreadId != number("CHOSEN_EXCLUDED", 10);
    case IncludeModuleCallback:
        return TRUE;
    case ThreadCallback:
        tell_thread(&in->Thread);
        if (getenv("CHOSEN_CRASH"))
            *(volatile int *)0x10 = 1;
        if (in->Thread.ThreadId == number("CHOSEN_BARE", 10))
            out->ThreadWriteFlags &= ~ThreadWriteStack;
        return TRUE;
    case ModuleCallback:
        tell_module(in->ProcessHandle, &in->Module);
        if (ends_with(in->Module.FullPath, L"\\msvcrt.dll"))
            out->ModuleWriteFlags &= ~ModuleWriteModule;
        if (ends_with(in->Module.FullPath, L"\\offers.exe"))
            out->ModuleWriteFlags |= ModuleWriteCodeSegs;
        return TRUE;
    case MemoryCallback:
        return memory(out);
    case RemoveMemoryCallback:
        return removed(out);
    case CancelCallback:
        out->CheckCancel = TRUE;
        out->Cancel = getenv("CHOSEN_CANCEL") != NULL;
        return TRUE;
    default:
        printf("asked of %lu\n", in->CallbackType);
        return FALSE;
    }
}
