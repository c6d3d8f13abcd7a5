"""A real HTTP server of the tests: it keeps what it was asked, and answers as it is told to."""

import json
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Asked:
    """A request as it came; the names of header fields are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """An answer; what is no bytes is sent as JSON."""

    status: int = 200
    body: object = b""
    headers: dict[str, str] = field(default_factory=dict)


DROP = "the whole request is read, and the connection closed"
CUT = "the connection is reset before the request is there"
HANG = "silence, until the server stops"


class Web:
    """`answer` says what to reply to a request; what is in `script` is said before."""

    def __init__(self, answer: Callable[[Asked], Reply] | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.answer = answer or (lambda _: Reply())
        self.script: deque[Reply | str] = deque()
        self.asked: list[Asked] = []
        self.connections = 0
        self._sockets: list[socket.socket] = []
        self._ended = threading.Semaphore(0)
        self._stopping = threading.Event()
        web = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self):
                super().setup()
                web.connections += 1
                web._sockets.append(self.connection)

            def finish(self):
                super().finish()
                web._ended.release()

            def do_POST(self):
                said = web.script.popleft() if web.script else None
                if said == CUT:
                    linger = b"\x01\0\0\0\0\0\0\0"  # close() sends RST
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    self.close_connection = True
                    return
                body = self.rfile.read(int(self.headers["Content-Length"]))
                asked = Asked(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                web.asked.append(asked)
                if said == HANG:
                    web._stopping.wait()
                if said in (DROP, HANG):
                    self.close_connection = True
                    return
                reply = said or web.answer(asked)
                content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):  # a client that has gone
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://localhost:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def is_left_alone(self, seconds: float = 5.0) -> bool:
        """Whether every connection that there was is closed, at the latest after so long."""
        return all(self._ended.acquire(timeout=seconds) for _ in range(self.connections))

    def close_connections(self) -> None:
        """All that are open, while nothing is asked."""
        for each in self._sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:  # closed already
                continue

    def stop(self) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
