"""A terminal of our own, on which the program runs as for a person."""

import os
import pty

from conftest import start


def at_a_terminal(*argv: str, asked: str = "", typed: str = "", **environment: str) -> tuple[int, str]:
    """Run it, type when it asks, and return the exit code and what stood on the screen."""
    ours, theirs = pty.openpty()
    process = start(
        *argv, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, **environment},
        preexec_fn=lambda: os.login_tty(0),  # so that ^C is one
    )  # fmt: skip
    with process:
        os.close(theirs)
        screen = b""
        try:
            while data := os.read(ours, 4096):
                screen += data
                if asked and screen.endswith(asked.encode()):
                    os.write(ours, typed.encode())
                    asked = ""
        except OSError:  # Linux's word for the end
            os.close(ours)
    return process.returncode, screen.decode()
