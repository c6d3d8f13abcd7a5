"""Tells the operators: a ping to a heartbeat URL, a mail through the transport, JSON to a webhook.

Nothing here raises: what cannot be told must not stop a sending. Each function returns what went wrong, for a person.
"""

import contextlib
import html
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from .config import Config, TransportConfig
from .contact import Contact
from .edition import compile_edition
from .errors import MailerError
from .message import Verdict, address
from .render import Rendered
from .signing import signing_key
from .slots import Markers
from .transports import connect
from .unsubscribe import keyed

_PATIENCE = 10  # seconds; a sending waits for this


def ping(url: str, what: Literal["start", "success", "fail"]) -> str:
    """As healthchecks.io and its kin have it: the URL itself is success, /start and /fail are appended."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/") + ("" if what == "success" else f"/{what}")
    return _http("GET", urlunsplit(parts._replace(path=path)), None)


def post(url: str, document: Mapping[str, object]) -> str:
    """A JSON document to a webhook; `text` is what a chat shows."""
    return _http("POST", url, document)


def _http(method: str, url: str, document: Mapping[str, object] | None) -> str:
    import httpx  # 60 ms, and only who has a URL needs it

    place = urlsplit(url).netloc.rpartition("@")[2]  # the path of a webhook is a secret
    try:
        answer = httpx.request(method, url, json=document, timeout=_PATIENCE, follow_redirects=False)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as error:
        return f"{place} cannot be reached: {str(error).replace(url, place) or type(error).__name__}"
    return "" if answer.is_success else f"{place} answers {answer.status_code} {answer.reason_phrase}".strip()


def mail(
    project: Path, config: Config, chosen: TransportConfig, to: Sequence[str], subject: str, text: str, at: datetime
) -> str:
    """A message of its own to each address, through the transport that carries the issues."""
    place = "reports"
    try:
        page = f"<!doctype html><html><body><pre>{html.escape(text)}</pre></body></html>"
        rendered = Rendered(" ".join(subject.split()), page, text, Markers("report"), ())
        edition = compile_edition(rendered, config.publication, place, "")
        key = signing_key(project, config.secret_env, os.environ)
        date = at.astimezone(config.publication.timezone)
        messages = [address(edition, Contact(each), date=date, key=key) for each in to]
        messages = [replace(m, key=keyed(key, "report", m.contact.address, subject, at.isoformat())) for m in messages]
        opened = connect(chosen.use, chosen.options, project=project, issue=place, environ=os.environ)
        with contextlib.closing(opened):
            outcomes = list(opened.carry(iter([[message] for message in messages])))
    except MailerError as error:
        return f"the report to {', '.join(to)} was not sent: {error}"
    refused = [
        f"{person}: {outcome.reply}"
        for person, outcome in zip(to, outcomes, strict=False)
        if outcome.verdict is not Verdict.ACCEPTED
    ]
    return f"the report was not taken: {'; '.join(refused)}" if refused else ""
