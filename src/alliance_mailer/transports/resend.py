"""Resend, by its batch API: 100 messages a request, with an idempotency key, so that nobody is ever in doubt.

https://resend.com/docs/api-reference/emails/send-batch-emails

- It takes fields; Message-ID and Date are Resend's, and so is the signature. A batch carries no attachments, hence no
  pictures inside a mail: set `assets_url`.
- `Idempotency-Key` holds for 24 hours: within them the same batch gets the same answer and is not sent again. After a
  silence, or a run that was killed, it is repeated, and nobody gets it twice.
- Validation is permissive: a bad address fails alone. What failed stands in `errors`, by its place in the batch.
- Two requests a second is what a new account may do (200 messages a second); more connections only wait.
- Addresses have no non-ASCII letters before the @.
- `mailer test --sandbox` sends to delivered@resend.dev, which takes everything and shows it to nobody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..message import Message, Outcome, Verdict, request_key
from . import Traits
from ._http_account import secret, through_an_account
from ._http_api import Answer, Api, Request, Says, ascii_only
from ._http_fields import mailbox, own_headers, sender, with_texts

LOCAL = False
CONNECTIONS = 2
TRAITS = Traits(
    "Resend", "fields", message_id=False, date=False, dkim=False, headers=True, pictures=False, batch=100,
    window=24 * 3600, sandbox="the recipient delivered@resend.dev",
)  # fmt: skip

_LARGEST = 40_000_000  # ours: 100 messages of 400 KB


@dataclass(frozen=True, slots=True)
class Options:
    """The keys in mailer.toml."""

    api_key_env: str  # the environment variable that holds the key; "sending access" is enough
    base_url: str = "https://api.resend.com"  # another server, for tests
    timeout: float = 60  # seconds of silence after which an answer is given up


def _api(options: Options, environ: Mapping[str, str], *, sandbox: bool) -> Api:
    key = secret(options.api_key_env, environ)
    return Api(
        TRAITS.name, TRAITS.batch, _LARGEST, partial(_write, options, sandbox=sandbox), _read, _says, ascii_only,
        keyed=True, headers={"Authorization": f"Bearer {key}"}, secrets={key},
    )  # fmt: skip


describe, check, connect = through_an_account("resend", _api)


def _write(options: Options, messages: Sequence[Message], *, sandbox: bool) -> Request:
    body = f"[{','.join(_item(message, sandbox=sandbox) for message in messages)}]"
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": request_key(messages),
        "x-batch-validation": "permissive",
    }
    return Request(f"{options.base_url.rstrip('/')}/emails/batch", body.encode(), headers)


def _item(message: Message, *, sandbox: bool) -> str:
    edition, contact = message.edition, message.contact
    fields: dict[str, Any] = {
        "from": sender(edition),
        "to": ["delivered@resend.dev" if sandbox else mailbox(contact.name, contact.address)],
        "subject": message.subject,
        "headers": own_headers(message, message_id=False),
    }
    if edition.publication.reply_to:
        fields["reply_to"] = edition.publication.reply_to
    return with_texts(fields, {"html": edition.html, "text": edition.text}, message.values)


def _read(answer: Answer, messages: Sequence[Message]) -> list[Outcome]:
    found = answer.json()
    failed = {error["index"]: _failed(str(error["message"])) for error in found.get("errors") or ()}
    ids = iter(found["data"])
    # One too few raises StopIteration, one too many is counted: both are answers that cannot be trusted.
    outcomes = [failed.get(place) or _taken(next(ids, {})) for place in range(len(messages))]
    return [*outcomes, *map(_taken, ids)]


def _taken(item: Mapping[str, str]) -> Outcome:
    return Outcome(Verdict.ACCEPTED, f"200 {item['id']}", provider_id=item["id"])


def _failed(words: str) -> Outcome:
    if _is_about_person(words):
        return Outcome(Verdict.REFUSED, f"422 {words}")
    return Outcome(Verdict.DEFERRED, f"422 {words}", about_us=True)


def _is_about_person(words: str) -> bool:
    return "`to`" in words or "to is required" in words or ".to" in words


def _says(answer: Answer) -> Says | None:
    error = answer.fields()
    match error.get("name"):
        case "daily_quota_exceeded" | "monthly_quota_exceeded":
            return Says.LIMIT
        case "concurrent_idempotent_requests":
            return Says.UNSURE  # the first is on its way; the same again tells what became of it
        case "invalid_idempotent_request":
            return Says.UNSURE  # the batch was taken with other words in it: another version of this program
    about_person = answer.status in (400, 422) and _is_about_person(str(error.get("message")))
    return Says.PERSON if about_person else None
