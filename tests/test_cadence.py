"""The cadence: every two weeks is every fourteen days, across years of 53 weeks and clock changes."""

from datetime import date, datetime, time, timedelta
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alliance_mailer.cadence import read_cadence

FRIDAYS = read_cadence("every 2 weeks on Friday 09:00", date(2023, 3, 31))
days = st.dates(date(2000, 1, 1), date(2100, 1, 1))


def first(cadence, day, count=3):
    return [f"{wall:%Y-%m-%d %H:%M}" for wall in islice(cadence.after(day), count)]


def test_every_second_friday_is_counted_from_its_anchor():
    assert first(FRIDAYS, date(2023, 3, 31)) == ["2023-04-14 09:00", "2023-04-28 09:00", "2023-05-12 09:00"]
    assert first(FRIDAYS, date(2023, 3, 30), 1) == ["2023-03-31 09:00"]
    assert first(FRIDAYS, date(2023, 3, 1), 1) == ["2023-03-03 09:00"]  # before its anchor, too
    assert first(FRIDAYS, date(2026, 12, 20), 2) == ["2027-01-01 09:00", "2027-01-15 09:00"]  # 2026 has 53 weeks


@pytest.mark.parametrize(
    ("text", "anchor", "after", "expected"),
    [
        ("every week on Monday 08:30", None, date(2026, 11, 24), ["2026-11-30 08:30", "2026-12-07 08:30"]),
        ("Every 1 week on monday 08:30", None, date(2026, 11, 24), ["2026-11-30 08:30", "2026-12-07 08:30"]),
        ("every month on the first Monday 08:30", None, date(2026, 11, 2), ["2026-12-07 08:30", "2027-01-04 08:30"]),
        ("every month on the last Friday 17:00", None, date(2026, 11, 24), ["2026-11-27 17:00", "2026-12-25 17:00"]),
        (
            "every 3 months on the second Tuesday 09:00", date(2026, 1, 13), date(2026, 1, 13),
            ["2026-04-14 09:00", "2026-07-14 09:00"],
        ),
    ],
)  # fmt: skip
def test_weeks_and_months(text, anchor, after, expected):
    assert first(read_cadence(text, anchor), after, 2) == expected


@pytest.mark.parametrize(
    ("text", "anchor", "said"),
    [
        ("weekly", None, 'expected "every 2 weeks on Friday 09:00", or "every month on the first Monday 08:30"'),
        ("every month on Friday 09:00", None, "expected"),
        ("every week on the first Friday 09:00", None, "expected"),
        ("every 2 weeks on Friday 25:00", date(2023, 3, 31), "there is no time 25:00"),
        ("every 2 weeks on Friday 09:00", None, "of every 2 weeks, which? An anchor tells"),
        (
            "every 2 weeks on Friday 09:00",
            date(2023, 3, 30),
            "2023-03-30 is a Thursday that is none of these days; 2023-03-31",
        ),
        ("every month on the first Monday 09:00", date(2026, 1, 12), "none of these days; 2026-02-02 is one"),
    ],
)
def test_what_is_no_cadence_is_answered_with_one(text, anchor, said):
    with pytest.raises(ValueError) as error:
        read_cadence(text, anchor)
    assert said in str(error.value)


@given(days, days, st.integers(1, 9))
def test_weeks_lie_evenly_after_any_day(anchor, day, every):
    name = f"{anchor:%A}"
    cadence = read_cadence(f"every {every} weeks on {name} 09:00", anchor)
    walls = list(islice(cadence.after(day), 4))
    assert day < walls[0].date() <= day + timedelta(weeks=every)
    assert {b - a for a, b in pairwise(walls)} == {timedelta(weeks=every)}
    assert all((wall.date() - anchor).days % (7 * every) == 0 for wall in walls)


@given(days, st.sampled_from(["first", "second", "third", "fourth", "last"]), st.integers(0, 6))
def test_months_have_one_each(day, which, weekday):
    name = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"][weekday]
    walls = list(islice(read_cadence(f"every month on the {which} {name} 09:00", None).after(day), 24))
    assert walls[0].date() > day
    assert {wall.weekday() for wall in walls} == {weekday}
    assert {wall.time() for wall in walls} == {time(9)}
    months = [wall.year * 12 + wall.month for wall in walls]
    assert {b - a for a, b in pairwise(months)} == {1}
    place = {"first": range(1, 8), "second": range(8, 15), "third": range(15, 22), "fourth": range(22, 29)}
    if which == "last":
        assert all((wall + timedelta(days=7)).month != wall.month for wall in walls)
    else:
        assert all(wall.day in place[which] for wall in walls)


def test_a_date_is_wall_time():
    assert next(FRIDAYS.after(date(2026, 3, 1))) == datetime(2026, 3, 13, 9)
