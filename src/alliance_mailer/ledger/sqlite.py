"""The ledger in a SQLite file, `.mailer/ledger.db`: WAL mode, one transaction for what must hold together."""

import contextlib
import fcntl
import itertools
import json
import operator
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, astuple
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from ..contact import Contact, Suppression
from ..disk import alone
from ..errors import ConfigError, IssueHeld, TryLater
from . import KEPT, STATES, Audience, Delivery, Keyed, KeyedRequest, Mistakes, Planned, Sending, Settled, Spent, Tally
from .rows import claimed_of, delivery_of, fields_of, queries

_SQL = queries(__file__)

_LOOKS = 2000  # rows passed over in one transaction, 10 ms: then other connections' outcomes are written down

Durability = Literal["process", "power"]

_APPLICATION = 0x6D61696C  # "mail"
_VERSION = 3


def open_ledger(path: Path, *, dry_run: bool = False, durability: Durability = "process") -> "SqliteLedger":
    """Open or make the ledger; for a dry run a copy of it, which vanishes with the connection.

    What was written before a method returned survives `kill -9` (durability "process") or a power cut, too ("power").

    Raises ConfigError for a file that is no ledger of ours or lies on a network file system, where SQLite's locks
    cannot be trusted; TryLater where it cannot be opened.
    """
    try:
        if not dry_run:
            path.parent.mkdir(parents=True, exist_ok=True)
            _refuse_network(path.parent.resolve())
        with _translated(str(path)), contextlib.ExitStack() as on_error:
            db = sqlite3.connect("", isolation_level=None) if dry_run else _connected(path)
            on_error.callback(db.close)
            if dry_run:
                _copy(path, db)
            # Of two that turn a new file into WAL mode at once, SQLite tells one "locked" at once.
            with contextlib.nullcontext() if dry_run else alone(path.parent):
                _prepare(db, path, durability)
            on_error.pop_all()
    except OSError as error:
        raise TryLater(f"the ledger {path} cannot be opened: {error.strerror}") from None
    return SqliteLedger(db, None if dry_run else path, waits=durability == "power")


def _connected(path: Path) -> sqlite3.Connection:
    # Where its commits wait for the disk, each is made in another thread (`hub.apart`), never two at once.
    return sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)


def _prepare(db: sqlite3.Connection, path: Path, durability: Durability) -> None:
    application, version, tables = db.execute(_SQL["identity"]).fetchone()
    if tables and application != _APPLICATION:
        raise ConfigError(f"{path} is no ledger, but a database of another program", hint="[ledger] url names another")
    if tables and not 0 < version <= _VERSION:
        hint = "use the version of mailer that wrote it, or a later one"
        raise ConfigError(f"{path} is a ledger of version {version}; this program knows {_VERSION}", hint=hint)
    # In WAL mode NORMAL writes a commit to the file, FULL also waits until the disk has it: 67 and 485 µs for a claim
    # and its settling one by one, 5 and 12 µs in groups of 100.
    synchronous = {"process": "normal", "power": "full"}[durability]
    db.executescript(f"pragma journal_mode = wal; pragma synchronous = {synchronous}; pragma temp_store = file;")
    if version != _VERSION:
        # Two first runs at once both come here: the second waits, and finds everything there.
        migrations = [_SQL[f"migrate_{old}"] for old in range(version, _VERSION)] if tables else []
        db.executescript(f"begin immediate;\n{' '.join(migrations)}\n{_SQL['schema']}\ncommit;")


def _copy(path: Path, db: sqlite3.Connection) -> None:
    if path.exists():
        # Even a read-only connection leaves a -wal and a -shm file behind, unless it may trust that nobody writes:
        # where no -wal lies, nobody does.
        mode = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "immutable=1"
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)) as original:
            original.backup(db)


@contextlib.contextmanager
def _translated(name: str) -> Iterator[None]:
    """What SQLite raises, in our words."""
    try:
        yield
    except sqlite3.OperationalError as error:  # disk full, locked for 30 seconds, no permission
        hint = "nothing is lost; run the same command again"
        raise TryLater(f"the ledger {name} cannot be used: {error}", hint=hint) from None
    except sqlite3.DatabaseError as error:
        if type(error) is not sqlite3.DatabaseError:  # a mistake of ours
            raise
        raise ConfigError(f"{name} is no ledger: {error}", hint="restore it from a backup; do not delete it") from None


def _refuse_network(folder: Path) -> None:
    """SQLite's documentation warns of locks on network file systems; two runs at once would send twice."""
    with contextlib.suppress(OSError):  # no /proc: not Linux
        kind = file_system(folder, Path("/proc/self/mounts").read_text())
        if kind.startswith(("nfs", "cifs", "smb", "afs", "ceph", "glusterfs", "fuse.sshfs", "ncpfs")):
            message = f"{folder} lies on a network file system ({kind}), where SQLite cannot keep two runs apart"
            raise ConfigError(message, hint="keep the publication on a local disk")


def file_system(folder: Path, mounts: str) -> str:
    """The type of the file system that a folder lies on, by the table of /proc/self/mounts."""
    rows = [line.split() for line in mounts.splitlines()]
    inside = [row for row in rows if folder.is_relative_to(row[1].replace("\\040", " "))]
    # The innermost, and of several at one place the last, which hides the others.
    return max(reversed(inside), key=lambda row: len(row[1]))[2] if inside else ""


class SqliteLedger:
    """See the protocol. One connection, one call at a time."""

    def __init__(self, db: sqlite3.Connection, path: Path | None, *, waits: bool = False) -> None:
        self._db, self._path, self.waits = db, path, waits
        self._name = str(path or "copy")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with _translated(self._name):
            self._db.execute("begin immediate")
            try:
                yield
                self._db.execute("commit")
            except BaseException:
                if self._db.in_transaction:  # a full disk has rolled back already
                    self._db.execute("rollback")
                raise

    def _rows(self, query: str, values: Sequence[object] | Mapping[str, object] = ()) -> list[tuple[Any, ...]]:
        with _translated(self._name):
            return self._db.execute(_SQL[query], values).fetchall()

    @contextlib.contextmanager
    def hold(self, issue: str) -> Iterator[None]:
        """See the protocol. A lock on a file ends with its process, however that ends."""
        if self._path is None:
            yield
            return
        path = self._path.with_name(f"{issue}.lock")
        with contextlib.ExitStack() as stack:
            try:
                lock = stack.enter_context(path.open("w"))
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    time.sleep(0.05)  # it may have been only `is_held` that looked
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise IssueHeld(f"another run holds issue {issue}", hint=f"mailer status --issue {issue}") from None
            except OSError as error:
                raise TryLater(f"{path} cannot be locked: {error.strerror}") from None
            yield

    def is_held(self, issue: str) -> bool:
        """See the protocol. Asked of another process's lock by trying to share it, for microseconds."""
        path = self._path and self._path.with_name(f"{issue}.lock")
        if not path or not path.exists():
            return False
        try:
            with path.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError as error:
            raise TryLater(f"{path} cannot be locked: {error.strerror}") from None
        return False

    def suppress(self, suppressions: Iterable[Suppression]) -> None:
        """See the protocol."""
        rows = ((s.address, s.reason, s.since, s.source) for s in suppressions)
        with self._transaction():
            self._db.executemany(_SQL["suppress"], rows)

    def suppressions(self) -> Iterator[Suppression]:
        """See the protocol."""
        with _translated(self._name):
            yield from itertools.starmap(Suppression, self._db.execute(_SQL["suppressions"]))

    def stage(
        self, sending: Sending, contacts: Iterable[Contact], fields: Iterable[str], mistakes: Mistakes
    ) -> Audience:
        """See the protocol. On disk, not in memory: a million rows stay flat."""
        audience, kept = Audience(), {"name", *fields}
        which = {"issue": sending.issue, "rehearsal": sending.rehearsal}
        with _translated(self._name):
            self._db.execute(_SQL["stage"])
            self._db.execute("delete from temp.roster")
            self._db.execute("begin")  # of the temporary file alone
            try:
                for contact in contacts:
                    row = (contact.address, fields_of(contact, kept), contact.source, contact.invalid)
                    if self._db.execute(_SQL["stage_contact"], row).rowcount == 0:
                        audience.duplicate_count += 1
                        if len(audience.duplicates) < KEPT:
                            winner = self._db.execute(_SQL["staged_source"], (contact.address,)).fetchone()[0]
                            audience.duplicates.append((contact, winner))
                    elif contact.invalid:
                        audience.invalid_count += 1
                        audience.invalid += [contact] if len(audience.invalid) < KEPT else []
                    elif (found := mistakes(contact)) and self._joins(which, contact.address):
                        audience.mistake_count += 1
                        audience.mistakes += [(contact, found)] if len(audience.mistakes) < KEPT else []
            finally:
                self._db.execute("commit")
            counts = self._db.execute(_SQL["staged_counts"], which).fetchone()
            audience.people, audience.joined, audience.suppressed = counts
        return audience

    def _joins(self, which: Mapping[str, Any], address: str) -> bool:
        return bool(self._db.execute(_SQL["joins"], {**which, "address": address}).fetchone()[0])

    def plan(self, sending: Sending, planned: Planned, now: datetime) -> int:
        """See the protocol."""
        with self._transaction():
            which = {"issue": sending.issue, "rehearsal": sending.rehearsal}
            edition = self._db.execute(_SQL["plan_edition"], {**which, **asdict(planned)}).fetchone()[0]
            values = {**which, "edition": edition, "now": int(now.timestamp())}
            count = self._db.execute(_SQL["plan"], values).rowcount
            if count:
                self._db.execute(_SQL["plan_last"], (edition,))
            return count

    def planned(self, sending: Sending) -> Planned | None:
        """See the protocol."""
        rows = self._rows("planned", (sending.issue, sending.rehearsal))
        return Planned(*rows[0]) if rows else None

    def forget(self, sending: Sending) -> None:
        """See the protocol."""
        with self._transaction():
            self._db.execute(_SQL["forget"], (sending.issue, sending.rehearsal))
            self._db.execute(_SQL["forget_editions"], (sending.issue, sending.rehearsal))

    def claimed(self, sending: Sending) -> int:
        """See the protocol."""
        return int(self._rows("claimed", (sending.issue, sending.rehearsal))[0][0])

    def recover(self, sending: Sending, *, repeat: bool) -> int:
        """See the protocol."""
        state, reply = ("waiting", "") if repeat else ("unknown", "the run ended before the server's answer was read")
        with self._transaction():
            values = (state, reply, sending.issue, sending.rehearsal)
            return self._db.execute(_SQL["recover"], values).rowcount

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
            claimed, looked_at = list[Delivery](), 0
            # What is suppressed or put off is looked at once, then it is no longer due; `_LOOKS` bounds a transaction.
            while len(claimed) < limit and looked_at < _LOOKS:
                values = (sending.issue, sending.rehearsal, second, limit - len(claimed))
                rows = self._db.execute(_SQL["due"], values).fetchall()
                if not rows:
                    break
                looked_at += len(rows)
                taken = [claimed_of(row) for row in rows if not self._is_suppressed(row)]
                if put_off:
                    taken = [delivery for delivery in taken if not self._is_put_off(delivery, put_off)]
                self._db.executemany(_SQL["claim"], [(second, delivery.id) for delivery in taken])
                claimed += taken
            self._db.executemany(_SQL["spend"], [astuple(each) for each in spent])
            if keyed:
                for start in range(0, len(claimed), keyed.size):
                    self._remember(keyed, claimed[start : start + keyed.size], second)
        return claimed

    def _remember(self, keyed: Keyed, rows: Sequence[Delivery], second: int) -> None:
        values = (keyed.key(rows), keyed.transport, second, len(rows))
        request = self._db.execute(_SQL["add_request"], values).fetchone()[0]
        self._db.executemany(_SQL["add_to_request"], [(request, place, row.id) for place, row in enumerate(rows)])

    def _settle(self, sending: Sending, settled: Sequence[Settled], second: int, now: datetime) -> None:
        for query, state in (("settle", "sending"), ("settle_repeated", "unknown")):
            rows = [
                {
                    "id": each.delivery.id,
                    "state": each.outcome.verdict,
                    "due": each.due,
                    "reply": each.outcome.reply[:1000],
                    "provider_id": each.outcome.provider_id,
                    "about_us": each.outcome.about_us,
                    "now": second,
                }
                for each in settled
                if each.delivery.state == state
            ]
            self._db.executemany(_SQL[query], rows)
        for each in settled:
            if each.outcome.hard and not sending.rehearsal:
                reason, source = f"hard bounce: {each.outcome.reply}", f"issue {sending.issue}"
                values = (each.delivery.contact.address, reason, now.date().isoformat(), source)
                self._db.execute(_SQL["suppress"], values)

    def _is_suppressed(self, row: tuple[Any, ...]) -> bool:
        """Since the plan."""
        reason = row[-1]
        if reason is None:
            return False
        self._db.execute(_SQL["suppress_claimed"], (reason, row[0]))
        return True

    def _is_put_off(self, delivery: Delivery, put_off: Callable[[Delivery], int]) -> bool:
        """Its domain has had enough for now."""
        due = put_off(delivery)
        if due:
            self._db.execute(_SQL["put_off"], (due, delivery.id))
        return bool(due)

    def release(self, deliveries: Iterable[Delivery]) -> None:
        """See the protocol."""
        with self._transaction():
            self._db.executemany(_SQL["release"], [(delivery.id,) for delivery in deliveries])

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
        with self._transaction():
            self._db.execute(_SQL["forget_spent"], (transport, second))
            return [Spent(*row) for row in self._db.execute(_SQL["spent_since"], (transport, second))]

    def next_due(self, sending: Sending) -> datetime | None:
        """See the protocol."""
        due = self._rows("next_due", (sending.issue, sending.rehearsal))[0][0]
        return None if due is None else datetime.fromtimestamp(due, UTC)

    def sendings(self) -> list[Sending]:
        """See the protocol."""
        return [Sending(issue, bool(rehearsal)) for issue, rehearsal in self._rows("sendings")]

    def deliveries(self, sending: Sending, states: Sequence[str]) -> Iterator[Delivery]:
        """See the protocol."""
        values = (sending.issue, sending.rehearsal, json.dumps(states))
        with _translated(self._name):
            yield from map(delivery_of, self._db.execute(_SQL["deliveries"], values))

    def story(self, address: str) -> list[tuple[Sending, Delivery]]:
        """See the protocol."""
        rows = self._rows("story", (address,))
        return [(Sending(issue, bool(rehearsal)), delivery_of(row)) for issue, rehearsal, *row in rows]

    def people(self, sending: Sending, prefix: str = "") -> Iterator[tuple[str, str, str]]:
        """See the protocol."""
        which = {"issue": sending.issue, "rehearsal": sending.rehearsal}
        span = {"first": prefix, "last": f"{prefix}\U0010ffff"}
        with _translated(self._name):
            yield from self._db.execute(_SQL["people_named" if prefix else "people"], {**which, **span})

    def resolve(self, sending: Sending, *, resend: bool, addresses: Iterable[str] | None = None) -> int:
        """See the protocol."""
        query = _SQL["resolve_resend" if resend else "resolve_leave"]
        chosen = None if addresses is None else json.dumps(list(addresses))
        with self._transaction():
            values = {"issue": sending.issue, "rehearsal": sending.rehearsal, "chosen": chosen}
            return self._db.execute(query, values).rowcount

    def left(self, sending: Sending) -> int:
        """See the protocol."""
        return int(self._rows("left", (sending.issue, sending.rehearsal))[0][0])

    def rename(self, address: str, pseudonym: str) -> int:
        """See the protocol."""
        values = {"address": address, "pseudonym": pseudonym}
        with _translated(self._name):
            self._db.execute(
                "pragma secure_delete = on"
            )  # what is overwritten is not to be read in the file's free room
        with self._transaction():
            self._db.execute(_SQL["rename_suppression"], values)
            count = self._db.execute(_SQL["rename"], values).rowcount
        with _translated(self._name):
            self._db.execute("pragma wal_checkpoint(truncate)")  # nor in the log
        return count

    def overwrite(self, sending: Sending, rows: Iterable[tuple[str, str, str]]) -> int:
        """See the protocol."""
        which = {"issue": sending.issue, "rehearsal": sending.rehearsal}
        with self._transaction():
            values = ({**which, "address": address, "state": state, "reply": reply} for address, state, reply in rows)
            return self._db.executemany(_SQL["overwrite"], values).rowcount

    def add_serial(self, issue: str, serial: str) -> None:
        """See the protocol."""
        with self._transaction():
            self._db.execute(_SQL["add_serial"], (issue, serial))

    def has_serial(self, issue: str, serial: str) -> bool:
        """See the protocol."""
        return bool(self._rows("has_serial", (issue, serial))[0][0])

    def damage(self) -> list[str]:
        """See the protocol."""
        found = [str(row[0]) for row in self._rows("damage")]
        return [] if found == ["ok"] else found

    def close(self) -> None:
        """See the protocol."""
        self._db.close()
