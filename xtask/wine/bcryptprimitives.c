/* For tests under Wine 8 only, which lacks this library: Rust's programs take their random
   numbers from its one function. Real Windows has it, and Wine since version 9. */
#include <windows.h>

#include <ntsecapi.h>

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T length);

BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T length)
{
    return RtlGenRandom(data, (ULONG)length);
}
