"""Amazon SES, by its v2 API: the message byte for byte, one a request.

https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html

- `pip install 'alliance-mailer[ses]'`: botocore signs the requests and finds the credentials, in the environment, the
  shared configuration (`profile`), a container's or an instance's role. They need `ses:SendRawEmail`.
- Message-ID and Date are replaced by SES. A DKIM signature of ours survives where it leaves both out.
- SES keeps no queue for who is too fast: above the account's rate it answers 429. In the sandbox of a new account that
  is 1 a second and 200 a day, to verified addresses: `rate = ["1/s", "200/d"]`.
- An address on the account's suppression list is accepted, and dropped. Addresses have no non-ASCII letters before the
  @. A message has at most 40 MB. There is no idempotency key.
- `mailer test --sandbox` sends to the simulator, success@simulator.amazonses.com.
"""

import base64
import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import ConfigError, TransportRefused
from ..message import Message, Outcome, Verdict
from . import Traits
from ._http import Http
from ._http_account import check_account, describe_api, open_http
from ._http_api import Answer, Api, Request, Says, ascii_only

LOCAL = False
CONNECTIONS = 5
TRAITS = Traits(
    "Amazon SES", "bytes", message_id=False, date=False, dkim=True, headers=True, pictures=True,
    sandbox="the recipient success@simulator.amazonses.com",
)  # fmt: skip

_LARGEST = 56_000_000  # 40 MB of message are so much base64
_SIMULATOR = "success@simulator.amazonses.com"
# What a BadRequestException says of an address; SES gives it no code of its own.
_ADDRESS = re.compile(
    r"(?i)(missing final '@domain'|(local|domain|user ?name|address) [\w ]*(contains|starts|ends|is missing|too long)|"
    r"illegal address|invalid (email )?address)"
)


@dataclass(frozen=True, slots=True)
class Options:
    """The keys in mailer.toml."""

    region: str  # where the domain is verified, such as eu-west-1
    profile: str = ""  # of the shared AWS configuration; empty: the default one
    configuration_set: str = ""  # a configuration set of the account
    base_url: str = ""  # another server, for tests; empty: the region's
    timeout: float = 60  # seconds of silence after which an answer is given up


def describe(options: Options, issue: str) -> str:
    """For the line that names the transport."""
    return describe_api("ses", _base_url(options))


def _base_url(options: Options) -> str:
    return options.base_url.rstrip("/") or f"https://email.{options.region}.amazonaws.com"


def check(options: Options, *, project: Path, issue: str, environ: Mapping[str, str]) -> None:
    """Raise ConfigError. The credentials are not looked for: an instance's role takes seconds where there is none."""
    if not re.fullmatch(r"[a-z0-9-]+", options.region):
        raise ConfigError(f'transport.region: found "{options.region}"', hint='region = "eu-west-1"')
    if find_spec("botocore") is None:
        raise ConfigError("Amazon SES needs botocore", hint="pip install 'alliance-mailer[ses]'")
    check_account(_Checked(_base_url(options), options.timeout), environ)


@dataclass(frozen=True, slots=True)
class _Checked:
    base_url: str
    timeout: float


def connect(
    options: Options,
    *,
    project: Path,
    issue: str,
    environ: Mapping[str, str],
    fresh: bool = False,
    sandbox: bool = False,
) -> Http:
    """Open it. Raises ConfigError, TryLater, or TransportRefused, also where there are no credentials."""
    check(options, project=project, issue=issue, environ=environ)
    secrets: set[str] = set()
    api = Api(
        TRAITS.name, TRAITS.batch, _LARGEST, partial(_write, options, _signer(options, secrets), sandbox=sandbox),
        _read, _says, ascii_only, secrets=secrets,
    )  # fmt: skip
    return open_http(api, _base_url(options), options.timeout)


Signer = Callable[[str, bytes], dict[str, str]]


def _signer(options: Options, secrets: set[str]) -> Signer:
    """What signs a POST (Signature Version 4). Credentials that run out are renewed by botocore, in time."""
    logging.getLogger("botocore").setLevel(logging.WARNING)  # at DEBUG it logs what it signs, session token and all
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    refusal = "Amazon SES: no credentials are found: {}"
    hint = "export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…, or name a profile"
    try:
        credentials = Session(profile=options.profile or None).get_credentials()
    except BotoCoreError as error:
        raise TransportRefused(refusal.format(error), hint=hint) from None
    if credentials is None:
        raise TransportRefused(refusal.format("not in the environment, the configuration or a role"), hint=hint)

    def sign(url: str, body: bytes) -> dict[str, str]:
        try:
            frozen = credentials.get_frozen_credentials()
        except BotoCoreError as error:
            raise TransportRefused(refusal.format(error), hint=hint) from None
        secrets.update(each for each in (frozen.secret_key, frozen.token) if each)
        request = AWSRequest("POST", url, data=body, headers={"Content-Type": "application/json"})
        SigV4Auth(frozen, "ses", options.region).add_auth(request)
        return dict(request.headers.items())

    return sign


def _write(options: Options, sign: Signer, messages: Sequence[Message], *, sandbox: bool) -> Request:
    (message,) = messages
    fields: dict[str, Any] = {"Destination": {"ToAddresses": [_SIMULATOR if sandbox else message.contact.address]}}
    if options.configuration_set:
        fields["ConfigurationSetName"] = options.configuration_set
    # Not through `json.dumps`: looking at each character of the base64 takes four times as long as making it.
    raw = base64.b64encode(message.as_bytes())
    body = b'%b, "Content": {"Raw": {"Data": "%b"}}}' % (json.dumps(fields)[:-1].encode(), raw)
    url = f"{_base_url(options)}/v2/email/outbound-emails"
    return Request(url, body, sign(url, body))


def _read(answer: Answer, messages: Sequence[Message]) -> list[Outcome]:
    identity = answer.json()["MessageId"]
    return [Outcome(Verdict.ACCEPTED, f"{answer.status} {identity}", provider_id=identity)]


def _says(answer: Answer) -> Says | None:
    error = answer.fields()
    kind = answer.headers.get("x-amzn-errortype") or str(error.get("__type", ""))
    kind = kind.partition(":")[0].rpartition("#")[2]
    words = str(error.get("message") or error.get("Message"))
    match kind:
        case "TooManyRequestsException":
            return Says.LATER
        case "LimitExceededException":
            return Says.LIMIT
        case "BadRequestException" if _ADDRESS.search(words):
            return Says.PERSON
    return None
