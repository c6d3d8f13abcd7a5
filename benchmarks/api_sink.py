"""A mail API for benchmarks/mail_apis.py that takes everything: it answers as its provider does, after a delay.

`python api_sink.py MILLISECONDS` prints its port. It reads HTTP/1.1 by hand, so that the narrow place is the client.
"""

import asyncio
import json
import re
import sys


def answer(path: bytes, body: bytes) -> tuple[int, bytes]:
    """The status and the body. How many messages are in a request is told by a key that each of them has."""
    found: object = {}
    match path:
        case b"/email/batch":
            item = {"ErrorCode": 0, "Message": "OK", "MessageID": "b7bc2f4a-e38e-4336-af7d-e6c392c2f817"}
            found = [item] * body.count(b'"MessageStream": ')
        case b"/emails/batch":
            found = {"data": [{"id": "49a3999c-0ce1-4ea6-ab68-afcd6dc2e794"}] * body.count(b'"from": ')}
        case b"/v3/smtp/email":
            return 201, json.dumps({"messageIds": ["<1@brevo>"] * body.count(b'"params": ')}).encode()
        case b"/v2/email/outbound-emails":
            found = {"MessageId": "010001776a9b2c3d-00000000"}
        case b"/api/v1/send/raw":
            found = {"status": "success", "data": {"message_id": "x", "messages": {"to": {"id": 1, "token": "t"}}}}
        case _ if path.endswith(b"/messages.mime"):
            found = {"id": "<1@mailgun>", "message": "Queued. Thank you."}
        case _ if path.endswith(b"/token"):
            found = {"access_token": "t", "expires_in": 3600}
        case _ if path.endswith((b"/mail/send", b"/sendMail")):
            return 202, b""
    return 200, json.dumps(found).encode()


class Connection(asyncio.Protocol):
    """One client, one request after the other."""

    def __init__(self, delay: float) -> None:
        self._delay, self._unread, self._length = delay, bytearray(), -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._unread += data
        if self._length < 0:
            end = self._unread.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._unread[:end])
            self._path = head.split(b" ", 2)[1]
            length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
            self._length = int(length[1]) if length else 0
            del self._unread[: end + 4]
        if len(self._unread) >= self._length:
            status, body = answer(self._path, bytes(self._unread))
            self._unread.clear()
            self._length = -1
            head = f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            asyncio.get_running_loop().call_later(self._delay, self._transport.write, head.encode() + body)


async def main(milliseconds: float) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Connection(milliseconds / 1000), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
