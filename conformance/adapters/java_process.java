// Adapter for Java's Process and, with the argument "handle", for ProcessHandle.
//
// Process.destroyForcibly() does nothing, without an error, once the exit is known; so does
// ProcessHandle's, which answers whether it could.  The JDK has no signal but these two, and its
// own reaper thread waits for every child.  Source: the API of java.lang.Process, ProcessHandle.
import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

class JavaProcess {
    private static final int FIRST_SIGNAL = 128; // waitFor() gives 128 + the signal's number
    private static final Map<String, Object> processes = new ConcurrentHashMap<>();
    private static boolean handles;

    public static void main(String[] arguments) throws Exception {
        handles = arguments.length > 0 && arguments[0].equals("handle");
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        String line;
        while ((line = lines.readLine()) != null) {
            String asked = line;
            switch (text(line, "type")) {
                case "hello" -> say(ready());
                case "op" -> {
                    Thread thread = new Thread(() -> serve(asked));
                    thread.setDaemon(true);
                    thread.start();
                }
                default -> System.exit(0);
            }
        }
        System.exit(0);
    }

    private static String ready() {
        String able = handles ? "\"find\"" : "\"exit-status\"";
        return "{\"type\":\"ready\",\"protocol_min\":1,\"protocol_max\":1,\"implementation\":\"java "
            + (handles ? "ProcessHandle" : "Process") + "\",\"version\":\"" + Runtime.version()
            + "\",\"system\":\"" + System.getProperty("os.name").toLowerCase() + "\",\"pid\":"
            + ProcessHandle.current().pid() + ",\"capabilities\":[\"start\",\"wait\",\"kill\","
            + "\"reaps-itself\",\"concurrent\"," + able + "]}";
    }

    private static void serve(String line) {
        String id = text(line, "id");
        say("{\"type\":\"invoke\",\"id\":" + id + "}");
        String answer;
        try {
            answer = perform(text(line, "op"), text(line, "process"), line);
        } catch (Exception error) {
            String native_ = error.toString().replaceAll("[\"\\\\\\p{Cntrl}]", "'");
            answer = "\"outcome\":\"other\",\"native\":\"" + native_ + "\"";
        }
        say("{\"type\":\"return\",\"id\":" + id + "," + answer + "}");
    }

    private static String perform(String op, String name, String line) throws Exception {
        switch (op) {
            case "start" -> {
                Process process = new ProcessBuilder(argv(line))
                    .redirectInput(new File("/dev/null"))
                    .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                    .redirectError(ProcessBuilder.Redirect.INHERIT).start();
                processes.put(name, handles ? process.toHandle() : process);
                return "\"outcome\":\"nil\",\"pid\":" + process.pid();
            }
            case "find" -> {
                Optional<ProcessHandle> found = ProcessHandle.of(Long.parseLong(text(line, "pid")));
                if (found.isEmpty()) {
                    return "\"outcome\":\"EPD\",\"native\":\"Optional.empty\"";
                }
                processes.put(name, found.get());
                return "\"outcome\":\"nil\",\"pid\":" + found.get().pid();
            }
            case "wait" -> {
                return processes.get(name) instanceof Process process
                    ? status(process.waitFor()) : awaited((ProcessHandle) processes.get(name));
            }
            case "kill" -> {
                if (processes.get(name) instanceof Process process) {
                    process.destroyForcibly();
                } else if (!((ProcessHandle) processes.get(name)).destroyForcibly()) {
                    return "\"outcome\":\"EPD\",\"native\":\"false\"";
                }
                return "\"outcome\":\"nil\"";
            }
            default -> {
                processes.remove(name);
                return "\"outcome\":\"nil\"";
            }
        }
    }

    private static String awaited(ProcessHandle handle) throws Exception {
        handle.onExit().get();
        return "\"outcome\":\"ok\"";
    }

    private static String status(int code) {
        return "\"outcome\":\"ok\"," + (code > FIRST_SIGNAL
            ? "\"exit_signal\":" + (code - FIRST_SIGNAL) : "\"exit_code\":" + code);
    }

    private static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    // The suite promises lines without spaces and escapes.
    private static String text(String line, String key) {
        Matcher found = Pattern.compile("\"" + key + "\":\"?([^\",}]*)").matcher(line);
        return found.find() ? found.group(1) : "";
    }

    private static List<String> argv(String line) {
        String array = line.substring(line.indexOf("\"argv\":[") + 8);
        List<String> argv = new ArrayList<>();
        Matcher each = Pattern.compile("\"([^\"]*)\"").matcher(array.substring(0, array.indexOf(']')));
        while (each.find()) {
            argv.add(each.group(1));
        }
        return argv;
    }
}
