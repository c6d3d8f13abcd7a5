"""Postmark, by its batch API: 500 messages a request, each with an outcome of its own.

https://postmarkapp.com/developer/api/email-api#send-batch-emails

- It takes fields. Message-ID stays (`X-PM-KeepID`), Date is Postmark's, the signature is Postmark's.
- A request has at most 500 messages and 50 MB. There is no idempotency key.
- The stream must be one for broadcasts, with the unsubscribe handling set to "Custom"; with any other, Postmark adds a
  link and a List-Unsubscribe of its own.
- Failures stand inside a 200, in the order of the request. 406 is a recipient whom Postmark itself has given up, after
  a hard bounce or a complaint: refused, and suppressed here, too.
- `mailer test --sandbox` uses the token POSTMARK_API_TEST: looked at, and thrown away.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..message import Message, Outcome, Verdict
from . import Traits
from ._http_account import secret, through_an_account
from ._http_api import Answer, Api, Request, Says
from ._http_fields import mailbox, own_headers, pictures, sender, with_texts

LOCAL = False
CONNECTIONS = 2
TRAITS = Traits(
    "Postmark", "fields", message_id=True, date=False, dkim=False, headers=True, pictures=True, batch=500,
    sandbox="the token POSTMARK_API_TEST",
)  # fmt: skip

_LARGEST = 50_000_000
_INACTIVE = 406
_SOON = {100, 429}  # maintenance, too many requests


@dataclass(frozen=True, slots=True)
class Options:
    """The keys in mailer.toml."""

    token_env: str  # the environment variable that holds the server's token
    message_stream: str = "broadcast"  # the stream's ID; one for broadcasts
    base_url: str = "https://api.postmarkapp.com"  # another server, for tests
    timeout: float = 60  # seconds of silence after which an answer is given up


def _api(options: Options, environ: Mapping[str, str], *, sandbox: bool) -> Api:
    token = "POSTMARK_API_TEST" if sandbox else secret(options.token_env, environ)
    return Api(
        TRAITS.name, TRAITS.batch, _LARGEST, partial(_write, options), _read, _says,
        headers={"X-Postmark-Server-Token": token}, secrets={token},
    )  # fmt: skip


describe, check, connect = through_an_account("postmark", _api)


def _write(options: Options, messages: Sequence[Message]) -> Request:
    body = f"[{','.join(_item(options, message) for message in messages)}]"
    return Request(f"{options.base_url.rstrip('/')}/email/batch", body.encode(), {"Content-Type": "application/json"})


def _item(options: Options, message: Message) -> str:
    edition, contact = message.edition, message.contact
    headers = {**own_headers(message, message_id=True), "X-PM-KeepID": "true"}
    fields: dict[str, Any] = {
        "From": sender(edition),
        "To": mailbox(contact.name, contact.address),
        "Subject": message.subject,
        "Headers": [{"Name": name, "Value": value} for name, value in headers.items()],
        "MessageStream": options.message_stream,
        "TrackOpens": False,
        "TrackLinks": "None",
    }
    if edition.publication.reply_to:
        fields["ReplyTo"] = edition.publication.reply_to
    if edition.pictures:
        fields["Attachments"] = [
            {"Name": each.name, "Content": data, "ContentType": f"image/{each.subtype}", "ContentID": f"cid:{cid}"}
            for each, cid, data in pictures(edition)
        ]
    return with_texts(fields, {"HtmlBody": edition.html, "TextBody": edition.text}, message.values)


def _read(answer: Answer, messages: Sequence[Message]) -> list[Outcome]:
    return [_outcome(item) for item in answer.json()]


def _outcome(item: Mapping[str, Any]) -> Outcome:
    code, words = item.get("ErrorCode", 0), item["Message"]
    reply = f"{code} {words}"
    if code == 0:
        return Outcome(Verdict.ACCEPTED, reply, provider_id=item["MessageID"])
    if code in _SOON:
        return Outcome(Verdict.DEFERRED, reply)
    if _is_about_person(code, words):
        return Outcome(Verdict.REFUSED, reply, hard=code == _INACTIVE)
    return Outcome(Verdict.DEFERRED, reply, about_us=True)


def _is_about_person(code: object, words: str) -> bool:
    return code == _INACTIVE or (code == 300 and "'To'" in words)


def _says(answer: Answer) -> Says | None:
    error = answer.fields()
    code = error.get("ErrorCode")
    if code in _SOON:
        return Says.LATER
    return Says.PERSON if answer.status == 422 and _is_about_person(code, str(error.get("Message"))) else None
