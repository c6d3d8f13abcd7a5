"""The ledger in a SQLite file: the contract, and what only a file can suffer."""

import ctypes
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import current_thread, main_thread

import pytest

from alliance_mailer.errors import ConfigError, TryLater
from alliance_mailer.ledger import Tally
from alliance_mailer.ledger.sqlite import SqliteLedger, file_system, open_ledger

from .contract import LedgerContract, Open
from .machine import LedgerMachine
from .rows import ANN, BOB, NOW, PLAN, SENDING, addresses, claim, plan, stage


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


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".mailer" / "ledger.db"


@pytest.fixture
def opened() -> Iterator[Callable[..., SqliteLedger]]:
    with ExitStack() as stack:

        def opened(path: Path, **options: bool) -> SqliteLedger:
            ledger = open_ledger(path, **options)
            stack.callback(ledger.close)
            return ledger

        yield opened


def elsewhere(path: Path, lines: str, **options: object) -> subprocess.Popen[str]:
    """Another process, which has the ledger open."""
    start = f"""
import resource, sys, time
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from alliance_mailer.errors import MailerError
from alliance_mailer.ledger.sqlite import open_ledger
from ledger.rows import *
path = Path({str(path)!r})
"""
    return subprocess.Popen([sys.executable, "-c", start + lines], stdout=subprocess.PIPE, text=True, **options)


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(each.relative_to(folder)): each.read_bytes() for each in sorted(folder.rglob("*")) if each.is_file()}


def killed_between_claim_and_settle(path: Path) -> None:
    lines = """
ledger = open_ledger(path)
plan(ledger)
settle(ledger, claim(ledger), Verdict.ACCEPTED)
claim(ledger)
print("claimed", flush=True)
time.sleep(60)
"""
    with elsewhere(path, lines) as run:
        assert run.stdout.readline() == "claimed\n"
        run.send_signal(signal.SIGKILL)


# A run that dies ---------------------------------------------------------------------------------------------------


def test_kill_9_between_claim_and_settle_leaves_one_unknown_and_forgets_nothing(path, opened):
    killed_between_claim_and_settle(path)
    ledger = opened(path)
    assert ledger.tally(SENDING) == Tally(accepted=1, waiting=2)
    assert ledger.recover(SENDING, repeat=False) == 1
    assert ledger.tally(SENDING) == Tally(accepted=1, unknown=1, waiting=1)
    assert addresses(ledger.deliveries(SENDING, ["unknown"])) == [BOB]


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
    runs = [elsewhere(path, "print(plan(open_ledger(path), [ANN]))") for _ in range(4)]
    assert sorted(run.communicate()[0] for run in runs) == ["0\n"] * 3 + ["1\n"]


# A file that is no ledger of ours ------------------------------------------------------------------------------------


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path):
    path.parent.mkdir()
    path.write_bytes(b"Dear diary,\n" * 400)
    with pytest.raises(ConfigError, match=r"ledger\.db is no ledger") as refusal:
        open_ledger(path)
    assert "do not delete it" in refusal.value.hint
    assert path.read_bytes() == b"Dear diary,\n" * 400


def test_another_programs_database_is_refused_and_left_as_it_is(path):
    path.parent.mkdir()
    with sqlite3.connect(path) as other:
        other.execute("create table delivery (parcel text)")
    other.close()
    before = files_below(path.parent)
    with pytest.raises(ConfigError, match="a database of another program"):
        open_ledger(path)
    assert files_below(path.parent) == before


def test_a_newer_versions_ledger_is_refused_and_left_as_it_is(path):
    open_ledger(path).close()
    with sqlite3.connect(path) as newer:
        newer.execute("pragma user_version = 7")
    newer.close()
    before = files_below(path.parent)
    with pytest.raises(ConfigError, match="a ledger of version 7; this program knows 1"):
        open_ledger(path)
    assert files_below(path.parent) == before


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


# A disk that takes nothing ------------------------------------------------------------------------------------------


def test_a_folder_where_a_file_stands_is_a_reason_to_try_later(tmp_path):
    (tmp_path / ".mailer").write_text("")
    with pytest.raises(TryLater, match="cannot be opened: File exists"):
        open_ledger(tmp_path / ".mailer" / "ledger.db")


def without_root() -> None:
    """Root may write everywhere: give that up (PR_CAPBSET_DROP, CAP_DAC_OVERRIDE); for others it changes nothing."""
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)


@pytest.mark.parametrize("there", [True, False])
def test_a_read_only_folder_is_a_reason_to_try_later(path, there):
    path.parent.mkdir()
    if there:
        open_ledger(path).close()
        path.chmod(0o400)
    path.parent.chmod(0o500)
    lines = """
try:
    with open_ledger(path).hold("2.6"):
        pass
except MailerError as error:
    print(error.code, error)
"""
    with elsewhere(path, lines, preexec_fn=without_root) as run:
        said = run.stdout.read()
    path.parent.chmod(0o700)
    assert said.startswith("75 ")
    assert str(path.parent) in said


def test_a_full_disk_stops_the_plan_and_loses_nothing(path, opened):
    ledger = opened(path)
    plan(ledger, [ANN])
    ledger._db.execute(f"pragma max_page_count = {ledger._db.execute('pragma page_count').fetchone()[0] + 1}")
    stage(ledger, [f"reader{n}@example.org" for n in range(2000)])
    with pytest.raises(TryLater, match="database or disk is full"):
        ledger.plan(SENDING, PLAN, NOW)
    assert ledger.tally(SENDING) == Tally(waiting=1)
    ledger._db.execute("pragma max_page_count = 100000")
    assert ledger.plan(SENDING, PLAN, NOW) == 2000


def test_a_disk_that_fills_up_in_the_middle_of_a_run_loses_nothing(path, opened):
    lines = """
ledger = open_ledger(path)
plan(ledger, [f"reader{n}@example.org" for n in range(300)])
written = path.with_name("ledger.db-wal").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (written + 200_000, written + 200_000))
taken = 0
try:
    while claimed := claim(ledger):
        settle(ledger, claimed, Verdict.ACCEPTED)
        taken += 1
except MailerError as error:
    print(error.code, taken, flush=True)
"""
    with elsewhere(path, lines) as run:
        code, taken = map(int, run.stdout.read().split())
    assert code == 75
    ledger = opened(path)
    ledger.recover(SENDING, repeat=False)
    tally = ledger.tally(SENDING)
    assert (tally.accepted, tally.planned) == (taken, 300)
    assert tally.unknown <= 1


def test_a_ledger_that_another_process_keeps_locked_is_a_reason_to_try_later(path, opened):
    ledger = opened(path)
    ledger._db.execute("pragma busy_timeout = 50")
    lines = (
        "ledger = open_ledger(path)\nledger._db.execute('begin immediate')\nprint('locked', flush=True)\ntime.sleep(60)"
    )
    with elsewhere(path, lines) as run:
        assert run.stdout.readline() == "locked\n"
        with pytest.raises(TryLater, match="database is locked"):
            plan(ledger)
        run.kill()
    assert plan(ledger) == 3


# A dry run --------------------------------------------------------------------------------------------------------


def rehearse_in_a_copy(ledger: SqliteLedger) -> Tally:
    with ledger.hold("2.6"):
        ledger.recover(SENDING, repeat=False)
        plan(ledger, [ANN, "new@example.org"])
        return ledger.tally(SENDING)


def test_a_dry_run_writes_nothing_where_there_is_no_ledger(path, opened):
    assert rehearse_in_a_copy(opened(path, dry_run=True)) == Tally(waiting=2)
    assert not path.parent.exists()


def test_a_dry_run_sees_the_ledger_and_leaves_every_byte_as_it_is(path):
    ledger = open_ledger(path)
    plan(ledger)
    ledger.close()
    before = files_below(path.parent)
    copy = open_ledger(path, dry_run=True)
    assert rehearse_in_a_copy(copy) == Tally(waiting=4)
    copy.close()
    assert files_below(path.parent) == before


def test_a_dry_run_after_a_crash_sees_what_was_written_last_and_changes_nothing(path):
    killed_between_claim_and_settle(path)
    before = {name: data for name, data in files_below(path.parent).items() if not name.endswith("-shm")}
    assert "ledger.db-wal" in before
    copy = open_ledger(path, dry_run=True)
    assert rehearse_in_a_copy(copy) == Tally(accepted=1, unknown=1, waiting=2)
    copy.close()
    after = files_below(path.parent)
    assert after.keys() - {"ledger.db-shm"} == before.keys()
    assert {name: after[name] for name in before} == before


def test_a_dry_run_beside_a_living_run_sees_what_that_has_written(path, opened):
    living = opened(path)
    plan(living)
    assert rehearse_in_a_copy(opened(path, dry_run=True)) == Tally(waiting=4)
    assert living.tally(SENDING) == Tally(waiting=3)
    assert addresses(claim(living)) == [ANN]
