"""What workers are to do: which sendings, with which compiled edition, through what, and why one is stopped."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256

from ..errors import TryLater
from . import Sending, leased
from .database import Connection, translated
from .leased import SQL
from .postgres import PostgresLedger

SHARE = 50_000  # messages after which a job ends, and another sending has its turn


@dataclass(frozen=True, slots=True)
class Order:
    """A sending that was handed over to the workers."""

    issue: str
    rehearsal: bool
    edition: str  # SHA-256
    content: str  # SHA-256 of the compiled edition's bytes
    transport: str  # its name in mailer.toml
    signer: str  # a hash of the key that signs
    stopped: str = ""  # why; empty: it goes on
    not_before: float = 0.0  # seconds since 1970: the rate is used up till then

    @property
    def sending(self) -> Sending:
        """Which rows."""
        return Sending(self.issue, self.rehearsal)


class Orders:
    """The orders, over a ledger's connection: in one transaction with what it writes, where one is open."""

    def __init__(self, ledger: PostgresLedger) -> None:
        self._db: Connection = ledger.connection

    def give(self, order: Order, content: bytes) -> None:
        """Hand a sending over, or over again: it is no longer stopped then."""
        with translated("ledger"):
            self._db.execute(SQL["add_content"], (order.content, content))
            self._db.execute(SQL["hand_over"], asdict(order))
            self._db.execute(SQL["forget_contents"])

    def of(self, sending: Sending) -> Order | None:
        """The order; None where it was not handed over."""
        with translated("ledger"):
            row = self._db.execute(SQL["orders"], (sending.issue, sending.rehearsal)).fetchone()
        return Order(*row) if row else None

    def content(self, digest: str) -> bytes:
        """The bytes of a compiled edition. Raises TryLater where they are not what they were."""
        with translated("ledger"):
            row = self._db.execute(SQL["content"], (digest,)).fetchone()
        data = bytes(row[0]) if row else b""
        if sha256(data).hexdigest() != digest:
            what = "is not in the ledger" if row is None else "is not what was put into the ledger"
            raise TryLater(f"the compiled edition {digest[:12]} {what}", hint="mailer send hands it over again")
        return data

    def stop(self, sending: Sending, reason: str) -> bool:
        """Nobody goes on with it until it is handed over again. Whether it was not stopped before."""
        values: Mapping[str, object] = {**asdict(sending), "reason": reason or "stopped"}
        with translated("ledger"):
            return self._db.execute(SQL["stop"], values).rowcount > 0

    def wait_until(self, sending: Sending, second: float) -> None:
        """Nobody goes on with it before that second (since 1970)."""
        with translated("ledger"):
            self._db.execute(SQL["wait_until"], {**asdict(sending), "second": second})

    def end_dead_leases(self) -> Counter[Sending]:
        """What dead workers had claimed becomes unknown. Returns how many rows of each sending."""
        with translated("ledger"), self._db.transaction():
            self._db.execute(SQL["end_dead_leases"], (leased.TERM,))
            rows = self._db.execute(SQL["recover_leased"]).fetchall()
        return Counter(Sending(issue, rehearsal) for issue, rehearsal in rows)

    def open(self, enough: int) -> Iterator[tuple[Sending, int]]:
        """The sendings that somebody could go on with now, and with how many people, `enough` at most."""
        with translated("ledger"):
            rows = self._db.execute(SQL["open_sendings"], (enough,)).fetchall()
        yield from ((Sending(issue, rehearsal), count) for issue, rehearsal, count in rows if count)

    def current(self) -> list[Sending]:
        """The sendings of whom somebody is left, and the last one."""
        with translated("ledger"):
            rows = self._db.execute(SQL["current"]).fetchall()
        return [Sending(issue, rehearsal) for issue, rehearsal in rows]

    def workers(self) -> list[tuple[str, str, int, float]]:
        """Who is at it: name, issue, connections, seconds that the lease still lives."""
        with translated("ledger"):
            rows = self._db.execute(SQL["workers"]).fetchall()
        return [(name, issue, connections, seconds) for name, issue, connections, seconds in rows]

    def lag(self) -> float:
        """Seconds that the one waits who has waited longest."""
        with translated("ledger"):
            return float((self._db.execute(SQL["lag"]).fetchone() or (0.0,))[0])
