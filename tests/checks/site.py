"""A web server on this machine with all kinds of answers."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Pages(BaseHTTPRequestHandler):
    """A site with all kinds of answers; it notes what was asked of it."""

    asked: list[str]

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self) -> None:
        self.asked.append(f"{self.command} {self.headers['Host'].split(':')[0]} {self.path}")
        port = self.server.server_address[1]
        redirects = {
            "/moved": "/there",
            "/round": "/round",
            "/inside": f"http://127.0.0.2:{port}/there",
            "/file": "file:///etc/passwd",
        }
        status = {
            "/there": 200,
            "/picture.png": 200,
            "/gone": 404,
            "/shy": 403,
            "/unsubscribe": 200,
            "/unsubscribe/in": 302,
        }
        if self.command == "POST":
            assert self.rfile.read(int(self.headers["Content-Length"])) == b"List-Unsubscribe=One-Click"
        if self.path in redirects or status.get(self.path) == 302 or self.path.startswith("/press/in/"):
            self.send_response(302)
            self.send_header("Location", redirects.get(self.path, "/there"))
        elif self.path == "/no-head" and self.command == "HEAD":
            self.send_response(405)
        else:
            self.send_response(status.get(self.path, 200))
        if self.path == "/picture.png":
            self.send_header("Content-Type", "image/png")
            self.send_header("Content-Length", "2000")
        if "/cookie" in self.path:
            self.send_header("Set-Cookie", "a=b")
        self.end_headers()

    do_GET = do_HEAD = do_POST = _answer


@contextmanager
def site_on_this_machine(tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[str]]]:
    """The site's address, and what it was asked."""
    handler = type("Site", (Pages,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}", handler.asked
        server.shutdown()
        thread.join()
