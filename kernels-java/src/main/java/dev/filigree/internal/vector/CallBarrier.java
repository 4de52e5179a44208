package dev.filigree.internal.vector;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;

/**
 * Calls that C2 cannot inline, so that what is called is a compilation of its own: a method handle that is an element
 * of an array, and so no constant. {@link SpmmVector} and {@link VectorMath} say why they need that.
 */
final class CallBarrier {

    private CallBarrier() {}

    /** A handle to a static method that returns nothing, of the class that looks it up. */
    static MethodHandle handle(MethodHandles.Lookup lookup, String method, Class<?>... parameters) {
        try {
            return lookup.findStatic(lookup.lookupClass(), method, MethodType.methodType(void.class, parameters));
        } catch (ReflectiveOperationException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    /** What to throw for something thrown by a handle to a method that declares no checked exception. */
    static RuntimeException unexpected(Throwable thrown) {
        if (thrown instanceof Error error) {
            throw error;
        }
        return thrown instanceof RuntimeException runtime ? runtime : new IllegalStateException(thrown);
    }
}
