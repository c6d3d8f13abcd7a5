"""A mail server that keeps to the RFCs, fails as real ones do, and writes down what it really took: the ground truth.

    with FaultyServer(script={"ann@example.org": ["dot taken drop", "rcpt 450 4.2.0 greylisted"]}) as server: …
    python faults.py '{"book": "book.jsonl", "chunking": true, "chances": {"dot taken drop": 0.01}}'

As a program it prints its port and runs until its standard input ends.

A fault is a moment and what happens in it. The moments: greeting, ehlo, auth, mail, rcpt, data, text (in the middle of
it), dot (after it, or after BDAT … LAST), rset, quit. What happens: a reply instead of the right one (421 also hangs
up), or one of these, where "dot taken …" says that the message was taken first. "rcpt 550 5.1.1 no; rset drop" is two.

| word      | the server                                  | word      | the server                                 |
| --------- | ------------------------------------------- | --------- | ------------------------------------------ |
| `drop`    | resets the connection, replies unsent       | `long`    | gives a reply of 60 long lines             |
| `end`     | closes it without a reply                   | `slow`    | gives the reply byte by byte               |
| `half`    | closes it in the middle of the reply        | `late`    | gives the reply after half a second        |
| `close`   | gives the reply, then closes it             | `extra`   | gives the reply twice                      |
| `hang`    | says nothing more                           | `garbage` | says what is no SMTP reply                 |
| `eager`   | (data) says 354 though nobody is to get it  | `endless` | says a line without an end                 |
"""

import json
import os
import random
import re
import socket
import ssl
import struct
import sys
import time
from base64 import b64decode
from collections import deque
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Self

_LOST = ("drop", "end", "half", "garbage", "endless", "hang")  # afterwards the client does not know what was done
_FINE = {"data": "354 go on", "quit": "221 2.0.0 bye", "auth": "235 2.7.0 welcome"}
_ORDER = ("ehlo", "data", "quit", "starttls", "auth")  # RFC 2920, 3.1: nothing may follow these unanswered
_REPLY = re.compile(r"\d\d\d(?:[ -]|$)")


@dataclass(frozen=True)
class Took:
    """A message for which the server answers."""

    to: str
    message_id: str
    sha256: str
    at: float  # seconds since 1970
    connection: int


@dataclass
class FaultyServer:
    """See the module. Everything that it heard and did is in `book`, a file of JSON lines, and in `entries`."""

    pipelining: bool = True
    chunking: bool = False
    offers: list[str] = field(default_factory=lambda: ["SIZE 35882577", "8BITMIME", "SMTPUTF8", "DSN"])
    script: dict[str, list[str]] = field(default_factory=dict)  # faults by recipient, one a try; "*": whoever is next
    chances: dict[str, float] = field(default_factory=dict)  # of each fault, a message
    seed: int = 0
    delay: float = 0.0  # seconds before each message is answered
    limit: int = 0  # connections at once; the next one is greeted with 421
    last: int = 0  # messages a connection, then it is closed
    users: dict[str, str] = field(default_factory=dict)  # name: password; AUTH is asked for where there are some
    tls: str = "none"  # or "starttls", "implicit"
    certificate: str = ""  # PEM: key and chain
    book: str = ""
    port: int = 0

    def __post_init__(self) -> None:
        self.entries: list[dict] = []
        self._file = os.open(self.book, os.O_WRONLY | os.O_CREAT | os.O_APPEND) if self.book else None
        self._random, self._lock, self.ended = random.Random(self.seed), Lock(), Event()
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) if self.certificate else None
        if self.context:
            self.context.load_cert_chain(self.certificate)

    def __enter__(self) -> Self:
        self._socket = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self.port = self._socket.getsockname()[1]
        self._thread = Thread(target=self._accept)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()
        if self._file is not None:
            os.close(self._file)

    def _accept(self) -> None:
        serving: list[Thread] = []
        while not self.ended.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:  # stopped
                break
            serving = [thread for thread in serving if thread.is_alive()]
            crowded = 0 < self.limit <= len(serving)
            number = self.write("connection")
            serving.append(Thread(target=_Session(self, connection, number).serve, args=(crowded,)))
            serving[-1].start()
        for thread in serving:
            thread.join()

    def write(self, what: str, **about: object) -> int:
        """Into the book, before the client hears of it. Returns the entry's number."""
        with self._lock:
            entry = {"what": what, **about}
            self.entries.append(entry)
            if self._file is not None:
                os.write(self._file, f"{json.dumps(entry)}\n".encode())
            return len(self.entries)

    def fault_for(self, whom: str) -> str:
        """By the script, or by chance where a new message begins ("*")."""
        with self._lock:
            if self.script.get(whom):
                return self.script[whom].pop(0)
            drawn = self._random.random() if whom == "*" else 1.0
            for fault, chance in self.chances.items():
                drawn -= chance
                if drawn < 0:
                    return fault
            return ""

    @property
    def took(self) -> list[Took]:
        return took(self.entries)


def entries(book: Path) -> list[dict]:
    """What stands in a book; its last line may be still in the making."""
    return [json.loads(line) for line in book.read_bytes().split(b"\n")[:-1]] if book.exists() else []


def took(book: list[dict]) -> list[Took]:
    """The messages for which the server answers, in order."""
    return [Took(**{key: entry[key] for key in Took.__annotations__}) for entry in book if entry["what"] == "took"]


class _Gone(Exception):
    """One side has closed the connection."""


class _Session:
    """One connection. Replies are kept back while more commands lie there, as Postfix does."""

    def __init__(self, server: FaultyServer, connection: socket.socket, number: int) -> None:
        self.server, self.socket, self.number = server, connection, number
        self.unread, self.unsaid = b"", b""
        self.secure = self.known = self.greeted = False
        self.messages, self.unheard = 0, 0  # answered on this connection; of these not yet said
        self.forget()
        self.fault = deque[str]()

    def forget(self) -> None:
        self.sender: dict[str, str] | None = None
        self.to, self.text, self.failed, self.chunked = "", b"", False, False

    def serve(self, crowded: bool) -> None:
        self.socket.settimeout(30)  # a test that hangs should fail, not hang
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if self.server.tls == "implicit":
                self.wrap()
            self.plan()
            self.answer("greeting", "421 4.7.0 too many connections" if crowded else "220 mail.example.org ESMTP")
            while True:
                self.obey(self.line())
        except (_Gone, OSError):
            self.server.write("gone", connection=self.number, unheard=self.unheard)
            self.socket.close()

    def wrap(self) -> None:
        self.socket = self.server.context.wrap_socket(self.socket, server_side=True)
        self.secure = True

    # The wire ---------------------------------------------------------------------------------------------------------

    def receive(self) -> None:
        self.flush()
        data = self.socket.recv(65536)
        if not data:
            raise _Gone
        self.unread += data

    def line(self) -> str:
        while b"\n" not in self.unread:
            self.receive()
        line, _, self.unread = self.unread.partition(b"\n")
        if not line.endswith(b"\r") or b"\r" in line[:-1] or len(line) > 1000:
            self.breach(f"a command that ends with no CRLF, or is too long: {line[:99]!r}")
        return line.decode("utf-8", "replace").rstrip("\r")

    def flush(self) -> None:
        if self.unsaid:
            self.socket.sendall(self.unsaid)
            self.unsaid, self.unheard = b"", 0

    def breach(self, words: str) -> None:
        """What a client must not do. The tests want none."""
        self.server.write("breach", connection=self.number, words=words)

    def plan(self, whom: str = "*") -> None:
        """What is to happen to the next message, if not decided yet."""
        fault = self.server.fault_for(whom)
        if fault:
            self.fault = deque(fault.split("; "))

    def happens(self, moment: str) -> str:
        """The fault of this moment, without it; each happens once."""
        if self.fault and self.fault[0].partition(" ")[0] == moment:
            fault = self.fault.popleft()
            self.server.write("fault", fault=fault, to=self.to, connection=self.number)
            return fault.partition(" ")[2].removeprefix("taken ")
        return ""

    def answer(self, moment: str, reply: str) -> str:
        """Say it, or what the fault of this moment says. Returns what was said."""
        fault = self.happens(moment)
        reply, fault = (fault, "") if _REPLY.match(fault) else (reply, fault)
        self.say(reply, fault)
        return reply

    def say(self, reply: str, fault: str = "") -> None:
        if self.unread and not (self.server.pipelining and self.greeted):
            self.breach(f"a command before the answer to the one before: {self.unread[:40]!r}")
        line = f"{reply}\r\n".encode()
        if fault == "drop":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise _Gone
        if fault == "long":
            line = (f"{reply[:3]}-{'and so on ' * 40}\r\n".encode() * 60) + line
        self.unsaid += {
            "half": line[: len(line) // 2], "end": b"", "hang": b"", "garbage": b"\x00\xff what?\r\n",
            "endless": b"x" * 200_000, "extra": line * 2, "slow": b"",
        }.get(fault, line)  # fmt: skip
        if fault == "late":
            time.sleep(0.5)
        unheard = self.unheard if fault in _LOST else 0
        if fault or reply.startswith(("421", "221")):
            self.flush()
        self.unheard = unheard
        if fault == "slow":
            for byte in line:
                self.socket.sendall(bytes([byte]))
                time.sleep(0.002)
        if fault == "hang":
            self.server.ended.wait(30)
        if fault in ("half", "end", "close", "hang") or reply.startswith(("421", "221")):
            raise _Gone

    # The conversation -------------------------------------------------------------------------------------------------

    def obey(self, line: str) -> None:
        verb, _, rest = line.partition(" ")
        verb = verb.lower()
        self.server.write("said", line=line, connection=self.number)
        if self.unread and verb in _ORDER:
            self.breach(f"something follows {verb.upper()} before its answer: {self.unread[:40]!r}")
        known = {
            "ehlo": self.ehlo, "helo": self.ehlo, "starttls": self.starttls, "auth": self.auth, "mail": self.mail,
            "rcpt": self.rcpt, "data": self.data, "bdat": self.bdat, "rset": self.rset, "quit": self.quit,
        }  # fmt: skip
        if verb in known:
            known[verb](rest)
        else:
            self.answer(verb, "500 5.5.2 unknown command")

    def offers(self) -> list[str]:
        server = self.server
        more = ["PIPELINING"] * server.pipelining + ["CHUNKING"] * server.chunking + ["ENHANCEDSTATUSCODES"]
        more += ["STARTTLS"] * (server.tls == "starttls" and not self.secure)
        return [*server.offers, *more, *["AUTH PLAIN LOGIN XOAUTH2"] * bool(server.users)]

    def ehlo(self, rest: str) -> None:
        self.forget()
        self.greeted = True
        lines = ["mail.example.org", *self.offers()]
        self.answer("ehlo", "\r\n".join(f"250{'-' if line != lines[-1] else ' '}{line}" for line in lines))

    def starttls(self, rest: str) -> None:
        if self.answer("starttls", "220 2.0.0 go on").startswith("220"):
            self.flush()
            self.unread, self.greeted = b"", False
            self.wrap()

    def auth(self, rest: str) -> None:
        mechanism, _, words = rest.partition(" ")
        if mechanism == "LOGIN":
            name, password = (self.ask(prompt) for prompt in ("VXNlcm5hbWU6", "UGFzc3dvcmQ6"))
        elif mechanism == "PLAIN":
            _, name, password = b64decode(words).decode().split("\0")
        else:
            name, password, *_ = re.findall(r"(?:user=|Bearer )([^\x01]*)", b64decode(words).decode())
        self.known = self.server.users.get(name) == password
        if mechanism == "XOAUTH2" and not self.known:  # the reason; it wants an empty answer
            self.ask("eyJzdGF0dXMiOiI0MDAifQ==")
        self.answer("auth", "235 2.7.0 welcome" if self.known else "535 5.7.8 who are you?")

    def ask(self, prompt: str) -> str:
        self.say(f"334 {prompt}")
        return b64decode(self.line()).decode()

    def mail(self, rest: str) -> None:
        if self.sender is not None:
            self.breach("MAIL within a transaction")
            self.answer("mail", "503 5.5.1 nested MAIL command")
        elif not self.greeted or (self.server.users and not self.known):
            self.answer("mail", "530 5.7.0 authenticate first" if self.greeted else "503 5.5.1 EHLO first")
        else:
            self.plan()
            _, options = self.path(rest, "FROM:", ("SIZE", "BODY", "SMTPUTF8", "RET", "ENVID"))
            if self.answer("mail", "250 2.1.0 OK").startswith("250"):
                self.sender = options

    def rcpt(self, rest: str) -> None:
        if self.sender is None or self.to:
            self.answer("rcpt", "503 5.5.1 MAIL first" if self.sender is None else "452 4.5.3 one at a time")
            return
        to, _ = self.path(rest, "TO:", ("NOTIFY", "ORCPT"))
        if not to.isascii() and "SMTPUTF8" not in self.sender:
            self.breach("a non-ASCII address without SMTPUTF8")
        self.plan(to)
        if self.answer("rcpt", "250 2.1.5 OK").startswith("25"):
            self.to = to

    def path(self, rest: str, word: str, known: tuple[str, ...]) -> tuple[str, dict[str, str]]:
        found = re.fullmatch(rf"{word}<([^<>]*)>((?: [^ ]+)*)", rest, re.IGNORECASE)
        if not found:
            self.breach(f"no path: {rest}")
            return "", {}
        options = dict(option.partition("=")[::2] for option in found[2].split())
        offered = " ".join(self.offers())
        needs = {"SIZE": "SIZE", "BODY": "8BITMIME", "SMTPUTF8": "SMTPUTF8"}
        for option in options:
            if option not in known or needs.get(option, "DSN") not in offered:
                self.breach(f"not offered: {option}")
        return found[1], options

    def data(self, rest: str) -> None:
        if not self.to or self.chunked:
            word = "503 5.5.1 MAIL first" if self.sender is None or self.chunked else "554 5.5.1 no valid recipients"
            eager = bool(self.fault) and self.fault[0] == "data eager" and word.startswith("554")
            if self.answer("data", "354 go on" if eager else word).startswith("354"):
                self.read_text()
                self.breach("a text for nobody") if self.text else None
                self.forget()
                self.answer("dot", "554 5.5.1 no valid recipients")
        elif self.answer("data", "354 go on").startswith("354"):
            self.read_text()
            self.finish()

    def read_text(self) -> None:
        """Up to the final dot, dots undone (RFC 5321, 4.5.2)."""
        self.flush()
        taken, end = b"\r\n", b"\r\n.\r\n"
        while end not in taken:
            if not self.unread:
                self.receive()
            searched = max(0, len(taken) - len(end))
            taken, self.unread = taken + self.unread, b""
            if taken.find(end, searched) < 0:
                self.happens_amid_text()
        text, _, self.unread = taken.partition(end)
        self.text = (text + b"\r\n")[2:].replace(b"\r\n..", b"\r\n.").removeprefix(b".") if text else b""

    def happens_amid_text(self) -> None:
        if fault := self.happens("text"):
            self.failed = True  # whoever interrupts a message does not take it
            self.say(fault if _REPLY.match(fault) else "451 4.3.0 what?", fault)

    def bdat(self, rest: str) -> None:
        size, _, last = rest.partition(" ")
        chunk, left = b"", int(size)
        while left:
            if not self.unread:
                self.receive()
            part, self.unread = self.unread[:left], self.unread[left:]
            chunk, left = chunk + part, left - len(part)
            if left:
                self.happens_amid_text()
        if not self.server.chunking:
            self.breach("BDAT is not offered")
        self.failed = self.failed or not self.to
        if self.failed:
            word = "503 5.5.1 MAIL first" if self.sender is None else "554 5.5.1 no valid recipients"
            self.answer("data", word)
            return
        self.chunked, self.text = True, self.text + chunk
        if last.upper() == "LAST":
            self.finish()
        else:
            self.failed = not self.answer("data", "250 2.0.0 go on").startswith("250")

    def finish(self) -> None:
        """The message is there: take it or not, write that down, and only then answer."""
        self.look_at(self.text)
        fault = self.fault[0] if self.fault else ""
        _, _, what = fault.partition("dot ")
        taken = what.startswith("taken ") or not (self.failed or what in _LOST or what[:1] in ("4", "5"))
        time.sleep(self.server.delay)
        if taken:
            found = re.search(rb"^Message-ID: <([^>]*)>", self.text, re.MULTILINE)
            self.server.write("took", **asdict(
                Took(self.to, found[1].decode() if found else "", sha256(self.text).hexdigest(), time.time(), self.number)
            ))  # fmt: skip
        self.messages += 1
        self.unheard += 1
        to, _ = self.to, self.forget()
        self.to = to  # for the book
        try:
            reply = f"250 2.0.0 queued as {self.number}-{self.messages}" if taken else "451 4.3.0 not taken"
            self.answer("dot", reply)
        finally:
            self.to = ""
        if 0 < self.server.last <= self.messages:
            self.flush()
            raise _Gone

    def look_at(self, text: bytes) -> None:
        options = self.sender or {}
        if text.replace(b"\r\n", b"").translate(None, b"\r\n") != text.replace(b"\r\n", b""):
            self.breach("a bare CR or LF in the text")
        if any(len(line) > 998 for line in text.split(b"\r\n")):
            self.breach("a line of more than 998 bytes")
        if not text.isascii() and options.get("BODY") != "8BITMIME":
            self.breach("8-bit text without BODY=8BITMIME")
        if int(options.get("SIZE", len(text))) != len(text):
            self.breach(f"SIZE={options['SIZE']} for {len(text)} bytes")

    def rset(self, rest: str) -> None:
        self.forget()
        self.answer("rset", "250 2.0.0 OK")

    def quit(self, rest: str) -> None:
        self.answer("quit", "221 2.0.0 bye")


if __name__ == "__main__":
    with FaultyServer(**json.loads(sys.argv[1])) as running:
        print(running.port, flush=True)
        sys.stdin.read()
