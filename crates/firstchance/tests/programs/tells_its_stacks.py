# Threads that stand, and tell where, as Python's own traceback has it: lines "frame THREAD LINE FILE FUNCTION", innermost first.
import os, sys, threading, traceback

def report():
    ids = {thread.ident: thread.native_id for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():
        while frame and frame.f_code is report.__code__:
            frame = frame.f_back
        for entry in reversed(traceback.extract_stack(frame)):
            print("frame", ids[ident], entry.lineno, entry.filename, entry.name)
    print("ready", flush=True)

def stand():
    report(); os.read(0, 1)

def deep(n):
    if n:
        return deep(n - 1)
    try:
        raise ValueError(
            "no such customer")
    except ValueError:
        stand()

class Shop:
    def checkout(self, basket):
        # The calls of map() go through C, so that the interpreter's loop is called again.
        return list(map(self.price, basket))

    def price(self, item):
        return deep(5)

def grün(values):
    yield from (hold(value) for value in values)

def hold(value):
    os.read(inside, 1)

def is_reading(thread):
    with open(f"/proc/self/task/{thread.native_id}/syscall") as call:
        return call.read().split()[1:2] == [hex(inside)]

inside, outside = os.pipe()
holder = threading.Thread(target=lambda: next(grün([1])), daemon=True)
holder.start()
while not is_reading(holder):
    os.sched_yield()
if len(sys.argv) > 1:
    def burn():
        while True:
            sum(number for number in range(1000))
    for _ in range(4):
        threading.Thread(target=burn, daemon=True).start()
Shop().checkout([1])
