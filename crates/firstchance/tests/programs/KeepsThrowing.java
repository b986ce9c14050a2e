/** Four threads throw and catch, each fifty times a second, until the input ends. */
public class KeepsThrowing {
    static void throwOnce() {
        try {
            throw new IllegalStateException("order 7");
        } catch (IllegalStateException failure) {
            // It goes on.
        }
    }

    static void keepThrowing() {
        try {
            for (;;) {
                throwOnce();
                Thread.sleep(20);
            }
        } catch (InterruptedException end) {
            // It ends.
        }
    }

    public static void main(String[] arguments) throws Exception {
        for (int i = 0; i < 4; i++) {
            new Thread(KeepsThrowing::keepThrowing).start();
        }
        System.out.println("ready");
        while (System.in.read() >= 0) {
        }
        System.exit(0);
    }
}
