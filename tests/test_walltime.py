"""Wall time: every instant has one spelling, and what the clocks skip or show twice is found when it is read."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alliance_mailer.issue import load_front_matter, load_issue
from alliance_mailer.walltime import clock_changes, is_on_the_clock, read_wall, shown, to_instant, to_wall, write_wall
from conftest import change

NEW_YORK, TOKYO, LORD_HOWE = map(ZoneInfo, ("America/New_York", "Asia/Tokyo", "Australia/Lord_Howe"))
ZONES = [("Washington", NEW_YORK), ("Tokyo", TOKYO)]
minutes = st.integers(0, 60 * 24 * 366 * 30).map(lambda n: datetime(2010, 1, 1, tzinfo=UTC) + timedelta(minutes=n))


@given(minutes, st.sampled_from([NEW_YORK, TOKYO, LORD_HOWE, ZoneInfo("Europe/Dublin"), ZoneInfo("Asia/Kathmandu")]))
def test_every_instant_can_be_written_and_is_read_back(instant, zone):
    written = write_wall(to_wall(instant, zone), zone)
    assert to_instant(read_wall(written, zone), zone) == instant


@given(st.datetimes(datetime(2010, 1, 1), datetime(2040, 1, 1)), st.sampled_from([NEW_YORK, TOKYO, LORD_HOWE]))
def test_what_is_read_is_what_the_clock_shows(wall, zone):
    wall = wall.replace(second=0, microsecond=0, fold=0)
    try:
        read = read_wall(f"{wall:%Y-%m-%d %H:%M}", zone)
    except ValueError:
        spellings = {to_instant(wall.replace(fold=fold), zone) for fold in (0, 1)}
        assert len(spellings) == 2
    else:
        assert to_wall(to_instant(read, zone), zone) == wall
        assert is_on_the_clock(read, zone)


@pytest.mark.parametrize(
    ("zone", "written", "said"),
    [
        (NEW_YORK, "2026-03-08 02:00", "expected 2026-03-08 01:00 or 2026-03-08 03:00"),
        (NEW_YORK, "2026-03-08 02:59", "expected 2026-03-08 01:59 or 2026-03-08 03:59"),
        (LORD_HOWE, "2026-10-04 02:15", "expected 2026-10-04 01:45 or 2026-10-04 02:45"),
        (
            NEW_YORK,
            "2026-11-01 01:00",
            "expected 2026-11-01 01:00 -04:00 (05:00 UTC) or 2026-11-01 01:00 -05:00 (06:00 UTC)",
        ),
        (
            LORD_HOWE,
            "2026-04-05 01:45",
            "expected 2026-04-05 01:45 +11:00 (14:45 UTC) or 2026-04-05 01:45 +10:30 (15:15 UTC)",
        ),
        (NEW_YORK, "2026-06-01 09:00 -05:00", "at that time America/New_York is -04:00"),
        (TOKYO, "2026-02-30 09:00", "expected a day and a time as YYYY-MM-DD HH:MM"),
        (TOKYO, "2026-02-28 9:00", "expected a day and a time as YYYY-MM-DD HH:MM"),
        (TOKYO, "0001-01-01 00:00", "expected a day and a time as YYYY-MM-DD HH:MM"),
    ],
)
def test_a_time_that_the_clocks_do_not_show_once_is_answered_with_both_candidates(zone, written, said):
    with pytest.raises(ValueError) as error:
        read_wall(written, zone)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("zone", "written"),
    [
        (NEW_YORK, "2026-03-08 01:59"),
        (NEW_YORK, "2026-03-08 03:00"),
        (NEW_YORK, "2026-11-01 00:59"),
        (NEW_YORK, "2026-11-01 02:00"),
        (NEW_YORK, "2026-11-01 01:30 -0400"),
        (TOKYO, "2026-03-08 02:30"),
        (TOKYO, "2026-11-01 01:30"),
        (LORD_HOWE, "2026-10-04 02:30"),
        (LORD_HOWE, "2026-04-05 02:00"),
    ],
)
def test_a_time_that_they_show_once_is_read(zone, written):
    assert f"{read_wall(written, zone):%Y-%m-%d %H:%M}" == written[:16]


@pytest.mark.parametrize(
    ("send_at", "said", "hint"),
    [
        (
            "2026-03-08 02:30",
            (
                "send_at: found '2026-03-08 02:30', America/New_York has no such time, its clocks go forward over it; "
                "expected 2026-03-08 01:30 or 2026-03-08 03:30"
            ),
            "send_at: 2026-03-08 01:30",
        ),
        (
            "2026-11-01 01:30",
            (
                "send_at: found '2026-11-01 01:30', America/New_York has that time twice, its clocks go back over it; "
                "expected 2026-11-01 01:30 -04:00 (05:30 UTC) or 2026-11-01 01:30 -05:00 (06:30 UTC)"
            ),
            "send_at: 2026-11-01 01:30 -04:00",
        ),
    ],
)
def test_it_is_found_when_the_issue_is_read(project, mailer, send_at, said, hint):
    change(project / "issues" / "2.6.md", "template: digest", f"template: digest\nsend_at: {send_at}")
    for command in ("check", "build", "send", "approve"):
        result = mailer(command, "--issue", "2.6")
        assert result.code == 65
        assert result.err == f"error: issues/2.6.md:13: {said}\n  try: {hint}\n"


def test_the_offset_tells_which_of_two(project):
    change(project / "issues" / "2.6.md", "template: digest", "template: digest\nsend_at: 2026-11-01 01:30 -05:00")
    issue = load_issue(project, "2.6", NEW_YORK)
    assert to_instant(issue.send_at, NEW_YORK) == datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    assert load_front_matter(project, "2.6", NEW_YORK).send_at == issue.send_at


def test_one_instant_in_both_capitals():
    assert (
        shown(datetime(2023, 3, 31, 13, tzinfo=UTC), ZONES) == "Fri 31 Mar 2023 09:00 EDT Washington, 22:00 JST Tokyo"
    )
    late = datetime(2026, 12, 31, 23, tzinfo=UTC)
    assert shown(late, ZONES) == "Thu 31 Dec 2026 18:00 EST Washington, Fri 1 Jan 08:00 JST Tokyo"


def test_clock_changes_are_found_by_zone_and_day():
    year = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    found = clock_changes(*year, [*ZONES, ("Lord Howe", LORD_HOWE)])
    assert [(name, day.isoformat()) for name, day in found] == [
        ("Washington", "2026-03-08"), ("Washington", "2026-11-01"), ("Lord Howe", "2026-04-05"),
        ("Lord Howe", "2026-10-04"),
    ]  # fmt: skip
    hour = datetime(2026, 3, 8, 6, 30, tzinfo=UTC)
    assert clock_changes(hour, hour + timedelta(hours=1), ZONES)
    assert not clock_changes(hour + timedelta(minutes=30), hour + timedelta(hours=1), ZONES)
    assert not clock_changes(year[1], year[0], ZONES)
