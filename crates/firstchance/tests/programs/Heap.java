import java.io.BufferedReader;
import java.io.InputStreamReader;

/** A heap with a known number of objects, and two threads that wait for each other. */
public class Heap {
    static final class Marker {
        long value = 0x1122334455667788L;
    }

    static final int COUNT = 12_345;
    static final Marker[] markers = new Marker[COUNT];
    static final Object orders = new Object();
    static final Object customers = new Object();

    public static void main(String[] args) throws Exception {
        for (int i = 0; i < COUNT; i++) {
            markers[i] = new Marker();
        }
        var both = new java.util.concurrent.CountDownLatch(2);
        lock("order-worker", orders, customers, both);
        lock("billing-worker", customers, orders, both);
        both.await();
        System.out.println("ready");
        // The end of its input tells that the test has ended.
        new BufferedReader(new InputStreamReader(System.in)).readLine();
        Runtime.getRuntime().halt(0);
    }

    private static void lock(String name, Object first, Object second, java.util.concurrent.CountDownLatch both) {
        new Thread(() -> {
            synchronized (first) {
                both.countDown();
                try {
                    both.await();
                } catch (InterruptedException end) {
                    return;
                }
                synchronized (second) {
                    System.out.println("never");
                }
            }
        }, name).start();
    }
}
