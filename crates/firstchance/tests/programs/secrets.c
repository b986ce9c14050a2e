// secrets TEXT: has TEXT in its heap and in a variable, followed by what it is: in UTF-8 and in UTF-16.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef _WIN32
#include <fcntl.h>
#include <io.h>
#include <windows.h>
#define OWN_PID (_setmode(1, _O_BINARY), (unsigned)GetCurrentProcessId())
#define WAIT Sleep(INFINITE)
#else
#include <unistd.h>
#define OWN_PID (unsigned)getpid()
#define WAIT pause()
#endif

static char in_variable[256];
static char in_variable_wide[512];

static void widen(char *wide, const char *text)
{
    for (; *text; text++, wide += 2)
        wide[0] = *text;
}

int main(int count, char **arguments)
{
    if (count < 2)
        return 90;
    char *in_heap = calloc(1, 256), *in_heap_wide = calloc(1, 512);
    snprintf(in_heap, 256, "%s-heap", arguments[1]);
    widen(in_heap_wide, in_heap);
    snprintf(in_variable, sizeof in_variable, "%s-variable", arguments[1]);
    widen(in_variable_wide, in_variable);
    printf("ready %u\n", OWN_PID);
    fflush(stdout);
    WAIT;
    return in_heap_wide[0];
}
