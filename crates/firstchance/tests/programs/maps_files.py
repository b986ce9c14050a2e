"""Maps the files that it is given for reading, touches one page of each, and can delete them. Prints where they are."""
import ctypes
import mmap
import os
import sys

kept = []
for name in sys.argv[2:]:
    with open(name, "rb") as file:
        area = mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ)
    assert area[4096 * 3] is not None
    kept.append(area)
if sys.argv[1] != "-":
    kept.append(ctypes.CDLL(sys.argv[1]))
    os.unlink(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
