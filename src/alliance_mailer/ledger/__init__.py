"""The ledger: who is to get an issue, and what became of it, person by person.

At any moment, after any crash: planned = accepted + refused + suppressed + waiting + deferred + unknown. "Finished" is
never set; it is computed.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from ..contact import Contact, Suppression
from ..errors import ConfigError
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
    due: int = 0  # seconds since 1970; not before
    tried_at: datetime | None = None  # UTC; when it was claimed for the first time
    settled_at: datetime | None = None  # UTC
    provider_id: str = ""
    left: bool = False  # unknown, and a person said to leave it so


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a claimed row."""

    delivery: Delivery
    outcome: Outcome
    due: int = 0  # seconds since 1970; for a deferred one


@dataclass(frozen=True, slots=True)
class Keyed:
    """How claimed rows become requests with an idempotency key, which are remembered as they are."""

    transport: str  # whose key it is, as people know it
    size: int  # rows a request
    key: Callable[[Sequence[Delivery]], str]


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request in doubt that may go again unchanged: its rows in their order; some may be settled."""

    key: str
    deliveries: tuple[Delivery, ...]

    @property
    def in_doubt(self) -> int:
        """How many are."""
        return sum(delivery.state == "unknown" for delivery in self.deliveries)


@dataclass(frozen=True, slots=True)
class Spent:
    """So many messages went to a transport in a second; `domain` where domains have a rate, else empty."""

    transport: str
    domain: str
    second: int  # since 1970
    count: int


@dataclass(frozen=True, slots=True)
class Planned:
    """What a sending was planned with."""

    edition: str  # SHA-256
    transport: str
    subject: str
    text: str  # with empty gaps, to show what has changed since
    lists_sha256: str = ""  # as long as the lists are the same, nobody joined


@dataclass(slots=True)
class Audience:
    """The lists as they are now, one row an address."""

    people: int = 0  # distinct addresses
    joined: int = 0  # of these, not in the plan yet and to be mailed
    suppressed: int = 0  # not in the plan yet and not to be mailed
    lists_sha256: str = ""
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

    waits: bool  # for a network, or until a disk has it: then the connections go on meanwhile

    def hold(self, issue: str) -> AbstractContextManager[None]:
        """Keep every other run off this issue. Raises IssueHeld when one has it."""

    def is_held(self, issue: str) -> bool:
        """Whether a living run has this issue: its claims are on their way."""

    def suppress(self, suppressions: Iterable[Suppression]) -> None:
        """Addresses that must never be mailed. None is ever taken back."""

    def suppressions(self) -> Iterator[Suppression]:
        """All of them, by address."""

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

    def exchange(
        self,
        sending: Sending,
        settled: Sequence[Settled],
        limit: int,
        now: datetime,
        *,
        put_off: Callable[[Delivery], int] | None = None,
        spent: Sequence[Spent] = (),
        keyed: Keyed | None = None,
    ) -> list[Delivery]:
        """One transaction: write down what became of claimed rows, and claim up to `limit` others that are due.

        Where requests are `keyed`, each run of `size` rows, and the rest, is remembered as one, for `repeatable`; and a
        settled row may be one of `repeatable`, too.

        Who was suppressed since the plan is not claimed, and a hard bounce suppresses. `put_off` is asked with each row
        as it would be claimed: 0, or the second (since 1970) before which it is not to be tried; it may add to `spent`,
        which is then remembered for `spent_since`.
        """

    def release(self, deliveries: Iterable[Delivery]) -> None:
        """Put claimed rows back as if they had not been tried."""

    def repeatable(self, sending: Sending, transport: str, since: datetime) -> list[KeyedRequest]:
        """The requests in doubt that a transport was sent since then, oldest first.

        Only whole ones, none of whose rows was put off, planned again, left as it is, or suppressed since.
        """

    def tally(self, sending: Sending) -> Tally:
        """Count."""

    def spent_since(self, transport: str, second: int) -> list[Spent]:
        """What `exchange` was told to remember of a transport since then; older ones are forgotten."""

    def share_rate(self, room: Callable[[list[Spent], float], int | None]) -> None:
        """From now on `exchange` claims only as many as `room` says, None for any number.

        It is told, within the transaction, what others have spent of the transport since `spent_since`, and what time
        it is (seconds since 1970).
        """

    def next_due(self, sending: Sending) -> datetime | None:
        """When the next one may be tried; None where nobody is left."""

    def sendings(self) -> list[Sending]:
        """All that was ever planned."""

    def deliveries(self, sending: Sending, states: Sequence[str]) -> Iterator[Delivery]:
        """The rows in some states, in the order of the plan; a living run's claims are in state sending."""

    def story(self, address: str) -> list[tuple[Sending, Delivery]]:
        """Every row of an address, oldest first."""

    def people(self, sending: Sending, prefix: str = "") -> Iterator[tuple[str, str, str]]:
        """(address, state, reply) of every row whose address begins so, in no order: a million a second."""

    def resolve(self, sending: Sending, *, resend: bool, addresses: Iterable[str] | None = None) -> int:
        """A person's word on what is unknown: waiting again, or left as it is, as `left` counts. Returns how many.

        On all that nobody has decided yet, or on these addresses, whatever was said of them before.
        """

    def left(self, sending: Sending) -> int:
        """How many of the unknown a person has left as they are."""

    def rename(self, address: str, pseudonym: str) -> int:
        """Forget a person: in each row the pseudonym replaces address and fields; what waits is suppressed."""

    def overwrite(self, sending: Sending, rows: Iterable[tuple[str, str, str]]) -> int:
        """Rows become (address, state, reply): what a receipt knows better. Returns how many changed.

        An accepted or refused row stays so, and a suppressed one where nothing else has become of it.
        """

    def add_serial(self, issue: str, serial: str) -> None:
        """Remember that a receipt with this serial was written from here."""

    def has_serial(self, issue: str, serial: str) -> bool:
        """Whether a receipt was written from here: otherwise this ledger is older than it, or another one."""

    def damage(self) -> list[str]:
        """What is wrong with the ledger's store itself; empty when it is sound."""

    def close(self) -> None:
        """Let go."""


class Mistakes(Protocol):
    """Why a contact cannot be addressed; empty when it can."""

    def __call__(self, contact: Contact, /) -> list[str]:
        """One text a mistake."""


def open_ledger(
    store: Path | str, *, dry_run: bool = False, durability: Literal["process", "power"] = "process"
) -> Ledger:
    """Open or make a ledger: SQLite's file, or a postgresql:// URL. For a dry run nothing of what is written stays.

    Raises ConfigError and TryLater, as sqlite.py and postgres.py say.
    """
    if isinstance(store, Path):
        from . import sqlite

        return sqlite.open_ledger(store, dry_run=dry_run, durability=durability)
    require_postgres()
    from . import postgres

    return postgres.open_ledger(store, dry_run=dry_run)


def require_postgres() -> None:
    """Raise ConfigError where the packages for a postgresql:// ledger are not installed."""
    try:
        import procrastinate  # noqa: F401
        import psycopg  # noqa: F401
    except ImportError:
        message = "a postgresql:// ledger needs packages that are not installed"
        raise ConfigError(message, hint='pip install "alliance-mailer[cluster]"') from None


def is_there(store: Path | str) -> bool:
    """Whether there may be a ledger: a database is taken to have one."""
    return isinstance(store, str) or store.exists()


def read_ledger(store: Path | str) -> Ledger:
    """Open a ledger to look into it: a file that is not there is not made. Raises as `open_ledger`."""
    return open_ledger(store, dry_run=not is_there(store))
