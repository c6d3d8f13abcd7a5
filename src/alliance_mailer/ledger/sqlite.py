"""The ledger in a SQLite file, `.mailer/ledger.db`: WAL mode, one transaction for what must hold together."""

import contextlib
import fcntl
import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ..contact import Contact, Suppression
from ..errors import ConfigError, TryLater
from ..message import Outcome, Verdict
from . import STATES, Audience, Delivery, Mistakes, Planned, Sending, Tally

_SQL = dict(
    re.findall(
        r"^-- (\w+) --\n(.*?)(?=^-- \w+ --\n|\Z)",
        Path(__file__).with_suffix(".sql").read_text("utf-8"),
        re.DOTALL | re.MULTILINE,
    )
)

RETRY = (60, 300, 1800)  # seconds after the first, second and every further deferral

_VERSION = 1


def open_ledger(path: Path, *, dry_run: bool = False) -> "SqliteLedger":
    """Open or make the ledger; for a dry run a copy of it, which vanishes with the connection.

    Raises ConfigError for a file that is no ledger of ours or lies on a network file system, where SQLite's locks
    cannot be trusted; TryLater where it cannot be opened.
    """
    try:
        if dry_run:
            db = sqlite3.connect("", isolation_level=None)
            if path.exists():
                with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as original:
                    original.backup(db)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            _refuse_network(path.parent)
            db = sqlite3.connect(path, isolation_level=None, timeout=30)
        # NORMAL in WAL mode: a commit survives kill -9, the last ones not a power cut; 67 µs a message, FULL 485.
        db.executescript("pragma journal_mode = wal; pragma synchronous = normal; pragma temp_store = file;")
        version = db.execute("pragma user_version").fetchone()[0]
        if version == 0:
            db.executescript(f"begin immediate;\n{_SQL['schema']}\ncommit;")
        elif version != _VERSION:
            raise ConfigError(f"{path} is a ledger of version {version}; this program knows version {_VERSION}")
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise TryLater(f"the ledger {path} cannot be opened: {error}") from None
        raise ConfigError(f"{path} is no ledger: {error}", hint="restore it from a backup; do not delete it") from None
    except OSError as error:
        raise TryLater(f"the ledger {path} cannot be opened: {error.strerror}") from None
    return SqliteLedger(db, None if dry_run else path)


def _refuse_network(folder: Path) -> None:
    """SQLite's documentation warns of locks on network file systems; two runs at once would send twice."""
    with contextlib.suppress(OSError):
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
        folder = folder.resolve()
        inside = [m for m in mounts if folder.is_relative_to(m[1].replace("\\040", " "))]
        kind = max(inside, key=lambda m: len(m[1]))[2] if inside else ""
        if kind.startswith(("nfs", "cifs", "smb", "afs", "ceph", "glusterfs", "fuse.sshfs", "ncpfs")):
            message = f"{folder} lies on a network file system ({kind}), where SQLite cannot keep two runs apart"
            raise ConfigError(message, hint="keep the publication on a local disk")


class SqliteLedger:
    """See the protocol. One connection, one thread."""

    def __init__(self, db: sqlite3.Connection, path: Path | None) -> None:
        self._db, self._path = db, path

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.execute("begin immediate")
            try:
                yield
            except BaseException:
                self._db.execute("rollback")
                raise
            self._db.execute("commit")
        except sqlite3.OperationalError as error:  # disk full, locked for 30 seconds
            hint = "nothing is lost; run the same command again"
            raise TryLater(f"the ledger cannot be written: {error}", hint=hint) from None

    @contextlib.contextmanager
    def hold(self, issue: str) -> Iterator[None]:
        """See the protocol. A lock on a file ends with its process, however that ends."""
        if self._path is None:
            yield
            return
        with (self._path.parent / f"{issue}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise TryLater(f"another run holds issue {issue}", hint=f"mailer status --issue {issue}") from None
            yield

    def suppress(self, suppressions: Iterable[Suppression]) -> None:
        """See the protocol."""
        rows = ((s.address, s.reason, s.since, s.source) for s in suppressions)
        with self._transaction():
            self._db.executemany(_SQL["suppress"], rows)

    def stage(
        self, sending: Sending, contacts: Iterable[Contact], fields: Iterable[str], mistakes: Mistakes
    ) -> Audience:
        """See the protocol. On disk, not in memory: a million rows stay flat."""
        audience, kept = Audience(), {"name", *fields}
        self._db.execute(_SQL["stage"])
        self._db.execute("delete from temp.roster")
        self._db.execute("begin")  # of the temporary file alone
        try:
            for contact in contacts:
                row = (contact.address, _written(contact, kept), contact.source, contact.invalid)
                if self._db.execute(_SQL["stage_contact"], row).rowcount == 0:
                    winner = self._db.execute(_SQL["staged_source"], (contact.address,)).fetchone()[0]
                    audience.duplicates.append((contact, winner))
                elif contact.invalid:
                    audience.invalid.append(contact)
                elif found := mistakes(contact):
                    audience.mistakes.append((contact, found))
        finally:
            self._db.execute("commit")
        counts = self._db.execute(_SQL["staged_counts"], (sending.issue, sending.rehearsal)).fetchone()
        audience.people, audience.joined, audience.suppressed = counts
        audience.mistakes = [(c, found) for c, found in audience.mistakes if not self._is_suppressed(c.address)]
        return audience

    def _is_suppressed(self, address: str) -> bool:
        return self._db.execute("select 1 from suppression where address = ?", (address,)).fetchone() is not None

    def plan(self, sending: Sending, planned: Planned, now: datetime) -> int:
        """See the protocol."""
        with self._transaction():
            row = (
                sending.issue,
                sending.rehearsal,
                planned.edition,
                planned.transport,
                planned.subject,
                planned.text,
            )
            edition = self._db.execute(_SQL["plan_edition"], row).fetchone()[0]
            values = {
                "issue": sending.issue,
                "rehearsal": sending.rehearsal,
                "edition": edition,
                "now": int(now.timestamp()),
            }
            return self._db.execute(_SQL["plan"], values).rowcount

    def planned(self, sending: Sending) -> Planned | None:
        """See the protocol."""
        row = self._db.execute(_SQL["planned"], (sending.issue, sending.rehearsal)).fetchone()
        return Planned(*row) if row else None

    def forget_rehearsal(self, issue: str) -> None:
        """See the protocol."""
        with self._transaction():
            self._db.execute(_SQL["forget_rehearsal"], (issue,))

    def recover(self, sending: Sending, *, repeat: bool) -> int:
        """See the protocol."""
        state, reply = ("waiting", "") if repeat else ("unknown", "the run ended before the server's answer was read")
        with self._transaction():
            values = (state, reply, sending.issue, sending.rehearsal)
            return self._db.execute(_SQL["recover"], values).rowcount

    def claim(self, sending: Sending, limit: int, now: datetime) -> Sequence[Delivery]:
        """See the protocol. Suppression is asked again here: somebody may have left since the plan."""
        claimed: list[Delivery] = []
        with self._transaction():
            while len(claimed) < limit:
                values = (sending.issue, sending.rehearsal, int(now.timestamp()), limit - len(claimed))
                due = self._db.execute(_SQL["due"], values).fetchall()
                if not due:
                    break
                for id_, suppressed, reason in due:
                    if suppressed:
                        self._db.execute(_SQL["suppress_claimed"], (reason, id_))
                    else:
                        claimed.append(_delivery(self._db.execute(_SQL["claim"], (id_,)).fetchone()))
        return claimed

    def settle(self, results: Iterable[tuple[Delivery, Outcome]], now: datetime) -> None:
        """See the protocol."""
        at = int(now.timestamp())
        rows = []
        for delivery, outcome in results:
            wait = outcome.retry_after or RETRY[min(delivery.attempts, len(RETRY)) - 1]
            due = at + int(wait) if outcome.verdict is Verdict.DEFERRED else 0
            rows.append((outcome.verdict, due, outcome.reply[:1000], outcome.provider_id, at, delivery.id))
        with self._transaction():
            self._db.executemany(_SQL["settle"], rows)

    def release(self, deliveries: Iterable[Delivery]) -> None:
        """See the protocol."""
        with self._transaction():
            self._db.executemany(_SQL["release"], [(delivery.id,) for delivery in deliveries])

    def tally(self, sending: Sending) -> Tally:
        """See the protocol. A living run's claims count as waiting."""
        counts = dict(self._db.execute(_SQL["tally"], (sending.issue, sending.rehearsal)).fetchall())
        counts["waiting"] = counts.get("waiting", 0) + counts.pop("sending", 0)
        return Tally(**{state: counts.get(state, 0) for state in STATES})

    def next_due(self, sending: Sending) -> datetime | None:
        """See the protocol."""
        due = self._db.execute(_SQL["next_due"], (sending.issue, sending.rehearsal)).fetchone()[0]
        return datetime.fromtimestamp(due, UTC) if due else None

    def sendings(self) -> list[Sending]:
        """See the protocol."""
        return [Sending(issue, bool(rehearsal)) for issue, rehearsal in self._db.execute(_SQL["sendings"])]

    def deliveries(self, sending: Sending, states: Sequence[str]) -> Iterator[Delivery]:
        """See the protocol."""
        values = (sending.issue, sending.rehearsal, json.dumps(states))
        return map(_delivery, self._db.execute(_SQL["deliveries"], values))

    def close(self) -> None:
        """See the protocol."""
        self._db.close()


def _written(contact: Contact, kept: set[str]) -> str:
    fields = {**contact.fields, "name": contact.name}
    if fields.get("email") == contact.address:
        del fields["email"]
    return json.dumps({name: fields[name] for name in sorted(kept) if fields.get(name)}, ensure_ascii=False)


def _delivery(row: tuple[int, str, str, str, str, int, int, str]) -> Delivery:
    id_, address, fields, source, state, attempts, planned_at, reply = row
    contact = Contact(address, json.loads(fields), source=source)
    return Delivery(id_, contact, state, attempts, datetime.fromtimestamp(planned_at, UTC), reply)
