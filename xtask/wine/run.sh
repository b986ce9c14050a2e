#!/bin/sh
# Cargo's runner for Windows programs: run.sh PROGRAM.exe ARGS…
# Wine looks for libraries beside the program, so the shim is put there, unless it is there already.
set -eu
program=$1
beside=$(dirname "$program")/bcryptprimitives.dll
if [ -n "${WINE_SHIM:-}" ] && ! cmp -s "$WINE_SHIM" "$beside"; then
    cp "$WINE_SHIM" "$beside.$$"
    mv "$beside.$$" "$beside"
fi
exec wine "$@"
