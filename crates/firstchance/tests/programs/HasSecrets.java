// Waits for the end of its input in serve(), which has secrets.

class HasSecrets {
    static String kept;

    static void serve(String token) throws Exception {
        kept = token.toUpperCase();
        Object[] held = {token, kept};
        System.out.println("ready");
        System.in.read();
        System.out.println(held.length);
    }

    public static void main(String[] words) throws Exception {
        serve(String.join("-", "secret", "4711"));
    }
}
