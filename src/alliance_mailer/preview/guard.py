"""Who may look: a request must name this server, come from this page, and know the token in the address.

A page on the web can make a browser here ask for http://127.0.0.1:…, also under a name of its own that leads here (DNS
rebinding). So the Host is looked at first, then the Origin; and nobody guesses 128 bits.
"""

import hmac
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Of the page itself. The message in its frames has a stricter one, frame.POLICY.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": PAGE_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # the token is in the address
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Guard:
    """Stands before the application; what lies below /TOKEN is passed on as if it lay at the root."""

    def __init__(self, app: App, token: str, hosts: Collection[str]) -> None:
        """`hosts` are the values of Host that mean this server, with the port."""
        self._app, self._token, self._hosts = app, token, frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, words = self._refuse(scope)
        if status:
            await _answer(send, status, words)
            return
        root = f"/{self._token}"
        scope = {**scope, "path": scope["path"].removeprefix(root) or "/", "root_path": ""}

        async def guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                added = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
                message["headers"] = [*message["headers"], *(pair for pair in added if pair[0] not in given)]
            await send(message)

        await self._app(scope, receive, guarded)

    def _refuse(self, scope: Scope) -> tuple[int, str]:
        headers: dict[bytes, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.lower(), []).append(value.decode("latin-1"))
        host, origin = headers.get(b"host", []), headers.get(b"origin", [])
        if len(host) != 1 or host[0].lower() not in self._hosts:
            return 421, "this is the preview of mailer, and goes by another name"
        if any(each != f"http://{host[0].lower()}" for each in origin):
            return 403, "another page may not ask here"
        if scope["method"] not in ("GET", "HEAD") and not origin:
            return 403, "only the page itself may ask for that"
        begin = f"/{self._token}/".encode()
        if not hmac.compare_digest(scope["path"].encode()[: len(begin)], begin):
            return 404, "open the address that mailer preview printed"
        return 0, ""


async def _answer(send: Send, status: int, words: str) -> None:
    body = words.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode()),
               *((name.lower().encode(), value.encode()) for name, value in _HEADERS.items())]  # fmt: skip
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
