// A server with a gibibyte of memory and 300 idle threads that answers each line with a line. Prints its port when it is ready.
import java.io.*;
import java.net.*;
import java.util.*;

public class Latency {
    static final List<byte[]> memory = new ArrayList<>();

    public static void main(String[] arguments) throws Exception {
        Random random = new Random(1);
        for (int at = 0; at < 4096; at++) {
            byte[] piece = new byte[1 << 18];
            random.nextBytes(piece);
            memory.add(piece);
        }
        for (int at = 0; at < 300; at++) start(Latency::rest);
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
            BufferedReader lines = new BufferedReader(new InputStreamReader(socket.getInputStream()));
            while (lines.readLine() != null) {
                memory.get((int) (Math.random() * 4096))[0]++;
                socket.getOutputStream().write("done\n".getBytes());
            }
        } catch (IOException left) {
        }
    }
}
