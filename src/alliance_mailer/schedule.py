"""What `mailer schedule` does: which issues are coming, when in every zone that matters, and what each still needs."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

from .approval import Approval, state
from .approval_file import read_approval
from .config import Config
from .errors import InputError
from .issue import issue_numbers, load_issue
from .ledger import Ledger, Sending, read_ledger
from .report import Report, duration
from .walltime import clock_changes, shown, to_instant

_AHEAD = 3  # dates of the cadence
_BEHIND = timedelta(days=30)  # so long a sent issue is still shown

_NEEDS = {
    "draft": "mailer approve --issue {}",
    "changed": "look again, then mailer approve --issue {}",
    "withdrawn": "mailer approve --issue {}, should it go after all",
    "late": "another send_at, or mailer send --issue {}",
    "broken": "mailer check --issue {}",
    "missing": "mailer new",
    "half sent": "mailer status --issue {}",
}


@dataclass(frozen=True, slots=True)
class Coming:
    """A line of the schedule: an issue, or a date of the cadence for which there is none."""

    issue: str  # empty: there is none
    instant: datetime  # UTC
    state: str  # one of approval.State; sent, half sent, late, broken, missing
    approval: Approval | None = None


def show_schedule(project: Path, config: Config, report: Report, now: datetime) -> None:
    """Print what is coming, and warn of clocks that move in between."""
    with contextlib.closing(read_ledger(config.ledger)) as ledger:
        rows = coming(project, config, ledger, now)
    if not rows:
        report.say("Nothing is planned. Write send_at: 2023-04-03 09:00 into an issue, or a [schedule] cadence into "
                   "mailer.toml.")  # fmt: skip
    width = max((len(row.issue) for row in rows), default=0)
    first_missing = next((row for row in rows if row.state == "missing"), None)
    for row in rows:
        apart = duration(abs((row.instant - now).total_seconds()))
        when = f"in {apart}" if row.instant > now else f"{apart} ago"
        report.say(f"{row.issue or '–':{width}}  {row.state:9}  {shown(row.instant, config.zones)}  ({when})")
        if row.approval and row.state in ("scheduled", "approved"):
            report.say(f"{'':{width}}  by {row.approval.said}, through {row.approval.way}")
        elif row.state in _NEEDS and (row.state != "missing" or row is first_missing):
            report.say(f"{'':{width}}  next: {_NEEDS[row.state].format(row.issue)}")
    for warning in clock_warnings(rows, config, now):
        report.warn(warning)
    report.document({"coming": [_document(row, config) for row in rows]})


def coming(project: Path, config: Config, ledger: Ledger, now: datetime) -> list[Coming]:
    """The issues that have a time, and the next dates of the cadence that have no issue, by time."""
    issues = [
        row for row in _issues(project, config, ledger, now) if row.state != "sent" or now - row.instant < _BEHIND
    ]
    taken = {row.instant.astimezone(config.publication.timezone).date() for row in issues}
    rows = [*issues]
    if config.schedule.cadence:
        today = now.astimezone(config.publication.timezone).date()
        for wall in islice(config.schedule.cadence.after(today - timedelta(days=1)), _AHEAD):
            instant = to_instant(wall, config.publication.timezone)
            if wall.date() not in taken and instant > now:
                rows.append(Coming("", instant, "missing"))
    return sorted(rows, key=lambda row: row.instant)


def _issues(project: Path, config: Config, ledger: Ledger, now: datetime) -> Iterator[Coming]:
    for number in issue_numbers(project):
        approval = None
        try:
            approval = read_approval(project, number)
            issue = load_issue(project, number, config.publication.timezone)
        except InputError:
            if approval and approval.facts.instant:
                yield Coming(number, approval.facts.instant, "broken", approval)
            continue
        if issue.send_at is None:
            continue
        instant = to_instant(issue.send_at, config.publication.timezone)
        tally = ledger.tally(Sending(number, rehearsal=False))
        if tally.planned:
            found = "half sent" if tally.waiting + tally.deferred else "sent"
        elif (project / "sends" / f"{number}.json").exists():
            found = "sent"
        elif now - instant > timedelta(seconds=config.schedule.max_late):
            found = "late"
        else:
            found = state(approval, project, issue, config.publication, now)
        yield Coming(number, instant, found, approval)


def clock_warnings(rows: list[Coming], config: Config, now: datetime) -> list[str]:
    """Clocks that move between the approval, or now, and the sending: the hour in the other capital is another then."""
    return [
        f"{name} moves its clocks on {day}, before issue {row.issue} is sent: {shown(row.instant, config.zones)}"
        for row in rows
        if row.issue and row.instant > now
        for name, day in clock_changes(row.approval.at if row.approval else now, row.instant, config.zones)
    ]


def _document(row: Coming, config: Config) -> dict[str, object]:
    return {
        "issue": row.issue or None, "state": row.state, "instant": row.instant.isoformat(),
        "zones": {name: row.instant.astimezone(zone).isoformat() for name, zone in config.zones},
        "by": row.approval.by if row.approval else None,
        "transport": row.approval.transport if row.approval else None,
    }  # fmt: skip
