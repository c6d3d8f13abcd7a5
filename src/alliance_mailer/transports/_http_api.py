"""A mail API as its provider's module describes it to `_http.py`: requests, answers, and what they say; only values."""

import contextlib
import email.utils
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from ..message import Message, Outcome

_LONGEST = 86400.0  # seconds; who asks for more is asked again all the same


class Says(Enum):
    """What an answer that is no success says, or silence."""

    PERSON = "the recipient is refused"
    BIG = "the request is too large"
    LATER = "not taken, perhaps soon"
    LIMIT = "not taken, a limit is used up"
    US = "we are refused"
    LOST = "not taken: the request did not get out whole"
    TAKEN = "a repetition of what was taken before"
    UNSURE = "it may have been taken"


@dataclass(frozen=True, slots=True)
class Request:
    """A POST."""

    url: str
    body: bytes
    headers: Mapping[str, str]  # beside those that every request of the account has


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; the names of header fields are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Raises ValueError."""
        return json.loads(self.body)

    def fields(self) -> Mapping[str, Any]:
        """The JSON object, empty where there is none."""
        with contextlib.suppress(ValueError, RecursionError):
            if isinstance(found := self.json(), dict):
                return found
        return {}

    def words(self) -> str:
        """What it says to people: the message in its JSON, else all of it."""
        found: Any = self.fields()
        errors = found.get("errors")
        for each in (
            found,
            found.get("error"),
            found.get("data"),
            errors[0] if isinstance(errors, list) and errors else 0,
        ):
            if isinstance(each, dict) and (said := each.get("message") or each.get("Message")):
                code = each.get("code") or each.get("ErrorCode") or each.get("name")
                return f"{code} {said}" if code else str(said)
        return self.body[:2000].decode("utf-8", "replace")


@dataclass(frozen=True)
class Api:
    """A provider, as its module describes it: functions from values to values."""

    name: str  # for people
    batch_size: int
    largest: int  # bytes of a request
    write: Callable[[Sequence[Message]], Request]
    read: Callable[[Answer, Sequence[Message]], list[Outcome]]  # a 2xx; KeyError and the like: not to be read
    says: Callable[[Answer], Says | None] = lambda _: None  # no 2xx; None: what its status means
    unfit: Callable[[Message], str] = lambda _: ""  # why a message cannot go this way, whatever the answer
    keyed: bool = False  # has an idempotency key: the same request may go again
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # of each request; here the secrets are
    secrets: set[str] = field(default_factory=set, repr=False)  # never in an outcome or an error
    authorize: "Callable[[Exchange], Mapping[str, str]]" = lambda _: {}  # more headers, asked for before each request


Exchange = Callable[[Request], Answer]  # raises TryLater or TransportRefused where there is none


def on_one_line(words: str) -> str:
    """No control character of a stranger's reaches a terminal."""
    line = " ".join(words.split())
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """The seconds that an answer asks to wait; None where it names none.

    Retry-After (RFC 9110, 10.2.3) has seconds or a date; the providers' own fields have seconds, or a moment in
    seconds or milliseconds since 1970.
    """
    for name in ("retry-after", "ratelimit-reset", "x-ratelimit-reset", "x-sib-ratelimit-reset"):
        value = headers.get(name, "").strip()
        seconds: float | None = None
        if re.fullmatch(r"\d{1,15}(\.\d{1,9})?", value):
            number = float(value)
            seconds = number if number < 1e9 else (number / 1000 if number > 1e11 else number) - now
        elif value and (parsed := email.utils.parsedate_tz(value)):
            with contextlib.suppress(ValueError, OverflowError):
                seconds = email.utils.mktime_tz(parsed) - now
        if seconds is not None:
            return min(max(0.0, seconds), _LONGEST)
    return None


def ascii_only(message: Message) -> str:
    """Why a message cannot go to a provider without SMTPUTF8 (RFC 6531); empty when it can."""
    return "" if message.contact.address.isascii() else "the provider takes no non-ASCII letter before the @"
