"""Wall time in a zone, and the instant that it means. What a clock change skips or repeats is found, never guessed."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise

_FORM = re.compile(r"([12]\d{3}-\d\d-\d\d \d\d:\d\d)(?: ?([+-])(\d\d):?(\d\d))?", re.ASCII)
_EXPECTED = "expected a day and a time as YYYY-MM-DD HH:MM"

Zones = Sequence[tuple[str, tzinfo]]  # what people call it, and the zone


def read_wall(text: str, zone: tzinfo) -> datetime:
    """The wall time that `2023-04-03 09:00` says, naive; `fold` tells which of two. An offset may follow: -04:00.

    Raises ValueError where it is no time, where the zone's clocks skip it, and where they show it twice and no offset
    tells which is meant; both candidates are named.
    """
    parts = _FORM.fullmatch(text)
    if not parts:
        raise ValueError(_EXPECTED)
    try:
        wall = datetime.strptime(parts[1], "%Y-%m-%d %H:%M")
        first, second = (wall.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
        instants = [first.astimezone(UTC), second.astimezone(UTC)]
    except (ValueError, OverflowError):
        raise ValueError(_EXPECTED) from None
    if not is_on_the_clock(wall, zone):
        before, after = (f"{instant.astimezone(zone):%Y-%m-%d %H:%M}" for instant in reversed(instants))
        raise ValueError(f"{zone} has no such time, its clocks go forward over it; expected {before} or {after}")
    if parts[2]:
        offset = timedelta(hours=int(parts[3]), minutes=int(parts[4])) * (-1 if parts[2] == "-" else 1)
        for candidate in (first, second):
            if candidate.utcoffset() == offset:
                return wall.replace(fold=candidate.fold)
        raise ValueError(f"at that time {zone} is {_offset(first)}")
    if first.utcoffset() != second.utcoffset():
        twice = " or ".join(f"{wall:%Y-%m-%d %H:%M} {_offset(each)} ({_utc(each)})" for each in (first, second))
        raise ValueError(f"{zone} has that time twice, its clocks go back over it; expected {twice}")
    return wall


def write_wall(wall: datetime, zone: tzinfo) -> str:
    """What `read_wall` reads: with an offset where the clocks show the time twice."""
    aware, other = wall.replace(tzinfo=zone), wall.replace(tzinfo=zone, fold=1 - wall.fold)
    twice = aware.utcoffset() != other.utcoffset()
    return f"{wall:%Y-%m-%d %H:%M}" + (f" {_offset(aware)}" if twice else "")


def is_on_the_clock(wall: datetime, zone: tzinfo) -> bool:
    """Whether the zone's clocks ever show it. There and back again: zoneinfo shifts what they skip without a word."""
    return to_wall(to_instant(wall, zone), zone).replace(fold=0) == wall.replace(fold=0)


def to_instant(wall: datetime, zone: tzinfo) -> datetime:
    """The instant, in UTC. What the clocks skip becomes the time as much later: 02:30 is 03:30."""
    return wall.replace(tzinfo=zone).astimezone(UTC)


def to_wall(instant: datetime, zone: tzinfo) -> datetime:
    """What the zone's clocks show then; naive, with its `fold`."""
    return instant.astimezone(zone).replace(tzinfo=None)


def shown(instant: datetime, zones: Zones) -> str:
    """One instant in every zone: "Fri 31 Mar 2023 09:00 EDT Washington, 22:00 JST Tokyo"."""
    words: list[str] = []
    day: date | None = None
    for name, zone in zones:
        there = instant.astimezone(zone)
        dated = "" if there.date() == day else f"{there:%a} {there.day} {there:%b}" + ("" if day else f" {there.year}")
        day = day or there.date()
        words.append(f"{dated} {there:%H:%M} {there:%Z} {name}".strip())
    return ", ".join(words)


def clock_changes(start: datetime, end: datetime, zones: Zones) -> list[tuple[str, date]]:
    """Which zones move their clocks between two instants, and on which days."""
    days = [start + timedelta(days=n) for n in range((end - start).days + 1)] + [end]
    return [
        (name, next(at for at in _half_hours(a) if at.astimezone(zone).utcoffset() != offset).astimezone(zone).date())
        for name, zone in zones
        for a, b in pairwise(days)
        if (offset := a.astimezone(zone).utcoffset()) != b.astimezone(zone).utcoffset()
    ]


def _half_hours(start: datetime) -> list[datetime]:
    return [start + timedelta(minutes=30 * n) for n in range(49)]


def _offset(aware: datetime) -> str:
    return aware.isoformat()[-6:]


def _utc(aware: datetime) -> str:
    return f"{aware.astimezone(UTC):%H:%M} UTC"
