"""SMTP (RFC 5321) to a mail server: a relay of one's own, or a provider's submission port (RFC 6409).

Connecting, EHLO, TLS and AUTH are the standard library's; the mail transaction is ours, because `smtplib` cannot tell
a connection lost before the final dot (nothing was delivered) from one lost after it (it may have been), and because
it waits for each reply. Where the server offers PIPELINING (RFC 2920), MAIL, RCPT and DATA of the next message travel
with the final dot of this one: one round trip a message, one message in doubt. `chunking_window` puts several on the
wire at once (BDAT, RFC 3030), and as many in doubt.

| phase                        | 4yz, or connection lost    | 5yz                                 |
| ---------------------------- | -------------------------- | ----------------------------------- |
| MAIL FROM                    | deferred (see below)       | about us: deferred, the run stops   |
| RCPT TO                      | deferred                   | refused (552: deferred)             |
| DATA, and the message's text | deferred                   | refused                             |
| after the final dot          | 4yz deferred, lost unknown | refused                             |

421 anywhere also closes the connection. At MAIL FROM, 421 or a lost connection only says that the server is tired of
it: the message goes over a new one, at once; where a new one hears the same, the run tries later. 530, 535, 5.7.x,
5.4.5 (a limit), 5.3.4 and 552 (too big) are about us, not about the person: deferred, and the run stops. What is no
SMTP reply counts as a lost connection, and so does a reply that nobody asked for.
"""

import contextlib
import smtplib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from ..errors import TransportRefused, TryLater
from ..message import Message, Outcome, Verdict
from ._smtp_letter import Connection, Letter, letter
from ._smtp_presets import PRESETS
from ._smtp_session import Options, check, describe, open_session
from ._smtp_verdict import judge
from ._smtp_wire import Lost, Reply, Wire

__all__ = ["CONNECTIONS", "LOCAL", "PRESETS", "Options", "check", "connect", "describe"]

LOCAL = False
CONNECTIONS = 5

_FINAL_DOT = 600.0  # seconds; RFC 5321, 4.5.3.2.6: impatience here means a second copy
_GOODBYE = 5.0  # seconds; nothing hangs on the answer to QUIT
_LATER = "run the same command again later"


def connect(options: Options, *, project: Path, issue: str, environ: Mapping[str, str], fresh: bool = False) -> "Smtp":
    """Open a connection. Raises ConfigError, TransportRefused (TLS, AUTH) or TryLater (no connection)."""
    check(options, project=project, issue=issue, environ=environ)
    transport = Smtp(options, lambda: open_session(options, project, environ))
    transport.open()
    return transport


class _Tired(Exception):
    """The server begins no other transaction on this connection; the message was surely not taken."""


class Smtp:
    """One connection, reused for every message, made again when the server closes it."""

    def __init__(self, options: Options, login: Callable[[], smtplib.SMTP]) -> None:
        self._options, self._login = options, login
        self._connection: Connection | None = None
        self._announced: Letter | None = None  # its commands went out with the final dot of the one before
        self.batch_size = max(1, options.chunking_window)

    def open(self) -> Connection:
        """Connect and log in. Raises as `connect` does."""
        smtp = self._login()
        assert smtp.sock is not None
        self._connection, self._announced = Connection(smtp, Wire(smtp.sock, self._options.timeout)), None
        return self._connection

    def carry(self, batches: Iterator[Sequence[Message]]) -> Iterator[Outcome]:
        """See the protocol."""
        queue = _Queue(batches)
        while (message := queue.peek()) or not queue.ended:
            if message is None:
                self.close()  # nothing for a while: better we leave than are thrown out
                continue
            connection = self._connection or self.open()
            if self._options.chunking_window > 0 and connection.offers("chunking") and connection.offers("pipelining"):
                yield from self._carry_windows(connection, queue)
            else:
                try:
                    outcome = self._carry_one(queue.pop(), queue)
                except TransportRefused as refusal:
                    yield Outcome(Verdict.DEFERRED, str(refusal), about_us=True)
                    raise
                yield outcome
            if self._connection and self._is_worn(self._connection.used):
                self.close()

    def _is_worn(self, used: int) -> bool:
        return 0 < self._options.messages_per_connection <= used

    # One at a time, the next one's commands with the final dot of this one -------------------------------------------

    def _carry_one(self, message: Message, queue: "_Queue") -> Outcome:
        while True:
            connection = self._connection or self.open()
            fresh = connection.used == 0
            announced, self._announced = self._announced, None
            try:
                written = announced or letter(self._options, connection, message)
                if isinstance(written, Outcome):
                    return written
                refused = self._offer(connection, written, announced=announced is not None)
            except _Tired as tired:
                # Over a new connection, at once; a new one that is tired is reason to wait.
                self._drop()
                if fresh:
                    raise TryLater(f"{self._options.host} takes no message now: {tired}", hint=_LATER) from None
            except Lost as lost:
                self._drop()
                return Outcome(Verdict.DEFERRED, f"connection lost before the message: {lost}")
            else:
                return refused or self._give(connection, written, queue)

    def _offer(self, connection: Connection, written: Letter, *, announced: bool) -> Outcome | None:
        """MAIL, RCPT and DATA. None when the server waits for the text. Raises _Tired, Lost or TransportRefused."""
        wire, together = connection.wire, connection.offers("pipelining")
        connection.busy = untouched = True
        refused: tuple[str, Reply] | None = None
        try:
            if together and not announced:
                wire.write(written.lines)
            for verb, line in written.commands:
                if not together:
                    wire.write(line)
                reply = wire.read()
                if untouched and (reply.code == 421 or (verb == "RSET" and reply.code != 250)):
                    raise Lost(str(reply))
                untouched = untouched and verb != "MAIL"
                if refused is None and not _is_yes(verb, reply):
                    refused = verb, reply
                if reply.code == 421 or (refused and not together):
                    break
            if refused and verb == "DATA" and reply.code == 354:
                # RFC 2920, 3.1: nobody is to get it, and it wants a text all the same. An empty one ends it.
                wire.write(b".\r\n")
                wire.read(_FINAL_DOT)
        except Lost as lost:
            if refused is None:
                raise (_Tired if untouched else Lost)(str(lost)) from None
            self._drop()
        connection.busy = refused is None
        return self._refused(connection, *refused) if refused else None

    def _give(self, connection: Connection, written: Letter, queue: "_Queue") -> Outcome:
        """The text and the final dot."""
        wire, verdict, phase = connection.wire, Verdict.DEFERRED, "within the message"
        following: Letter | None = None
        try:
            wire.write(written.text)
            if not wire.is_quiet():
                raise Lost("a reply that nobody asked for")
            if connection.offers("pipelining") and not self._is_worn(connection.used + 1):
                following = self._following(connection, queue)
            if not wire.write_end(b".\r\n" + (following.lines if following else b"")):
                raise Lost("connection reset")
            # From here on the server may have the message, whatever we hear.
            verdict, phase = Verdict.UNKNOWN, "after the final dot"
            reply = wire.read(_FINAL_DOT)
            if not (200 <= reply.code < 300 or 400 <= reply.code < 600):
                raise Lost(f"no reply that RFC 5321 knows: {reply}")
        except Lost as lost:
            self._drop()
            return Outcome(verdict, f"connection lost {phase}: {lost}")
        connection.stale, connection.busy, self._announced = False, following is not None, following
        if reply.code >= 400:
            return self._refused(connection, ".", reply)
        connection.used += 1
        return Outcome(Verdict.ACCEPTED, str(reply))

    def _following(self, connection: Connection, queue: "_Queue") -> Letter | None:
        message = queue.peek()
        connection.stale = False
        try:
            written = letter(self._options, connection, message) if message else None
        except TransportRefused:  # told when it is its turn
            return None
        return written if isinstance(written, Letter) else None

    def _refused(self, connection: Connection, verb: str, reply: Reply) -> Outcome:
        """Raises TransportRefused where it is about us."""
        connection.used += 1
        connection.stale = verb != "."
        if reply.code == 421 or not 400 <= reply.code < 600:
            self._drop()
        if not 400 <= reply.code < 600:
            return Outcome(Verdict.DEFERRED, f"connection lost: no reply to {verb} that RFC 5321 knows: {reply}")
        return judge(self._options.host, verb, reply)

    # A window on the wire, and the next behind it --------------------------------------------------------------------

    def _carry_windows(self, connection: Connection, queue: "_Queue") -> Iterator[Outcome]:
        """Until there is nothing more for now, or the connection ends: then all that is not answered is in doubt."""
        fresh, out = connection.used == 0, deque[tuple[Message, Letter | Outcome]]()
        refusal: TransportRefused | None = None
        connection.busy = True
        while True:
            while refusal is None and len(out) < 2 * self.batch_size and (message := queue.peek()):
                if self._is_worn(connection.used + len(out)):
                    break
                try:
                    written = letter(self._options, connection, message, chunk=True)
                    if isinstance(written, Letter):
                        connection.wire.write(written.lines + written.text)
                except TransportRefused as error:
                    refusal = error
                except Lost as lost:  # its end was not handed over
                    if out:
                        break  # what was said before the end may still be read
                    self._drop()
                    if fresh:
                        raise TryLater(f"{self._options.host} takes no message now: {lost}", hint=_LATER) from None
                    return
                else:
                    out.append((queue.pop(), written))
            if not out:
                break
            message, written = out[0]
            try:
                outcome = written if isinstance(written, Outcome) else self._hear(connection, written)
            except TransportRefused as error:
                refusal, outcome = error, Outcome(Verdict.DEFERRED, str(error), about_us=True)
            except _Tired as tired:
                # RFC 5321, 3.8: after 421 nothing more is taken.
                queue.put_back([message for message, _ in out])
                self._drop()
                if fresh and connection.used == 0:
                    raise TryLater(f"{self._options.host} takes no message now: {tired}", hint=_LATER) from None
                return
            except Lost as lost:
                self._drop()
                for _, each in out:
                    in_doubt = Outcome(Verdict.UNKNOWN, f"connection lost after the message: {lost}")
                    yield each if isinstance(each, Outcome) else in_doubt
                return
            out.popleft()
            yield outcome
        connection.busy = False
        if refusal:
            raise refusal

    def _hear(self, connection: Connection, written: Letter) -> Outcome:
        """Raises _Tired, Lost or TransportRefused."""
        refused: tuple[str, Reply] | None = None
        for verb, _ in written.commands:
            reply = connection.wire.read(_FINAL_DOT if verb == "BDAT" else None)
            if reply.code == 421:
                raise _Tired(str(reply))
            if not (200 <= reply.code < 300 or (400 <= reply.code < 600 and verb != "RSET")):
                raise Lost(f"no reply to {verb} that RFC 5321 knows: {reply}")
            if refused is None and not _is_yes(verb, reply):
                refused = verb, reply
        connection.used += 1
        if refused:
            return judge(self._options.host, "." if refused[0] == "BDAT" else refused[0], refused[1])
        return Outcome(Verdict.ACCEPTED, str(reply))

    # The end ---------------------------------------------------------------------------------------------------------

    def _drop(self) -> None:
        if self._connection:
            self._connection.smtp.close()
        self._connection = self._announced = None

    def close(self) -> None:
        """QUIT, where nothing is unanswered; its answer changes nothing."""
        if self._connection and not self._connection.busy:
            with contextlib.suppress(Lost):
                self._connection.wire.write(b"QUIT\r\n")
                self._connection.wire.read(_GOODBYE)
        self._drop()


class _Queue:
    """The batches, message by message."""

    def __init__(self, batches: Iterator[Sequence[Message]]) -> None:
        self._batches, self._ready, self.ended = batches, deque[Message](), False

    def peek(self) -> Message | None:
        """The next message; None when there is none for now, or when the batches have ended."""
        if not self._ready and not self.ended:
            batch = next(self._batches, None)
            self.ended = batch is None
            self._ready.extend(batch or ())
        return self._ready[0] if self._ready else None

    def pop(self) -> Message:
        """Take it."""
        return self._ready.popleft()

    def put_back(self, messages: Sequence[Message]) -> None:
        """They are next again."""
        self._ready.extendleft(reversed(messages))


def _is_yes(verb: str, reply: Reply) -> bool:
    if verb == "DATA":
        return reply.code == 354
    return reply.code in {"RCPT": (250, 251, 252)}.get(verb, (250,))
