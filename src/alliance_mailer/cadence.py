"""How often an issue is due: "every 2 weeks on Friday 09:00", counted from a day that is one of them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from itertools import count
from typing import Literal

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_WHICH = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": 5}
_FORM = re.compile(
    rf"every (?:(?P<every>[1-9][0-9]?) )?(?P<unit>week|month)s? on "
    rf"(?:the (?P<which>{'|'.join(_WHICH)}) )?(?P<day>{'|'.join(_DAYS)}) (?P<hour>\d\d):(?P<minute>\d\d)",
    re.IGNORECASE | re.ASCII,
)
EXAMPLE = "every 2 weeks on Friday 09:00"


@dataclass(frozen=True, slots=True)
class Cadence:
    """Every so many weeks or months, on a weekday, at a wall time. Never "every other ISO week": some years have 53."""

    every: int
    unit: Literal["week", "month"]
    which: int  # of a month's: 1 to 4, 5 the last; 0 for weeks
    weekday: int  # 0: Monday
    at: time
    anchor: date  # one of its days

    def after(self, day: date) -> Iterator[datetime]:
        """The wall times on the days that follow `day`, without end."""
        days = self._weeks(day) if self.unit == "week" else self._months(day)
        return (datetime.combine(each, self.at) for each in days)

    def _weeks(self, day: date) -> Iterator[date]:
        period = 7 * self.every
        passed = (day - self.anchor).days // period + 1
        return (self.anchor + timedelta(days=period * n) for n in count(passed))

    def _months(self, day: date) -> Iterator[date]:
        first = self.anchor.year * 12 + self.anchor.month - 1
        month = day.year * 12 + day.month - 1
        for n in count((month - first) // self.every):
            found = _weekday_of(first + n * self.every, self.which, self.weekday)
            if found > day:
                yield found


def read_cadence(text: str, anchor: date | None) -> Cadence:
    """The cadence that a text says. Raises ValueError with what was expected, for the anchor, too."""
    parts = _FORM.fullmatch(" ".join(text.split()))
    if not parts or (parts["which"] is None) != (parts["unit"].lower() == "week"):
        raise ValueError(f'expected "{EXAMPLE}", or "every month on the first Monday 08:30"')
    weekday = [day.lower() for day in _DAYS].index(parts["day"].lower())
    which = _WHICH[parts["which"].lower()] if parts["which"] else 0
    unit: Literal["week", "month"] = "week" if parts["unit"].lower() == "week" else "month"
    try:
        at = time(int(parts["hour"]), int(parts["minute"]))
    except ValueError:
        raise ValueError(f"there is no time {parts['hour']}:{parts['minute']}") from None
    every = int(parts["every"] or 1)
    if anchor is None and every > 1:
        raise ValueError(f"of every {every} {unit}s, which? An anchor tells: a day on which an issue was or is due")
    every_one = Cadence(1, unit, which, weekday, at, date(2000, 1, 3) + timedelta(days=weekday))
    if anchor is None:
        return every_one
    near = next(every_one.after(anchor - timedelta(days=1))).date()
    if near != anchor:
        raise ValueError(
            f"the anchor {anchor} is a {_DAYS[anchor.weekday()]} that is none of these days; {near} is one"
        )
    return replace(every_one, every=every, anchor=anchor)


def _weekday_of(month: int, which: int, weekday: int) -> date:
    """A month's first … fourth, last such day; `month` counts from the year 0."""
    year, index = divmod(month, 12)
    first = date(year, index + 1, 1)
    day = first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (min(which, 5) - 1))
    return day if day.month == first.month else day - timedelta(days=7)
