#!/bin/sh
# Wine 10, as if it were a program of this system: wine10.sh PROGRAM.exe ARGS…
# Its 64-bit loader is named, as Debian's `wine` is of 32 bits where that is installed, and starts
# programs of 64 bits as children: a signal would reach the wrong process.
exec "$(dirname "$0")/in-debian13.sh" /usr/lib/wine/wine64 "$@"
