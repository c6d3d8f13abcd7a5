"""`mailer status`: how far each issue is, and who has not got it."""

import csv
import io
import json

import pytest

from conftest import change

LIVE = ("send", "--issue", "2.6", "--transport", "live", "--yes")
KEN, EVE = "ken.sato@example.com", "eve@example.org"


@pytest.fixture
def failed(live, project, mailer):
    """A sending in which somebody was refused, somebody put off, and an address was none; and a rehearsal."""
    rows = (
        f'email,name\n{KEN},"=HYPERLINK(""https://evil.example"")"\n{EVE},Eve\nno address,Nobody\nbob@example.org,Bob\n'
    )
    (project / "contacts" / "subscribers.csv").write_text(rows)
    live.rcpt_replies[KEN] = '550 5.1.1 -no such user, "really"'
    live.rcpt_replies[EVE] = "450 4.2.0 greylisted"
    assert mailer(*LIVE).code == 75
    assert mailer("send", "--issue", "2.6").code == 1


def test_nothing_was_planned_yet(project, mailer):
    assert mailer("status").out == "Nobody was planned for anything yet. Next: mailer send --issue N\n"
    result = mailer("status", "--issue", "2.6")
    assert result.out == "Nobody was planned for issue 2.6 yet. Next: mailer send --issue 2.6\n"
    assert not (project / ".mailer").exists()


def test_nothing_is_zero_for_a_program(project, mailer):
    document = json.loads(mailer("status", "--issue", "2.6", "--json").out)
    assert document == {
        "issue": "2.6", "edition": None, "transport": None, "rehearsal": False, "planned": 0, "accepted": 0, "refused": 0,
        "suppressed": 0, "waiting": 0, "deferred": 0, "unknown": 0,
    }  # fmt: skip
    assert json.loads(mailer("status", "--json").out) == {"issues": []}


@pytest.mark.usefixtures("failed")
def test_a_sending_and_its_rehearsal_are_told_apart(mailer):
    said = mailer("status").out
    assert "2.6 sending: 4 planned = 1 accepted, 2 refused, 1 deferred\n  smtp 127.0.0.1" in said
    # Who does not exist was suppressed by the sending.
    assert "2.6 rehearsal: 4 planned = 2 accepted, 1 refused, 1 suppressed\n  files → outbox/2.6" in said


@pytest.mark.usefixtures("failed")
def test_for_a_program_an_issue_is_its_sending_and_all_are_all(mailer):
    one = json.loads(mailer("status", "--issue", "2.6", "--json").out)
    assert (one["rehearsal"], one["planned"], one["accepted"], one["refused"], one["deferred"]) == (False, 4, 1, 2, 1)
    everything = json.loads(mailer("status", "--json").out)["issues"]
    assert [each["rehearsal"] for each in everything] == [False, True]
    assert everything[0] == one


@pytest.mark.usefixtures("failed")
def test_who_has_not_got_it_is_listed_with_the_servers_words(mailer):
    said = mailer("status", "--issue", "2.6", "--failed").out
    assert f'  refused    {KEN}  550 5.1.1 -no such user, "really"\n' in said
    assert f"  deferred   {EVE}  450 4.2.0 greylisted\n" in said
    assert "  refused    no address  " in said
    assert "bob@example.org" not in said


@pytest.mark.usefixtures("failed")
@pytest.mark.parametrize("options", [("--failed", "--csv"), ("--csv",)])
def test_as_csv_each_person_is_a_row_under_one_heading(mailer, options):
    result = mailer("status", *options)
    rows = list(csv.DictReader(io.StringIO(result.out)))
    assert [(row["email"], row["state"], row["rehearsal"]) for row in rows] == [
        (KEN, "refused", "no"), (EVE, "deferred", "no"), ("no address", "refused", "no"), ("no address", "refused", "yes"),
    ]  # fmt: skip
    assert rows[1] == {
        "email": EVE, "name": "Eve", "state": "deferred", "attempts": "1", "reply": "450 4.2.0 greylisted",
        "source": "contacts/subscribers.csv:3", "issue": "2.6", "rehearsal": "no",
    }  # fmt: skip


@pytest.mark.usefixtures("failed")
def test_no_cell_is_a_formula_to_a_spreadsheet(mailer):
    rows = list(csv.reader(io.StringIO(mailer("status", "--csv").out)))
    assert rows[1][1] == '\'=HYPERLINK("https://evil.example")'
    assert not [cell for row in rows for cell in row if cell[:1] in tuple("=+-@")]


def test_a_reply_that_is_a_formula_is_none_in_the_table(live, project, mailer):
    (project / "contacts" / "subscribers.csv").write_text("email,name\n+81@example.org,-1+1\n@cmd,@SUM(1)\n")
    live.rcpt_replies["+81@example.org"] = "550 5.1.1 gone"
    mailer(*LIVE)
    rows = list(csv.reader(io.StringIO(mailer("status", "--csv").out)))
    assert [row[:2] for row in rows[1:]] == [["'+81@example.org", "'-1+1"], ["'@cmd", "'@SUM(1)"]]


@pytest.mark.usefixtures("failed")
def test_a_table_and_a_document_are_not_mixed(mailer):
    result = mailer("status", "--csv", "--json")
    assert result.code == 2
    assert json.loads(result.out)["error"]["message"] == "--csv and --json both want the whole of stdout"


def test_an_unknown_issue_names_those_that_there_are(project, mailer):
    result = mailer("status", "--issue", "2.7")
    assert result.code == 65
    assert "there is no issue '2.7'; there are: 2.6" in result.err


def test_an_issue_whose_file_is_gone_is_still_known(project, mailer):
    mailer("send", "--issue", "2.6")
    (project / "issues" / "2.6.md").unlink()
    assert "25 planned = 24 accepted, 1 suppressed" in mailer("status", "--issue", "2.6").out


def test_a_ledger_that_is_none_is_an_error_of_the_settings(project, mailer):
    (project / ".mailer").mkdir()
    (project / ".mailer" / "ledger.db").write_text("Dear diary, " * 100)
    result = mailer("status")
    assert result.code == 78
    assert "is no ledger: file is not a database" in result.err
    assert "restore it from a backup; do not delete it" in result.err


def test_a_ledger_elsewhere_is_found(project, mailer):
    with (project / "mailer.toml").open("a") as config:
        config.write('\n[ledger]\nurl = "sqlite:///state/who.db"\n')
    mailer("send", "--issue", "2.6")
    assert (project / "state" / "who.db").is_file()
    assert "24 accepted" in mailer("status").out
    change(project / "mailer.toml", "state/who.db", "state/other.db")
    assert "Nobody was planned" in mailer("status").out
