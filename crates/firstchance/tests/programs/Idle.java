import java.io.BufferedReader;
import java.io.InputStreamReader;

/** Threads that sleep, in a virtual machine with many of its own; the first counts lines. */
public class Idle {
    public static void main(String[] args) throws Exception {
        for (int i = 0; i < 4; i++) {
            Thread thread = new Thread(Idle::sleep, "sleeper-" + i);
            thread.setDaemon(true);
            thread.start();
        }
        System.out.println("ready");
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        // The end of its input tells that the test has ended.
        for (int count = 0; input.readLine() != null; count++) {
            System.out.println("pong " + count);
        }
    }

    private static void sleep() {
        try {
            Thread.sleep(Long.MAX_VALUE);
        } catch (InterruptedException end) {
            return;
        }
    }
}
