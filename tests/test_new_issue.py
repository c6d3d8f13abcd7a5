"""`mailer new`: the next issue from the last and the cadence; `mailer diff`: two issues side by side."""

import json
from datetime import UTC, datetime

import pytest

from alliance_mailer.errors import UsageError
from alliance_mailer.new_issue import following, new_issue
from conftest import change
from ticks import Desk, settings, wall

FRIDAYS = '[schedule]\ncadence = "every 2 weeks on Friday 09:00"\nanchor = 2023-03-31'


def made(project, now, number=None):
    session = Desk(project).session()
    new_issue(project, session.config, session.report, number, now)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("2.6", "2.7"),
        ("2.9", "2.10"),
        ("2023-09", "2023-10"),
        ("7", "8"),
        ("3-special", "4-special"),
        ("v1.09b", "v1.10b"),
    ],
)
def test_the_number_that_follows(number, expected):
    assert following(number) == expected


def test_no_number_follows_a_name():
    with pytest.raises(UsageError):
        following("special")


def test_the_next_issue_carries_on_and_is_empty(project, capsys):
    settings(project, FRIDAYS)
    change(project / "issues" / "2.6.md", "title: US", "# for the editors: proof-read twice\ntitle: US")
    made(project, wall("2023-04-03 10:00"))
    text = (project / "issues" / "2.7.md").read_text()
    head, colophon = text.rsplit("\n---\n\n", 1)
    assert (
        head
        == """\
---
issue: "2.7"
# for the editors: proof-read twice
title: US-Japan Alliance Digest
date: 2023-04-14
preheader: ""
# image: {src: 2.7.jpg, alt: ""}
audience: [subscribers]
template: digest
send_at: 2023-04-14 09:00
---

## Headlines

-\N{SPACE}

## Details

-\N{SPACE}
"""
    )
    assert colophon == (project / "issues" / "2.6.md").read_text().split("\n---\n\n")[-1]
    said = capsys.readouterr().out
    assert said.startswith("issues/2.7.md, after issues/2.6.md\n  send_at  Fri 14 Apr 2023 09:00 EDT New York\n")


def test_written_up_it_is_an_issue(project, mailer):
    settings(project, FRIDAYS)
    made(project, wall("2023-04-03 10:00"))
    assert mailer("check", "--issue", "2.7").code == 65  # nothing is in it yet
    change(project / "issues" / "2.7.md", "## Headlines\n\n- ", "## Headlines\n\n- One")
    change(project / "issues" / "2.7.md", "## Details\n\n- ", "## Details\n\n- Its [story](https://example.org/).")
    assert mailer("build", "--issue", "2.7").code == 0


def test_the_date_is_never_past(project):
    settings(project, FRIDAYS)
    made(project, wall("2026-11-24 10:00"))
    assert "\nsend_at: 2026-12-04 09:00\n" in (project / "issues" / "2.7.md").read_text()


def test_a_last_issue_that_is_still_to_come_is_followed_by_the_one_after(project):
    settings(project, FRIDAYS)
    now = wall("2023-04-03 10:00")
    made(project, now)
    text = (project / "issues" / "2.7.md").read_text()
    (project / "issues" / "2.7.md").write_text(text.replace("\n- \n", "\n- Something\n"))
    made(project, now)
    assert "\nsend_at: 2023-04-28 09:00\n" in (project / "issues" / "2.8.md").read_text()


@pytest.mark.parametrize(
    ("cadence", "now", "send_at", "said"),
    [
        ("every week on Sunday 02:30", "2026-03-05 12:00", "2026-03-08 03:30", "has no 02:30 on 2026-03-08"),
        ("every week on Sunday 01:30", "2026-10-29 12:00", "2026-11-01 01:30 -04:00", ""),
    ],
)
def test_a_cadence_across_a_clock_change(project, capsys, cadence, now, send_at, said):
    settings(project, f'[schedule]\ncadence = "{cadence}"')
    made(project, wall(now))
    assert f"\nsend_at: {send_at}\n" in (project / "issues" / "2.7.md").read_text()
    assert said in capsys.readouterr().err


def test_without_a_cadence_the_date_is_todays(project, capsys):
    settings(project, "[schedule]")
    made(project, datetime(2023, 4, 14, 2, 0, tzinfo=UTC))  # still the 13th in Washington
    text = (project / "issues" / "2.7.md").read_text()
    assert "\ndate: 2023-04-13\n" in text
    assert "send_at" not in text
    assert "mailer.toml has no [schedule] cadence" in capsys.readouterr().err


def test_it_overwrites_nothing(project, mailer):
    before = (project / "issues" / "2.6.md").read_text()
    result = mailer("new", "--issue", "2.6")
    assert (result.code, (project / "issues" / "2.6.md").read_text()) == (65, before)
    assert "issues/2.6.md is there already" in result.err
    assert mailer("new", "--issue", "../2.7").code == 2


def test_there_must_be_one_to_follow(project, mailer):
    (project / "issues" / "2.6.md").unlink()
    result = mailer("new")
    assert result.code == 65
    assert "there is no issue yet in issues/ to follow\n  try: mailer import MANUSCRIPT.md" in result.err


def test_an_issue_in_a_folder_is_followed_by_one_in_a_folder(project, mailer):
    folder = project / "issues" / "2.6"
    folder.mkdir()
    (project / "issues" / "2.6.md").rename(folder / "index.md")
    (project / "issues" / "2.6-hero.jpg").rename(folder / "2.6-hero.jpg")
    assert json.loads(mailer("new", "--json").out)["file"] == "issues/2.7/index.md"


# diff -------------------------------------------------------------------------------------------------------------


def test_two_issues_side_by_side(project, mailer):
    desk = Desk(project)
    desk.write("2.7", None, audience="subscribers, press")
    (project / "contacts" / "press.csv").write_text("email,first_name\npress@example.org,P\n")
    new = project / "issues" / "2.7.md"
    change(new, "- Washington and Tokyo help Manila hold back an oil spill", "- Tokyo opens an embassy on the moon")
    change(new, "template: digest", "template: digest\nsend_at: 2026-04-03 09:00")
    result = mailer("diff", "2.6", "2.7")
    assert (result.code, result.err) == (0, "")
    lines = [" ".join(line.split()) for line in result.out.splitlines()]
    assert "Issue 2.6 Issue 2.7" in lines
    assert "audience subscribers subscribers, press" in lines
    assert "template digest digest" in lines
    assert "Headlines: 5 5" in lines
    assert "links 24 24" in lines
    assert "A month of drills shows US and Japanese A month of drills shows US and Japanese" in lines
    gone = next(line for line in result.out.splitlines() if "Manila hold back" in line)
    come = next(line for line in result.out.splitlines() if "embassy on the moon" in line)
    assert gone.index("Washington") < come.index("Tokyo opens")
    assert "The colophon is the same." in lines
    assert "  https://ustr.gov/" in result.out


def test_diff_as_json(project, mailer):
    document = json.loads(mailer("diff", "2.6", "2.6", "--json").out)
    assert [side["issue"] for side in document["issues"]] == ["2.6", "2.6"]
    assert document["same_colophon"] is True
    assert len(document["links_in_both"]) == len({*document["links_in_both"]})
    assert [len(items) for items in document["issues"][0]["sections"].values()] == [5, 5]


def test_diff_of_an_issue_that_is_not_there(project, mailer):
    assert mailer("diff", "2.6", "2.7").code == 65
