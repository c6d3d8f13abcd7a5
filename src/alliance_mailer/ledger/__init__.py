"""The ledger: who is to get an issue, and what became of it, person by person.

At any moment, after any crash: planned = accepted + refused + suppressed + waiting + deferred + unknown. "Finished" is
never set; it is computed.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from ..contact import Contact, Suppression
from ..message import Outcome

KEPT = 20  # rows of a kind that are named to a person

STATES = ("accepted", "refused", "suppressed", "waiting", "deferred", "unknown")


@dataclass(frozen=True, slots=True)
class Sending:
    """Which rows are meant: an issue's sending, or its rehearsal, which stays on this machine and is kept apart."""

    issue: str
    rehearsal: bool


@dataclass(frozen=True, slots=True)
class Delivery:
    """A row of the ledger."""

    id: int
    contact: Contact
    state: str
    attempts: int
    planned_at: datetime  # UTC; becomes the Date field, so that a retry repeats the same bytes
    reply: str = ""


@dataclass(frozen=True, slots=True)
class Planned:
    """What a sending was planned with."""

    edition: str  # SHA-256
    transport: str
    subject: str
    text: str  # with empty gaps, to show what has changed since


@dataclass(slots=True)
class Audience:
    """The lists as they are now, one row an address."""

    people: int = 0  # distinct addresses
    joined: int = 0  # of these, not in the plan yet and to be mailed
    suppressed: int = 0  # not in the plan yet and not to be mailed
    # The first `KEPT` of each, so that two lists of a million with the same people stay flat; all are counted.
    invalid: list[Contact] = field(default_factory=list)
    duplicates: list[tuple[Contact, str]] = field(default_factory=list)  # the row passed over, and the one that won
    mistakes: list[tuple[Contact, list[str]]] = field(default_factory=list)  # who cannot be addressed, and why
    invalid_count: int = 0
    duplicate_count: int = 0
    mistake_count: int = 0


@dataclass(frozen=True, slots=True)
class Tally:
    """How many are in each state."""

    accepted: int = 0
    refused: int = 0
    suppressed: int = 0
    waiting: int = 0
    deferred: int = 0
    unknown: int = 0

    @property
    def planned(self) -> int:
        """All of them."""
        return self.accepted + self.refused + self.suppressed + self.waiting + self.deferred + self.unknown


class Ledger(Protocol):
    """Durable before it returns. Any method may raise TryLater."""

    def hold(self, issue: str) -> AbstractContextManager[None]:
        """Keep every other run off this issue. Raises TryLater when one has it."""

    def suppress(self, suppressions: Iterable[Suppression]) -> None:
        """Addresses that must never be mailed. None is ever taken back."""

    def stage(
        self, sending: Sending, contacts: Iterable[Contact], fields: Iterable[str], mistakes: "Mistakes"
    ) -> Audience:
        """Read the lists, for this connection only: nothing is planned yet. The first row of an address wins."""

    def plan(self, sending: Sending, planned: Planned, now: datetime) -> int:
        """Plan everybody staged who is not in the plan yet; twice is as good as once. Returns how many."""

    def planned(self, sending: Sending) -> Planned | None:
        """What a sending was planned with; None where it was not."""

    def forget(self, sending: Sending) -> None:
        """Delete a plan: a rehearsal, or a sending that nobody has got."""

    def claimed(self, sending: Sending) -> int:
        """How many are claimed: by a living run, or by a dead one before `recover`."""

    def recover(self, sending: Sending, *, repeat: bool) -> int:
        """A dead run's claims become unknown, or waiting where they may be repeated. Only while `hold` is held."""

    def claim(self, sending: Sending, limit: int, now: datetime) -> Sequence[Delivery]:
        """Take rows that are due and not suppressed since."""

    def settle(self, results: Iterable[tuple[Delivery, Outcome]], now: datetime) -> None:
        """Write down what became of claimed rows."""

    def release(self, deliveries: Iterable[Delivery]) -> None:
        """Put claimed rows back as if they had not been tried."""

    def tally(self, sending: Sending) -> Tally:
        """Count."""

    def next_due(self, sending: Sending) -> datetime | None:
        """When the next one may be tried; None where nobody is left."""

    def sendings(self) -> list[Sending]:
        """All that was ever planned."""

    def deliveries(self, sending: Sending, states: Sequence[str]) -> Iterator[Delivery]:
        """The rows in some states, in the order of the plan."""

    def close(self) -> None:
        """Let go."""


class Mistakes(Protocol):
    """Why a contact cannot be addressed; empty when it can."""

    def __call__(self, contact: Contact, /) -> list[str]:
        """One text a mistake."""
