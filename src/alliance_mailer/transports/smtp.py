"""SMTP (RFC 5321) to a mail server: a relay of one's own, or a provider's submission port (RFC 6409).

Connecting, EHLO, TLS and AUTH are the standard library's; the mail transaction is ours, because `smtplib` cannot tell
a connection lost before the final dot (nothing was delivered) from one lost after it (it may have been), and because
it waits for each reply. Where the server offers PIPELINING (RFC 2920), MAIL, RCPT and DATA of the next message travel
with the final dot of this one: one write, one round trip a message, one message in doubt. `chunking_window` puts
several on the wire at once (BDAT, RFC 3030; the last of them by DATA), and as many in doubt.

| phase                         | 4yz, or connection lost    | 5yz                                 |
| ----------------------------- | -------------------------- | ----------------------------------- |
| MAIL FROM                     | deferred (see below)       | about us: deferred, the run stops   |
| RCPT TO                       | deferred                   | refused (552: deferred)             |
| DATA, and the message's text  | deferred                   | refused                             |
| after the final dot, or chunk | 4yz deferred, lost unknown | refused                             |

421 anywhere also closes the connection. At MAIL FROM, 421 or a lost connection only says that the server is tired of
it: the message goes over a new one, at once; where a new one hears the same, the run tries later. Some codes are about
us and not about the person (530, 535, 5.7.x, a limit, the size: `_smtp_verdict`): deferred, and the run stops. What is
no SMTP reply counts as a lost connection, and so does a reply that nobody asked for.
"""

import smtplib
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ..errors import TransportRefused, TryLater
from ..hub import apart
from ..message import Message, Outcome, Verdict
from . import Traits
from ._smtp_codes import meaning
from ._smtp_letter import Letter, Offers, in_order, letter, offers, say
from ._smtp_presets import PRESETS
from ._smtp_session import Options, check, describe, open_session
from ._smtp_verdict import judge
from ._smtp_wire import Lost, Wire

__all__ = ["CONNECTIONS", "LOCAL", "PRESETS", "TRAITS", "Options", "check", "connect", "describe"]

LOCAL = False
CONNECTIONS = 5
TRAITS = Traits("the mail server", "bytes", message_id=True, date=True, dkim=True, headers=True, pictures=True)

_FINAL_DOT = 600.0  # seconds; RFC 5321, 4.5.3.2.6: impatience here means a second copy
_GOODBYE = 5.0  # seconds; nothing hangs on the answer to QUIT
_YES = {"RSET": (250,), "MAIL": (250,), "RCPT": (250, 251, 252), "DATA": (354,), "BDAT": (250,)}


def connect(options: Options, *, project: Path, issue: str, environ: Mapping[str, str], fresh: bool = False) -> "Smtp":
    """Open a connection. Raises ConfigError, TransportRefused (TLS, AUTH) or TryLater (no connection)."""
    check(options, project=project, issue=issue, environ=environ)
    transport = Smtp(options, lambda: open_session(options, project, environ))
    transport.open()
    return transport


class _Tired(Exception):
    """The server begins no other transaction on this connection; the message was surely not taken."""


class _OutOfStep(Lost):
    """The server and we do not speak of the same command."""


@dataclass(slots=True)
class _Connection:
    """A session after login."""

    smtp: smtplib.SMTP
    wire: Wire
    offers: Offers
    window: int  # messages that go out together
    used: int = 0  # transactions that came to an end
    stale: bool = False  # one was begun and refused: RSET comes before the next
    busy: bool = False  # something is unanswered, or a text is expected: QUIT would be taken for a part of it
    over: bool = False  # the server has said its last word


class Smtp:
    """One connection, reused for every message, made again when the server closes it."""

    def __init__(self, options: Options, login: Callable[[], smtplib.SMTP]) -> None:
        self._options, self._login = options, login
        self._connection: _Connection | None = None
        self.batch_size = max(1, options.chunking_window)

    def open(self) -> _Connection:
        """Connect and log in. Raises as `connect` does."""
        smtp = apart(self._login)  # name server, TLS, AUTH
        assert smtp.sock is not None
        offered = offers(smtp.esmtp_features)
        window = self.batch_size if offered.pipelining and offered.chunking else 1
        wire = Wire(smtp.sock, self._options.timeout, acknowledge=window > 1)
        self._connection = _Connection(smtp, wire, offered, window)
        return self._connection

    def carry(self, batches: Iterator[Sequence[Message]]) -> Iterator[Outcome]:
        """See the protocol."""
        if self._connection and self._connection.busy:
            self._drop()  # an earlier one was broken off; what it announced is nobody's to continue
        queue = _Queue(batches)
        while queue.has(0) or not queue.ended:
            if not queue.ready:
                self.close()  # nothing for a while: better we leave than are thrown out
                continue
            refusal = yield from self._converse(self._connection or self.open(), queue)
            if refusal:
                todo = meaning(refusal.reply) or "Settle it with who runs the server."
                raise TransportRefused(
                    f"{self._options.host} refuses us, not the person: {refusal.reply}",
                    hint=f"nobody is marked refused for it. {todo} Then run the same command again",
                )
            if self._connection and self._room(self._connection) <= 0:
                self.close()

    def _room(self, connection: _Connection, behind: int = 0) -> int:
        """How many messages may go out together, behind so many that it carries."""
        limits = (self._options.messages_per_connection, connection.offers.most)
        limit = min(filter(None, limits), default=0)
        return min(connection.window, limit - connection.used - behind) if limit else connection.window

    def _next(self, connection: _Connection, queue: "_Queue", behind: int) -> Sequence[Letter | Outcome]:
        """What goes out together behind so many: a window, or one message; nothing when there is nothing for now."""
        letters: list[Letter] = []
        if (room := self._room(connection, behind)) > 0 and queue.has(behind):
            for message in islice(queue.ready, behind, behind + room):
                written = letter(connection.offers, message, self._options.bounce_address)
                if isinstance(written, Outcome):
                    if not letters:
                        return [written]
                    break
                letters.append(written)
        in_order(letters, stale=connection.stale and not behind)
        return letters

    def _converse(self, connection: _Connection, queue: "_Queue") -> Generator[Outcome, None, Outcome | None]:
        """Until there is nothing more for now, or the connection ends. Returns what refused us. Raises TryLater."""
        out = deque[Letter | Outcome]()  # on the wire, as in the queue
        refusal: Outcome | None = None
        connection.busy = True
        while out or (queue.ready and not refusal):
            if not out:
                if connection.wire.unread:  # a reply that nobody asked for: what comes next would be out of step
                    self._drop()
                    return refusal
                out.extend(self._next(connection, queue, 0))
                if not out:
                    break
                if connection.offers.pipelining:
                    say(connection.wire, out)
            first = out[0]
            if refusal and not (isinstance(first, Letter) and first.is_chunk):
                return refusal  # what is left on the wire has no text: it is surely not taken
            try:
                outcome = first if isinstance(first, Outcome) else self._transact(connection, out, queue)
            except _Tired as tired:
                self._drop()
                if connection.used == 0:
                    words = f"{self._options.host} takes no message now: {tired}"
                    raise TryLater(words, hint="run the same command again later") from None
                return refusal
            except Lost as lost:
                self._drop()
                in_doubt = sum(isinstance(each, Letter) and connection.wire.handed >= each.end for each in out)
                verdict, where = (Verdict.UNKNOWN, "after") if in_doubt else (Verdict.DEFERRED, "before")
                for _ in range(in_doubt or 1):
                    queue.ready.popleft()
                    yield Outcome(verdict, f"connection lost {where} the end of the message: {lost}")
                return refusal
            out.popleft()
            queue.ready.popleft()
            refusal = refusal or (outcome if outcome.about_us else None)
            yield outcome
            if connection.over:
                self._drop()  # RFC 5321, 3.8: what is still on the wire was not taken
                return refusal
        connection.busy = False
        return refusal

    def _transact(self, connection: _Connection, out: deque[Letter | Outcome], queue: "_Queue") -> Outcome:
        """One message. Raises _Tired, or Lost: then everything that is out may be in doubt."""
        first, wire = out[0], connection.wire
        assert isinstance(first, Letter)
        outcome: Outcome | None = None
        begun = False
        try:
            for verb, line in first.commands:
                if not connection.offers.pipelining:
                    wire.write(line)
                reply = wire.read(_FINAL_DOT if verb == "BDAT" else 0)
                if reply.code == 421:
                    if not begun:
                        raise _Tired(str(reply))
                    connection.over = True
                elif reply.code not in _YES[verb] and (reply.code < 400 or verb == "RSET"):
                    outcome = None  # if it is not in step with us, who knows what it meant before
                    raise _OutOfStep(f"no reply to {verb} that RFC 5321 knows: {reply}")
                begun = begun or verb == "MAIL"
                if outcome is None and reply.code >= 400:
                    outcome = judge(verb, reply)
                elif outcome is None and verb == "BDAT":
                    outcome = Outcome(Verdict.ACCEPTED, str(reply))
                if connection.over or (outcome and not connection.offers.pipelining):
                    break
            if outcome and verb == "DATA" and reply.code == 354:
                # RFC 2920, 3.1: nobody is to get it, and it wants a text all the same. An empty one ends it.
                wire.write(b".\r\n")
                wire.read(_FINAL_DOT)
        except Lost as lost:
            innocent = not begun or (connection.used and isinstance(lost, _OutOfStep))  # that began before it
            if outcome is None and innocent and wire.handed < first.end:
                raise _Tired(str(lost)) from None
            if outcome is None:
                raise
        connection.stale = not first.is_chunk
        outcome = outcome or self._give(connection, first, out, queue)
        connection.used += 1
        return outcome

    def _give(self, connection: _Connection, first: Letter, out: deque[Letter | Outcome], queue: "_Queue") -> Outcome:
        """The text and the final dot, and what comes behind it. Raises Lost."""
        wire, text = connection.wire, first.text
        if wire.unread:
            raise Lost("a reply that nobody asked for")
        if connection.offers.pipelining:
            out.extend(self._next(connection, queue, 1))
        first.end = wire.asked + len(text) + 1
        say(wire, islice(out, 1, None), before=(text, b".\r\n"))
        is_handed = wire.handed >= first.end
        reply = wire.read(_FINAL_DOT if is_handed else 0)
        if reply.code < 400 and (reply.code >= 300 or not is_handed):
            raise Lost(f"no reply to a message that RFC 5321 knows: {reply}")
        connection.over, connection.stale = reply.code == 421, False
        return Outcome(Verdict.ACCEPTED, str(reply)) if reply.code < 300 else judge(".", reply)

    def _drop(self) -> None:
        if self._connection:
            self._connection.smtp.close()
        self._connection = None

    def close(self) -> None:
        """QUIT, where nothing is unanswered; its answer changes nothing."""
        if self._connection and not self._connection.busy:
            with suppress(Lost):
                self._connection.wire.write(b"QUIT\r\n")
                self._connection.wire.read(_GOODBYE)
        self._drop()


class _Queue:
    """The batches, message by message. A message is in it until it has an outcome."""

    def __init__(self, batches: Iterator[Sequence[Message]]) -> None:
        self._batches, self.ready, self.ended = batches, deque[Message](), False

    def has(self, behind: int) -> bool:
        """Whether there is a message behind so many; where there is none, a batch is pulled, which may be empty."""
        if len(self.ready) <= behind and not self.ended:
            batch = next(self._batches, None)
            self.ended = batch is None
            self.ready.extend(batch or ())
        return len(self.ready) > behind
