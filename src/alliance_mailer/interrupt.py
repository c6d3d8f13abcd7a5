"""Ctrl-C, SIGTERM and a closed terminal (SIGHUP): what is on the wires is finished before the program ends."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator

FINISHING = "finishing what is on the wire; once more aborts at once"


def stop_signals() -> list[signal.Signals]:
    """The signals that ask to stop. Not SIGHUP where it is ignored: nohup says that way that nobody stops."""
    heard = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if heard else [])]


@contextlib.contextmanager
def interruptible(words: str = FINISHING) -> Iterator[Callable[[], bool]]:
    """Whether somebody asked to stop; then `words` are said. A second Ctrl-C or SIGTERM raises KeyboardInterrupt.

    SIGHUP never does: kernel and shell both tell of a closed terminal, and systemd sends it right after SIGTERM.
    """
    asked = insisted = False

    def stop(number: int, _: object) -> None:
        nonlocal asked, insisted
        if number != signal.SIGHUP:
            if insisted:
                raise KeyboardInterrupt
            insisted = True
        if not asked:
            asked = True  # before anything else: a handler may be interrupted by the next signal
            with contextlib.suppress(OSError):  # print() in a handler could fail amid the server's answer
                os.write(2, f"\n{words}\n".encode())

    before = {number: signal.signal(number, stop) for number in stop_signals()}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
