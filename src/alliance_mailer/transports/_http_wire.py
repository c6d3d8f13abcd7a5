"""The wire under a mail API: a connection (HTTP/1.1) for each server, and how far a request without an answer got.

The standard library's http.client: 60 µs of CPU for 45 KB, where httpx takes 300; and whoever sends the request and
reads the answer apart knows whether it got out whole, which decides whether it may be sent again. No redirection is
followed, no proxy asked, nothing logged.
"""

import contextlib
import http.client
import os
import select
import ssl
import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

from ..errors import TransportRefused, TryLater
from ._http_api import Answer, Request

_IDLE = 5.0  # seconds; servers close idle connections, and a request on its way to a closed one is in doubt
_BLOCK = 256 * 1024  # bytes under one timeout: a large request on a slow line is no silence
_ANSWER = 16 * 2**20  # bytes; 1000 outcomes have 0.3 MB
_CONNECT = 30.0  # seconds at most
_AGAIN = "run the same command again later"


class Lost(Exception):
    """No answer that could be read."""

    def __init__(self, words: str, *, sent: bool) -> None:
        super().__init__(words)
        self.sent = sent  # the request got out whole, and may have been taken


class Wire:
    """Connections that are reused, made again when they are stale; one request at a time."""

    def __init__(self, headers: Mapping[str, str], timeout: float) -> None:
        """`headers` go with each request; `timeout` is for each silence, in seconds."""
        self._headers, self._timeout = headers, timeout
        self._open: dict[str, tuple[http.client.HTTPConnection, float]] = {}  # by server; when it was last used

    def open(self, url: str) -> None:
        """Connect. Raises TryLater, or TransportRefused where the server cannot be trusted."""
        self._connection(urlsplit(url))

    def exchange(self, request: Request) -> Answer:
        """Raises Lost; TryLater where there is no connection, TransportRefused where it cannot be trusted."""
        where = urlsplit(request.url)
        connection = self._connection(where)
        headers = {**self._headers, **request.headers, "Content-Length": str(len(request.body))}
        broken: OSError | None = None
        try:
            connection.request("POST", where.path, _blocks(request.body), headers)
        except OSError as error:
            broken = error  # a server may answer and close while we still speak (413)
        try:
            with contextlib.closing(connection.getresponse()) as response:
                body = response.read(_ANSWER + 1)
                if len(body) > _ANSWER:
                    raise http.client.HTTPException(f"an answer of more than {_ANSWER:,} bytes")
                if response.length:  # `read` with a limit says nothing of it
                    raise http.client.HTTPException("an answer that breaks off")
        except (OSError, http.client.HTTPException) as error:
            self._drop(where)
            raise Lost(_said(broken or error, sent=not broken), sent=not broken) from None
        if broken:
            self._drop(where)
        else:
            self._open[where.netloc] = connection, time.monotonic()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)

    def _connection(self, where: SplitResult) -> http.client.HTTPConnection:
        connection, used = self._open.get(where.netloc, (None, 0.0))
        if connection and connection.sock and time.monotonic() - used < _IDLE and not _is_readable(connection):
            return connection
        self._drop(where)
        timeout = min(self._timeout, _CONNECT)
        if where.scheme == "https":
            context = _trusting(os.environ.get("SSL_CERT_FILE"))
            made: http.client.HTTPConnection
            made = http.client.HTTPSConnection(where.netloc, timeout=timeout, context=context)
        else:
            made = http.client.HTTPConnection(where.netloc, timeout=timeout)
        try:
            made.connect()
        except ssl.SSLError as error:
            made.close()
            words = getattr(error, "verify_message", "") or error.reason or str(error)
            hint = "base_url must be a name in the certificate; SSL_CERT_FILE names certificates to trust"
            raise TransportRefused(f"{where.netloc}: TLS failed: {words}", hint=hint) from None
        except OSError as error:
            made.close()
            words = error.strerror or str(error)
            raise TryLater(f"cannot connect to {where.netloc}: {words}", hint=_AGAIN) from None
        made.sock.settimeout(self._timeout)
        self._open[where.netloc] = made, time.monotonic()
        return made

    def _drop(self, where: SplitResult) -> None:
        connection, _ = self._open.pop(where.netloc, (None, 0.0))
        if connection:
            connection.close()

    def close(self) -> None:
        """Close all."""
        for connection, _ in self._open.values():
            with contextlib.suppress(OSError):
                connection.close()
        self._open.clear()


def _blocks(body: bytes) -> Iterator[memoryview]:
    whole = memoryview(body)
    return (whole[start : start + _BLOCK] for start in range(0, len(body), _BLOCK))


def _is_readable(connection: http.client.HTTPConnection) -> bool:
    """Before we asked anything: it is closed, or speaks out of turn."""
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))


def _said(error: Exception, *, sent: bool) -> str:
    place = "after the request" if sent else "before the request was out"
    words = "silence" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
    return f"connection lost {place}: {words}"


@lru_cache(maxsize=4)  # reading the system's certificates takes 25 ms, and one context serves all connections
def _trusting(_cert_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()  # OpenSSL looks at SSL_CERT_FILE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
