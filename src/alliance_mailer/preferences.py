"""What a publication asks of the checks: which mail programs, which words, which findings are known. Plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date


@dataclass(frozen=True, slots=True)
class Ignore:
    """A rule whose findings are known: why, and until when."""

    rule: str
    reason: str
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Preferences:
    """[check] of mailer.toml."""

    clients: tuple[str, ...] = ("apple-mail.*", "gmail.*", "outlook.*")
    ignore: tuple[Ignore, ...] = ()
    terms: Mapping[str, str] = field(default_factory=dict)  # as it should not be written, and as it should
    acronyms: tuple[str, ...] = ()  # that every reader knows


NONE = Preferences()
