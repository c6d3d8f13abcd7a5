"""The list of issues: order, date, and how far each is."""

import contextlib
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from alliance_mailer.contact import read_lists
from alliance_mailer.ledger import Planned, Sending
from alliance_mailer.ledger.sqlite import open_ledger
from alliance_mailer.preview.shelf import shelf
from conftest import change

NOW, ZONE = datetime(2023, 4, 1, tzinfo=UTC), ZoneInfo("America/New_York")


@pytest.fixture
def issue(project: Path):
    text = (project / "issues" / "2.6.md").read_text()

    def write(number: str, **keys: str) -> None:
        added = "".join(f"\n{key}: {value}" for key, value in keys.items())
        (project / "issues" / f"{number}.md").write_text(text.replace('issue: "2.6"', f'issue: "{number}"{added}'))

    return write


def states(project: Path) -> dict[str, str]:
    return {entry.number: entry.state for entry in shelf(project, project / ".mailer" / "ledger.db", NOW, ZONE, {})}


def test_the_newest_comes_first_by_number_as_people_count(project, issue):
    issue("2.10")
    issue("2.9")
    entries = shelf(project, None, NOW, ZONE, {})
    assert [entry.number for entry in entries] == ["2.10", "2.9", "2.6"]
    assert entries[0].date == date(2023, 3, 31)
    assert entries[0].title == "US-Japan Alliance Digest"


@pytest.fixture
def approve(mailer):
    def approve(number: str, *options: str) -> None:
        assert mailer("approve", "--issue", number, "--by", "Ann Example <ann@example.org>", *options).code == 0

    return approve


def test_a_draft_is_approved_then_scheduled_when_its_time_is_to_come(project, issue, approve):
    issue("2.7", send_at="2023-04-03 09:00")
    issue("2.8", send_at="2023-03-31 09:00")
    assert states(project) == {"2.8": "draft", "2.7": "draft", "2.6": "draft"}
    for number in ("2.6", "2.7", "2.8"):
        approve(number)
    assert states(project) == {"2.8": "approved", "2.7": "scheduled", "2.6": "approved"}
    approve("2.7", "--withdraw")
    assert states(project)["2.7"] == "draft"


def test_what_was_approved_and_is_another_edition_now_is_changed(project, approve, desk):
    approve("2.6")
    desk.refresh()
    assert [entry.state for entry in shelf(project, None, NOW, ZONE, desk.editions())] == ["approved"]
    change(project / "issues" / "2.6.md", "critical minerals", "steel")
    desk.refresh()
    assert [entry.state for entry in shelf(project, None, NOW, ZONE, desk.editions())] == ["changed"]


def test_an_approval_that_cannot_be_read_approves_nothing(project):
    (project / "issues" / "2.6.approval.toml").write_text("")
    assert states(project) == {"2.6": "draft"}


def test_the_ledger_says_what_is_sent_a_rehearsal_is_not(project):
    planned = Planned("edition", "files", "subject", "text")
    with contextlib.closing(open_ledger(project / ".mailer" / "ledger.db")) as ledger:
        for rehearsal, state in ((True, "draft"), (False, "sending")):
            sending = Sending("2.6", rehearsal=rehearsal)
            ledger.stage(sending, read_lists(project / "contacts", ("subscribers",)), (), lambda contact: [])
            ledger.plan(sending, planned, NOW)
            assert states(project) == {"2.6": state}


@pytest.mark.parametrize(("limit", "state"), [(["--limit", "3"], "sending"), ([], "sent")])
def test_where_the_ledger_is_not_a_receipt_speaks(project, live, mailer, limit, state):
    assert mailer("send", "--issue", "2.6", "--transport", "live", "--yes", *limit).code in (0, 75)
    assert states(project) == {"2.6": state}
    for file in (project / ".mailer").glob("ledger.db*"):  # a fresh clone
        file.unlink()
    assert states(project) == {"2.6": state}


def test_a_receipt_that_cannot_be_understood_speaks_too(project):
    (project / "sends").mkdir()
    (project / "sends" / "2.6.json").write_text("{}")
    assert states(project) == {"2.6": "sent"}


def test_looking_makes_no_ledger(project):
    states(project)
    assert not (project / ".mailer").exists()


def test_an_issue_that_cannot_be_read_is_in_the_list(project):
    (project / "issues" / "3.0.md").write_bytes(b"\xff\xff")
    (project / "issues" / "3.1.md").write_text("nothing")
    entries = shelf(project, None, NOW, ZONE, {})
    assert [(entry.number, entry.date) for entry in entries[:2]] == [("3.1", None), ("3.0", None)]
