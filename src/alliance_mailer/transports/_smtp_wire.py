"""The wire under an SMTP session after login: what we say goes out at once, replies come one by one (RFC 5321, 4.2).

While it says something it listens, too: RFC 2920, 3.1 asks for that of who says much in one go, or both sides could
wait for each other.
"""

import re
import select
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass

from ..hub import ready

_REPLY = re.compile(rb"([2-5]\d\d)(?:([ -])(.*))?")
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?= |$)")
_LONGEST = 64 * 1024  # bytes of one reply; RFC 5321 has 512 a line, and nobody says more in earnest
_MOST = 1024 * 1024  # bytes of replies that are kept while we still speak
_RECORD = 16 * 1024  # bytes; TLS has no longer records, and of a broken one nobody can read a byte


class Lost(Exception):
    """The connection is gone, silent for too long, or speaks no SMTP."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's answer."""

    code: int
    words: bytes

    @property
    def text(self) -> str:
        """The words on one line; no control character of a stranger's reaches a terminal."""
        text = " ".join(self.words.decode("utf-8", "replace").split())
        if again := _ENHANCED.match(text):  # each line of a reply repeats it (RFC 2034, 4)
            text = text.replace(f" {again[0]} ", " ")
        if text.isprintable():
            return text
        return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)

    def __str__(self) -> str:
        return f"{self.code} {self.text}".rstrip()

    @property
    def enhanced(self) -> str:
        """RFC 3463's code, such as 5.1.1; empty without one, or with one of another class (RFC 2034, 4)."""
        found = _ENHANCED.match(self.text)
        return found[0] if found and found[0][0] == str(self.code)[0] else ""


class Wire:
    """A connected socket, and what has been read from it but not yet asked for. Once it fails, it stays so."""

    def __init__(self, sock: socket.socket, timeout: float, *, acknowledge: bool = False) -> None:
        """`timeout`: seconds of patience with a reply, and with a system that takes no more of what we say."""
        sock.settimeout(0)
        self._sock, self._timeout, self._is_tls = sock, timeout, isinstance(sock, ssl.SSLSocket)
        self._acknowledge = getattr(socket, "TCP_QUICKACK", None) if acknowledge else None
        self._failure = ""
        self.unread = b""
        self.asked = 0  # bytes that were to go out, from the beginning
        self.handed = 0  # bytes of them that the other side may have, or get

    def write(self, data: bytes) -> None:
        """Hand it to the system, as far as it takes it: `handed` knows how far, and `read` tells what went wrong."""
        self.asked += len(data)
        view, sent, patience = memoryview(data), 0, time.monotonic() + self._timeout
        while sent < len(data) and not self._failure:
            part = view[sent : sent + _RECORD] if self._is_tls else view[sent:]
            try:
                taken = self._sock.send(part)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                listen = select.POLLIN if len(self.unread) < _MOST else 0
                if self._wait(select.POLLOUT | listen, patience) & (listen | select.POLLERR | select.POLLHUP):
                    self._take()
            except OSError as error:
                self._fail(error)
            else:
                sent, self.handed, patience = sent + taken, self.handed + taken, time.monotonic() + self._timeout
            if self._failure and self._is_tls:
                self.handed += len(part)  # whether it is on its way, TLS does not tell
        while self._failure and self._take():
            pass  # what was said before the end is still there

    def read(self, timeout: float = 0) -> Reply:
        """The next reply; `timeout` in seconds for the whole of it. Raises Lost."""
        deadline = time.monotonic() + (timeout or self._timeout)
        lines, size, code = [], 0, b""
        while True:
            line = self._line(deadline)
            size += len(line)
            found = _REPLY.fullmatch(line)
            if not found or size > _LONGEST or found[1] != (code or found[1]):
                self._failure, self.unread = f"no SMTP reply: {Reply(0, line[:100]).text}", b""
                raise Lost(self._failure)
            code = found[1]
            lines.append(found[3] or b"")
            if found[2] != b"-":
                return Reply(int(code), b" ".join(lines))

    def _line(self, deadline: float) -> bytes:
        while True:
            line, end, rest = self.unread.partition(b"\n")
            if end:
                self.unread = rest
                return line.rstrip(b"\r")
            if len(line) > _LONGEST:
                self._failure, self.unread = "no SMTP reply: a line without an end", b""
            if self._failure:
                raise Lost(self._failure)
            if not (isinstance(self._sock, ssl.SSLSocket) and self._sock.pending()):
                self._wait(select.POLLIN, deadline)
            self._take()

    def _take(self) -> bool:
        """What has come. False when there is no more."""
        try:
            data = self._sock.recv(_RECORD)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError as error:
            self._fail(error)
            return False
        self.unread += data
        if self._acknowledge is not None:
            # Postfix answers BDAT in small pieces and waits for an acknowledgement: 43 ms a message (measured).
            with suppress(OSError):
                self._sock.setsockopt(socket.IPPROTO_TCP, self._acknowledge, 1)
        if not data:
            self._failure = self._failure or "connection closed by the server"
        return bool(data)

    def _wait(self, events: int, deadline: float) -> int:
        found = ready(self._sock, events, deadline)
        if not found:
            self._failure = "no answer in time"
        return found

    def _fail(self, error: OSError) -> None:
        self._failure = self._failure or str(error.strerror or error)
