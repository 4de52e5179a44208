package dev.filigree.internal.ffi;

import dev.filigree.NativeException;

/** Turns a status into an exception. */
final class NativeStatus {

    private NativeStatus() {}

    /**
     * Does nothing when the status is {@code FILIGREE_OK}.
     *
     * @throws NativeException otherwise, with the library's text for the status
     */
    static void check(String function, int status) {
        if (status != Filigree.FILIGREE_OK()) {
            throw new NativeException(function, status, Filigree.filigree_status_text(status).getString(0));
        }
    }
}
