package dev.filigree.bench.peer;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import java.util.Set;

/**
 * A helper process: does what it is told over standard input, a command a line, and answers each on standard output.
 *
 * <pre>
 * open ID NAME FILE CACHE OPERATION WORDS…
 *                                  packs a problem that FILE holds; sets out-grow CACHE bytes, 0: one set
 *                                  -> ok PACK_MILLIS PACKED_BYTES SETS KERNEL…
 * run ID COUNT                     -> ok NANOSECONDS
 * output ID                        copies what the first set's runs wrote to FILE -> ok
 * close ID                         -> ok
 * </pre>
 *
 * What fails is answered by {@code error MESSAGE}. Answers begin with a mark, because libraries write to standard
 * output what they please. The end of input ends the process.
 */
public final class PeerServer {

    /** What only answers begin with. */
    static final String MARK = "\u0001";

    private final Map<String, ServedProblem> open = new HashMap<>();
    private final Set<PeerLibrary> loaded = new HashSet<>();
    private final List<PeerLibrary> libraries;
    private final int threads;

    PeerServer(List<PeerLibrary> libraries, int threads) {
        this.libraries = List.copyOf(libraries);
        this.threads = threads;
    }

    /**
     * Serves until the input ends.
     *
     * @param args how many threads libraries may use
     */
    public static void main(String[] args) throws IOException {
        new PeerServer(libraries(), Integer.parseInt(args[0])).serve(System.in, System.out);
    }

    private static List<PeerLibrary> libraries() {
        List<PeerLibrary> libraries = new ArrayList<>();
        Iterator<PeerLibrary> services = ServiceLoader.load(PeerLibrary.class).iterator();
        while (services.hasNext()) {
            try {
                libraries.add(services.next());
            } catch (ServiceConfigurationError e) {
                // A build that has lost one still has the others; who asks for the lost one is told so.
                continue;
            }
        }
        return libraries;
    }

    void serve(InputStream commands, OutputStream answers) throws IOException {
        BufferedReader in = new BufferedReader(new InputStreamReader(commands, StandardCharsets.UTF_8));
        PrintWriter out = new PrintWriter(answers, false, StandardCharsets.UTF_8);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            out.print(MARK + answer(List.of(line.split("\t"))) + "\n");
            out.flush();
        }
        open.values().forEach(ServedProblem::close);
    }

    private String answer(List<String> words) {
        try {
            return ("ok\t" + execute(words)).strip();
        } catch (PeerException e) {
            return "error\t" + oneLine(e.getMessage());
        } catch (IOException | RuntimeException | LinkageError | OutOfMemoryError e) {
            return "error\t" + oneLine(e.toString());
        }
    }

    private static String oneLine(String message) {
        return String.valueOf(message).strip().replaceAll("\\s+", " ");
    }

    private String execute(List<String> words) throws IOException {
        String id = words.get(1);
        return switch (words.getFirst()) {
            case "open" -> {
                ServedProblem served = ServedProblem.open(library(words.get(2)), words.get(2), Path.of(words.get(3)),
                    Long.parseLong(words.get(4)), PeerProblem.Shape.parse(words.subList(5, words.size())));
                open.put(id, served);
                yield served.describe();
            }
            case "run" -> Long.toString(served(id).run(Integer.parseInt(words.get(2))));
            case "output" -> {
                served(id).showOutput();
                yield "";
            }
            case "close" -> {
                served(id).close();
                open.remove(id);
                yield "";
            }
            default -> throw new PeerException("no such command: " + words.getFirst());
        };
    }

    private ServedProblem served(String id) {
        ServedProblem served = open.get(id);
        if (served == null) {
            throw new PeerException("nothing is open as " + id);
        }
        return served;
    }

    private PeerLibrary library(String name) {
        PeerLibrary library = libraries.stream().filter(l -> l.names().contains(name)).findFirst()
            .orElseThrow(() -> new PeerException("not part of this build; ./filigree ... --peers builds it in"));
        if (!loaded.contains(library)) {
            library.load(threads);
            loaded.add(library);
        }
        return library;
    }
}
