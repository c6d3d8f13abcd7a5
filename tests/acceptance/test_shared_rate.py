"""A transport's rate is one, however many processes spend of it: two issues at once, or several workers."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import change
from faults import Took
from machines import Machines, Sink

SQLITE = "sqlite:///.mailer/ledger.db"


@pytest.fixture
def limited(tmp_path: Path, sink: Sink) -> Iterator[Callable[..., Machines]]:
    """A publication with two issues and a rate."""
    made = []

    def limited(rates: str, people: int, url: str = SQLITE) -> Machines:
        one = Machines(tmp_path / "limited", url, f'port = {sink.port}\ntls = "none"\nconnections = 3\n{rates}')
        made.append(one)
        one.people(people)
        issues = one.at_home / "issues"
        shutil.copy(issues / "2.6.md", issues / "2.7.md")
        change(issues / "2.7.md", 'issue: "2.6"', 'issue: "2.7"')
        return one

    yield limited
    for each in made:
        each.close()


def both(machines: Machines) -> list[int]:
    """Both issues, each in a process of its own, at once. Their exit codes."""
    runs = [machines.start("send", "--issue", number, "--transport", "live", "--yes") for number in ("2.6", "2.7")]
    for run in runs:
        run.communicate(timeout=120)
    return [run.returncode for run in runs]


def busiest(took: list[Took], seconds: float) -> int:
    """The most in any stretch of so many seconds."""
    times = sorted(each.at for each in took)
    return max(sum(begin <= at < begin + seconds for at in times) for begin in times)


def lasted(took: list[Took]) -> float:
    times = sorted(each.at for each in took)
    return times[-1] - times[0]


def test_two_issues_at_once_share_a_days_quota_to_the_message(limited, sink):
    machines = limited('rate = ["70/d"]', 80)
    assert both(machines) == [75, 75]
    assert len(sink.took) == 70
    counts = [machines.document("status", "--issue", number)["accepted"] for number in ("2.6", "2.7")]
    assert sum(counts) == 70
    assert both(machines) == [75, 75]
    assert len(sink.took) == 70


def test_two_issues_at_once_share_a_rate_a_second_and_use_it(limited, sink):
    machines = limited('rate = ["20/s"]', 60)
    assert both(machines) == [0, 0]
    assert len(sink.took) == 120
    # Two at once are let through (a tenth of a second), and what was let through may arrive together.
    assert busiest(sink.took, 2) <= 2 * 20 + 4
    assert 5.8 <= lasted(sink.took) < 9


def test_two_issues_at_once_share_the_rate_of_a_domain(limited, sink):
    machines = limited('domain_rate = ["25/d"]', 30)
    assert both(machines) == [75, 75]
    assert len(sink.took) == 25


def test_workers_share_a_rate_a_second_and_use_it(limited, sink, server):
    machines = limited('rate = ["40/s"]', 240, server.new_database("paced"))
    for _ in range(3):
        machines.worker()
    code, out = machines.run("send", "--issue", "2.6", "--transport", "live", "--yes")
    assert code == 0, out
    assert len({each.to for each in sink.took}) == len(sink.took) == 240
    assert busiest(sink.took, 2) <= 2 * 40 + 8
    assert 5.8 <= lasted(sink.took) < 9
