"""The ledger in a SQLite file: the contract, and what only a file can suffer."""

import gc
import json
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import current_thread, main_thread

import pytest

from alliance_mailer.errors import ConfigError, TryLater
from alliance_mailer.ledger import Spent, Tally
from alliance_mailer.ledger.sqlite import SqliteLedger, file_system, open_ledger

from .contract import LedgerContract, Open
from .elsewhere import elsewhere, files_below, killed_between_claim_and_settle
from .machine import LedgerMachine
from .rows import ANN, BOB, NOW, REHEARSAL, SENDING, addresses, claim, plan


@contextmanager
def folder_with_a_ledger() -> Iterator[Open]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as opened:

        def connect() -> SqliteLedger:
            ledger = open_ledger(Path(folder) / "ledger.db")
            if current_thread() is main_thread():  # another closes its own
                opened.callback(ledger.close)
            return ledger

        yield connect


class TestContract(LedgerContract):
    store = staticmethod(folder_with_a_ledger)


class Machine(LedgerMachine):
    store = staticmethod(folder_with_a_ledger)


TestMachine = Machine.TestCase
TestMachine.settings = LedgerMachine.TestCase.settings


# A run that dies ---------------------------------------------------------------------------------------------------


def test_kill_9_between_claim_and_settle_leaves_one_unknown_and_forgets_nothing(path, opened):
    killed_between_claim_and_settle(path)
    ledger = opened(path)
    assert ledger.tally(SENDING) == Tally(accepted=1, waiting=2)
    assert ledger.recover(SENDING, repeat=False) == 1
    assert ledger.tally(SENDING) == Tally(accepted=1, unknown=1, waiting=1)
    assert addresses(ledger.deliveries(SENDING, ["unknown"])) == [BOB]


def test_an_abort_right_behind_a_transactions_begin_leaves_none_open(path, opened, monkeypatch):
    ledger = opened(path)
    plan(ledger)
    db = ledger._db

    class Aborted:
        def execute(self, sql: str, *values: object) -> object:
            done = db.execute(sql, *values)
            if sql.startswith("begin"):
                raise KeyboardInterrupt
            return done

        def __getattr__(self, name: str) -> object:
            return getattr(db, name)

    monkeypatch.setattr(ledger, "_db", Aborted())
    with pytest.raises(KeyboardInterrupt):
        claim(ledger)
    monkeypatch.undo()
    assert addresses(claim(ledger)) == [ANN]


def test_the_hold_on_an_issue_ends_with_the_process_that_has_it(path, opened):
    lines = "with open_ledger(path).hold('2.6'):\n    print('held', flush=True)\n    time.sleep(60)"
    ledger = opened(path)
    with elsewhere(path, lines) as run:
        assert run.stdout.readline() == "held\n"
        with pytest.raises(TryLater, match="another run holds"), ledger.hold("2.6"):
            pass
        run.kill()
    with ledger.hold("2.6"):
        assert ledger.planned(SENDING) is None


def test_two_first_runs_at_once_make_one_ledger(path):
    lines = """
print("ready", flush=True)
input()
print([plan(open_ledger(path.with_name(f"{number}.db")), [ANN]) for number in range(20)])
"""
    runs = [elsewhere(path, lines, stdin=subprocess.PIPE) for _ in range(3)]
    assert [run.stdout.readline() for run in runs] == ["ready\n"] * 3
    for run in runs:
        run.stdin.write("go\n")
        run.stdin.flush()
    planned = [json.loads(run.communicate()[0]) for run in runs]
    assert [sum(times) for times in zip(*planned, strict=True)] == [1] * 20


# A file that is no ledger of ours ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path, dry_run):
    path.parent.mkdir()
    path.write_bytes(b"Dear diary,\n" * 400)
    with pytest.raises(ConfigError, match=r"ledger\.db is no ledger") as refusal:
        open_ledger(path, dry_run=dry_run)
    assert "do not delete it" in refusal.value.hint
    del refusal
    gc.collect()  # Python 3.13 and later tell of a connection that was left open
    assert path.read_bytes() == b"Dear diary,\n" * 400


def test_another_programs_database_is_refused_and_left_as_it_is(path):
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("create table delivery (parcel text)")
    other.close()
    before = files_below(path.parent)
    with pytest.raises(ConfigError, match="a database of another program"):
        open_ledger(path)
    assert files_below(path.parent) == before


def test_a_newer_versions_ledger_is_refused_and_left_as_it_is(path):
    open_ledger(path).close()
    with closing(sqlite3.connect(path)) as newer, newer:
        newer.execute("pragma user_version = 7")
    newer.close()
    before = files_below(path.parent)
    with pytest.raises(ConfigError, match=r"a ledger of version 7; this program knows \d+"):
        open_ledger(path)
    assert files_below(path.parent) == before


@pytest.mark.parametrize(("durability", "synchronous"), [("process", 1), ("power", 2)])
def test_a_commit_waits_for_the_disk_where_a_power_cut_is_to_be_survived(path, durability, synchronous):
    with closing(open_ledger(path, durability=durability)) as ledger:
        assert ledger._db.execute("pragma journal_mode").fetchone() == ("wal",)
        assert ledger._db.execute("pragma synchronous").fetchone() == (synchronous,)  # NORMAL, FULL


def test_what_was_spent_before_rates_were_shared_is_remembered(path, opened):
    opened(path).close()
    with closing(sqlite3.connect(path)) as older:
        older.executescript("""
            pragma user_version = 3;
            drop table spent;
            create table spent (transport text not null, domain text not null, second integer not null,
                                count integer not null, primary key (transport, domain, second)) without rowid;
            insert into spent values ('smtp', '', 100, 3), ('smtp', 'example.org', 90, 1);
        """)
    ledger, rows = opened(path), [Spent("smtp", "example.org", 90, 1), Spent("smtp", "", 100, 3)]
    assert ledger.spent_since("smtp", 0) == rows
    ledger.exchange(SENDING, [], 0, NOW, spent=[Spent("smtp", "", 100, 1)])
    assert ledger.spent_since("smtp", 100) == [Spent("smtp", "", 100, 4)]


def test_an_older_ledger_is_brought_up_to_date_and_loses_nothing(path, opened, tmp_path):
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as older, older:
        older.executescript((Path(__file__).parent / "version_1.sql").read_text())
        older.execute("insert into edition values (1, '2.6', 0, 'a1b2', 'smtp', 'Digest', 'Hello')")
        row = "1, '2.6', 0, 1, 'ann@example.org', '{}', 'a.csv:2', 'waiting', 0, 1680526800, 0, null, '', ''"
        older.execute(f"insert into delivery values ({row})")
    older.close()
    assert opened(path).planned(SENDING).edition == "a1b2"
    assert addresses(claim(opened(path))) == ["ann@example.org"]
    assert shape(opened(path)) == shape(opened(tmp_path / "fresh.db"))


def shape(ledger: SqliteLedger) -> dict[str, set[tuple]]:
    """Each table's columns, without their order; each index."""
    tables = [row[0] for row in ledger._db.execute("select name from sqlite_master where type = 'table'")]
    columns = {name: {row[1:] for row in ledger._db.execute(f"pragma table_info({name})")} for name in tables}
    indexes = set(ledger._db.execute("select name, sql from sqlite_master where type = 'index'"))
    return {**columns, "indexes": indexes, "version": set(ledger._db.execute("pragma user_version"))}


def test_a_damaged_ledger_is_named_and_not_repaired(path, opened):
    plan(opened(path), [f"reader{n}@example.org" for n in range(500)])
    opened(path)._db.execute("pragma wal_checkpoint(truncate)")
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(ConfigError, match="is no ledger: database disk image is malformed"):
        opened(path).tally(SENDING)


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/home/me/digest", "ext4"),
        ("/mnt/team drive/digest", "nfs4"),
        ("/mnt/team drives", "ext4"),
        ("/mnt/twice/x", "cifs"),
    ],
)
def test_the_innermost_and_latest_mount_tells_the_file_system(folder, kind):
    mounts = "/dev/sda / ext4 rw\nserver:/t /mnt/team\\040drive nfs4 rw\n/dev/sdb /mnt/twice ext4 rw\n//s /mnt/twice cifs rw\n"
    assert file_system(Path(folder), mounts) == kind


def test_a_forgotten_rehearsal_leaves_no_text_behind(path, opened):
    ledger = opened(path)
    plan(ledger, sending=REHEARSAL)
    ledger.forget(REHEARSAL)
    assert ledger._db.execute("select count(*) from edition").fetchone() == (0,)
