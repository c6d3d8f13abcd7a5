"""A law of `mailer dispatch`: over any ticks, crashes and clock jumps every approved issue goes once, none too early."""

import shutil
import tempfile
from collections import Counter
from contextlib import closing, suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alliance_mailer.example import copy_example
from alliance_mailer.ledger import Sending
from alliance_mailer.ledger.sqlite import open_ledger
from conftest import FreePort, Recorder
from ticks import Desk, wall
from ticks import settings as configure

PEOPLE = ["ann@example.org", "bob@example.net", "eve@example.org"]
DUE = {"2.6": wall("2026-03-08 01:45"), "2.7": wall("2026-03-08 03:10")}  # an hour is skipped between them
START = wall("2026-03-08 00:00")


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture(scope="module")
def server():
    recorder = Recorder()
    controller = FreePort(recorder, hostname="127.0.0.1", port=0)
    controller.start()
    recorder.port = controller.port
    yield recorder
    controller.stop()


@pytest.fixture(scope="module")
def ready(server):
    """Two issues to the same list, approved the day before: what each example begins with."""
    folder = Path(tempfile.mkdtemp()) / "digest"
    copy_example(folder)
    (folder / "contacts" / "subscribers.csv").write_text("email\n" + "".join(f"{each}\n" for each in PEOPLE))
    configure(folder, '[schedule]\nmax_late = "7d"\n[transports.live]\nuse = "smtp"\nhost = "127.0.0.1"\n'
                      f'port = {server.port}\ntls = "none"\nconnections = 1')  # fmt: skip
    desk = Desk(folder)
    desk.write("2.6", "2026-03-08 01:45")
    desk.write("2.7", "2026-03-08 03:10")
    session = desk.session()
    for number in DUE:
        desk.compiled[number] = session.load(number)
        desk.approve(number, START - timedelta(days=1))
    yield desk
    shutil.rmtree(folder.parent)


class Clock:
    """Stands at one time, and is the end of the process when it is read for the n-th time."""

    def __init__(self, now: datetime, dies_at: int | None) -> None:
        self.now, self.left = now, dies_at

    def __call__(self) -> datetime:
        if self.left is not None:
            self.left -= 1
            if self.left <= 0:
                raise Killed
        return self.now


ticks = st.tuples(
    st.integers(-90, 150),  # minutes that the clock moves; it may be set back
    st.one_of(st.none(), st.integers(1, 30)),  # the crash
)


# A process that ends closes its sockets; an exception in its place leaves that to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@settings(max_examples=settings().max_examples // 5, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ticks, max_size=8))
def test_every_approved_issue_goes_once_and_none_before_its_time(ready, server, events):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "digest"
        shutil.copytree(ready.project, folder)
        desk, now = Desk(folder, ready.compiled), START
        server.accepted.clear()
        for minutes, dies_at in [*events, (24 * 60, None), (24 * 60, None), (24 * 60, None)]:
            now += timedelta(minutes=minutes)
            before = len(server.accepted)
            with suppress(Killed):
                desk.tick(now, Clock(now, dies_at))
            for number, _ in sent(server)[before:]:
                assert now >= DUE[number]
        times = Counter(sent(server))
        assert set(times.values()) <= {1}
        with closing(open_ledger(folder / ".mailer" / "ledger.db")) as ledger:
            for number in DUE:
                tally = ledger.tally(Sending(number, rehearsal=False))
                accepted = {
                    d.contact.address for d in ledger.deliveries(Sending(number, rehearsal=False), ["accepted"])
                }
                assert tally.accepted + tally.unknown == len(PEOPLE)
                assert accepted <= {address for issue, address in times if issue == number}
                if not any(dies_at for _, dies_at in events):
                    assert sorted(accepted) == PEOPLE


def sent(server):
    """Which issue went to whom."""
    return [("2.6" if b"Digest 2.6" in message else "2.7", to) for _, to, message in server.accepted]
