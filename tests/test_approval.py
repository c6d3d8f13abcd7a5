"""An approval: a file that says who approved what, and a refusal that says what is no longer so."""

import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alliance_mailer.approval import Approval, Facts, differences, facts_of, refuse_drift, state
from alliance_mailer.approval_file import approval_file, read_approval, write_approval
from alliance_mailer.errors import InputError, NotApproved
from conftest import change
from ticks import ANN, Desk, wall

NOW, DUE = wall("2026-04-02 16:00"), wall("2026-04-03 09:00")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
tables = st.dictionaries(texts.filter(bool), texts.filter(bool), max_size=4)
seconds = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)).map(lambda at: at.replace(microsecond=0, tzinfo=UTC))
facts = st.builds(
    Facts,
    edition=texts.filter(bool), audience=st.lists(texts, max_size=3).map(tuple), send_at=texts,
    timezone=st.sampled_from(["UTC", "Asia/Tokyo"]), instant=st.none() | seconds, versions=tables, newsletter=tables,
    files=tables, stories=tables,
)  # fmt: skip
approvals = st.builds(
    Approval,
    issue=st.just("2.6"), by=texts.filter(bool), at=seconds, facts=facts, people=st.none() | st.integers(0, 10**7),
    transport=texts.filter(bool), allow=tables, commit=texts,
    withdrawn_by=texts, withdrawn_at=st.none() | seconds,
).map(lambda each: each if each.withdrawn_at else replace(each, withdrawn_by=""))  # fmt: skip


@given(approvals)
def test_what_is_written_is_read(tmp_path_factory, approval):
    project = tmp_path_factory.mktemp("p")
    path = write_approval(project, approval)
    assert path == approval_file(project, "2.6") == project / "issues" / "2.6.approval.toml"
    assert read_approval(project, "2.6") == approval


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('by = "', "by = ", "2.6.approval.toml:3: this is no TOML"),
        ('by = "', 'von = "', "2.6.approval.toml: this is no approval: 'by'"),
        ('issue = "2.6"', 'issue = "2.5"', '2.6.approval.toml: it approves issue "2.5", not this one'),
        ("at = 2026", 'at = "2026" # ', "expected an instant such as 2023-04-03T13:00:00Z"),
        ('timezone = "America/New_York"', 'timezone = "Mars"', "this is no approval: "),
        ("people = 24", 'people = "many"', "this is no approval: "),
        ("[stories]", "[[stories]]", "this is no approval: "),
    ],
)
def test_a_damaged_file_is_an_error_with_its_name(project, old, new, said):
    Desk(project).approve("2.6", NOW, transport=None)
    change(approval_file(project, "2.6"), old, new)
    with pytest.raises(InputError) as error:
        read_approval(project, "2.6")
    assert said in str(error.value)
    assert error.value.hint == "git checkout issues/2.6.approval.toml, or mailer approve --issue 2.6"


# What has changed -------------------------------------------------------------------------------------------------


@pytest.fixture
def approved(project):
    desk = Desk(project)
    desk.write("2.6", "2026-04-03 09:00")
    desk.approve("2.6", NOW, transport=None)
    return desk


def changed(desk):
    session = desk.session()
    issue, edition, _ = session.load("2.6")
    return differences(read_approval(desk.project, "2.6"), facts_of(desk.project, issue, edition), desk.project)


def test_nothing_has_changed(approved):
    assert changed(approved) == []
    change(approved.project / "mailer.toml", "[transport]", '[delivery]\nwait = "1m"\n\n[transport]')
    change(approved.project / "issues" / "2.6.md", "## Details", "<!-- for the editors -->\n## Details")
    assert changed(approved) == []  # other settings and a comment change no byte that is sent


def test_a_setting_of_the_newsletter(approved):
    change(approved.project / "mailer.toml", "Suite 300", "Suite 400")
    (line,) = changed(approved)
    assert line.startswith("mailer.toml: postal_address: 1000 Example Street NW, Suite 300")
    assert "→ 1000 Example Street NW, Suite 400" in line


def test_a_template_is_shown_with_what_git_has_kept(project):
    desk = Desk(project)
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=A", "-c", "user.email=a@b.org", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", "-C", project, *command], check=True)
    desk.approve("2.6", NOW, transport=None)
    css = project / "templates" / "digest" / "client.css"
    css.write_text(css.read_text() + ".new { color: #123456 }\n")
    (project / "templates" / "digest" / "inline.css").unlink()
    said = changed(desk)
    assert "templates/digest/client.css: changed" in said
    assert "  +.new { color: #123456 }" in said
    assert "templates/digest/inline.css: removed" in said


def test_a_template_without_git_is_named(approved):
    css = approved.project / "templates" / "digest" / "client.css"
    css.write_text(css.read_text() + ".new { color: #123456 }\n")
    assert changed(approved) == ["templates/digest/client.css: changed"]


def test_a_picture_is_named(approved):
    picture = approved.project / "issues" / "2.6-hero.jpg"
    picture.write_bytes(picture.read_bytes() + b"\0")
    assert changed(approved) == ["issues/2.6-hero.jpg: changed"]


def test_a_library_that_makes_other_bytes_is_named_as_the_cause(approved):
    old = read_approval(approved.project, "2.6")
    with_old = replace(old.facts, edition="0" * 64, versions={**old.facts.versions, "premailer": "3.9.0"})
    write_approval(approved.project, replace(old, facts=with_old))
    (line,) = changed(approved)
    assert line.startswith("premailer 3.9.0 → 3.10.")
    assert line.endswith(": this version makes other bytes")


def test_an_upgrade_that_changes_no_byte_changes_nothing(approved):
    old = read_approval(approved.project, "2.6")
    with_old = replace(old.facts, versions={**old.facts.versions, "premailer": "3.9.0"})
    write_approval(approved.project, replace(old, facts=with_old))
    assert changed(approved) == []


def test_the_audience_rule_and_the_time(approved):
    issue = approved.project / "issues" / "2.6.md"
    change(issue, "audience: [subscribers]", "audience: [subscribers, press]")
    change(issue, "send_at: 2026-04-03 09:00", "send_at: 2026-04-03 10:00")
    assert changed(approved) == [
        "audience: subscribers → subscribers, press",
        "send_at: 2026-04-03 09:00 America/New_York → 2026-04-03 10:00 America/New_York",
    ]


def test_a_time_that_is_taken_away(approved):
    change(approved.project / "issues" / "2.6.md", "\nsend_at: 2026-04-03 09:00", "")
    assert changed(approved) == ["send_at: 2026-04-03 09:00 America/New_York → no time"]


def test_another_zone_is_another_time(approved):
    change(approved.project / "mailer.toml", 'timezone = "America/New_York"', 'timezone = "Asia/Tokyo"')
    assert changed(approved) == ["send_at: 2026-04-03 09:00 America/New_York → 2026-04-03 09:00 Asia/Tokyo"]


def test_a_zone_whose_rules_have_changed_since(approved):
    old = read_approval(approved.project, "2.6")
    write_approval(approved.project, replace(old, facts=replace(old.facts, instant=DUE + timedelta(hours=1))))
    assert changed(approved) == [
        "send_at: the rules of America/New_York changed; 2026-04-03 09:00 was 14:00 UTC and is 13:00 UTC"
    ]


@pytest.mark.parametrize(
    ("approved", "now", "asks"),
    [
        (100, 110, False),
        (100, 111, True),
        (100, 89, True),
        (100, 90, False),
        (3, 4, False),
        (3, 5, True),
        (0, 1, False),
        (None, 9, False),
    ],
)
def test_more_than_a_tenth_asks_again(approved, now, asks):
    approval = Approval("2.6", ANN, NOW, None, approved, "default")
    if asks:
        with pytest.raises(NotApproved) as error:
            refuse_drift(approval, now, "2.6")
        assert str(error.value) == f"issue 2.6 was approved for {approved} people, and now goes to {now}"
    else:
        refuse_drift(approval, now, "2.6")


# The state, quickly -----------------------------------------------------------------------------------------------


def test_the_state_of_an_issue_from_its_files(project):
    desk = Desk(project)
    session = desk.session()
    publication = session.config.publication

    def state_at(now):
        issue, _, _ = session.load("2.6")
        return state(read_approval(project, "2.6"), project, issue, publication, now)

    assert state_at(NOW) == "draft"
    desk.approve("2.6", NOW, transport=None)
    assert state_at(NOW) == "approved"
    desk.write("2.6", "2026-04-03 09:00")
    assert state_at(NOW) == "changed"
    desk.approve("2.6", NOW, transport=None)
    assert state_at(NOW) == "scheduled"
    assert state_at(DUE) == "approved"
    css = project / "templates" / "digest" / "client.css"
    css.write_text(css.read_text() + " ")
    assert state_at(NOW) == "changed"
    write_approval(project, replace(read_approval(project, "2.6"), withdrawn_at=NOW, withdrawn_by=ANN))
    assert state_at(NOW) == "withdrawn"
    assert Path(approval_file(project, "2.6")).exists()
