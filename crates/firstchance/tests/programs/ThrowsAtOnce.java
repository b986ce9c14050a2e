// Throws twenty times from its beginning on, while Java starts its threads.
public class ThrowsAtOnce {
    public static void main(String[] arguments) throws Exception {
        for (int number = 0; number < 20; number++) {
            try {
                throw new IllegalStateException("number " + number);
            } catch (IllegalStateException caught) {
                Thread.sleep(100);
            }
        }
    }
}
