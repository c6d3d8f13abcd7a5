"""Messages as `.eml` files, one a person, in `outbox/N/`: a rehearsal, and what every mail program can open.

A file appears whole or not at all, and writing it again changes nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from ..disk import write_atomically
from ..errors import ConfigError, TryLater
from ..message import Message, Outcome, Verdict
from . import Traits

LOCAL = True
CONNECTIONS = 1
TRAITS = Traits("files", "bytes", message_id=True, date=True, dkim=True, headers=True, pictures=True)


@dataclass(frozen=True, slots=True)
class Options:
    """The keys in mailer.toml."""

    folder: str = "outbox"  # below the publication's folder


def describe(options: Options, issue: str) -> str:
    """For the line that names the transport."""
    return f"files → {where(options, issue)} (nothing leaves this machine)"


def where(options: Options, issue: str) -> str:
    """What to open, to look at them."""
    return f"{options.folder}/{issue}"


def written(options: Options, project: Path, issue: str) -> int:
    """How many messages of an earlier rehearsal are still there."""
    return sum(1 for _ in (project / options.folder / issue).glob("*.eml"))


def check(options: Options, *, project: Path, issue: str, environ: Mapping[str, str]) -> None:
    """Raise ConfigError for a folder outside the publication's."""
    root, outbox = project.resolve(), (project / options.folder).resolve()
    if outbox == root or not (outbox / issue).resolve().is_relative_to(root):
        raise ConfigError(
            f'transport.folder: found "{options.folder}", expected a folder in the publication',
            hint='folder = "outbox"',
        )


def connect(options: Options, *, project: Path, issue: str, environ: Mapping[str, str], fresh: bool = False) -> "Files":
    """Open it; the folder is made with the first message. `fresh`: what an earlier rehearsal wrote goes.

    Raises ConfigError as `check` does.
    """
    check(options, project=project, issue=issue, environ=environ)
    folder = project / options.folder / issue
    try:
        for left in [*folder.glob("*.eml"), *folder.glob("*.part")] if fresh else ():
            left.unlink()
    except OSError as error:
        raise TryLater(f"{where(options, issue)} cannot be emptied: {error.strerror}") from None
    return Files(folder, where(options, issue))


def file_name(address: str) -> str:
    """A file name for an address: no separator, no leading dot, at most 255 bytes, and nobody else's."""
    name = quote(address, safe="@+=_-.'")
    if name.startswith("."):
        name = f"%2E{name[1:]}"
    if len(name) > 240:
        name = f"{name[:200]}~{sha256(address.encode()).hexdigest()[:16]}"
    return f"{name}.eml"


class Files:
    """Writes each message to a file of its own."""

    batch_size = 1

    def __init__(self, folder: Path, shown: str) -> None:
        self._folder, self._shown = folder, shown

    def carry(self, batches: Iterator[Sequence[Message]]) -> Iterator[Outcome]:
        """See the protocol. Raises TryLater where the disk takes nothing."""
        for batch in batches:
            yield from map(self._write, batch)

    def _write(self, message: Message) -> Outcome:
        path = self._folder / file_name(message.contact.address)
        try:
            write_atomically(path, message.as_bytes())
        except TryLater as error:
            hint = "mend that, then run the same command again: it goes on where it stopped"
            raise TryLater(str(error), hint=hint) from None
        return Outcome(Verdict.ACCEPTED, f"written to {self._shown}/{path.name}")

    def close(self) -> None:
        """Nothing is held open."""
