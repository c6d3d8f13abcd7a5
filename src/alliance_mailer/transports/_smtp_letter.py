"""A message as a connection is to hear of it: MAIL, RCPT, and DATA or BDAT, with what the server offers; the text."""

import smtplib
from dataclasses import dataclass

from ..errors import TransportRefused
from ..message import Message, Outcome, Verdict
from ._smtp_session import Options
from ._smtp_wire import Wire


@dataclass(slots=True)
class Connection:
    """A session after login."""

    smtp: smtplib.SMTP
    wire: Wire
    used: int = 0  # transactions that came to an end
    stale: bool = False  # one was begun and refused: RSET comes before the next
    busy: bool = False  # something is unanswered, or a text is expected: QUIT would be taken for a part of it

    def offers(self, extension: str) -> bool:
        """Whether EHLO named it after login."""
        return self.smtp.has_extn(extension)


@dataclass(frozen=True, slots=True)
class Letter:
    """What goes over the wire for one message."""

    message: Message
    commands: tuple[tuple[str, bytes], ...]  # each verb with its line
    text: bytes  # without the final dot

    @property
    def lines(self) -> bytes:
        """All commands."""
        return b"".join(line for _, line in self.commands)


def letter(options: Options, connection: Connection, message: Message, *, chunk: bool = False) -> Letter | Outcome:
    """Write it out, for BDAT when `chunk`; the outcome where this server cannot be told of this address.

    Raises TransportRefused for a message that is larger than what the server takes.
    """
    data, envelope = message.as_bytes(), message.envelope
    offers = connection.offers
    largest = connection.smtp.esmtp_features.get("size", "")
    if largest.isdigit() and 0 < int(largest) < len(data):
        raise TransportRefused(
            f"{options.host} takes at most {int(largest):,} bytes (SIZE), and this message has {len(data):,}",
            hint="smaller pictures, or [newsletter] assets_url, so that they do not travel along",
        )
    mail_from = options.bounce_address.replace("{key}", message.key) or envelope.mail_from
    mail, rcpt = [f"MAIL FROM:<{mail_from}>"], [f"RCPT TO:<{envelope.rcpt_to}>"]
    if offers("size"):
        mail.append(f"SIZE={len(data)}")
    if not data.isascii() and offers("8bitmime"):
        mail.append("BODY=8BITMIME")
    if not envelope.rcpt_to.isascii():
        if not (offers("smtputf8") and offers("8bitmime")):  # RFC 6531, 3.1: the one needs the other
            return Outcome(Verdict.REFUSED, "the server does not take a non-ASCII address (no SMTPUTF8)")
        mail.append("SMTPUTF8")
    if offers("dsn"):
        mail.append(f"RET=HDRS ENVID={message.key}")
        rcpt.append("NOTIFY=FAILURE,DELAY")
        if envelope.rcpt_to.isascii():
            rcpt.append(f"ORCPT=rfc822;{_xtext(envelope.rcpt_to)}")
    lines = [("MAIL", " ".join(mail)), ("RCPT", " ".join(rcpt))]
    lines.append(("BDAT", f"BDAT {len(data)} LAST") if chunk else ("DATA", "DATA"))
    if connection.stale or chunk:  # of a window, the one in front may have been refused
        lines.insert(0, ("RSET", "RSET"))
    commands = tuple((verb, f"{line}\r\n".encode()) for verb, line in lines)
    return Letter(message, commands, data if chunk else _stuffed(data))


def _xtext(address: str) -> str:
    """RFC 3461, 4: "+", "=" and what is no printable ASCII character as +HH."""
    return "".join(f"+{ord(each):02X}" if each in "+=" or not "!" <= each <= "~" else each for each in address)


def _stuffed(data: bytes) -> bytes:
    # RFC 5321, 4.5.2. Our own encoder leaves no leading dot; a header of the future might.
    return data.replace(b"\r\n.", b"\r\n..") if b"\r\n." in data else data
