"""SendGrid, by its v3 API: 1000 people a request, both texts once.

https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send

- It takes fields. Message-ID may be set, Date is SendGrid's, the signature is SendGrid's.
- Both texts travel once, with a tag for each gap (`substitutions`, at most 10,000 bytes a person).
- It answers 202 for the whole request and nothing about anybody: who is refused later is heard of by its webhook only.
  A request with one bad address is refused whole, and split here until that one is found.
- Opens and clicks are not tracked, and no unsubscribe link is added. There is no idempotency key.
- `mailer test --sandbox` uses sandbox_mode: looked at, and thrown away.
- Never tried against the real service: there are no free accounts any more.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from ..edition import Edition
from ..message import Message, Outcome, Verdict
from . import Traits
from ._http_account import secret, through_an_account
from ._http_api import Answer, Api, Request, Says
from ._http_fields import Shared, own_headers, pictures, shared

LOCAL = False
CONNECTIONS = 2
TRAITS = Traits(
    "SendGrid", "fields", message_id=True, date=False, dkim=False, headers=True, pictures=True, batch=1000,
    sandbox="sandbox_mode",
)  # fmt: skip

_LARGEST = 30_000_000
_SUBSTITUTIONS = 10_000  # bytes a person
_OFF = {"enable": False}


@dataclass(frozen=True, slots=True)
class Options:
    """The keys in mailer.toml."""

    api_key_env: str  # the environment variable that holds the key; "Mail Send" is enough
    base_url: str = "https://api.sendgrid.com"  # https://api.eu.sendgrid.com for subusers in Europe
    timeout: float = 60  # seconds of silence after which an answer is given up


def _api(options: Options, environ: Mapping[str, str], *, sandbox: bool) -> Api:
    key = secret(options.api_key_env, environ)
    return Api(
        TRAITS.name, TRAITS.batch, _LARGEST, partial(_write, options, sandbox=sandbox), _read, _says, _unfit,
        headers={"Authorization": f"Bearer {key}"}, secrets={key},
    )  # fmt: skip


describe, check, connect = through_an_account("sendgrid", _api)


def _write(options: Options, messages: Sequence[Message], *, sandbox: bool) -> Request:
    edition = messages[0].edition
    publication, texts = edition.publication, _texts(edition)
    fields: dict[str, Any] = {
        "personalizations": [_personalization(message, texts) for message in messages],
        "from": _person(publication.sender_name, publication.sender),
        "subject": messages[0].subject,
        "content": [{"type": "text/plain", "value": texts.text}, {"type": "text/html", "value": texts.html}],
        "tracking_settings": {
            "click_tracking": {**_OFF, "enable_text": False},
            "open_tracking": _OFF,
            "subscription_tracking": _OFF,
        },
    }
    if publication.reply_to:
        fields["reply_to"] = {"email": publication.reply_to}
    if edition.pictures:
        fields["attachments"] = [
            {"content": data, "type": f"image/{each.subtype}", "filename": each.name, "disposition": "inline",
             "content_id": cid}
            for each, cid, data in pictures(edition)
        ]  # fmt: skip
    if sandbox:
        fields["mail_settings"] = {"sandbox_mode": {"enable": True}}
    url = f"{options.base_url.rstrip('/')}/v3/mail/send"
    return Request(url, json.dumps(fields).encode(), {"Content-Type": "application/json"})


def _personalization(message: Message, texts: Shared) -> dict[str, Any]:
    found: dict[str, Any] = {
        "to": [_person(message.contact.name, message.contact.address)],
        "headers": own_headers(message, message_id=True),
        "substitutions": texts.values(message),
    }
    if message.edition.subject.gaps:
        found["subject"] = message.subject
    return found


@lru_cache(maxsize=8)
def _texts(edition: Edition) -> Shared:
    # The digest is of both texts, so that no tag stands in one by accident, nor in a value.
    return shared(edition, lambda number: f"-{edition.sha256[:16]}.{number}-")


def _person(name: str, address: str) -> dict[str, str]:
    return {"name": name, "email": address} if name else {"email": address}


def _unfit(message: Message) -> str:
    values = _texts(message.edition).values(message)
    size = sum(len(tag) + len(value.encode()) for tag, value in values.items())
    return f"{size:,} bytes of merge fields; SendGrid takes {_SUBSTITUTIONS:,}" if size > _SUBSTITUTIONS else ""


def _read(answer: Answer, messages: Sequence[Message]) -> list[Outcome]:
    identity = answer.headers.get("x-message-id", "")
    return [Outcome(Verdict.ACCEPTED, f"{answer.status} {identity}".strip(), provider_id=identity) for _ in messages]


def _says(answer: Answer) -> Says | None:
    places = [str(error.get("field")) for error in answer.fields().get("errors") or () if isinstance(error, dict)]
    about_person = places and all(re.match(r"personalizations\.\d+\.to\b", place) for place in places)
    return Says.PERSON if answer.status == 400 and about_person else None
