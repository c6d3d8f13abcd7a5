"""Messages to send, and what a transport is opened with."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from alliance_mailer.contact import Contact
from alliance_mailer.edition import Edition
from alliance_mailer.message import Message, Outcome, address
from alliance_mailer.transports import Transport

DATE = datetime(2023, 4, 3, 9, 0, tzinfo=UTC)


def letter(edition: Edition, to: str = "ann@example.org", name: str = "Ann") -> Message:
    return address(edition, Contact(to, {"name": name}), date=DATE, key=b"a key of sixteen")


def small(edition: Edition, end: bytes = b"") -> Edition:
    """The same without its pictures and most of its text: what is sent is not looked at, or is `end`."""
    return replace(edition, body=(b"Content-Type: text/plain\r\n\r\nHello\r\n" + end,), order=(), gaps=(), links=())


def heavy(edition: Edition) -> Edition:
    """32 MB: more than the buffers between two sockets hold."""
    return small(edition, (b"x" * 62 + b"\r\n") * 500_000)


def send(transport: Transport, *batches: Sequence[Message]) -> list[Outcome]:
    """One outcome a message, in order."""
    return [*transport.carry(iter(batches))]
