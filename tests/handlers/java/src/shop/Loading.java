package shop;

import java.util.Map;

/** A function that fails while it is loaded. */
public final class Loading {
    private static final String TABLE = table();

    private static String table() {
        throw new IllegalStateException("no table is configured"); // mark: loading
    }

    public Map<String, Object> handle(Map<String, String> event) {
        return Map.of("table", TABLE);
    }
}
