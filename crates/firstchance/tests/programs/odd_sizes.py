# Maps shared memory whose size is no whole number of pages, and touches none of it. Prints of each where it is mapped, and
# how many bytes of it there are.
import ctypes, mmap, os, sys

libc = ctypes.CDLL(None)
libc.mmap.restype = libc.shmat.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + 3 * [ctypes.c_int] + [ctypes.c_long]
libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
PAGE, BOTH = 4096, mmap.PROT_READ | mmap.PROT_WRITE


def mapped(file, size, offset=0, anonymous=0):
    return libc.mmap(None, size, BOTH, mmap.MAP_SHARED | anonymous, file, offset)


def filled(file, size):
    os.ftruncate(file, size)
    os.pwrite(file, b'x' * size, 0)
    return file


def filled_by_a_child(address, size):
    if os.fork() == 0:
        ctypes.memset(address, ord('x'), size)
        os._exit(0)
    os.wait()
    return address


def tell(address, size):
    print(hex(address), size)


segment = libc.shmget(0, 56, 0o1600)
tell(filled_by_a_child(libc.shmat(segment, None, 0), 56), 56)
libc.shmctl(segment, 0, None)
tell(filled_by_a_child(mapped(-1, 5000, anonymous=mmap.MAP_ANONYMOUS), 5000), 5000)
tell(mapped(filled(os.memfd_create('odd'), 5000), 5000), 5000)
name = '/dev/shm/odd-%d' % os.getpid()
named = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
os.unlink(name)
tell(mapped(filled(named, 9000), 9000), 9000)
tell(mapped(filled(os.memfd_create('offset'), 9000), 3 * PAGE, PAGE), 9000 - PAGE)
# Pages that lie behind the end as a whole cannot be read: the kernel sends SIGBUS (mmap(2)).
cut = filled(os.memfd_create('cut'), 20000)
tell(mapped(cut, 20000), 5000)
os.ftruncate(cut, 5000)
mapped(filled(os.memfd_create('behind'), 5000), 4 * PAGE, 2 * PAGE)
print('ready', flush=True)
sys.stdin.readline()
