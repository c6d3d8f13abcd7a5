"""The ledger in PostgreSQL: for lists that outgrow one machine, and for folders that SQLite cannot trust.

The protocol's one-machine rules hold as in SQLite: who holds an issue is its only run. Many machines at once, with
leases, are in leased.py. A commit is on the server's disk before a method returns, whatever `durability` says: a
server that fails would forget claims otherwise, and somebody would get an issue twice.
"""

import contextlib
import itertools
import json
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from ..contact import Contact, Suppression
from ..errors import IssueHeld, TryLater
from . import KEPT, STATES, Audience, Delivery, Keyed, KeyedRequest, Mistakes, Planned, Sending, Settled, Spent, Tally
from .database import SQL, Connection, connect, lock_number, prepare, translated
from .rows import claimed_of, delivery_of, fields_of

_LOOKS = 2000  # rows passed over in one transaction
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


class PostgresLedger:
    """See the protocol. One connection, one call at a time."""

    waits = True

    _sql: Mapping[str, str] = SQL
    lease: int | None = None  # whose claims are ours; none: those of the one run that holds the issue

    @property
    def connection(self) -> Connection:
        """For what is to happen in one transaction with what the ledger writes."""
        return self._db

    def __init__(self, db: Connection, url: str) -> None:
        self._db, self._url = db, url

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """Sent in as few round trips as there are answers to wait for."""
        with translated(self._url), self._db.pipeline(), self._db.transaction():
            yield

    def _rows(self, query: str, values: Any = None) -> list[tuple[Any, ...]]:
        with translated(self._url):
            return self._db.execute(self._sql[query], values).fetchall()

    def _stream(self, query: str, values: Any) -> Iterator[tuple[Any, ...]]:
        """Rows as they come; the server keeps them, so that this connection may be used meanwhile."""
        with translated(self._url), self._db.cursor(name=query, withhold=True) as cursor:
            cursor.itersize = _READ
            cursor.execute(SQL[query], values)
            yield from cursor

    @contextlib.contextmanager
    def hold(self, issue: str) -> Iterator[None]:
        """See the protocol. The server lets go when our connection ends, however that ends."""
        key = lock_number(f"issue {issue}")
        if not self._rows("hold", (key,))[0][0]:
            raise IssueHeld(f"another run holds issue {issue}", hint=f"mailer status --issue {issue}")
        try:
            yield
        finally:
            if not self._db.closed:
                with contextlib.suppress(TryLater):
                    self._rows("let_go", (key,))

    def is_held(self, issue: str) -> bool:
        """See the protocol. A worker's lease counts, too."""
        key = lock_number(f"issue {issue}") % 2**64
        return bool(self._rows("is_held", {"high": key >> 32, "low": key % 2**32, "issue": issue})[0][0])

    def suppress(self, suppressions: Iterable[Suppression]) -> None:
        """See the protocol."""
        rows = [(s.address, s.reason, s.since, s.source) for s in suppressions]
        if rows:
            with self._transaction():
                self._db.cursor().executemany(SQL["suppress"], rows)

    def suppressions(self) -> Iterator[Suppression]:
        """See the protocol."""
        yield from itertools.starmap(Suppression, self._stream("suppressions", None))

    def stage(
        self, sending: Sending, contacts: Iterable[Contact], fields: Iterable[str], mistakes: Mistakes
    ) -> Audience:
        """See the protocol. By COPY into a temporary table: a million rows stay flat here."""
        kept, odd = {"name", *fields}, dict[int, Contact]()
        which = {"issue": sending.issue, "rehearsal": sending.rehearsal, "kept": KEPT}
        count = 0
        with translated(self._url):
            self._db.execute(SQL["stage"])
            with self._db.cursor().copy(SQL["copy_staged"]) as copy:
                for count, contact in enumerate(contacts, 1):
                    found = [] if contact.invalid else mistakes(contact)
                    if (found or contact.invalid) and len(odd) < 100 * KEPT:
                        odd[count] = contact
                    row = (count, contact.address, fields_of(contact, kept), contact.source, contact.invalid,
                           json.dumps(found) if found else "")  # fmt: skip
                    copy.write_row([value.replace("\0", "") if isinstance(value, str) else value for value in row])
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

    def plan(self, sending: Sending, planned: Planned, now: datetime) -> int:
        """See the protocol."""
        with translated(self._url), self._db.transaction():
            which = {"issue": sending.issue, "rehearsal": sending.rehearsal}
            edition = self._rows("plan_edition", {**which, **asdict(planned)})[0][0]
            count = self._db.execute(SQL["plan"], {**which, "edition": edition, "now": int(now.timestamp())}).rowcount
            if count:
                self._db.execute(SQL["plan_last"], (edition,))
            if count > _ANALYZED:
                self._db.execute("analyze delivery")
            return count

    def planned(self, sending: Sending) -> Planned | None:
        """See the protocol."""
        rows = self._rows("planned", (sending.issue, sending.rehearsal))
        return Planned(*rows[0]) if rows else None

    def forget(self, sending: Sending) -> None:
        """See the protocol."""
        with self._transaction():
            for query in ("forget", "forget_editions"):
                self._db.execute(SQL[query], (sending.issue, sending.rehearsal))

    def claimed(self, sending: Sending) -> int:
        """See the protocol."""
        return int(self._rows("claimed", (sending.issue, sending.rehearsal))[0][0])

    def recover(self, sending: Sending, *, repeat: bool) -> int:
        """See the protocol. What a living worker has claimed stays its own."""
        state, reply = ("waiting", "") if repeat else ("unknown", "the run ended before the server's answer was read")
        values = {"state": state, "reply": reply, "issue": sending.issue, "rehearsal": sending.rehearsal}
        with translated(self._url):
            return self._db.execute(SQL["recover"], values).rowcount

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
        """See the protocol."""
        second = int(now.timestamp())
        with self._transaction():
            self._settle(sending, settled, second, now)
            limit = self._room(limit, second)
            claimed, looked_at = list[Delivery](), 0
            # What is suppressed or put off is looked at once, then it is no longer due; `_LOOKS` bounds a transaction.
            while len(claimed) < limit and looked_at < _LOOKS:
                which = {"issue": sending.issue, "rehearsal": sending.rehearsal}
                rows = self._rows(
                    "due", {**which, "second": second, "lease": self.lease, "limit": limit - len(claimed)}
                )
                if not rows:
                    break
                looked_at += len(rows)
                taken = [claimed_of(row) for row in rows if not self._is_suppressed(row)]
                if put_off:
                    taken = [delivery for delivery in taken if not self._is_put_off(delivery, put_off)]
                ids = [delivery.id for delivery in taken]
                if ids:
                    self._db.execute(SQL["claim"], {"second": second, "lease": self.lease, "ids": ids})
                claimed += taken
            self._spend(spent)
            if keyed:
                for start in range(0, len(claimed), keyed.size):
                    self._remember(keyed, claimed[start : start + keyed.size], second)
        return claimed

    def _remember(self, keyed: Keyed, rows: Sequence[Delivery], second: int) -> None:
        request = self._rows("add_request", (keyed.key(rows), keyed.transport, second, len(rows)))[0][0]
        self._db.execute(SQL["add_to_request"], {"request": request, "ids": [row.id for row in rows]})

    def _room(self, limit: int, second: int) -> int:
        """How many of them may go, where other machines spend of the same rate."""
        return limit

    def _spend(self, spent: Sequence[Spent]) -> int:
        """Returns the number of the last one."""
        number = 0
        for each in _grouped(spent):
            number = self._rows("spend", (each.transport, each.domain, each.second, each.count))[0][0]
        return number

    def _settle(self, sending: Sending, settled: Sequence[Settled], second: int, now: datetime) -> None:
        for query, state in (("settle", "sending"), ("settle_repeated", "unknown")):
            rows = [each for each in settled if each.delivery.state == state]
            columns = {
                "ids": [each.delivery.id for each in rows],
                "states": [str(each.outcome.verdict) for each in rows],
                "dues": [each.due for each in rows],
                "replies": [_clean(each.outcome.reply) for each in rows],
                "provider_ids": [_clean(each.outcome.provider_id) for each in rows],
                "about_us": [each.outcome.about_us for each in rows],
            }
            if rows:
                self._db.execute(SQL[query], {**columns, "second": second, "lease": self.lease})
        for each in settled:
            if each.outcome.hard and not sending.rehearsal:
                reason, source = f"hard bounce: {_clean(each.outcome.reply)}", f"issue {sending.issue}"
                values = (each.delivery.contact.address, reason, now.date().isoformat(), source)
                self._db.execute(SQL["suppress"], values)

    def _is_suppressed(self, row: tuple[Any, ...]) -> bool:
        """Since the plan."""
        reason = row[-1]
        if reason is not None:
            self._db.execute(SQL["suppress_claimed"], (reason, row[0]))
        return reason is not None

    def _is_put_off(self, delivery: Delivery, put_off: Callable[[Delivery], int]) -> bool:
        """Its domain has had enough for now."""
        due = put_off(delivery)
        if due:
            self._db.execute(SQL["put_off"], (due, delivery.id))
        return bool(due)

    def release(self, deliveries: Iterable[Delivery]) -> None:
        """See the protocol."""
        with translated(self._url):
            self._db.execute(SQL["release"], {"ids": [each.id for each in deliveries], "lease": self.lease})

    def repeatable(self, sending: Sending, transport: str, since: datetime) -> list[KeyedRequest]:
        """See the protocol."""
        which = {"issue": sending.issue, "rehearsal": sending.rehearsal}
        rows = self._rows("repeatable", {**which, "transport": transport, "since": int(since.timestamp())})
        return [
            KeyedRequest(key, tuple(delivery_of(row[1:]) for row in group))
            for key, group in itertools.groupby(rows, key=operator.itemgetter(0))
        ]

    def tally(self, sending: Sending) -> Tally:
        """See the protocol. A living run's claims count as waiting."""
        counts = dict(self._rows("tally", (sending.issue, sending.rehearsal)))
        counts["waiting"] = counts.get("waiting", 0) + counts.pop("sending", 0)
        return Tally(**{state: counts.get(state, 0) for state in STATES})

    def spent_since(self, transport: str, second: int) -> list[Spent]:
        """See the protocol."""
        with translated(self._url), self._db.transaction():
            self._db.execute(SQL["forget_spent"], (transport, second))
            return [Spent(*row) for row in self._rows("spent_since", (transport, second))]

    def next_due(self, sending: Sending) -> datetime | None:
        """See the protocol."""
        due = self._rows("next_due", (sending.issue, sending.rehearsal))[0][0]
        return None if due is None else datetime.fromtimestamp(due, UTC)

    def sendings(self) -> list[Sending]:
        """See the protocol."""
        return list(itertools.starmap(Sending, self._rows("sendings")))

    def deliveries(self, sending: Sending, states: Sequence[str]) -> Iterator[Delivery]:
        """See the protocol."""
        rows = self._stream("deliveries", (sending.issue, sending.rehearsal, list(states)))
        yield from map(delivery_of, rows)

    def story(self, address: str) -> list[tuple[Sending, Delivery]]:
        """See the protocol."""
        rows = self._rows("story", (address,))
        return [(Sending(issue, rehearsal), delivery_of(row)) for issue, rehearsal, *row in rows]

    def people(self, sending: Sending, prefix: str = "") -> Iterator[tuple[str, str, str]]:
        """See the protocol."""
        which = {"issue": sending.issue, "rehearsal": sending.rehearsal}
        span = {"first": prefix, "last": f"{prefix}\U0010ffff"}
        rows = self._stream("people_named" if prefix else "people", {**which, **span})
        yield from ((address, state, reply) for address, state, reply in rows)

    def resolve(self, sending: Sending, *, resend: bool, addresses: Iterable[str] | None = None) -> int:
        """See the protocol."""
        chosen = None if addresses is None else list(addresses)
        values = {"issue": sending.issue, "rehearsal": sending.rehearsal, "chosen": chosen}
        with translated(self._url):
            return self._db.execute(SQL["resolve_resend" if resend else "resolve_leave"], values).rowcount

    def left(self, sending: Sending) -> int:
        """See the protocol."""
        return int(self._rows("left", (sending.issue, sending.rehearsal))[0][0])

    def rename(self, address: str, pseudonym: str) -> int:
        """See the protocol."""
        values = {"address": address, "pseudonym": pseudonym}
        with translated(self._url), self._db.transaction():
            self._db.execute(SQL["rename_suppression"], values)
            return self._db.execute(SQL["rename"], values).rowcount

    def overwrite(self, sending: Sending, rows: Iterable[tuple[str, str, str]]) -> int:
        """See the protocol."""
        which = {"issue": sending.issue, "rehearsal": sending.rehearsal}
        values = ({**which, "address": address, "state": state, "reply": reply} for address, state, reply in rows)
        with translated(self._url), self._db.transaction():
            cursor = self._db.cursor()
            cursor.executemany(SQL["overwrite"], values)
            return max(cursor.rowcount, 0)

    def add_serial(self, issue: str, serial: str) -> None:
        """See the protocol."""
        with translated(self._url):
            self._db.execute(SQL["add_serial"], (issue, serial))

    def has_serial(self, issue: str, serial: str) -> bool:
        """See the protocol."""
        return bool(self._rows("has_serial", (issue, serial))[0][0])

    def damage(self) -> list[str]:
        """See the protocol. The server looks at its pages' checksums whenever it reads them, and counts."""
        return [str(row[0]) for row in self._rows("damage")]

    def close(self) -> None:
        """See the protocol."""
        self._db.close()


def _clean(text: str) -> str:
    """A server's words; PostgreSQL keeps no NUL."""
    return text[:1000].replace("\0", "")


def _grouped(spent: Iterable[Spent]) -> list[Spent]:
    """One row a domain and second."""
    counts = dict[tuple[str, str, int], int]()
    for each in spent:
        key = each.transport, each.domain, each.second
        counts[key] = counts.get(key, 0) + each.count
    return [Spent(*key, count) for key, count in counts.items()]
