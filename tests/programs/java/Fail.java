import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * Fails in the way that the first argument names, and says nothing of it but what the JVM prints. With TRUTH=1 in the
 * environment it prints what the JVM's own objects say of the same failure, as JSON.
 */
public class Fail {
    static class OrderException extends RuntimeException {
        OrderException(String message, Throwable cause) {
            super(message, cause);
        }
    }

    static class Connection implements AutoCloseable {
        @Override
        public void close() {
            throw new IllegalStateException("cannot close\n\tat looks.Like.aCall(Real.java:1)");
        }
    }

    static String find(Map<String, String> rows, String key) {
        try {
            return rows.get(key).trim();
        } catch (NullPointerException error) {
            throw new OrderException("no order " + key, error);
        }
    }

    static void chain() {
        try {
            find(Map.of(), "A-1");
        } catch (OrderException error) {
            throw new IllegalStateException("service unavailable", error);
        }
    }

    static void suppressed() {
        try (Connection connection = new Connection()) {
            find(Map.of(), "B-2");
        }
    }

    static void lambda() {
        System.out.println(List.of("1", "x").stream().map(Integer::parseInt).collect(Collectors.toList()));
    }

    static void inner() {
        new Object() {
            void call() {
                Runnable run = () -> { throw new OrderException("größe 日本語", null); };
                run.run();
            }
        }.call();
    }

    static class Broken {
        static final int VALUE = Integer.parseInt("not a number");
    }

    static void initializer() {
        System.out.println(Broken.VALUE);
    }

    static void empty() {
        throw new AssertionError();
    }

    public static void main(String[] arguments) throws Throwable {
        if (System.getenv("TRUTH") != null) {
            Thread.setDefaultUncaughtExceptionHandler((thread, error) -> System.out.println(Truth.record(error, null)));
        }
        switch (arguments[0]) {
            case "chain" -> chain();
            case "suppressed" -> suppressed();
            case "lambda" -> lambda();
            case "inner" -> inner();
            case "initializer" -> initializer();
            default -> empty();
        }
    }

    /** What the JVM says of a failure. */
    static class Truth {
        static String record(Throwable error, String relation) {
            List<String> calls = new ArrayList<>();
            for (StackTraceElement call : error.getStackTrace()) {
                String line = call.getLineNumber() > 0 ? String.valueOf(call.getLineNumber()) : "null";
                calls.add(0, "[" + text(call.getFileName()) + "," + line + "," + text(call.getClassName() + "." + call.getMethodName()) + ",null]");
            }
            List<String> causes = new ArrayList<>();
            if (error.getCause() != null) {
                causes.add(record(error.getCause(), "cause"));
            }
            for (Throwable suppressed : error.getSuppressed()) {
                causes.add(record(suppressed, "suppressed"));
            }
            String message = error.getLocalizedMessage() == null ? "" : error.getLocalizedMessage();
            return "{\"errorType\":" + text(error.getClass().getName()) + ",\"errorMessage\":" + text(message)
                + ",\"stackTrace\":" + calls + ",\"causes\":" + causes + ",\"relation\":" + text(relation) + "}";
        }

        static String text(String text) {
            if (text == null) {
                return "null";
            }
            return "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n").replace("\t", "\\t") + "\"";
        }
    }
}
