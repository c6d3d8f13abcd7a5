"""Microsoft 365, by Graph's sendMail with a MIME message: the message byte for byte, one a request.

https://learn.microsoft.com/graph/outlook-send-mime-message

- The login is an application's (OAuth 2.0 client credentials, RFC 6749, 4.4): an app registration in Entra with the
  application permission Mail.Send, which an administrator has granted, best for this one mailbox only.
- Exchange takes the message apart and composes it anew: Message-ID and Date are its own (from memory), and so is the
  signature. A copy lies in Sent Items.
- It answers 202 and nothing else: no id. A message has at most 4 MB as base64, hence 3 MB.
- Four requests at once a mailbox, 30 messages a minute, 10,000 recipients a day: `rate = ["30/min", "10000/d"]`.
- There is no idempotency key, and no sandbox.
"""

import base64
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlencode

from ..errors import ConfigError, TransportRefused
from ..message import Message, Outcome, Verdict
from . import Traits
from ._http import Http
from ._http_account import check_account, describe_api, open_http, secret
from ._http_api import Answer, Api, Exchange, Request, Says

LOCAL = False
CONNECTIONS = 2
TRAITS = Traits("Microsoft 365", "bytes", message_id=False, date=False, dkim=False, headers=True, pictures=True)

_LARGEST = 4_000_000
_EARLY = 300.0  # seconds before a token runs out; that is how far Microsoft's clocks and ours may differ


@dataclass(frozen=True, slots=True)
class Options:
    """The keys in mailer.toml."""

    tenant: str  # the directory's ID or domain
    client_id: str  # the application's ID
    client_secret_env: str  # the environment variable that holds the application's client secret
    mailbox: str  # the address that it sends from
    base_url: str = "https://graph.microsoft.com"  # a national cloud's, or another server, for tests
    login_url: str = "https://login.microsoftonline.com"  # where its tokens come from
    timeout: float = 60  # seconds of silence after which an answer is given up


def describe(options: Options, issue: str) -> str:
    """For the line that names the transport."""
    return describe_api("graph", options.base_url).replace(" (", f" {options.mailbox} (")


def check(options: Options, *, project: Path, issue: str, environ: Mapping[str, str]) -> None:
    """Raise ConfigError."""
    check_account(options, environ)
    if not re.fullmatch(r"[A-Za-z0-9.-]+", options.tenant):
        raise ConfigError(f'transport.tenant: found "{options.tenant}"', hint='tenant = "example.org", or its ID')


def connect(options: Options, *, project: Path, issue: str, environ: Mapping[str, str], fresh: bool = False) -> Http:
    """Open it; the token is asked for with the first message. Raises ConfigError, TryLater or TransportRefused."""
    check(options, project=project, issue=issue, environ=environ)
    key = secret(options.client_secret_env, environ)
    secrets = {key}
    api = Api(
        TRAITS.name, TRAITS.batch, _LARGEST, partial(_write, options), _read, _says, secrets=secrets,
        authorize=_authorization(options, key, secrets, time.monotonic),
    )  # fmt: skip
    return open_http(api, options.base_url, options.timeout)


def _authorization(
    options: Options, key: str, secrets: set[str], clock: Callable[[], float]
) -> Callable[[Exchange], Mapping[str, str]]:
    """The Authorization field of a request; a token is kept until shortly before it runs out."""
    held, until = "", 0.0

    def authorize(exchange: Exchange) -> Mapping[str, str]:
        nonlocal held, until
        if clock() >= until:
            held, seconds = _token(options, key, exchange)
            secrets.add(held)
            until = clock() + max(seconds - _EARLY, seconds / 2)
        return {"Authorization": f"Bearer {held}"}

    return authorize


def _token(options: Options, key: str, exchange: Exchange) -> tuple[str, float]:
    """A token, and the seconds that it holds. Raises TransportRefused, and as `exchange`."""
    form = {
        "grant_type": "client_credentials",
        "client_id": options.client_id,
        "client_secret": key,
        "scope": f"{options.base_url.rstrip('/')}/.default",
    }
    url = f"{options.login_url.rstrip('/')}/{options.tenant}/oauth2/v2.0/token"
    answer = exchange(Request(url, urlencode(form).encode(), {"Content-Type": "application/x-www-form-urlencoded"}))
    found = answer.fields()
    try:
        token, seconds = str(found["access_token"]), float(found["expires_in"])
    except (KeyError, TypeError, ValueError):
        words = f"{answer.status} {found.get('error', 'no token')}"  # its description may repeat what we sent
        hint = "look at tenant, client_id and the client secret; secrets run out after two years at the latest"
        raise TransportRefused(f"Microsoft 365 gives us no token: {words}", hint=hint) from None
    return token, seconds


def _write(options: Options, messages: Sequence[Message]) -> Request:
    (message,) = messages
    url = f"{options.base_url.rstrip('/')}/v1.0/users/{quote(options.mailbox, safe='@')}/sendMail"
    return Request(url, base64.b64encode(message.as_bytes()), {"Content-Type": "text/plain"})


def _read(answer: Answer, messages: Sequence[Message]) -> list[Outcome]:
    identity = answer.headers.get("request-id", "")
    return [Outcome(Verdict.ACCEPTED, f"{answer.status} Accepted", provider_id=identity)]


def _says(answer: Answer) -> Says | None:
    error = answer.fields().get("error")
    match error.get("code") if isinstance(error, dict) else None:
        case "ErrorInvalidRecipients":
            return Says.PERSON
        case "ErrorExceededMessageLimit" | "ErrorQuotaExceeded":
            return Says.LIMIT
        case "ErrorMessageSizeExceeded":
            return Says.BIG
    return None
