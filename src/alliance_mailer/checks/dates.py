"""Dates and numbers: those of the masthead, of the sending, and in the text."""

import re
from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from ..body import Section, plain
from ..issue import number_order
from ._proof import Proof
from ._rule import Flaw, Place, rule
from .editorial import end_of, stories

_MONTHS = "janfebmaraprmayjunjulaugsepoctnovdec"
_MONTH = (
    "(?P<month>Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?"
    "|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)"
)
_DAY = re.compile(rf"\b{_MONTH}\.? (?P<day>[0-3]?[0-9])(?!\d)(?:st|nd|rd|th)?(?:,? (?P<year>(?:19|20)\d\d))?\b")
_WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_WEEKDAY = re.compile(rf"\b(?P<weekday>{'|'.join(_WEEKDAYS)}),? (?:the )?{_DAY.pattern[2:]}")
_COPYRIGHT = re.compile(r"(?i)(?:©|\(c\)|copyright)\s*(?:(?:19|20)\d\d\s*[-–]\s*)?((?:19|20)\d\d)")
_VOLUME = re.compile(r"(?i)\bvol(?:ume)?[.:]*\s*(\d+(?:\.\d+)*)\b")


@rule("E004", "warning", fix="mend the number, or the date", source="volume and date continuity")
def number_follows_the_last(proof: Proof) -> Iterator[Flaw]:
    """The number follows that of the last issue, and the date comes after its date.

    A reader who files them notices a gap; a copied date is the most frequent mistake of a masthead.
    """
    last = proof.previous
    if last is None:
        return
    if proof.issue.date <= last.date:
        yield Flaw(f"{proof.issue.date} is not after {last.date}, the date of issue {last.number}", proof.key("date"))
    old, new = (
        [int(part) if part.isdigit() else -1 for part in re.split(r"[._-]", each.number)]
        for each in (last, proof.issue)
    )
    follows = any(
        new == [*old[:at], old[at] + 1, *rest]
        for at in range(len(old))
        for rest in ([0] * (len(old) - at - 1), [1] * (len(old) - at - 1))
    )
    if -1 not in (*old, *new) and len(old) == len(new) and not follows:
        yield Flaw(f"issue {proof.issue.number} comes after {last.number}: one is missing between", proof.key("issue"))


@rule("E005", "warning", fix="mend the date, or send_at", source="volume and date continuity")
def sending_is_near_the_date(proof: Proof) -> Iterator[Flaw]:
    """send_at is within a week of the date in the masthead.

    Otherwise one of them was carried on from another issue.
    """
    due = proof.issue.send_at
    if due and abs(due.date() - proof.issue.date) > timedelta(days=7):
        yield Flaw(f"send_at is {due:%Y-%m-%d}, the date {proof.issue.date}", proof.key("send_at"))


@rule(
    "L012",
    "warning",
    fix="mend the number, or write {{ issue.number }} in the template",
    source="volume and date continuity",
)
def text_agrees_with_the_masthead(proof: Proof) -> Iterator[Flaw]:
    """A volume number in the text is the issue's, and the text is not the last issue's.

    A copied file keeps what nobody looked at.
    """
    for match, place in proof.found(_VOLUME):
        if match[1] != proof.issue.number and number_order(match[1])[0] == number_order(proof.issue.number)[0]:
            yield Flaw(f"“{match[0]}” in issue {proof.issue.number}", place)
    if proof.previous and _words(proof.previous.sections) == _words(proof.issue.sections) != "":
        yield Flaw(f"the text is that of issue {proof.previous.number}", proof.whole, "write this issue")


def _words(sections: Sequence[Section]) -> str:
    return " ".join(
        plain(token.children or [])
        for section in sections
        for entry in section.entries
        for token in entry.blocks
        if token.type == "inline"
    )


@rule("E008", "warning", fix="write {{ issue.date.year }} in the template", source="every January")
def year_is_this_one(proof: Proof) -> Iterator[Flaw]:
    """A copyright year is the issue's own.

    It is the first thing that looks neglected.
    """
    for element in proof.elements:
        for words in (element.text, element.tail):
            found = _COPYRIGHT.search(words or "")
            if found and element.tag != "style" and int(found[1]) != proof.issue.date.year:
                yield Flaw(f"“{found[0]}” in an issue of {proof.issue.date.year}", proof.of(element, found[1]))


def _day(match: re.Match[str], proof: Proof) -> date | None:
    """The day that a text names; without a year, the nearest one to the issue's date."""
    month = _MONTHS.index(match["month"][:3].lower()) // 3 + 1
    issued = proof.issue.date
    years = [int(match["year"])] if match["year"] else [issued.year - 1, issued.year, issued.year + 1]
    days = []
    for year in years:
        try:
            days.append(date(year, month, int(match["day"])))
        except ValueError:
            continue
    return min(days, key=lambda day: abs(day - issued), default=None)


@rule("E009", "warning", fix="look at a calendar", source="a calendar")
def weekdays_are_right(proof: Proof) -> Iterator[Flaw]:
    """A weekday is that of its date, and every date exists.

    Of the two, one is wrong, and a reader who marks the calendar cannot know which.
    """
    for match, place in proof.found(_WEEKDAY):
        day = _day(match, proof)
        if day and _WEEKDAYS[day.weekday()] != match["weekday"]:
            named = f"{match['month']} {match['day']}, {day.year}"
            yield Flaw(f"{named} is a {_WEEKDAYS[day.weekday()]}, not a {match['weekday']}", place)
    for match, place in proof.found(_DAY):
        if _day(match, proof) is None:
            yield Flaw(f"there is no {match[0]}", place)


@rule("E010", "info", fix="look whether it is news", source="what a digest is for")
def stories_are_recent(proof: Proof) -> Iterator[Flaw]:
    """A story that names days names one of the last 31, or one to come.

    Otherwise it is an old paragraph, or a wrong month.
    """
    days: dict[int, list[tuple[date, Place]]] = {}
    for match, place in proof.found(_DAY):
        day, story = _day(match, proof), None
        for number, entry in stories(proof):
            story = number if entry.line <= (place.line or 0) < max(end_of(entry), entry.line + 1) else story
        if story and day:
            days.setdefault(story, []).append((day, place))
    for story, found in days.items():
        latest, place = max(found, key=lambda each: each[0])
        if latest < proof.issue.date - timedelta(days=31):
            yield Flaw(f"the latest day in story {story} is {latest}", place)
