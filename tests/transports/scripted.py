"""An SMTP server that says what its script says, on a port of its own, and remembers what it heard.

    ScriptedServer(RCPT=["250 OK", "450 later"], DOT=DROP)

A list answers one time each, then the server is its friendly self again; a single answer is given every time. BANNER,
TEXT (in the middle of a message) and DOT (after it) are moments like the verbs. An answer may be a function, which is
called on the server's thread and returns the answer.

With `tls`, a context, 220 to STARTTLS is followed by a handshake; HANDSHAKE is the moment when the client has begun it,
and an answer other than "" is said in its place. `inside` is what EHLO offers then. `implicit`: TLS from the start.
"""

import contextlib
import socket
import ssl
import struct
from collections.abc import Callable, Sequence
from threading import Event, Thread
from typing import BinaryIO

DROP, HANG = "(drop)", "(hang)"

Answer = str | Callable[[], str]

_FRIENDLY = {
    "BANNER": "220 mail.example.org ready",
    "DATA": "354 go on",
    "AUTH": "235 welcome",
    "QUIT": "221 bye",
    "STARTTLS": "220 go on",
    "HANDSHAKE": "",
    "TEXT": "",
}


class ScriptedServer:
    def __init__(
        self,
        *,
        offers: Sequence[str] = ("SIZE 35882577", "8BITMIME"),
        tls: ssl.SSLContext | None = None,
        inside: Sequence[str] = ("SIZE 35882577", "8BITMIME"),
        implicit: bool = False,
        **script: Answer | list[Answer],
    ) -> None:
        self.said: list[str] = []  # by the client
        self.messages: list[bytes] = []  # as they came, dots and all
        self.connections = 0
        self._offers, self._inside, self._tls, self._implicit = offers, inside, tls, implicit
        self._script, self._ended = script, Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = Thread(target=self._accept)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def verbs(self) -> list[str]:
        return [line.partition(" ")[0].upper() for line in self.said]

    def _accept(self) -> None:
        serving = []
        try:
            while True:
                connection, _ = self._socket.accept()
                self.connections += 1
                serving.append(Thread(target=self._serve, args=(connection,)))
                serving[-1].start()
        except OSError:  # stopped
            for thread in serving:
                thread.join()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(10)  # a test that hangs should fail, not hang
        try:
            if not self._implicit:
                self._converse(connection)
            elif encrypted := self._shake_hands(connection):
                with encrypted:
                    self._converse(encrypted)
        except OSError:  # the client has gone, or is to go
            # With a reset, so that the client hears of it at once.
            with contextlib.suppress(OSError):  # where TLS has it, it is closed already
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        finally:
            connection.close()

    def _shake_hands(self, connection: socket.socket) -> ssl.SSLSocket | None:
        assert self._tls
        connection.recv(1, socket.MSG_PEEK)
        if self._answer(connection, "HANDSHAKE"):
            connection.recv(65536)  # what is closed unread is reset, and that can overtake what was said
            return None
        return self._tls.wrap_socket(connection, server_side=True)

    def _converse(self, connection: socket.socket, *, again: bool = False) -> None:
        with connection.makefile("rb") as lines:
            reply = "" if again else self._answer(connection, "BANNER")
            for line in lines:
                self.said.append(line.decode(errors="replace").rstrip("\r\n"))
                verb = "AUTH" if reply.startswith("334") else self.said[-1].partition(" ")[0].upper()
                reply = self._answer(connection, verb)
                if reply.startswith("354"):
                    first = lines.readline()
                    if self._answer(connection, "TEXT"):
                        return  # who interrupts a message does not wait for the rest
                    self.messages.append(first + self._rest(lines))
                    reply = self._answer(connection, "DOT")
                if verb == "QUIT" or reply.startswith("421"):
                    return
                if verb == "STARTTLS" and reply.startswith("220") and self._tls:
                    if encrypted := self._shake_hands(connection):
                        with encrypted:
                            self._converse(encrypted, again=True)
                    return

    def _ehlo(self, connection: socket.socket) -> str:
        offers = self._inside if isinstance(connection, ssl.SSLSocket) else self._offers
        return "\r\n".join(f"250-{line}" for line in ("mail.example.org", *offers)) + "\r\n250 HELP"

    def _rest(self, lines: BinaryIO) -> bytes:
        message = b""
        while not message.endswith(b"\r\n.\r\n"):
            line = lines.readline()
            if not line:
                raise ConnectionResetError
            message += line
        return message

    def _answer(self, connection: socket.socket, verb: str) -> str:
        reply = self._script.get(verb)
        if isinstance(reply, list):
            reply = reply.pop(0) if reply else None
        if callable(reply):
            reply = reply()
        if reply is None:
            reply = self._ehlo(connection) if verb == "EHLO" else _FRIENDLY.get(verb, "250 OK")
        if reply == HANG:
            self._ended.wait()
        if reply in (DROP, HANG):
            raise ConnectionResetError
        if reply:
            connection.sendall(reply.encode() + b"\r\n")
        return reply
