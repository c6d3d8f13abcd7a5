"""The ledger's database: a connection to it, its schema and that of the task queue, and how they are upgraded."""

import contextlib
import importlib.metadata
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import psycopg
from psycopg.rows import TupleRow

from ..errors import ConfigError, TryLater
from .rows import queries

SQL = queries(str(Path(__file__).with_name("postgres.py")))
VERSION = 3
READABLE_BY = 1  # the oldest program's version that may use the schema beside this one

Connection = psycopg.Connection[TupleRow]

_REFUSED = re.compile(r"password|authentication|no pg_hba.conf entry|(role|database) .* does not exist")


def connect(url: str) -> Connection:
    """A connection that knows our schema. Raises ConfigError and TryLater."""
    try:
        db = psycopg.connect(
            url, autocommit=True, connect_timeout=10, application_name="mailer",
            keepalives_idle=10, keepalives_interval=5, keepalives_count=3, tcp_user_timeout=20_000,
        )  # fmt: skip
        db.execute(SQL["connect"])
    except psycopg.Error as error:
        words = _words(error)
        if _REFUSED.search(words) or isinstance(error, psycopg.ProgrammingError):
            hint = "the password comes from PGPASSWORD or ~/.pgpass; [ledger] url names user and database"
            raise ConfigError(f"the ledger {url} cannot be opened: {words}", hint=hint) from None
        raise TryLater(f"the ledger {url} cannot be reached: {words}") from None
    return db


def _words(error: psycopg.Error) -> str:
    """What libpq or the server says, in a line; libpq repeats itself for each address of a host."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].removesuffix(":") if lines else type(error).__name__


@contextlib.contextmanager
def translated(url: str) -> Iterator[None]:
    """What psycopg raises, in our words."""
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:  # gone, shut down, locked for 30 seconds
        words = _words(error)
        hint = "nothing is lost; run the same command again"
        raise TryLater(f"the ledger {url} cannot be used: {words}", hint=hint) from None
    except psycopg.errors.InsufficientPrivilege as error:
        hint = "the database's owner grants it: grant create on database … to …"
        raise ConfigError(f"{url}: {error.diag.message_primary}", hint=hint) from None


def prepare(db: Connection) -> None:
    """Make the schema where there is none. Raises ConfigError where it is older or newer than this program can use."""
    exists, foreign = _identity(db)
    if foreign and not exists:
        raise ConfigError('the schema "mailer" of this database is another program\'s', hint="use another database")
    if not exists:
        upgrade(db)
    version, readable_by, _ = _version(db)
    if version < VERSION:
        message = f"the ledger's schema is of version {version}; this program needs {VERSION}"
        raise ConfigError(message, hint="mailer ledger upgrade")
    if readable_by > VERSION:
        hint = "use the version of mailer that upgraded it, or a later one"
        raise ConfigError(f"the ledger's schema is of version {version}; this program knows {VERSION}", hint=hint)


def upgrade(db: Connection) -> list[str]:
    """Make the schema and the queue's, or bring them up to date; all or nothing. Returns what was done, for people.

    Who is at work goes on with it. Raises TryLater where it could not: then nobody may be at work.
    """
    from procrastinate.schema import SchemaManager

    done = list[str]()
    with db.transaction():
        db.execute("select pg_advisory_xact_lock(%s)", (lock_number("schema"),))  # of two at once, one finds it done
        if not _identity(db)[0]:
            db.execute(SQL["schema"])
            done.append(f"made the schema, version {VERSION}")
        db.execute("set local search_path to mailer")
        version, _, queue = _version(db)
        migrations = _Migrations(queue, importlib.metadata.version("procrastinate"))
        if (version < VERSION and version < READABLE_BY) or migrations.break_the_old:
            _refuse_while_at_work(db)
        for old in range(version, VERSION):
            db.execute(SQL[f"migrate_{old}"])
            done.append(f"upgraded the schema to version {old + 1}")
        if not queue:
            db.execute(SchemaManager.get_schema())
            done.append(f"made the queue's tables, procrastinate {migrations.installed}")
        elif queue != migrations.after:
            for file in migrations.due:
                db.execute(file.read_text("utf-8"))
            done.append(f"upgraded the queue's tables to procrastinate {migrations.installed}")
        if done:
            values = (max(version, VERSION), READABLE_BY, migrations.after)
            db.execute("update ledger set version = %s, readable_by = greatest(readable_by, %s), queue = %s", values)
    return done


def _refuse_while_at_work(db: Connection) -> None:
    """Raises TryLater. Until this transaction ends no lease is given; who had one is counted."""
    db.execute("lock table lease in share row exclusive mode")
    count = (db.execute(SQL["at_work"]).fetchone() or (0,))[0]
    if count:
        raise TryLater(
            f"nothing was upgraded: {count} at work on the ledger could not go on with the new schema",
            hint="systemctl stop mailer-worker on every machine, let mailer send end; then mailer ledger upgrade",
        )


def check_queue(db: Connection) -> None:
    """Raises ConfigError where the queue's tables are older than the procrastinate that is installed here."""
    migrations = _Migrations(_version(db)[2], importlib.metadata.version("procrastinate"))
    if any(_number(file.name) > _number(migrations.queue) for file in migrations.due):
        message = f"the queue's tables are procrastinate {migrations.queue}'s; installed is {migrations.installed}"
        raise ConfigError(message, hint="mailer ledger upgrade")


class _Migrations:
    """What brings the queue's tables to the version of procrastinate that is installed.

    A version's files are marked pre or post: an old worker gets along with the first, and no longer with the second.
    So those of the newest version wait for the next upgrade: by then no worker before it is left.
    """

    def __init__(self, noted: str, installed: str) -> None:
        """`noted`: the version that the tables are ready for; then, if older, the one whose `post` were run."""
        from procrastinate.schema import SchemaManager

        self.queue, _, finished = noted.partition(" ")
        self.installed, ready, last = installed, _number(noted), _number(finished or noted)
        self.due, self.break_the_old, self.after = list[Path](), False, noted or installed
        if ready >= _number(installed) or not noted:
            return
        files = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
        pending = [
            file
            for file in files
            if (last if "_post_" in file.name else ready) < _number(file.name) <= _number(installed)
        ]
        newest = max(map(_number, (file.name for file in pending)), default=ready)
        waiting = [file for file in pending if "_post_" in file.name and _number(file.name) == newest > ready]
        self.due = [file for file in pending if file not in waiting]
        self.break_the_old = any(_number(file.name) > ready and "_pre_" not in file.name for file in self.due)
        done = max([ready, *(_number(file.name) for file in self.due if "_post_" in file.name)])
        self.after = f"{installed} {'.'.join(map(str, done))}" if waiting else installed


def _identity(db: Connection) -> tuple[bool, bool]:
    """Whether our schema is there, and whether a schema of that name is."""
    exists, foreign = db.execute(SQL["identity"]).fetchone() or (False, False)
    return exists, foreign


def _version(db: Connection) -> tuple[int, int, str]:
    version, readable_by, queue = db.execute(SQL["version"]).fetchone() or (0, 0, "")
    return version, readable_by, queue


def _number(version: str) -> tuple[int, ...]:
    """3.10.0 and 03.10.00_50_post_….sql alike."""
    return tuple(map(int, re.findall(r"\d+", version)[:3]))


def lock_number(name: str) -> int:
    """The number of an advisory lock."""
    return int.from_bytes(sha256(f"alliance-mailer {name}".encode()).digest()[:8], signed=True)
