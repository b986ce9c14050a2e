"""Runs a command on a terminal of its own, as a person would: what comes on standard input is typed there, `^C` presses
Ctrl-C, and what the terminal shows comes on standard output."""
import os
import pty
import sys
import threading

pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])


def type_lines():
    for line in sys.stdin:
        os.write(terminal, b"\x03" if line == "^C\n" else line.encode())


threading.Thread(target=type_lines, daemon=True).start()
while True:
    try:
        shown = os.read(terminal, 4096)
    except OSError:
        break
    if not shown:
        break
    sys.stdout.buffer.write(shown)
    sys.stdout.flush()
