"""Brevo, by `messageVersions`: 1000 people a request, both texts once, with an idempotency key.

https://developers.brevo.com/docs/batch-send-transactional-emails

- It takes fields; Message-ID and Date are Brevo's, and so is the signature. It carries no pictures inside a mail: set
  `assets_url`.
- Both texts travel once, with `{{ params.p0 }}` for each gap. Brevo would escape the values, so `autoescape off` stands
  around the texts; and it would read any `{{` in the issue, so that such a brace is a parameter, too.
- `idempotencyKey` holds for 15 minutes by the change log, for 30 by the manual; 15 are counted on. A repetition is
  answered `duplicate_parameter`: it was taken.
- Header values must be ASCII, and a name with non-ASCII letters is encoded here (RFC 2047): Brevo loses some (anymail).
- Batches have a limit of 100 a minute.
- `mailer test --sandbox` sends `X-Sib-Sandbox: drop`: looked at, and thrown away.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from ..edition import Edition
from ..message import Message, Outcome, Verdict, request_key
from ..mime import encoded_words
from . import Traits
from ._http_account import secret, through_an_account
from ._http_api import Answer, Api, Request, Says
from ._http_fields import Shared, own_headers, shared

LOCAL = False
CONNECTIONS = 1
TRAITS = Traits(
    "Brevo", "fields", message_id=False, date=False, dkim=False, headers=True, pictures=False, batch=1000,
    window=15 * 60, sandbox="the header X-Sib-Sandbox",
)  # fmt: skip

_LARGEST = 20_000_000  # ours: none is published


@dataclass(frozen=True, slots=True)
class Options:
    """The keys in mailer.toml."""

    api_key_env: str  # the environment variable that holds the key
    base_url: str = "https://api.brevo.com"  # another server, for tests
    timeout: float = 60  # seconds of silence after which an answer is given up


def _api(options: Options, environ: Mapping[str, str], *, sandbox: bool) -> Api:
    key = secret(options.api_key_env, environ)
    return Api(
        TRAITS.name, TRAITS.batch, _LARGEST, partial(_write, options, sandbox=sandbox), _read, _says,
        keyed=True, headers={"api-key": key}, secrets={key},
    )  # fmt: skip


describe, check, connect = through_an_account("brevo", _api)


def _write(options: Options, messages: Sequence[Message], *, sandbox: bool) -> Request:
    edition = messages[0].edition
    publication, texts = edition.publication, _texts(edition)
    fields: dict[str, Any] = {
        "sender": _person(publication.sender_name, publication.sender),
        "subject": _literal(edition.subject.fill(messages[0].values)),
        "htmlContent": texts.html,
        "textContent": texts.text,
        "headers": {"idempotencyKey": request_key(messages), **({"X-Sib-Sandbox": "drop"} if sandbox else {})},
        "messageVersions": [_version(message, texts) for message in messages],
    }
    if publication.reply_to:
        fields["replyTo"] = {"email": publication.reply_to}
    url = f"{options.base_url.rstrip('/')}/v3/smtp/email"
    return Request(url, json.dumps(fields).encode(), {"Content-Type": "application/json"})


def _version(message: Message, texts: Shared) -> dict[str, Any]:
    version = {
        "to": [_person(message.contact.name, message.contact.address)],
        "headers": own_headers(message, message_id=False),
        "params": {"brace": "{", **{tag[10:-3]: value for tag, value in texts.values(message).items()}},
    }
    if message.edition.subject.gaps:
        version["subject"] = _literal(message.subject)
    return version


@lru_cache(maxsize=8)
def _texts(edition: Edition) -> Shared:
    found = shared(edition, lambda number: f"{{{{ params.p{number} }}}}", _literal)
    raw = "{{% autoescape off %}}{}{{% endautoescape %}}"
    return Shared(raw.format(found.html), raw.format(found.text), found.gaps)


def _literal(text: str) -> str:
    """Text that Brevo's template language leaves as it is: no brace stands where it would begin something.

    Not `verbatim`: a "{{" in it that is not closed would swallow its end.
    """
    return re.sub(r"\{(?=[{%#]|\Z)", "{{ params.brace }}", text)


def _person(name: str, address: str) -> dict[str, str]:
    return (
        {"name": name if name.isascii() else " ".join(encoded_words(name)), "email": address}
        if name
        else {"email": address}
    )


def _read(answer: Answer, messages: Sequence[Message]) -> list[Outcome]:
    found = answer.json()
    ids = found["messageIds"] if "messageIds" in found else [found["messageId"]]
    return [Outcome(Verdict.ACCEPTED, f"{answer.status} {each}", provider_id=each) for each in ids]


def _says(answer: Answer) -> Says | None:
    error = answer.fields()
    code, words = error.get("code"), str(error.get("message"))
    if code == "duplicate_parameter":
        return Says.TAKEN
    about_person = code == "invalid_parameter" and re.search(r"\bto\b|recipient", words)
    return Says.PERSON if answer.status == 400 and about_person else None
