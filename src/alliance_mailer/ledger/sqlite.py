"""The ledger in a SQLite file, `.mailer/ledger.db`: WAL mode, one transaction for what must hold together."""

import contextlib
import fcntl
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from ..contact import Contact
from ..disk import alone
from ..errors import ConfigError, IssueHeld, TryLater
from . import KEPT, Audience, Mistakes, Sending
from .rows import fields_writer, queries
from .tables import Row, Tables, Values

_SQL = queries(__file__)

Durability = Literal["process", "power"]

_APPLICATION = 0x6D61696C  # "mail"
_VERSION = 4


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
    except sqlite3.Error as error:
        raise _in_our_words(name, error) from None


def _in_our_words(name: str, error: sqlite3.Error) -> Exception:
    if isinstance(error, sqlite3.OperationalError):  # disk full, locked for 30 seconds, no permission
        hint = "nothing is lost; run the same command again"
        return TryLater(f"the ledger {name} cannot be used: {error}", hint=hint)
    if type(error) is sqlite3.DatabaseError:
        return ConfigError(f"{name} is no ledger: {error}", hint="restore it from a backup; do not delete it")
    return error  # a mistake of ours


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


class SqliteLedger(Tables):
    """See the protocol. One connection, one call at a time."""

    def __init__(self, db: sqlite3.Connection, path: Path | None, *, waits: bool = False) -> None:
        self._db, self._path, self.waits = db, path, waits
        self._name = str(path or "copy")

    @contextlib.contextmanager
    def _transaction(self, *, at_once: bool = False) -> Iterator[None]:
        with _translated(self._name):
            try:  # around "begin", too: a second Ctrl-C may come right behind it
                self._db.execute("begin immediate")
                yield
                self._db.execute("commit")
            except BaseException:
                if self._db.in_transaction:  # a full disk has rolled back already
                    self._db.execute("rollback")
                raise

    # `_translated` would cost a microsecond each time, and a message has five of them.
    def _rows(self, query: str, values: Values | None = None) -> list[Row]:
        try:
            return self._db.execute(_SQL[query], values or ()).fetchall()
        except sqlite3.Error as error:
            raise _in_our_words(self._name, error) from None

    def _change(self, query: str, values: Values) -> int:
        try:
            return self._db.execute(_SQL[query], values).rowcount
        except sqlite3.Error as error:
            raise _in_our_words(self._name, error) from None

    def _change_each(self, query: str, values: Iterable[Values]) -> int:
        try:
            return self._db.executemany(_SQL[query], values).rowcount
        except sqlite3.Error as error:
            raise _in_our_words(self._name, error) from None

    def _stream(self, query: str, values: Values | None = None) -> Iterator[Row]:
        with _translated(self._name):
            yield from self._db.execute(_SQL[query], values or ())

    def _claim(self, ids: Sequence[int], second: int) -> None:
        self._change_each("claim", [{"second": second, "id": number} for number in ids])

    def _settle_all(self, query: str, rows: Sequence[Values]) -> None:
        self._change_each(query, rows)

    @staticmethod
    def _list(values: Iterable[Any]) -> str:
        return json.dumps(list(values))

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

    def stage(
        self, sending: Sending, contacts: Iterable[Contact], fields: Iterable[str], mistakes: Mistakes
    ) -> Audience:
        """See the protocol. On disk, not in memory: a million rows stay flat."""
        audience, write_fields = Audience(), fields_writer({"name", *fields})
        which = {"issue": sending.issue, "rehearsal": sending.rehearsal}
        with _translated(self._name):
            self._db.execute(_SQL["stage"])
            self._db.execute("delete from temp.roster")
            self._db.execute("begin")  # of the temporary file alone
            try:
                for contact in contacts:
                    row = (contact.address, write_fields(contact), contact.source, contact.invalid)
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

    def rename(self, address: str, pseudonym: str) -> int:
        """See the protocol."""
        with _translated(self._name):  # what is overwritten is not to be read in the file's free room
            self._db.execute("pragma secure_delete = on")
        count = super().rename(address, pseudonym)
        with _translated(self._name):
            self._db.execute("pragma wal_checkpoint(truncate)")  # nor in the log
        return count

    def close(self) -> None:
        """See the protocol."""
        self._db.close()
