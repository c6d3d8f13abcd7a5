"""A message as a server is to hear of it: its commands, with what the server offers, and its text."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ..message import Message, Outcome, Verdict
from ._smtp_wire import Wire

_NO_XCHAR = re.compile("[^!-*,-<>-~]")  # RFC 3461, 4


@dataclass(frozen=True, slots=True)
class Offers:
    """What EHLO named after login."""

    pipelining: bool = False  # RFC 2920
    chunking: bool = False  # RFC 3030
    eight_bit: bool = False  # RFC 6152
    utf8: bool = False  # RFC 6531
    dsn: bool = False  # RFC 3461
    most: int = 0  # RFC 9422, MAILMAX: messages on one connection; 0 without a limit
    size: int = 0  # RFC 1870: the largest message in bytes, 0 without a limit, -1 where SIZE is not offered


def offers(features: Mapping[str, str]) -> Offers:
    """What smtplib read from the reply to EHLO."""
    size, eight_bit = features.get("size"), "8bitmime" in features
    most = re.search(r"\bMAILMAX=([1-9][0-9]{0,5})\b", features.get("limits", ""), re.IGNORECASE)
    return Offers(
        pipelining="pipelining" in features,
        chunking="chunking" in features,
        eight_bit=eight_bit,
        utf8="smtputf8" in features and eight_bit,  # RFC 6531, 3.1: the one needs the other
        dsn="dsn" in features,
        most=int(most[1]) if most else 0,
        size=-1 if size is None else int(size) if re.fullmatch("[0-9]{1,18}", size) else 0,
    )


@dataclass(slots=True)
class Letter:
    """What goes over the wire for one message."""

    mail: bytes
    rcpt: bytes
    data: bytes
    is_dotted: bool
    commands: Sequence[tuple[str, bytes]] = ()  # each verb with all that is said with it
    end: float = math.inf  # the byte of the wire (`Wire.handed`) with which the server could have all of it

    @property
    def is_chunk(self) -> bool:
        """Whether it goes by BDAT: its text is on the wire with its commands."""
        return len(self.commands) > 0 and self.commands[-1][0] == "RSET"

    @property
    def text(self) -> bytes:
        """For DATA, without the final dot (RFC 5321, 4.5.2)."""
        return self.data.replace(b"\r\n.", b"\r\n..") if self.is_dotted else self.data


@lru_cache(maxsize=8)
def _is_dotted(body: Sequence[bytes]) -> bool:
    """Whether a line of what everybody gets begins with a dot; once an edition, as it takes 7 µs and more.

    A line of what is personal never does: the encoder spells its dot =2E (held by tests/test_edition.py).
    """
    return any(piece.startswith(b".") or b"\n." in piece for piece in body)


def letter(offers: Offers, message: Message, bounce_address: str = "") -> Letter | Outcome:
    """Write it out; the outcome where this server cannot be told of it."""
    data, envelope = message.as_bytes(), message.envelope
    mail_from, rcpt_to = bounce_address.replace("{key}", message.key) or envelope.mail_from, envelope.rcpt_to
    if 0 < offers.size < len(data):
        words = f"the message is too large: {len(data):,} bytes, and the server takes at most {offers.size:,} (SIZE)"
        return Outcome(Verdict.DEFERRED, words, about_us=True)
    plain = rcpt_to.isascii()
    if not offers.utf8 and not (plain and mail_from.isascii()):
        words = "the server does not take a non-ASCII address (no SMTPUTF8)"
        return Outcome(Verdict.REFUSED, words) if not plain else Outcome(Verdict.DEFERRED, words, about_us=True)
    mail, rcpt = f"MAIL FROM:<{mail_from}>", f"RCPT TO:<{rcpt_to}>"
    if offers.size >= 0:
        mail += f" SIZE={len(data)}"
    if offers.eight_bit and not data.isascii():
        mail += " BODY=8BITMIME"
    if not (plain and mail_from.isascii()):
        mail += " SMTPUTF8"
    if offers.dsn:
        mail += f" RET=HDRS ENVID={message.key}"
        rcpt += " NOTIFY=FAILURE,DELAY"
        rcpt += f" ORCPT=rfc822;{_xtext(rcpt_to)}" if plain else ""
    return Letter(f"{mail}\r\n".encode(), f"{rcpt}\r\n".encode(), data, _is_dotted(message.edition.body))


def _xtext(address: str) -> str:
    """RFC 3461, 4: "+", "=" and what is no printable ASCII character as +HH."""
    return _NO_XCHAR.sub(lambda found: f"+{ord(found[0]):02X}", address)


def in_order(letters: Sequence[Letter], *, stale: bool) -> None:
    """Give each its commands: the last goes by DATA, whose 354 is a mark in the stream of replies; the others by BDAT.

    `stale`: a transaction was begun and refused before.
    """
    for each in letters:
        transaction = [("MAIL", each.mail), ("RCPT", each.rcpt)]
        if each is not letters[-1]:
            # RSET, because it may be refused; and a server that is out of step with us shows it here.
            chunk = b"BDAT %d LAST\r\n" % len(each.data)
            transaction += [("BDAT", chunk + each.data), ("RSET", b"RSET\r\n")]
        else:
            transaction.append(("DATA", b"DATA\r\n"))
        each.commands = [("RSET", b"RSET\r\n"), *transaction] if stale and each is letters[0] else transaction


def say(wire: Wire, letters: Iterable[Letter | Outcome], before: Sequence[bytes] = ()) -> None:
    """All commands at once, behind the text of the message before; an outcome has none."""
    parts, end = [*before], wire.asked + sum(map(len, before))
    for each in letters:
        if isinstance(each, Outcome):
            continue
        for verb, line in each.commands:
            parts.append(line)
            end += len(line)
            if verb == "BDAT":
                each.end = end
    wire.write(b"".join(parts))
