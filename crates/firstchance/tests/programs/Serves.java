// Serves MIB: a server with so much memory and 300 idle threads, which answers each line with the number of lines that it was sent.
// Prints its port when it is ready.
import java.io.*;
import java.net.*;
import java.util.*;
import java.util.concurrent.atomic.AtomicLong;

public class Serves {
    static byte[][] memory;
    static final AtomicLong lines = new AtomicLong();

    public static void main(String[] arguments) throws Exception {
        memory = new byte[Integer.parseInt(arguments[0]) * 8][1 << 17];
        for (byte[] piece : memory) new Random().nextBytes(piece);
        for (int at = 0; at < 300; at++) start(Serves::rest);
        ServerSocket server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        System.out.println(server.getLocalPort());
        while (true) {
            Socket socket = server.accept();
            start(() -> answer(socket));
        }
    }

    static void start(Runnable work) {
        Thread thread = new Thread(work);
        thread.setDaemon(true);
        thread.start();
    }

    static void rest() {
        try {
            while (true) Thread.sleep(100);
        } catch (InterruptedException ended) {
        }
    }

    static void answer(Socket socket) {
        try (socket) {
            socket.setTcpNoDelay(true);
            BufferedReader input = new BufferedReader(new InputStreamReader(socket.getInputStream()));
            while (input.readLine() != null) {
                long line = lines.incrementAndGet();
                memory[(int) (line % memory.length)][(int) (line % (1 << 17))]++;
                socket.getOutputStream().write((line + "\n").getBytes());
            }
        } catch (IOException left) {
        }
    }
}
