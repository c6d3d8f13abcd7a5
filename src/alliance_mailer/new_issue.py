"""What `mailer new` does: the next issue, with the number and the date that follow, and room where the stories go."""

import re
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

from .config import Config
from .disk import read_text, write_atomically
from .errors import InputError, UsageError
from .issue import NUMBER, Issue, issue_numbers, load_issue
from .report import Report
from .walltime import is_on_the_clock, shown, to_instant, to_wall, write_wall

# They tell of the last issue's stories.
_NOT_CARRIED = ("issue", "date", "send_at", "subject", "preheader", "image")


def new_issue(project: Path, config: Config, report: Report, number: str | None, now: datetime) -> None:
    """Write the file. Raises InputError where it is there, or where there is no issue to follow."""
    numbers = issue_numbers(project)
    if not numbers:
        raise InputError("there is no issue yet in issues/ to follow", hint="mailer import MANUSCRIPT.md")
    last = load_issue(project, numbers[-1], config.publication.timezone)
    number = number or following(last.number)
    if not NUMBER.fullmatch(number):  # it becomes the name of a file
        raise UsageError(f"found the number {number!r}, expected letters, digits and dots", hint="--issue 2.7")
    folder = last.file.endswith("/index.md")
    name = f"issues/{number}/index.md" if folder else f"issues/{number}.md"
    if number in numbers or (project / name).exists():
        raise InputError(f"{name} is there already", hint="mailer new --issue N, with another number")
    day, send_at = _next_date(last, config, report, now)
    text = carried_on(read_text(project / last.file, last.file), last, number, day, send_at)
    write_atomically(project / name, text.encode())
    report.say(f"{name}, after {last.file}")
    if send_at:
        instant = to_instant(datetime.strptime(send_at[:16], "%Y-%m-%d %H:%M"), config.publication.timezone)
        report.say(f"  send_at  {shown(instant, config.zones)}")
    report.say(f"\nNext: write it, look at it with  mailer build --issue {number}  and then"
               f"  mailer approve --issue {number}")  # fmt: skip
    report.document({"issue": number, "file": name, "date": day.isoformat(), "send_at": send_at or None})


def following(number: str) -> str:
    """The number after a number: 2.6 → 2.7, 2.9 → 2.10, 2023-04 → 2023-05. Raises UsageError where it has no digit."""
    digits = re.search(r"(\d+)(\D*)$", number, re.ASCII)
    if not digits:
        raise UsageError(f"which number follows {number}?", hint="mailer new --issue N")
    return number[: digits.start()] + str(int(digits[1]) + 1).zfill(len(digits[1])) + digits[2]


def _next_date(last: Issue, config: Config, report: Report, now: datetime) -> tuple[date, str]:
    """The day, and send_at as an issue writes it: the cadence's next after the last issue, and not past."""
    zone, cadence = config.publication.timezone, config.schedule.cadence
    today = to_wall(now, zone).date()
    if cadence is None:
        report.warn("mailer.toml has no [schedule] cadence: the date is today's, and there is no send_at")
        return today, ""
    after = max(today, last.send_at.date() if last.send_at else last.date)
    wall = next(cadence.after(after))
    if not is_on_the_clock(wall, zone):
        wall, skipped = to_wall(to_instant(wall, zone), zone), wall
        report.warn(f"{zone} has no {skipped:%H:%M} on {skipped:%Y-%m-%d}: the clocks go forward; it is {wall:%H:%M}")
    return wall.date(), write_wall(wall, zone)


def carried_on(source: str, last: Issue, number: str, day: date, send_at: str) -> str:
    """The last issue's file with its front matter carried on, its sections emptied, its colophon kept."""
    lines = re.sub(r"\r\n?", "\n", source).rstrip("\n").split("\n")
    rules = [n for n, line in enumerate(lines) if line.rstrip() == "---"]
    fresh = {"issue": [f'issue: "{number}"'], "date": [f"date: {day}"]}
    fresh |= {"send_at": [f"send_at: {send_at}"]} if send_at else {}
    fresh |= {"preheader": ['preheader: ""'], "image": [f'# image: {{src: {number}.jpg, alt: ""}}']}
    head: list[str] = []
    for key, chunk in _chunks(lines[rules[0] + 1 : rules[1]]):
        head += chunk if key not in _NOT_CARRIED else fresh.pop(key, [])
    head += fresh.get("send_at", [])
    body = ["---", *head, "---"]
    for section in last.sections:
        body += ["", lines[section.line - 1], *(["", "- "] if section.entries else [])]
    body += ["", *lines[rules[-1] :]] if last.colophon else []
    return "\n".join([*body, ""])


def _chunks(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """The lines of each key, also of one that is commented out; a remark between them belongs to none."""
    key, chunk = "", list[str]()
    for line in lines:
        if found := re.match(r"(?:#\s*)?([A-Za-z_]+)\s*:|#", line):
            yield key, chunk
            key, chunk = found[1] or "", []
        chunk.append(line)
    yield key, chunk
