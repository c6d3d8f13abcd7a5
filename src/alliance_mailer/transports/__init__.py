"""Transports, the ways out: one file each, named as `use` in mailer.toml names it.

| file    | carries a message                                                          |
| ------- | -------------------------------------------------------------------------- |
| `files` | into a file; nothing leaves this machine                                    |
| `smtp`  | to a mail server (RFC 5321), with TLS and AUTH                              |

A transport's module has `LOCAL` (does nothing leave this machine?), a frozen dataclass `Options`, whose fields are its
keys in mailer.toml, `describe(options, issue)` for people, `check(options, …)` of what needs no connection, and
`connect(options, …) -> Transport`. A local one has `written` and `where`, too.
"""

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ..message import Message, Outcome


class Transport(Protocol):
    """An open way out. It belongs to one thread."""

    batch_size: int  # how many messages one request carries
    repeatable: bool  # may the same message be sent again without harm?

    def send(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        """One outcome a message, in order.

        Raises TryLater or TransportRefused only when *no* message of the batch was taken; what is in doubt is an
        Outcome UNKNOWN. Exceptions stop a run, outcomes settle a delivery.
        """

    def close(self) -> None:
        """Say goodbye. Raises nothing."""


def transport_names() -> list[str]:
    """The files of this folder."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def transport_module(use: str) -> Any:
    """The module of a transport, one of `transport_names()`."""
    return importlib.import_module(f"{__name__}.{use}")


def connect(
    use: str, options: Any, *, project: Path, issue: str, environ: Mapping[str, str], fresh: bool = False
) -> Transport:
    """Open a transport; `fresh` when nothing of this issue was sent through it before.

    Raises ConfigError, TransportRefused or TryLater.
    """
    module = transport_module(use)
    transport: Transport = module.connect(options, project=project, issue=issue, environ=environ, fresh=fresh)
    return transport
