import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.concurrent.Executors;

/** A web server: POST /echo answers with the body's SHA-256 in hex, a line end and the body. Makes garbage, so that it is collected. */
public class Server {
  public static void main(String[] args) throws Exception {
    int port = Integer.parseInt(System.getenv().getOrDefault("APP_PORT", "8000"));
    HttpServer server = HttpServer.create(new InetSocketAddress("0.0.0.0", port), 64);
    server.setExecutor(Executors.newFixedThreadPool(8));
    server.createContext("/echo", exchange -> {
      try {
        byte[] body = exchange.getRequestBody().readAllBytes();
        byte[] sum = MessageDigest.getInstance("SHA-256").digest(body);
        byte[] head = (HexFormat.of().formatHex(sum) + "\n").getBytes();
        exchange.sendResponseHeaders(200, head.length + body.length);
        exchange.getResponseBody().write(head);
        exchange.getResponseBody().write(body);
        exchange.close();
      } catch (Exception error) {
        throw new java.io.IOException(error);
      }
    });
    server.start();
    byte[][] kept = new byte[64][];
    for (int i = 0; ; i++) {
      kept[i % kept.length] = new byte[64 * 1024];
      Thread.sleep(5);
    }
  }
}
