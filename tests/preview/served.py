"""The preview, asked byte by byte."""

import http.client
from urllib.parse import urlsplit


class Served:
    """The command in a process of its own, asked byte by byte: no client here mends what is asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.host = urlsplit(url).netloc
        self.root = "/" + urlsplit(url).path.split("/")[1]

    def ask(
        self, path: str, method: str = "GET", body: str | None = None, raw: str | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """The status, headers and body; `raw` is the path as it stands, without the token."""
        connection = http.client.HTTPConnection(self.host, timeout=10)
        connection.putrequest(method, raw if raw is not None else self.root + path, skip_host=True)
        for name, value in {"Host": self.host, **headers}.items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body.encode() if body else None)
        answer = connection.getresponse()
        found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        connection.close()
        return found
