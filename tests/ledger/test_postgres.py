"""The ledger in PostgreSQL: the contract, and what only a server can suffer."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import Thread, current_thread, main_thread

import psycopg
import pytest
from procrastinate.schema import SchemaManager

from alliance_mailer.contact import Suppression
from alliance_mailer.errors import ConfigError, TryLater
from alliance_mailer.ledger import Tally, database
from alliance_mailer.ledger.database import check_queue, connect, upgrade
from alliance_mailer.ledger.postgres import PostgresLedger, open_ledger
from database import emptied

from .contract import LedgerContract, Open
from .machine import LedgerMachine
from .rows import ANN, BOB, SENDING, addresses, claim, plan

URL = ""


@pytest.fixture(scope="module", autouse=True)
def at_url(shared_url: str) -> None:
    global URL  # noqa: PLW0603 (hypothesis' machines take no fixtures)
    URL = shared_url


@contextmanager
def empty_database() -> Iterator[Open]:
    emptied(URL)
    with ExitStack() as opened:

        def connect() -> PostgresLedger:
            ledger = open_ledger(URL)
            if current_thread() is main_thread():  # another closes its own
                opened.callback(ledger.close)
            return ledger

        yield connect


class TestContract(LedgerContract):
    store = staticmethod(empty_database)


class Machine(LedgerMachine):
    store = staticmethod(empty_database)


TestMachine = Machine.TestCase
TestMachine.settings = LedgerMachine.TestCase.settings


# The schema ---------------------------------------------------------------------------------------------------------


def shape(url: str) -> dict[str, set[tuple]]:
    """Each column, index, constraint and function, without their order."""
    with psycopg.connect(url) as db:
        columns = db.execute(
            "select table_name, column_name, data_type, is_nullable, column_default, is_identity, collation_name"
            " from information_schema.columns where table_schema = 'mailer'"
        )
        indexes = db.execute("select indexname, indexdef from pg_indexes where schemaname = 'mailer'")
        constraints = db.execute(
            "select conname, pg_get_constraintdef(oid) from pg_constraint where connamespace = 'mailer'::regnamespace"
        )
        functions = db.execute("select proname, prosrc from pg_proc where pronamespace = 'mailer'::regnamespace")
        version = db.execute("select version, readable_by, queue from mailer.ledger")
        found = {"columns": columns, "indexes": indexes, "constraints": constraints, "functions": functions}
        return {name: set(cursor.fetchall()) for name, cursor in {**found, "version": version}.items()}


@pytest.fixture
def older(server) -> str:
    """A ledger of version 1, with somebody in it."""
    url = server.new_database("older")
    with psycopg.connect(url) as db:
        db.execute((Path(__file__).parent / "postgres_1.sql").read_text())
        db.execute("insert into edition (issue, rehearsal, sha256, transport, subject, text)"
                   " values ('2.6', false, 'a1b2', 'smtp', 'Digest', 'Hello')")  # fmt: skip
        db.execute("insert into delivery (issue, rehearsal, edition, address, fields, source, state, planned_at)"
                   " values ('2.6', false, 1, 'ann@example.org', '{}', 'a.csv:2', 'waiting', 1680526800)")  # fmt: skip
    return url


def test_an_older_schema_is_named_and_upgraded_when_it_is_asked_for(older, server):
    with pytest.raises(ConfigError, match="of version 1; this program needs 3") as refusal:
        open_ledger(older)
    assert refusal.value.hint == "mailer ledger upgrade"
    with closing(connect(older)) as db:
        assert upgrade(db)[:2] == [f"upgraded the schema to version {number}" for number in (2, 3)]
        assert upgrade(db) == []
    with closing(open_ledger(older)) as ledger:
        assert addresses(claim(ledger)) == ["ann@example.org"]
    fresh = server.new_database("fresh")
    open_ledger(fresh).close()
    assert shape(older) == shape(fresh)


def test_of_the_queues_migrations_those_after_the_version_we_noted_are_run_and_no_others(server, tmp_path, monkeypatch):
    url = server.new_database("queue")
    open_ledger(url).close()
    for name in ("03.04.00_01_old", "03.09.01_01_new", "03.09.01_50_newer", "99.01.00_01_of_a_later_one"):
        (tmp_path / f"{name}.sql").write_text(f"create table migrated_{name[-5:]} (id integer)")
    monkeypatch.setattr(SchemaManager, "get_migrations_path", lambda: str(tmp_path))
    before = shape(url)["version"]
    with closing(connect(url)) as db:
        db.execute("update ledger set queue = '3.9.0'")
        with pytest.raises(ConfigError, match=r"the queue's tables are procrastinate 3\.9\.0's; installed is 3\."):
            check_queue(db)
        assert upgrade(db)[0].startswith("upgraded the queue's tables to procrastinate 3.")
        made = db.execute("select tablename from pg_tables where tablename like 'migrated%' order by 1").fetchall()
    assert made == [("migrated_1_new",), ("migrated_newer",)]
    assert shape(url)["version"] == before


def test_a_queue_is_upgraded_beside_its_old_workers_and_cleaned_up_with_the_next_upgrade(server, tmp_path, monkeypatch):
    url = server.new_database("queue_beside")
    open_ledger(url).close()
    for name in ("03.04.00_50_post_old", "03.11.00_01_pre_new", "03.11.00_50_post_new", "03.12.00_01_pre_next"):
        (tmp_path / f"{name}.sql").write_text(f"create table did_{name[9:].lower()}_{name[3:5]} (id integer)")
    monkeypatch.setattr(SchemaManager, "get_migrations_path", lambda: str(tmp_path))

    def after(installed: str) -> tuple[str, list[str]]:
        monkeypatch.setattr(database.importlib.metadata, "version", lambda _: installed)
        upgrade(db)
        check_queue(db)
        done = db.execute("select tablename from pg_tables where tablename like 'did%' order by 1").fetchall()
        return db.execute("select queue from ledger").fetchone()[0], [name for (name,) in done]

    with closing(connect(url)) as db:
        with closing(connect(url)) as another:
            another.execute("select pg_advisory_lock(1)")  # somebody is at work
            assert after("3.11.0") == ("3.11.0 3.10.0", ["did_01_pre_new_11"])
            assert upgrade(db) == []
            assert after("3.12.0")[1] == ["did_01_pre_new_11", "did_01_pre_next_12", "did_50_post_new_11"]
            db.execute("drop table did_01_pre_new_11, did_01_pre_next_12, did_50_post_new_11")
            db.execute("update ledger set queue = '3.10.0'")
            with pytest.raises(TryLater, match="nothing was upgraded: 1 at work"):  # over two versions that is not so
                after("3.12.0")
        assert after("3.12.0") == ("3.12.0", ["did_01_pre_new_11", "did_01_pre_next_12", "did_50_post_new_11"])


def test_a_newer_schema_that_we_can_use_is_used_and_another_is_refused(server):
    url = server.new_database("newer")
    open_ledger(url).close()
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("update mailer.ledger set version = 7")
        open_ledger(url).close()
        db.execute("update mailer.ledger set readable_by = 7")
    with pytest.raises(ConfigError, match="of version 7; this program knows 3"):
        open_ledger(url)


def test_two_first_runs_at_once_make_one_ledger(server):
    url = server.new_database("first")
    planned = []

    def first_run() -> None:
        with closing(open_ledger(url)) as ledger:
            planned.append(plan(ledger, [ANN]))

    threads = [Thread(target=first_run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(planned) == [0, 0, 0, 1]


def test_another_programs_schema_of_our_name_is_refused_and_left_as_it_is(server):
    url = server.new_database("foreign")
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("create schema mailer; create table mailer.parcel (id integer)")
    with pytest.raises(ConfigError, match="another program's"):
        open_ledger(url)


# A database that is not there ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "kind", "words"),
    [
        ("postgresql://127.0.0.1:1/mailer", TryLater, "cannot be reached: .*refused"),
        ("postgresql://nobody@/postgres?host=HOST", ConfigError, 'role "nobody" does not exist'),
        ("postgresql://mailer@/nothing?host=HOST", ConfigError, 'database "nothing" does not exist'),
    ],
)
def test_a_database_that_cannot_be_opened_is_named(server, url, kind, words):
    with pytest.raises(kind, match=words):
        open_ledger(url.replace("HOST", server.url.partition("host=")[2]))


def test_a_database_that_goes_away_is_told_and_loses_nothing(server):
    url = server.new_database("gone")
    ledger = open_ledger(url)
    plan(ledger)
    claim(ledger)
    server.stop("immediate")
    with pytest.raises(TryLater, match="cannot be used"):
        claim(ledger)
    server.start()
    with closing(open_ledger(url)) as again:
        assert again.tally(SENDING) == Tally(waiting=3)
        assert again.recover(SENDING, repeat=False) == 1


def test_a_dry_run_leaves_nothing_behind(server):
    url = server.new_database("dry")
    with closing(open_ledger(url, dry_run=True)) as ledger:
        ledger.suppress([Suppression(BOB, "unsubscribe")])
        assert plan(ledger) == 3
        assert ledger.tally(SENDING) == Tally(waiting=2, suppressed=1)
    with psycopg.connect(url) as db:
        assert db.execute("select to_regnamespace('mailer')").fetchone() == (None,)
