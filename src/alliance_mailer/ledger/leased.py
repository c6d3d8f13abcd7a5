"""A worker's ledger: what it claims is its own as long as its lease lives, which a heartbeat renews.

A worker that dies renews nothing: its lease ends, and what was on its wires becomes unknown. A worker that cannot reach
the database gives nothing more to its connections from `_MARGIN` before that moment; it tries to get back until then.
"""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from threading import Event, Thread
from typing import Any, TypeVar

from ..errors import TryLater
from . import Delivery, KeyedRequest, Sending, Settled
from .database import SQL as _SQL
from .database import VERSION, connect, lock_number, prepare, translated
from .postgres import PostgresLedger
from .rows import queries

SQL = {**_SQL, **queries(__file__)}

TERM = 15.0  # seconds that a lease lives; so long at most after a worker's death somebody waits for what it had
_BEAT = 3.0  # seconds between renewals
_MARGIN = 5.0  # seconds before the lease's end, by our own clock, from which nothing more is begun
_AGAIN = 0.5  # seconds between attempts to reach the database

T = TypeVar("T")


def worker_name() -> str:
    """Machine and process, for people."""
    return f"{socket.gethostname()}:{os.getpid()}"


class LeasedLedger(PostgresLedger):
    """A ledger for one job of a worker. Raises TryLater where the lease cannot be had, or is lost."""

    _sql = SQL

    def __init__(self, url: str, sending: Sending, connections: int) -> None:
        db = connect(url)
        super().__init__(db, url)
        self._sending = sending
        self._which = {"issue": sending.issue, "rehearsal": sending.rehearsal}
        self._known = set[int]()  # claimed, and neither settled nor released
        self._alive_until = time.monotonic() + TERM - _MARGIN
        self._closing = Event()
        self.lost = False
        self.stopped = ""  # why the whole sending is, as the last heartbeat heard
        with contextlib.ExitStack() as on_error:
            on_error.callback(db.close)
            with translated(url):
                prepare(db)
                db.execute(SQL["join"], (lock_number(f"issue {sending.issue}"),))
                about = {"worker": worker_name(), "connections": connections, "term": TERM, "program": VERSION}
                self.lease = (db.execute(SQL["begin_lease"], {**self._which, **about}).fetchone() or (None,))[0]
                if self.lease is None:
                    prepare(db)  # says why
            self._heart = Thread(target=self._beat, daemon=True)
            self._heart.start()
            on_error.pop_all()

    @property
    def is_ours(self) -> bool:
        """Whether what was claimed may still be begun with."""
        return not self.lost and time.monotonic() < self._alive_until

    def exchange(
        self, sending: Sending, settled: Sequence[Settled], limit: int, now: datetime, **more: Any
    ) -> list[Delivery]:
        """See the protocol. Where the connection is lost, once more over another."""
        rows = self._insist(lambda: super(LeasedLedger, self).exchange(sending, settled, limit, now, **more))
        self._known.difference_update(each.delivery.id for each in settled)
        self._known.update(row.id for row in rows)
        return rows

    def release(self, deliveries: Iterable[Delivery]) -> None:
        """See the protocol."""
        rows = list(deliveries)
        self._insist(lambda: super(LeasedLedger, self).release(rows))
        self._known.difference_update(row.id for row in rows)

    def repeatable(self, sending: Sending, transport: str, since: datetime) -> list[KeyedRequest]:
        """See the protocol. Those that no living worker asks about; from now on nobody else does."""
        with translated(self._url), self._db.transaction():
            self._lock(f"doubts {sending.issue}")
            found = super().repeatable(sending, transport, since)
            ids = [row.id for request in found for row in request.deliveries]
            ours = {number for (number,) in self._rows("ask_about", {"lease": self.lease, "ids": ids})}
        return [
            request for request in found if all(row.id in ours for row in request.deliveries if row.state == "unknown")
        ]

    def next_due(self, sending: Sending) -> datetime | None:
        """See the protocol."""
        return self._insist(lambda: super(LeasedLedger, self).next_due(sending))

    # The lease ------------------------------------------------------------------------------------------------------

    def _insist(self, step: Callable[[], T]) -> T:
        while True:
            try:
                return step()
            except TryLater:
                self._reconnect()

    def _reconnect(self) -> None:
        """Raises TryLater once the lease may have ended."""
        self._db.close()
        while self.is_ours:
            try:
                self._db = connect(self._url)
                with translated(self._url):
                    self._db.execute(SQL["join"], (lock_number(f"issue {self._sending.issue}"),))
                    self._db.execute(SQL["strays"], {**self._which, "lease": self.lease, "known": list(self._known)})
            except TryLater:
                self._db.close()
                self._closing.wait(_AGAIN)
            else:
                return
        raise TryLater(f"the ledger {self._url} could not be reached before the lease ended")

    def _beat(self) -> None:
        """The heartbeat, over a connection of its own."""
        db = None
        while not self._closing.wait(_BEAT if db else 0):
            began = time.monotonic()
            try:
                db = db or connect(self._url)
                with translated(self._url):
                    row = db.execute(SQL["renew_lease"], {"lease": self.lease, "term": TERM}).fetchone()
            except TryLater:
                if db:
                    db.close()
                db = None
                self._closing.wait(_AGAIN)
                continue
            if row is None:
                self.lost = True
                break
            self._alive_until, self.stopped = began + TERM - _MARGIN, row[0] or ""
        if db:
            db.close()

    def close(self) -> None:
        """End the lease; what is still claimed is in doubt. Without the database it ends by itself."""
        self._closing.set()
        self._heart.join()
        if not self._db.closed:
            with contextlib.suppress(TryLater), translated(self._url), self._db.transaction():
                self._db.execute(SQL["end_lease"], (self.lease,))
                self._db.execute(SQL["recover_leased"])
        self._db.close()
