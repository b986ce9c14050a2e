import java.util.concurrent.atomic.AtomicInteger;

/**
 * COUNT THREADS END: waits for a line, then each thread throws and catches COUNT exceptions, every
 * other one made by the machine; says how many were caught; ends as END says.
 */
public class Throws {
    static class OrderMissing extends IllegalStateException {
        OrderMissing(String message) {
            super(message);
        }
    }

    static void fail(int number) {
        if (number % 2 == 0) {
            throw new OrderMissing("order " + number);
        }
        ((Object) null).hashCode();
    }

    static void failOften(int count, AtomicInteger caught) {
        for (int number = 0; number < count; number++) {
            try {
                fail(number);
            } catch (RuntimeException failure) {
                caught.incrementAndGet();
            }
        }
    }

    static int overflow(int depth) {
        return overflow(depth + 1) + 1;
    }

    public static void main(String[] arguments) throws Exception {
        int count = Integer.parseInt(arguments[0]);
        Thread[] threads = new Thread[Integer.parseInt(arguments[1])];
        System.out.println("ready");
        System.in.read();
        AtomicInteger caught = new AtomicInteger();
        for (int number = 0; number < threads.length; number++) {
            threads[number] = new Thread(() -> failOften(count, caught));
            threads[number].start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        System.out.println("caught " + caught);
        switch (arguments[2]) {
            case "exit":
                System.exit(3);
            case "halt":
                Runtime.getRuntime().halt(4);
            case "throw":
                throw new OrderMissing("nobody catches \u00fc\u4e2d");
            case "thread":
                Thread thread = new Thread(() -> { throw new OrderMissing("in a thread"); });
                thread.start();
                thread.join();
                break;
            case "overflow":
                overflow(0);
        }
    }
}
