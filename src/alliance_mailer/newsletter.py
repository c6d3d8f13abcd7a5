"""The keys of [newsletter] in mailer.toml: an example of each, what it is for, and how it is read."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from .contact import canonical_address
from .errors import did_you_mean


@dataclass(frozen=True, slots=True)
class Key:
    """A key of [newsletter]: an example, what it is for, and how its text is read (ValueError: what was expected)."""

    example: str
    meaning: str
    read: Callable[[str], Any] = str
    required: bool = False


def _address(value: str) -> str:
    address = canonical_address(value)
    if not address.isascii():
        raise ValueError("expected an address that every mail server carries, ASCII before the @")
    return address


def _mailbox(value: str) -> tuple[str, str]:
    # Not parseaddr, to which a comma in a name ends the name.
    mailbox = re.fullmatch(r"(.*?)<([^<>]*)>", value)
    name, address = (mailbox[1].strip(), mailbox[2]) if mailbox else ("", value)
    if re.fullmatch('".*"', name):
        name = re.sub(r"\\(.)", r"\1", name[1:-1]).strip()
    return name, _address(address)


def read_url(value: str) -> str:
    """An https:// address. Raises ValueError."""
    if not re.fullmatch(r"(?=.{,900}\Z)https?://[A-Za-z0-9.-]+(:[0-9]+)?(/[!-;=?-~]*)?", value):
        raise ValueError("expected an address that begins with https://")
    return value


def _endpoint(value: str) -> str:
    if not value.startswith("https://"):
        raise ValueError("expected an address that begins with https:// (RFC 8058)")
    if "?" in value or "#" in value:
        raise ValueError("expected a path, to which the token is added; no ? and no #")
    return read_url(value)


def _list_id(value: str) -> str:
    if not re.fullmatch(r"(?=.{3,255}\Z)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+", value):
        raise ValueError("expected a label and a domain of yours, joined by dots (RFC 2919)")
    return value


def _language(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", value):
        raise ValueError("expected a language tag (BCP 47)")
    return value


def read_zone(value: str) -> ZoneInfo:
    """The zone of a name such as Asia/Tokyo. Raises ValueError with the nearest known name."""
    try:
        return ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"there is no such zone{did_you_mean(value, available_timezones())}") from None


NEWSLETTER = {
    "name": Key("My Digest", "the publication, in its masthead and headers", required=True),
    "from": Key("My Digest <digest@example.org>", "the sender", _mailbox, required=True),
    "organisation": Key("My Institute", "who answers for it; the law wants it in every mail", required=True),
    "postal_address": Key("1 Example Street, Springfield", "the law wants it in every mail", required=True),
    "unsubscribe_mailto": Key("unsubscribe@example.org", "where wishes to unsubscribe arrive", _address, required=True),
    "language": Key("en", "of the mail, for screen readers; en when it is not set", _language),
    "timezone": Key("America/New_York", "send_at is wall time here; UTC when it is not set", read_zone),
    "reply_to": Key("editors@example.org", "where answers go, if not to the sender", _address),
    "list_id": Key("my-digest.example.org", "List-Id; from name and sender when it is not set", _list_id),
    "help_url": Key("https://example.org/help", "List-Help, and a link in the foot", read_url),
    "archive_url": Key("https://example.org/digest", "List-Archive, and “View in browser”", read_url),
    "assets_url": Key(
        "https://example.org/pictures",
        "local pictures are linked from here; else they travel inside the mail",
        read_url,
    ),
    "unsubscribe_url": Key(
        "https://example.org/u", "only where a one-click endpoint (RFC 8058) stands; the token is appended", _endpoint
    ),
    "secret_env": Key("MAILER_SECRET", "the environment variable that signs tokens; else .mailer/key, made once"),
}
