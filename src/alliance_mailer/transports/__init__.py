"""Transports, the ways out: one file each, named as `use` in mailer.toml names it.

| file    | carries a message                                                          |
| ------- | -------------------------------------------------------------------------- |
| `files` | into a file; nothing leaves this machine                                    |
| `smtp`  | to a mail server (RFC 5321), with TLS and AUTH                              |

A transport's module has `LOCAL` (does nothing leave this machine?), `CONNECTIONS` (how many are good without a word in
mailer.toml), a frozen dataclass `Options`, whose fields are its keys in mailer.toml, `describe(options, issue)` for
people, `check(options, …)` of what needs no connection, and `connect(options, …) -> Transport`. A local one has
`written` and `where`, too. A file that begins with an underscore is a part of one.
"""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ..message import Message, Outcome


class Transport(Protocol):
    """An open way out: messages in, outcomes out. It belongs to one thread."""

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
    use: str, options: Any, *, project: Path, issue: str, environ: Mapping[str, str], fresh: bool = False
) -> Transport:
    """Open a transport; `fresh` when nothing of this issue was sent through it before.

    Raises ConfigError, TransportRefused or TryLater.
    """
    module = transport_module(use)
    transport: Transport = module.connect(options, project=project, issue=issue, environ=environ, fresh=fresh)
    return transport
