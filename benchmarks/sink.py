"""A mail server that throws everything away, with PIPELINING and CHUNKING (RFC 3030), which smtp-sink does not speak.

For the runs with a BDAT window; and, with a folder, it keeps each message there, so that the benchmark can look at what
the contestants send before it measures how fast. `python benchmarks/sink.py [FOLDER]` listens on a free port of
127.0.0.1 and prints it.
"""

import contextlib
import re
import selectors
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path

PIECE = 1 << 20
GREETING = b"220 sink ESMTP\r\n"
EHLO = b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-CHUNKING\r\n250 SIZE 0\r\n"


@dataclass
class Connection:
    """One client: what it has sent and we have not understood yet, and where in the conversation it is."""

    number: int
    folder: Path | None
    buffer: bytearray = field(default_factory=bytearray)
    in_data: bool = False
    chunk: int = 0  # bytes of a BDAT chunk still to come
    last: bool = False
    message: bytearray = field(default_factory=bytearray)
    count: int = 0

    def feed(self, data: bytes) -> bytes:
        """What came in; returns what to answer to it."""
        self.buffer += data
        replies: list[bytes] = []
        while self.buffer:
            if self.chunk:
                self._chunk(replies)
            elif self.in_data:
                if not self._data(replies):
                    break
            else:
                end = self.buffer.find(b"\r\n")
                if end < 0:
                    break
                line = bytes(self.buffer[:end])
                del self.buffer[: end + 2]
                replies.append(self._command(line))
        return b"".join(replies)

    def _chunk(self, replies: list[bytes]) -> None:
        part = self.buffer[: self.chunk]
        del self.buffer[: len(part)]
        self.chunk -= len(part)
        self._keep(part)
        if not self.chunk:
            replies.append(self._done() if self.last else b"250 OK\r\n")

    def _data(self, replies: list[bytes]) -> bool:
        end = self.buffer.find(b"\r\n.\r\n")
        if end < 0:
            return False
        self._keep(self.buffer[: end + 2])
        del self.buffer[: end + 5]
        self.in_data = False
        replies.append(self._done())
        return True

    def _command(self, line: bytes) -> bytes:
        verb, *arguments = line.upper().split()
        if verb == b"EHLO":
            return EHLO
        if verb == b"BDAT":
            self.chunk, self.last = int(arguments[0]), arguments[1:] == [b"LAST"]
            return b"" if self.chunk else self._done()
        if verb == b"DATA":
            self.in_data = True
            return b"354 go on\r\n"
        if verb == b"RCPT":
            self._keep(b"X-RCPT: " + line.partition(b":")[2] + b"\r\n")
        return b"221 bye\r\n" if verb == b"QUIT" else b"250 OK\r\n"

    def _keep(self, part: bytes | bytearray) -> None:
        if self.folder:
            self.message += part

    def _done(self) -> bytes:
        if self.folder:
            whole = re.sub(rb"(?m)^\.", b"", bytes(self.message))
            (self.folder / f"{self.number}-{self.count}.eml").write_bytes(whole)
            self.message.clear()
        self.count += 1
        return b"250 OK\r\n"


def main(folder: Path | None) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    print(listener.getsockname()[1], flush=True)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    number = 0
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                client, _ = listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                client.sendall(GREETING)
                number += 1
                selector.register(client, selectors.EVENT_READ, Connection(number, folder))
                continue
            assert isinstance(key.fileobj, socket.socket)
            client = key.fileobj
            data = b""
            with contextlib.suppress(OSError):
                data = client.recv(PIECE)
                if reply := key.data.feed(data):
                    client.sendall(reply)
            if not data:
                selector.unregister(client)
                client.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else None)
