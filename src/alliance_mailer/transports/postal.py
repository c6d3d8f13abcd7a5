"""Postal, the mail server that one runs oneself, by send/raw: the message byte for byte, one a request.

https://docs.postalserver.io/developer/api

- Message-ID and Date stay, and the envelope is ours, so that bounces come back to the sender.
- It always answers 200; what became of it stands in `status`.
- There is no idempotency key, and no sandbox; a server in Postal's development mode holds what it gets.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..message import Message, Outcome, Verdict
from . import Traits
from ._http import Http
from ._http_account import check_account, describe_api, open_http, secret
from ._http_api import Answer, Api, Request

LOCAL = False
CONNECTIONS = 5
TRAITS = Traits("Postal", "bytes", message_id=True, date=True, dkim=True, headers=True, pictures=True)

_LARGEST = 40_000_000  # ours; Postal's own is a setting of the server


@dataclass(frozen=True, slots=True)
class Options:
    """The keys in mailer.toml."""

    api_key_env: str  # the environment variable that holds an API credential of the server
    base_url: str  # of the installation, such as https://postal.example.org
    timeout: float = 60  # seconds of silence after which an answer is given up


def describe(options: Options, issue: str) -> str:
    """For the line that names the transport."""
    return describe_api("postal", options.base_url)


def check(options: Options, *, project: Path, issue: str, environ: Mapping[str, str]) -> None:
    """Raise ConfigError."""
    check_account(options, environ)


def connect(options: Options, *, project: Path, issue: str, environ: Mapping[str, str], fresh: bool = False) -> Http:
    """Open it. Raises ConfigError, TryLater or TransportRefused."""
    check(options, project=project, issue=issue, environ=environ)
    key = secret(options.api_key_env, environ)
    api = Api(
        TRAITS.name, TRAITS.batch, _LARGEST, partial(_write, options), _read,
        headers={"X-Server-API-Key": key}, secrets={key},
    )  # fmt: skip
    return open_http(api, options.base_url, options.timeout)


def _write(options: Options, messages: Sequence[Message]) -> Request:
    (message,) = messages
    envelope = message.envelope
    fields = json.dumps({"rcpt_to": [envelope.rcpt_to], "mail_from": envelope.mail_from})
    # Not through `json.dumps`: looking at each character of the base64 takes four times as long as making it.
    body = b'%b, "data": "%b"}' % (fields[:-1].encode(), base64.b64encode(message.as_bytes()))
    url = f"{options.base_url.rstrip('/')}/api/v1/send/raw"
    return Request(url, body, {"Content-Type": "application/json"})


def _read(answer: Answer, messages: Sequence[Message]) -> list[Outcome]:
    found = answer.json()
    data = found["data"]
    if found["status"] != "success":  # none of its codes is about a recipient: they are checked when it is delivered
        words = f"{data.get('code', found['status'])} {data['message']}"
        return [Outcome(Verdict.DEFERRED, words, about_us=True)]
    (taken,) = data["messages"].values()
    return [Outcome(Verdict.ACCEPTED, f"{answer.status} {found['status']}", provider_id=str(taken["id"]))]
