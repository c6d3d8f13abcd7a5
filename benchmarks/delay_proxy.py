"""A TCP proxy that adds latency and nothing else: what arrives leaves half a round trip later, however much it is.

It models a mail server far away on a fast line: the handshake's round trip and each later one, no bandwidth, no slow
start, no loss. `select` and not `epoll`, whose timeouts are whole milliseconds.
`python benchmarks/delay_proxy.py PORT MILLISECONDS` listens on a free port of 127.0.0.1, prints it, and leads to PORT.
"""

import contextlib
import select
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass, field

PIECE = 1 << 20


@dataclass
class Way:
    """One direction of a connection: what was read, when it may leave, and whether the reader has closed."""

    source: socket.socket
    target: socket.socket
    queue: deque[tuple[float, bytes]] = field(default_factory=deque)  # b"" is the end
    blocked: bool = False
    done: bool = False

    def read(self, delay: float) -> bool:
        """Take what is there; False at the end."""
        try:
            data = self.source.recv(PIECE)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        self.queue.append((time.monotonic() + delay, data))
        return bool(data)

    def write(self, now: float) -> None:
        """Pass on what is due."""
        self.blocked = False
        while self.queue and self.queue[0][0] <= now and not self.blocked:
            due, data = self.queue.popleft()
            try:
                sent = self.target.send(data) if data else self._end()
            except BlockingIOError:
                sent = 0
            except OSError:
                self.done = True
                return
            if sent < len(data):
                self.queue.appendleft((due, data[sent:]))
                self.blocked = True

    def _end(self) -> int:
        self.done = True
        with contextlib.suppress(OSError):
            self.target.shutdown(socket.SHUT_WR)
        return 0


def main(port: int, milliseconds: float) -> None:
    delay = milliseconds / 2000
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    print(listener.getsockname()[1], flush=True)
    arrivals: deque[tuple[float, socket.socket]] = deque()
    ways: dict[socket.socket, Way] = {}  # by the source, while it is read
    writing: list[Way] = []
    while True:
        blocked = {way.target: way for way in writing if way.blocked}
        due = [way.queue[0][0] for way in writing if way.queue and not way.blocked]
        due += [arrivals[0][0]] if arrivals else []
        wait = max(0.0, min(due) - time.monotonic()) if due else None
        readable, _, _ = select.select([listener, *ways], list(blocked), [], wait)
        for source in readable:
            if source is listener:
                # The handshake takes one round trip, then the client's ACK half of one: this socket is open already.
                arrivals.append((time.monotonic() + 3 * delay, listener.accept()[0]))
            elif not ways[source].read(delay):
                del ways[source]
        now = time.monotonic()
        while arrivals and arrivals[0][0] <= now:
            near = arrivals.popleft()[1]
            far = socket.create_connection(("127.0.0.1", port))
            for one, other in ((near, far), (far, near)):
                one.settimeout(0)
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                ways[one] = Way(one, other)
                writing.append(ways[one])
        for way in writing:
            way.write(now)
        _forget(writing, ways)


def _forget(writing: list[Way], ways: dict[socket.socket, Way]) -> None:
    """Close the connections of which both directions are done."""
    ended = {way.source for way in writing if way.done}
    for way in [way for way in writing if way.done and way.target in ended]:
        writing.remove(way)
        ways.pop(way.source, None)
        way.source.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
