"""A ledger on a disk that takes nothing, and a dry run, which asks nothing of it."""

import ctypes

import pytest

from alliance_mailer.errors import TryLater
from alliance_mailer.ledger import Tally
from alliance_mailer.ledger.sqlite import SqliteLedger, open_ledger

from .elsewhere import elsewhere, files_below, killed_between_claim_and_settle
from .rows import ANN, NOW, PLAN, SENDING, addresses, claim, plan, stage

# A disk that takes nothing ------------------------------------------------------------------------------------------


def test_a_folder_where_a_file_stands_is_a_reason_to_try_later(tmp_path):
    (tmp_path / ".mailer").write_text("")
    with pytest.raises(TryLater, match="cannot be opened: File exists"):
        open_ledger(tmp_path / ".mailer" / "ledger.db")


def test_a_hold_that_cannot_be_had_is_a_reason_to_try_later(path, opened):
    ledger = opened(path)
    path.with_name("2.6.lock").mkdir()
    with pytest.raises(TryLater, match=r"2\.6\.lock cannot be locked: Is a directory"), ledger.hold("2.6"):
        pass


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
    print(error.code, taken, error, flush=True)
"""
    with elsewhere(path, lines) as run:
        code, taken, said = run.stdout.read().split(maxsplit=2)
    assert code == "75"
    assert "disk" in said
    ledger = opened(path)
    ledger.recover(SENDING, repeat=False)
    tally = ledger.tally(SENDING)
    assert (tally.accepted, tally.planned) == (int(taken), 300)
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
        assert opened(path).tally(SENDING) == Tally()  # reading needs no lock
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
