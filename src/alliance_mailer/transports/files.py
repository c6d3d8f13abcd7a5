"""Messages as `.eml` files, one a person, in `outbox/N/`: a rehearsal, and what every mail program can open.

A file appears whole or not at all, and writing it again changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ..errors import ConfigError, TryLater
from ..message import Message, Outcome, Verdict

LOCAL = True


@dataclass(frozen=True, slots=True)
class Options:
    """The keys in mailer.toml."""

    folder: str = "outbox"  # below the publication's folder


def describe(options: Options, issue: str) -> str:
    """For the line that names the transport."""
    return f"files → {options.folder}/{issue} (nothing leaves this machine)"


def remains(options: Options, project: Path, issue: str) -> bool:
    """Whether what an earlier rehearsal wrote is still there."""
    return any((project / options.folder / issue).glob("*.eml"))


def connect(options: Options, *, project: Path, issue: str, environ: Mapping[str, str], fresh: bool = False) -> "Files":
    """Open it; the folder is made with the first message. `fresh`: what an earlier rehearsal wrote goes.

    Raises ConfigError for a folder outside the publication's.
    """
    folder = project / options.folder / issue
    if not folder.resolve().is_relative_to(project.resolve()) or folder.parent == project:
        raise ConfigError(
            f'transport.folder: found "{options.folder}", expected a folder in the publication',
            hint='folder = "outbox"',
        )
    for left in [*folder.glob("*.eml"), *folder.glob("*.part")] if fresh else ():
        left.unlink()
    return Files(folder)


def file_name(address: str) -> str:
    """A file name for an address: no separator, no leading dot, at most 255 bytes."""
    name = quote(address, safe="@+=_-.'")
    return f"{name if not name.startswith('.') else '%2E' + name[1:]}"[:240] + ".eml"


class Files:
    """Writes each message to a file of its own."""

    batch_size = 1
    repeatable = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        """See the protocol. Raises TryLater where the disk takes nothing."""
        return [self._write(message) for message in batch]

    def _write(self, message: Message) -> Outcome:
        path = self._folder / file_name(message.contact.address)
        draft = path.with_suffix(".part")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(message.as_bytes())
            draft.replace(path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            hint = "make room, then run the same command again: it goes on where it stopped"
            raise TryLater(f"{self._folder.name}/{path.name} cannot be written: {error.strerror}", hint=hint) from None
        return Outcome(Verdict.ACCEPTED, f"written to {path.parent.parent.name}/{path.parent.name}/{path.name}")

    def close(self) -> None:
        """Nothing is held open."""
