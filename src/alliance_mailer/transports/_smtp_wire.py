"""The wire under an SMTP session after login: commands go out together, replies come one by one (RFC 5321, 4.2)."""

import re
import socket
import ssl
import time
from dataclasses import dataclass

_REPLY = re.compile(rb"(\d\d\d)(?:([ -])(.*))?")
_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?= |$)")
_CHUNK = 256 * 1024  # bytes handed over under one timeout: a large message on a slow line is no silence
_LONGEST = 64 * 1024  # bytes of one reply; RFC 5321 has 512 a line, and nobody says more in earnest


class Lost(Exception):
    """The connection is gone, silent for too long, or speaks no SMTP."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's answer; `text` is one line without control characters."""

    code: int
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.text}".rstrip()

    @property
    def enhanced(self) -> str:
        """RFC 3463's code, such as 5.1.1; empty without one, or where its class is another (RFC 2034)."""
        found = _ENHANCED.match(self.text)
        return found[1] if found and found[1][0] == str(self.code)[0] else ""


class Wire:
    """A connected socket, and what has been read from it but not yet asked for."""

    def __init__(self, sock: socket.socket, timeout: float) -> None:
        self._sock, self._timeout, self._unread = sock, timeout, b""
        self._quickly = getattr(socket, "TCP_QUICKACK", None)

    def write(self, data: bytes) -> None:
        """Hand all of it to the system. Raises Lost."""
        try:
            for start in range(0, len(data), _CHUNK):
                self._sock.settimeout(self._timeout)
                self._sock.sendall(memoryview(data)[start : start + _CHUNK])
        except OSError as error:
            raise Lost(_reason(error)) from None

    def write_end(self, data: bytes) -> bool:
        """The same for what begins with the final dot. False when the system surely took nothing of it.

        Of a plain socket, the first `send` that fails with a reset has queued nothing; TLS does not tell.
        """
        self._sock.settimeout(self._timeout)
        try:
            sent = self._sock.send(data)
        except ConnectionError:
            if not isinstance(self._sock, ssl.SSLSocket):
                return False
            raise Lost("connection reset") from None
        except OSError as error:
            raise Lost(_reason(error)) from None
        self.write(data[sent:])
        return True

    def read(self, timeout: float | None = None) -> Reply:
        """The next reply; `timeout` in seconds for the whole of it. Raises Lost."""
        deadline = time.monotonic() + (timeout or self._timeout)
        lines, size = [], 0
        while True:
            line = self._line(deadline)
            size += len(line)
            found = _REPLY.fullmatch(line)
            if not found or size > _LONGEST:
                raise Lost(f"no SMTP reply: {_printable(line[:100])}")
            lines.append(found[3] or b"")
            if found[2] != b"-":
                # Of a reply of many lines, each repeats the enhanced code (RFC 2034, 4); once is enough for a person.
                text = _printable(b" ".join(lines))
                reply = Reply(int(found[1]), text)
                again = f" {reply.enhanced} "
                return Reply(reply.code, text.replace(again, " ")) if reply.enhanced and again in text else reply

    def _line(self, deadline: float) -> bytes:
        while True:
            line, end, rest = self._unread.partition(b"\n")
            if end:
                self._unread = rest
                return line.rstrip(b"\r")
            if len(line) > _LONGEST:
                raise Lost("no SMTP reply: a line without an end")
            left = deadline - time.monotonic()
            try:
                if left <= 0:
                    raise TimeoutError
                self._sock.settimeout(left)
                data = self._sock.recv(65536)
                if self._quickly is not None:
                    # Postfix answers BDAT in small pieces and waits for an acknowledgement: 43 ms a message (measured).
                    self._sock.setsockopt(socket.IPPROTO_TCP, self._quickly, 1)
            except OSError as error:
                raise Lost(_reason(error)) from None
            if not data:
                raise Lost("connection closed by the server")
            self._unread += data

    def is_quiet(self) -> bool:
        """Whether nothing came that was not asked for. Raises Lost where the connection is known to be gone."""
        if self._unread:
            return False
        self._sock.settimeout(0)
        try:
            self._unread = self._sock.recv(65536)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return True
        except OSError as error:
            raise Lost(_reason(error)) from None
        if not self._unread:
            raise Lost("connection closed by the server")
        return False

    def close(self) -> None:
        """At once."""
        self._sock.close()


def _reason(error: OSError) -> str:
    return "no answer in time" if isinstance(error, TimeoutError) else str(error.strerror or error)


def _printable(words: bytes) -> str:
    """On one line; no control character of a stranger's reaches a terminal."""
    line = " ".join(words.decode("utf-8", "replace").split())
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line)
