import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;

/** Threads of all kinds that stand still: in the interpreter, in compiled code with inlined methods, in native methods, at locks. */
public class JavaStacks {
    static final Object first = new Object(), second = new Object(), quiet = new Object();
    static final ReentrantLock left = new ReentrantLock(), right = new ReentrantLock();
    static final CountDownLatch never = new CountDownLatch(1);
    static volatile boolean stop;
    static long sum;

    public static void main(String[] arguments) throws Exception {
        CountDownLatch both = new CountDownLatch(4);
        start("a thread with a long name: orders", () -> {
            synchronized (first) {
                meet(both);
                synchronized (second) {
                    sum++;
                }
            }
        });
        start("a thread with a long name: billing", () -> {
            synchronized (second) {
                meet(both);
                synchronized (first) {
                    sum++;
                }
            }
        });
        start("left", () -> cross(left, right, both));
        start("right", () -> cross(right, left, both));
        start("waits", () -> {
            synchronized (quiet) {
                quiet.wait();
            }
        });
        start("parked", LockSupport::park);
        start("latch", never::await);
        start("compiled", () -> warm(40_000));
        start("sleeps", () -> new Sleeper().deep(20));
        start("joins", () -> Thread.currentThread().join());
        int many = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 0;
        for (int number = 0; number < many; number++) {
            start("many-" + number, never::await);
        }
        while (!allStand()) {
            Thread.sleep(1);
        }
        System.out.println("ready");
        if (System.in.read() == 'g') {
            String own = Long.toString(ProcessHandle.current().pid());
            new ProcessBuilder("kill", "-ABRT", own).start().waitFor();
        }
        System.exit(0);
    }

    interface Work {
        void run() throws Exception;
    }

    static final List<Thread> threads = new ArrayList<>();

    /** Whether each thread is where it stays. */
    static boolean allStand() {
        for (Thread thread : threads) {
            Thread.State state = thread.getState();
            boolean enters = thread.getName().startsWith("a thread");
            boolean waits = state == Thread.State.WAITING || state == Thread.State.TIMED_WAITING;
            if (enters ? state != Thread.State.BLOCKED : !waits) {
                return false;
            }
        }
        return left.hasQueuedThreads() && right.hasQueuedThreads();
    }

    static void start(String name, Work work) {
        Thread thread = new Thread(() -> {
            try {
                work.run();
            } catch (Exception exception) {
                throw new RuntimeException(exception);
            }
        }, name);
        thread.setDaemon(true);
        thread.start();
        threads.add(thread);
    }

    static void meet(CountDownLatch both) throws Exception {
        both.countDown();
        both.await();
    }

    static void cross(ReentrantLock own, ReentrantLock other, CountDownLatch both) throws Exception {
        own.lock();
        meet(both);
        other.lock();
    }

    /** Is compiled, with what it calls inlined, and then stands in it. */
    static void warm(int rounds) throws Exception {
        for (int round = 0; round < rounds; round++) {
            outer(round, false);
        }
        outer(1, true);
    }

    static int outer(int number, boolean stand) throws Exception {
        return middle(number + 1, stand) + 1;
    }

    static int middle(int number, boolean stand) throws Exception {
        return inner(number * 3, stand) - 7;
    }

    static int inner(int number, boolean stand) throws Exception {
        pause(stand);
        sum += number;
        return number % 13;
    }

    /** Never went into its branch before: its compiled code is given up there, that of its callers stays. */
    static void pause(boolean stand) throws Exception {
        if (stand) {
            synchronized (quiet) {
                quiet.wait();
            }
        }
    }

    static class Sleeper {
        void deep(int more) throws Exception {
            if (more == 0) {
                Thread.sleep(1_000_000);
            }
            deep(more - 1);
        }
    }
}
