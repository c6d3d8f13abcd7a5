"""A ledger moved to another database, whole: SQLite to PostgreSQL when a list outgrows a machine, or back."""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

from ..errors import ConfigError, TryLater
from . import open_ledger
from .rows import queries

_SQL = queries(__file__)
_TABLES = ("edition", "request", "delivery", "suppression", "spent", "receipt")

Rows = Iterable[tuple[Any, ...]]


def copy_ledger(source: Path | str, target: Path | str) -> dict[tuple[str, bool], int]:
    """Copy everything into an empty ledger, in one transaction. Returns how many were planned, by issue and rehearsal.

    Nobody may be sending meanwhile: every issue is held in both. Raises ConfigError where the target holds anything,
    TryLater where an issue is being sent.
    """
    if source == target:
        raise ConfigError("the ledger cannot be copied onto itself", hint="mailer ledger copy --help")
    with contextlib.ExitStack() as held:
        for store in (source, target):
            ledger = open_ledger(store)
            held.callback(ledger.close)
            for issue in {sending.issue for sending in ledger.sendings()}:
                if ledger.is_held(issue):
                    raise TryLater(f"issue {issue} is being sent", hint=f"mailer status --issue {issue}")
                held.enter_context(ledger.hold(issue))
        reader, writer = held.enter_context(_opened(source)), held.enter_context(_opened(target))
        if not next(iter(writer.read("is_empty")))[0]:
            raise ConfigError(f"the ledger {target} is not empty", hint="copy into a new one")
        for table in _TABLES:
            writer.write(table, reader.read(f"read_{table}"))
        before, after = (
            [(issue, bool(rehearsal), state, count, int(attempts)) for issue, rehearsal, state, count, attempts in each]
            for each in (reader.read("sums"), writer.read("sums"))
        )
        if sorted(before) != sorted(after):  # pragma: no cover (it cannot be; and it is not kept, then)
            raise RuntimeError(f"the copy differs: {set(before) ^ set(after)}")
        writer.commit()
        counts: dict[tuple[str, bool], int] = {}
        for issue, rehearsal, _, count, _ in after:
            counts[issue, rehearsal] = counts.get((issue, rehearsal), 0) + count
        return counts


class _Database(Protocol):
    """One side."""

    def read(self, query: str) -> Rows: ...
    def write(self, table: str, rows: Rows) -> None: ...
    def commit(self) -> None: ...


@contextlib.contextmanager
def _opened(store: Path | str) -> Iterator[_Database]:
    if isinstance(store, Path):
        with contextlib.closing(sqlite3.connect(store, isolation_level=None)) as file:
            yield _Sqlite(file)
        return
    from .database import connect, translated

    with translated(store), contextlib.closing(connect(store)) as db:
        db.autocommit = False
        yield _Postgres(db)


class _Sqlite:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        db.execute("begin immediate")

    def read(self, query: str) -> Rows:
        return self._db.execute(_SQL[query])

    def write(self, table: str, rows: Rows) -> None:
        columns = _SQL[f"write_{table}"].strip()
        marks = ", ".join("?" * (columns.count(",") + 1))
        self._db.executemany(f"insert into {columns} values ({marks})", rows)  # noqa: S608 (ours)

    def commit(self) -> None:
        self._db.execute("commit")


class _Postgres:
    def __init__(self, db: Any) -> None:
        self._db = db

    def read(self, query: str) -> Rows:
        with self._db.cursor(name=query) as cursor:
            cursor.itersize = 10_000
            cursor.execute(_SQL[query])
            yield from cursor

    def write(self, table: str, rows: Rows) -> None:
        with self._db.cursor() as cursor, cursor.copy(f"copy {_SQL[f'write_{table}'].strip()} from stdin") as copy:
            for row in rows:
                copy.write_row([value.replace("\0", "") if isinstance(value, str) else value for value in row])

    def commit(self) -> None:
        self._db.execute(_SQL["continue_numbers"])
        self._db.execute("analyze delivery")
        self._db.commit()
