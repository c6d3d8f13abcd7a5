"""Transports, the ways out: one file each, named as `use` in mailer.toml names it.

| file                                      | carries a message                                                |
| ----------------------------------------- | ---------------------------------------------------------------- |
| `files`                                   | into a file; nothing leaves this machine                         |
| `smtp`                                    | to a mail server (RFC 5321), with TLS and AUTH                   |
| `ses`, `mailgun`, `postal`, `graph`       | over HTTP, to a provider that takes it byte for byte             |
| `postmark`, `resend`, `brevo`, `sendgrid` | over HTTP, to a provider that takes its fields, many in a request |

A transport's module has `LOCAL` (does nothing leave this machine?), `CONNECTIONS` (how many are good without a word in
mailer.toml), `TRAITS` (what it makes of a message), a frozen dataclass `Options`, whose fields are its keys in
mailer.toml, `describe(options, issue)` for people, `check(options, …)` of what needs no connection, and
`connect(options, …) -> Transport`, with `sandbox` where it has one. A local one has `written` and `where`, too. A file
that begins with an underscore is a part of one.
"""

import importlib
import ipaddress
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from ..edition import Edition
from ..errors import ConfigError, UsageError
from ..message import Message, Outcome


@dataclass(frozen=True, slots=True)
class Traits:
    """What a transport makes of a message on its way, and how it takes them."""

    name: str  # for people
    takes: Literal["bytes", "fields"]  # the message as it was seen, or what it is composed of
    message_id: bool  # is it kept?
    date: bool
    dkim: bool  # does a signature of ours survive?
    headers: bool  # List-Unsubscribe and friends
    pictures: bool  # can they travel inside the mail?
    batch: int = 1  # messages a request, at most
    window: int = 0  # seconds in which the same request is taken once (idempotency key); 0: no key
    sandbox: str = ""  # what keeps a `mailer test --sandbox` from being delivered; empty: nothing does

    @property
    def notes(self) -> list[str]:
        """What a person should know before it is sent."""
        lost = [name for name, kept in (("Message-ID", self.message_id), ("Date", self.date)) if not kept]
        notes = [f"{' and '.join(lost)} will be replaced by {self.name}"] if lost else []
        if self.takes == "fields":
            notes.append(f"{self.name} composes the message itself, from the subject, texts and headers that you saw")
        elif not self.dkim:
            notes.append(f"{self.name} takes the message apart and composes it anew")
        return notes


def refuse_pictures(use: str, edition: Edition) -> None:
    """Raise ConfigError where pictures travel inside the mail, and the transport cannot carry them."""
    traits: Traits = transport_module(use).TRAITS
    if edition.pictures and not traits.pictures:
        raise ConfigError(
            f"{traits.name} carries no pictures inside a mail, and this issue has {len(edition.pictures)}",
            hint='[newsletter] assets_url = "https://…/" links them from a web server instead',
        )


def is_loopback(host: str) -> bool:
    """Whether what is said to it stays on this machine, so that a password may go without TLS."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Transport(Protocol):
    """An open way out: messages in, outcomes out. Where it waits, it waits by `hub.ready` or `hub.apart`."""

    batch_size: int  # how many messages one request carries

    def carry(self, batches: Iterator[Sequence[Message]]) -> Iterator[Outcome]:
        """Send what the batches hold; one outcome a message, in the order in which they were pulled.

        A batch is pulled when the transport can begin with it, which may be before the one in front is answered: one is
        on the wire then, and one is next. An empty batch says: nothing for now, finish what is on the wire and ask
        again. When nothing is on the wire, it says that there was nothing for a while.

        Raises TryLater or TransportRefused. What was pulled and has no outcome yet was surely not taken, then; what is
        in doubt was an Outcome UNKNOWN before. `carry` may be called again.
        """

    def close(self) -> None:
        """Say goodbye. Raises nothing."""


def transport_names() -> list[str]:
    """The files of this folder."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in names if not name.startswith("_"))


def transport_module(use: str) -> Any:
    """The module of a transport, one of `transport_names()`."""
    return importlib.import_module(f"{__name__}.{use}")


def connect(
    use: str,
    options: Any,
    *,
    project: Path,
    issue: str,
    environ: Mapping[str, str],
    fresh: bool = False,
    sandbox: bool = False,
) -> Transport:
    """Open a transport; `fresh` when nothing of this issue was sent through it before, `sandbox` to deliver nothing.

    Raises ConfigError, TransportRefused or TryLater; UsageError for a sandbox where there is none.
    """
    module = transport_module(use)
    if sandbox and not module.TRAITS.sandbox:
        having = [name for name in transport_names() if transport_module(name).TRAITS.sandbox]
        raise UsageError(f"{module.TRAITS.name} has no sandbox", hint=f"these have one: {', '.join(having)}")
    more = {"sandbox": True} if sandbox else {}
    transport: Transport = module.connect(options, project=project, issue=issue, environ=environ, fresh=fresh, **more)
    return transport
