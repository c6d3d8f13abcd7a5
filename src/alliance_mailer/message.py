"""An edition addressed to a contact: the envelope (RFC 5321) and the message (RFC 5322), made on demand, never stored.

And what comes back from the next hop: an `Outcome`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from uuid import UUID

from . import mime
from .contact import Contact
from .edition import Edition, values_of
from .unsubscribe import header_fields, keyed, link, unsubscribe_token


@dataclass(frozen=True, slots=True)
class Envelope:
    """RFC 5321: the reverse-path and one forward-path."""

    mail_from: str
    rcpt_to: str


@dataclass(frozen=True, slots=True)
class Message:
    """An edition for one person. Everything is derived when it is asked for."""

    edition: Edition
    contact: Contact
    date: datetime
    key: str  # the delivery's: the same person and issue always have the same one
    token: str  # for unsubscribing

    @property
    def envelope(self) -> Envelope:
        """From the publication's sender to the person."""
        return Envelope(self.edition.publication.sender, self.contact.address)

    @property
    def message_id(self) -> str:
        """Without its angle brackets; reveals no address."""
        return f"{self.key}@{self.edition.publication.domain}"

    @property
    def values(self) -> dict[str, str]:
        """What is written into the gaps."""
        return {**values_of(self.contact), "unsubscribe_url": link(self.edition.publication, self.token)}

    @property
    def subject(self) -> str:
        """The decoded subject."""
        return self.edition.subject.fill(self.values)

    @property
    def html(self) -> str:
        """The decoded text/html part."""
        return self.edition.html.fill(self.values)

    @property
    def text(self) -> str:
        """The decoded text/plain part."""
        return self.edition.text.fill(self.values)

    def as_bytes(self) -> bytes:
        """The message as it goes over the wire: CRLF, 7-bit but for a non-ASCII local part in To (RFC 6532)."""
        edition, values = self.edition, self.values
        fields = [
            mime.mailbox("To", self.contact.name, self.contact.address),
            _date(self.date, self.date.utcoffset()),
            mime.structured("Message-ID", f"<{self.message_id}>"),
            header_fields(edition.publication, self.token),
        ]
        if edition.subject.gaps:
            fields.append(mime.header_text("Subject", edition.subject.fill(values)))
        return b"".join((edition.head, "".join(fields).encode(), *edition.body_for(values, self.token)))


@lru_cache(maxsize=8)  # a plan has one instant for everybody, and spelling it takes as long as all of the above
def _date(instant: datetime, _offset: timedelta | None) -> str:
    # The offset is part of the key: one instant in two zones is equal, and spelt differently.
    return f"Date: {format_datetime(instant)}{mime.CRLF}"


def message_key(key: bytes, list_id: str, issue: str, address: str) -> str:
    """What the Message-ID is made of: the same person and issue always have the same one."""
    return keyed(key, "message", list_id, issue, address)


def address(edition: Edition, contact: Contact, *, date: datetime, key: bytes) -> Message:
    """Address an edition to a contact. `key` is the publication's secret; `date` becomes the Date field.

    Raises nothing for a contact without `edition.mistakes`.
    """
    list_id = edition.publication.list_id
    return Message(
        edition,
        contact,
        date,
        message_key(key, list_id, edition.issue, contact.address),
        unsubscribe_token(key, list_id, contact.address),
    )


def request_key(messages: Sequence[Message]) -> str:
    """An idempotency key, a UUID: the same edition, people and order always have the same one, and no others."""
    names = "\0".join((messages[0].edition.sha256, *(message.key for message in messages)))
    return str(UUID(bytes=sha256(names.encode()).digest()[:16], version=5))


class Verdict(StrEnum):
    """What became of a message, named by what happens next."""

    ACCEPTED = "accepted"  # the next hop took responsibility (2yz): done
    DEFERRED = "deferred"  # surely not taken (4yz): again at `due`
    REFUSED = "refused"  # never again for this issue (5yz about the recipient, invalid address)
    UNKNOWN = "unknown"  # it may have gone: lost after the final dot, killed in between


@dataclass(frozen=True, slots=True)
class Outcome:
    """A verdict with the server's words."""

    verdict: Verdict
    reply: str = ""
    provider_id: str = ""
    retry_after: float | None = None  # seconds, where the server named a time
    about_us: bool = False  # deferred because we are refused, whoever the recipient: no reason ever to give up
    hard: bool = False  # the address does not exist (5.1.1 and kin): it is suppressed
