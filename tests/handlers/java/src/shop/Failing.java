package shop;

import java.util.Map;

/** A function that fails as its event asks it to. */
public final class Failing {
    /** A failure of the function's own. */
    static final class OutOfStock extends RuntimeException {
        OutOfStock(String message) {
            super(message);
        }
    }

    public Map<String, Object> handle(Map<String, String> event) throws Exception {
        switch (event.getOrDefault("fail", "none")) {
            case "exception" -> throw new Exception("I failed!"); // mark: exception
            case "own" -> order(); // mark: handler
            case "text" -> throw new IllegalStateException("größer als 東京\nzweite Zeile: 🚀"); // mark: text
            case "exit" -> Runtime.getRuntime().halt(7);
            case "segv" -> fault();
            case "sleep" -> Thread.sleep(1_000_000);
            default -> { }
        }
        return Map.of("ok", true);
    }

    private static void order() {
        throw new OutOfStock("no stock for sku TA-404"); // mark: own
    }

    /** Writes to an address that nobody has. */
    private static void fault() throws ReflectiveOperationException {
        var field = sun.misc.Unsafe.class.getDeclaredField("theUnsafe");
        field.setAccessible(true);
        ((sun.misc.Unsafe) field.get(null)).putAddress(0, 0);
    }
}
