"""Two versions of the program on one ledger: this one, and a later one that is made of it here."""

import re
import shutil
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

import alliance_mailer
from alliance_mailer.ledger import Sending
from alliance_mailer.ledger.database import READABLE_BY, VERSION
from alliance_mailer.ledger.postgres import open_ledger
from conftest import change
from machines import until

SENDING = Sending("2.6", rehearsal=False)


@pytest.fixture
def later(tmp_path: Path) -> Callable[[int], Path]:
    """The next version: its rows have a column more, and its jobs more to say. `readable_by`: who may go on with it."""

    def later(readable_by: int) -> Path:
        folder = tmp_path / "later"
        program = folder / "alliance_mailer"
        shutil.copytree(Path(alliance_mailer.__file__).parent, program)
        change(program / "ledger" / "database.py", f"\nVERSION = {VERSION}\n", f"\nVERSION = {VERSION + 1}\n")
        change(program / "ledger" / "database.py", f"READABLE_BY = {READABLE_BY} ", f"READABLE_BY = {readable_by} ")
        with (program / "ledger" / "postgres.sql").open("a") as sql:
            sql.write(
                f"\n-- migrate_{VERSION} --\nalter table delivery add column mood text not null default 'fair';\n"
            )
        arguments = '{"issue": sending.issue, "rehearsal": sending.rehearsal'
        change(program / "jobs.py", arguments, f'{arguments}, "mood": "fair"')
        return folder

    return later


def sent_by(worker) -> int:
    """How many, by its own words; it has ended by then."""
    out, _ = worker.communicate()
    assert worker.returncode == 0, out
    assert "mistake" not in out, out
    return max(map(int, re.findall(r"(\d+) accepted", out)), default=0)


def test_an_old_and_a_new_worker_side_by_side(machines, sink, later):
    machines.people(8000)
    old, send = machines.worker(), machines.send()
    until(lambda: len(sink.took) > 50)
    newer = later(READABLE_BY)
    code, out = machines.run("ledger", "upgrade", program=newer)
    assert (code, f"upgraded the schema to version {VERSION + 1}" in out) == (0, True), out
    new = machines.worker(program=newer)
    with closing(open_ledger(machines.url)) as ledger:  # this version reads it, too
        ledger.connection.execute("delete from procrastinate_jobs where status = 'todo'")
        find = "select count(*) from procrastinate_jobs where args ? 'mood'"
        until(lambda: ledger.connection.execute(find).fetchone() != (0,))  # the new one's jobs; the old one takes them
    out, _ = send.communicate(timeout=200)
    assert send.returncode == 0, out
    for worker in (old, new):
        worker.send_signal(signal.SIGTERM)
    parts = [sent_by(old), sent_by(new)]
    assert min(parts) > 100
    assert sum(parts) == len({each.to for each in sink.took}) == len(sink.took) == 8000


def test_who_could_not_go_on_stops_the_upgrade_and_after_it_says_so_and_stops(machines, sink, later):
    machines.people(3000)
    old, send, newer = machines.worker(), machines.send(), later(VERSION + 1)
    until(lambda: len(sink.took) > 50)
    code, out = machines.run("ledger", "upgrade", program=newer)
    assert (code, "at work on the ledger could not go on with the new schema" in out) == (75, True), out
    with psycopg.connect(machines.url) as db:
        assert db.execute("select version, readable_by from mailer.ledger").fetchone() == (VERSION, READABLE_BY)
    assert old.poll() is None  # it was not disturbed

    send.send_signal(signal.SIGINT)
    send.wait()
    old.send_signal(signal.SIGTERM)
    already = sent_by(old)
    assert 0 < already < 3000
    idle = machines.worker()  # an old one again: with something to do, or between two jobs
    idle.send_signal(signal.SIGSTOP)
    with psycopg.connect(machines.url, autocommit=True) as db:
        db.execute("delete from mailer.lease")
        db.execute("select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"
                   " and datname = current_database()")  # fmt: skip
    code, out = machines.run("ledger", "upgrade", program=newer)
    assert code == 0, out
    idle.send_signal(signal.SIGCONT)
    out, _ = idle.communicate(timeout=60)
    assert (idle.returncode, f"of version {VERSION + 1}; this program knows {VERSION}" in out) == (78, True), out
    assert "use the version of mailer that upgraded it, or a later one" in out

    new = machines.worker(program=newer)
    send = machines.start("send", "--issue", "2.6", "--transport", "live", "--yes", program=newer)
    out, _ = send.communicate(timeout=200)
    assert send.returncode in (0, 1), out
    new.send_signal(signal.SIGTERM)
    sent_by(new)
    assert len({each.to for each in sink.took}) == len(sink.took)
