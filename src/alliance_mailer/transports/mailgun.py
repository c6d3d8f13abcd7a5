"""Mailgun, by messages.mime: the message byte for byte, one a request.

https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages

- Message-ID and Date stay (from memory). Tracking is switched off for each message, because it rewrites the body.
- Mailgun's batches fill in `%recipient.…%` themselves; for the bytes that were seen it is one person a request.
- A message has at most 25 MB. There is no idempotency key.
- `mailer test --sandbox` sends `o:testmode`: taken, and not delivered (though it is paid for).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..errors import ConfigError, TransportRefused
from ..message import Message, Outcome, Verdict
from ..mime import boundary
from . import Traits
from ._http import Http
from ._http_account import basic, check_account, describe_api, open_http, secret
from ._http_api import Answer, Api, Request, Says

LOCAL = False
CONNECTIONS = 5
TRAITS = Traits(
    "Mailgun", "bytes", message_id=True, date=True, dkim=True, headers=True, pictures=True, sandbox="o:testmode"
)

_LARGEST = 25 * 2**20


@dataclass(frozen=True, slots=True)
class Options:
    """The keys in mailer.toml."""

    api_key_env: str  # the environment variable that holds the domain's sending key
    domain: str  # the domain as Mailgun knows it, such as mg.example.org
    base_url: str = "https://api.mailgun.net"  # https://api.eu.mailgun.net for a domain in the EU
    timeout: float = 60  # seconds of silence after which an answer is given up


def describe(options: Options, issue: str) -> str:
    """For the line that names the transport."""
    return describe_api("mailgun", options.base_url).replace(" (", f" {options.domain} (")


def check(options: Options, *, project: Path, issue: str, environ: Mapping[str, str]) -> None:
    """Raise ConfigError."""
    check_account(options, environ)
    if not options.domain.isascii() or set(options.domain) & set("/?#@% "):
        raise ConfigError(f'transport.domain: found "{options.domain}"', hint='domain = "mg.example.org"')


def connect(
    options: Options,
    *,
    project: Path,
    issue: str,
    environ: Mapping[str, str],
    fresh: bool = False,
    sandbox: bool = False,
) -> Http:
    """Open it. Raises ConfigError, TryLater or TransportRefused."""
    check(options, project=project, issue=issue, environ=environ)
    key = secret(options.api_key_env, environ)
    api = Api(
        TRAITS.name, TRAITS.batch, _LARGEST, partial(_write, options, sandbox=sandbox), _read, _says,
        headers={"Authorization": basic("api", key)}, secrets={key},
    )  # fmt: skip
    return open_http(api, options.base_url, options.timeout)


def _write(options: Options, messages: Sequence[Message], *, sandbox: bool) -> Request:
    """multipart/form-data (RFC 7578)."""
    (message,) = messages
    fields = {"to": message.contact.address, "o:tracking": "no", **({"o:testmode": "yes"} if sandbox else {})}
    limit = boundary(message.edition.sha256, message.key)
    lines = [f'--{limit}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in fields.items()]
    lines.append(f'--{limit}\r\nContent-Disposition: form-data; name="message"; filename="message.eml"\r\n')
    lines.append("Content-Type: message/rfc822\r\n\r\n")
    body = b"".join(("".join(lines).encode(), message.as_bytes(), f"\r\n--{limit}--\r\n".encode()))
    url = f"{options.base_url.rstrip('/')}/v3/{options.domain}/messages.mime"
    return Request(url, body, {"Content-Type": f'multipart/form-data; boundary="{limit}"'})


def _read(answer: Answer, messages: Sequence[Message]) -> list[Outcome]:
    if b"Mailgun Magnificent API" in answer.body:  # what its front page says to any POST, with 200
        raise TransportRefused("Mailgun: base_url leads to no API", hint='base_url = "https://api.mailgun.net"')
    found = answer.json()
    return [Outcome(Verdict.ACCEPTED, f"{answer.status} {found['message']}", provider_id=found["id"])]


def _says(answer: Answer) -> Says | None:
    words = str(answer.fields().get("message"))
    about_person = "not a valid address" in words and "to" in words.replace("'", " ").split()
    return Says.PERSON if answer.status == 400 and about_person else None
