"""The ledger in PostgreSQL: for lists that outgrow one machine, and for folders that SQLite cannot trust.

The protocol's one-machine rules hold as in SQLite: who holds an issue is its only run. Many machines at once, with
leases, are in leased.py. A commit is on the server's disk before a method returns, whatever `durability` says: a
server that fails would forget claims otherwise, and somebody would get an issue twice.
"""

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..contact import Contact
from ..errors import IssueHeld, TryLater
from . import KEPT, Audience, Mistakes, Sending
from .database import SQL, Connection, connect, lock_number, prepare, translated
from .rows import fields_writer
from .tables import Row, Tables, Values

_ANALYZED = 1000  # rows; the first claim of a million would sort them all, 0.3 s, for want of figures
_READ = 2000  # rows a round trip, where many are read


def open_ledger(url: str, *, dry_run: bool = False) -> "PostgresLedger":
    """Open the ledger, or make it in a database that has none; for a dry run nothing of what is written stays.

    Raises ConfigError where the ledger is older than this program, newer than it can read, or not ours to open, and
    TryLater where the database cannot be reached.
    """
    db = connect(url)
    with translated(url), contextlib.ExitStack() as on_error:
        on_error.callback(db.close)
        if dry_run:
            db.autocommit = False  # one transaction, which nobody commits
        prepare(db)
        on_error.pop_all()
    return PostgresLedger(db, url)


class PostgresLedger(Tables):
    """See the protocol. One connection, one call at a time."""

    waits = True

    _sql: Mapping[str, str] = SQL

    @property
    def connection(self) -> Connection:
        """For what is to happen in one transaction with what the ledger writes."""
        return self._db

    def __init__(self, db: Connection, url: str) -> None:
        self._db, self._url = db, url

    @contextlib.contextmanager
    def _transaction(self, *, at_once: bool = False) -> Iterator[None]:
        """At once: in as few round trips as there are answers to wait for."""
        pipeline = self._db.pipeline() if at_once else contextlib.nullcontext()
        with translated(self._url), pipeline, self._db.transaction():
            yield

    def _rows(self, query: str, values: Values | None = None) -> list[Row]:
        with translated(self._url):
            return self._db.execute(self._sql[query], values).fetchall()

    def _stream(self, query: str, values: Values | None = None) -> Iterator[Row]:
        """The server keeps them, so that this connection may be used meanwhile."""
        with translated(self._url), self._db.cursor(name=query, withhold=True) as cursor:
            cursor.itersize = _READ
            cursor.execute(self._sql[query], values)
            yield from cursor

    def _change(self, query: str, values: Values) -> int:
        with translated(self._url):
            return self._db.execute(self._sql[query], values).rowcount

    def _change_each(self, query: str, values: Iterable[Values]) -> int:
        with translated(self._url):
            cursor = self._db.cursor()
            cursor.executemany(self._sql[query], values)
            return max(cursor.rowcount, 0)

    def _claim(self, ids: Sequence[int], second: int) -> None:
        self._change("claim", {"second": second, "lease": self.lease, "ids": ids})

    def _settle_all(self, query: str, rows: Sequence[Values]) -> None:
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        self._change(query, {**columns, "second": rows[0]["second"], "lease": self.lease})

    @staticmethod
    def _list(values: Iterable[Any]) -> list[Any]:
        return list(values)

    def _lock(self, what: str) -> None:
        self._db.execute(SQL["lock"], {"number": lock_number(what)})

    def _planned_many(self, count: int) -> None:
        if count > _ANALYZED:
            self._db.execute("analyze delivery")

    @contextlib.contextmanager
    def hold(self, issue: str) -> Iterator[None]:
        """See the protocol. The server lets go when our connection ends, however that ends."""
        key = lock_number(f"issue {issue}")
        if not self._rows("hold", {"number": key})[0][0]:
            raise IssueHeld(f"another run holds issue {issue}", hint=f"mailer status --issue {issue}")
        try:
            yield
        finally:
            if not self._db.closed:
                with contextlib.suppress(TryLater):
                    self._rows("let_go", {"number": key})

    def is_held(self, issue: str) -> bool:
        """See the protocol. A worker's lease counts, too."""
        key = lock_number(f"issue {issue}") % 2**64
        return bool(self._rows("is_held", {"high": key >> 32, "low": key % 2**32, "issue": issue})[0][0])

    def stage(
        self, sending: Sending, contacts: Iterable[Contact], fields: Iterable[str], mistakes: Mistakes
    ) -> Audience:
        """See the protocol. By COPY into a temporary table: a million rows stay flat here."""
        write_fields, odd = fields_writer({"name", *fields}), dict[int, Contact]()
        which = {"issue": sending.issue, "rehearsal": sending.rehearsal, "kept": KEPT}
        count = 0
        with translated(self._url):
            self._db.execute(SQL["stage"])
            with self._db.cursor().copy(SQL["copy_staged"]) as copy:
                for count, contact in enumerate(contacts, 1):
                    found = [] if contact.invalid else mistakes(contact)
                    if (found or contact.invalid) and len(odd) < 100 * KEPT:
                        odd[count] = contact
                    address, source, invalid = contact.address, contact.source, contact.invalid
                    if "\0" in f"{address}{source}{invalid}":  # PostgreSQL keeps none; JSON has none
                        address, source, invalid = (each.replace("\0", "") for each in (address, source, invalid))
                    written = json.dumps(found) if found else ""
                    copy.write_row((count, address, write_fields(contact), source, invalid, written))
            self._db.execute(SQL["roster"])
            self._db.execute(SQL["analyze_roster"])
            people, joined, suppressed, invalid = self._rows("staged_counts", which)[0]
            audience = Audience(people, joined, suppressed, invalid_count=invalid, duplicate_count=count - people)
            for address, written, source, why, winner in self._rows("duplicates", which) if count > people else ():
                audience.duplicates.append((Contact(address, json.loads(written), source=source, invalid=why), winner))
            for number, address, written, source, why in self._rows("invalid", which) if invalid else ():
                contact = Contact(address, json.loads(written), source=source, invalid=why)
                audience.invalid.append(odd.get(number, contact))
            for number, address, written, source, found, total in self._rows("mistaken", which):
                contact = odd.get(number, Contact(address, json.loads(written), source=source))
                audience.mistakes.append((contact, json.loads(found)))
                audience.mistake_count = total
        return audience

    def close(self) -> None:
        """See the protocol."""
        self._db.close()
