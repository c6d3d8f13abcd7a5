"""All issues, newest first: number, date, title, and how far each is."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from ..approval_file import approval_file, read_approval
from ..disk import read_text
from ..errors import MailerError
from ..frontmatter import FrontMatter, read_front_matter
from ..issue import issue_file, issue_numbers
from ..ledger import Tally, is_there, read_ledger
from ..receipt import read_receipt, receipt_file


@dataclass(frozen=True, slots=True)
class Entry:
    """An issue in the list."""

    number: str
    title: str
    date: date | None  # None where its front matter cannot be read
    state: str  # draft, approved, scheduled, sending, sent; or changed, since it was approved


def shelf(
    project: Path, ledger: Path | str | None, now: datetime, zone: ZoneInfo, editions: Mapping[str, str]
) -> list[Entry]:
    """The issues there are. Only their front matter is read, and only when a file has changed.

    `editions` are those that are known, by number: whether they are what was approved.
    """
    going = _sent(ledger, _stamp(ledger, now)) if ledger else {}
    entries = []
    for number in reversed(issue_numbers(project)):
        meta = None
        with contextlib.suppress(MailerError, OSError):  # twice there, not to be read: told when it is looked at
            path = issue_file(project, number)
            status = path.stat()
            meta = _front_matter(path, number, (status.st_mtime_ns, status.st_size), zone)
        send_at = meta.send_at.replace(tzinfo=zone) if meta and meta.send_at else None
        state = state_of(project, number, send_at, going, now, editions.get(number))
        day = meta.date if meta and meta.date != date.min else None
        entries.append(Entry(number, meta.title if meta else "", day, state))
    return entries


def state_of(
    project: Path, number: str, send_at: datetime | None, going: dict[str, str], now: datetime, edition: str | None
) -> str:
    """How far an issue is. `going` says it of those that the ledger knows; else a receipt speaks."""
    if number in going:
        return going[number]
    if state := _received(project, number):
        return state
    path = approval_file(project, number)
    approved = _approved(project, number, path.stat().st_mtime_ns) if path.is_file() else ""
    if not approved:
        return "draft"
    if edition and edition != approved:
        return "changed"
    return "scheduled" if send_at and send_at > now else "approved"


@lru_cache(maxsize=2048)
def _approved(project: Path, number: str, stamp: int) -> str:
    """The edition that is approved; none where that was withdrawn, or the file says something else."""
    try:
        approval = read_approval(project, number)
    except MailerError:
        return ""
    return approval.facts.edition if approval and not approval.withdrawn_at else ""


def _received(project: Path, number: str) -> str:
    path = receipt_file(project, number)
    return _receipt(project, number, path.stat().st_mtime_ns) if path.is_file() else ""


@lru_cache(maxsize=2048)
def _receipt(project: Path, number: str, stamp: int) -> str:
    try:
        receipt = read_receipt(project, number)
    except MailerError:
        return "sent"  # it cannot be understood, so nothing will be sent again
    if receipt is None or not receipt.is_sent:
        return ""
    return "sent" if receipt.finished and not _left(receipt.tally) else "sending"


@lru_cache(maxsize=2048)
def _front_matter(path: Path, number: str, stamp: tuple[int, int], zone: ZoneInfo) -> FrontMatter:
    text = read_text(path, path.name).replace("\r\n", "\n")
    return read_front_matter(text, path.name, number, [], zone)[0]


def _stamp(ledger: Path | str, now: datetime) -> tuple[int, ...]:
    """Another when there may be news; a database is asked once a minute."""
    if isinstance(ledger, str):
        return (int(now.timestamp()) // 60,)
    files = (ledger, ledger.with_name(f"{ledger.name}-wal"))
    return tuple(file.stat().st_mtime_ns if file.is_file() else 0 for file in files)


@lru_cache(maxsize=4)
def _sent(ledger: Path | str, stamp: tuple[int, ...]) -> dict[str, str]:
    if not is_there(ledger):
        return {}
    states = {}
    with contextlib.suppress(MailerError), contextlib.closing(read_ledger(ledger)) as opened:
        for sending in opened.sendings():
            tally = opened.tally(sending)
            if not sending.rehearsal and tally.planned:
                states[sending.issue] = "sending" if _left(tally) else "sent"
    return states


def _left(tally: Tally) -> int:
    return tally.waiting + tally.deferred + tally.unknown
