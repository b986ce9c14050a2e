/** Threads that sleep, in a virtual machine with many of its own. */
public class Idle {
    public static void main(String[] args) throws Exception {
        for (int i = 0; i < 4; i++) {
            Thread thread = new Thread(Idle::sleep, "sleeper-" + i);
            thread.setDaemon(true);
            thread.start();
        }
        System.out.println("ready " + ProcessHandle.current().pid());
        System.out.flush();
        // From its input it learns that the test has ended.
        System.in.read();
    }

    private static void sleep() {
        try {
            Thread.sleep(Long.MAX_VALUE);
        } catch (InterruptedException end) {
            return;
        }
    }
}
