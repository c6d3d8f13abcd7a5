"""What a person reads on the terminal, and what a program reads with --json.

Every command has a report, `mailer --help` too: so nothing that is slow to import is imported here.
"""

from __future__ import annotations

import csv
import errno
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from datetime import datetime

    from .checks import Finding
    from .edition import Edition
    from .errors import MailerError
    from .ledger import Audience, Delivery, Planned, Sending, Tally
    from .message import Outcome

_SHOWN = 10  # rows of a list that may be long


class Progress:
    """How far a sending is. On a terminal `bar` shows it; it is drawn ten times a second, however fast we are."""

    def __init__(self, total: int, bar: Any = None, task: Any = None) -> None:
        self._total, self._bar, self._task = total, bar, task
        self._counts: Counter[str] = Counter()
        self._began = self._said = time.monotonic()

    def settled(self, outcome: Outcome) -> None:
        """One more is done."""
        self._counts[outcome.verdict] += 1
        now = time.monotonic()
        if now - self._said < (0.1 if self._bar else 60) and self._counts.total() < self._total:
            return
        self._said = now
        if self._bar:
            self._draw(", ".join(f"{count} {state}" for state, count in self._counts.items()))
        elif now - self._began >= 60:
            _print(f"{self._counts.total()} of {self._total} done", sys.stderr)

    def waits(self, until: datetime) -> None:
        """Nothing can be done for a while."""
        words = f"waiting until {until.astimezone():%H:%M:%S} for those whom the server put off, or for the rate"
        if self._bar:
            self._draw(words)
        else:
            _print(words, sys.stderr)

    def _draw(self, words: str) -> None:
        rate = round(self._counts.total() / max(time.monotonic() - self._began, 0.001))
        self._bar.update(self._task, completed=self._counts.total(), rate=rate, states=words)


class Report:
    """Everything for people goes to `out`; with --json that is stderr, and one document goes to stdout."""

    def __init__(self, *, as_json: bool = False, verbose: bool = False) -> None:
        self.as_json, self.verbose = as_json, verbose
        self.out: TextIO = sys.stderr if as_json else sys.stdout

    def say(self, text: str = "") -> None:
        """A line for people."""
        _print(text, self.out)

    def document(self, value: Any) -> None:
        """The one JSON document."""
        if self.as_json:
            _print(json.dumps(value, ensure_ascii=False), sys.stdout)

    def warn(self, text: str) -> None:
        """A line for people that should not be missed."""
        _print(_styled("warning: ", "33") + text, sys.stderr)

    def error(self, error: MailerError) -> None:
        """What went wrong, and what to type next."""
        if self.as_json:
            first = error.problems[0]
            problems = [asdict(problem) for problem in error.problems]
            detail = {"code": error.code, "message": first.message, "file": first.file or None, "line": first.line,
                      "hint": error.hint, "problems": problems}  # fmt: skip
            self.document({"error": detail})
        hint = ""
        for problem in error.problems:
            if hint and problem.hint != hint:
                _print(f"  try: {hint}", sys.stderr)
            _print(_styled("error: ", "31") + str(problem), sys.stderr)
            hint = problem.hint
        if hint:
            _print(f"  try: {hint}", sys.stderr)

    def level(self, level: str) -> str:
        """A word in front of a line, in its colour: ok, warn, fail."""
        return _styled(f"{level:4}", {"ok": "32", "warn": "33", "fail": "31"}[level])

    def findings(
        self, findings: Sequence[Finding], *, as_warnings: bool, result: bool = False, fixes: bool = True
    ) -> None:
        """Findings, one a line; `as_warnings` where they stop nothing, `result` where they were asked for."""
        out = self.out if result else sys.stderr
        findings = [finding for finding in findings if finding.severity != "info"]  # `mailer check` has them
        for finding in findings:
            word = "warning" if as_warnings else finding.severity
            _print(_styled(f"{word}: ", "33" if word == "warning" else "31") + str(finding), out)
        for rule, fix in dict.fromkeys((finding.rule, finding.fix) for finding in findings if fixes):
            _print(f"  {rule}: {fix}", out)

    # A sending ----------------------------------------------------------------------------------------------------

    def plan(
        self, edition: Edition, people: str, banner: str, left: int, size: int, time: str, notes: Sequence[str] = ()
    ) -> None:
        """Who, how many, from whom, through what, how much, how long, and what else is to be known."""
        publication = edition.publication
        rows = [
            ("subject", edition.subject.shown()),
            ("from", f"{publication.sender_name} <{publication.sender}>"),
            ("to", people),
            ("through", banner),
            ("size", f"{_bytes(size)} a message, {_bytes(size * left)} in all"),
            *([("time", time)] if time else []),
            *(("note", note) for note in notes),
        ]
        self.rows(edition, rows)

    def rows(self, edition: Edition, rows: Iterable[tuple[str, str]]) -> None:
        """What an edition is about to become; the way out is loud."""
        self.say(_styled(f"Issue {edition.issue}", "1") + f", edition {edition.sha256[:12]}")
        for label, value in rows:
            self.say(f"  {label:8} {_styled(value, '1') if label == 'through' else value}")

    def audience(self, audience: Audience) -> None:
        """What is odd about the lists."""
        for contact in audience.invalid[:_SHOWN]:
            self.warn(
                f"{contact.source}: {contact.fields.get('email') or 'empty'}: {contact.invalid}; recorded as refused"
            )
        for contact, winner in audience.duplicates[:_SHOWN]:
            self.warn(f"{contact.source}: {contact.address} stands in {winner} already; that row counts")
        for name, count in (("invalid", audience.invalid_count), ("double", audience.duplicate_count)):
            if count > _SHOWN:
                self.warn(f"… and {count - _SHOWN} more {name} rows")

    @contextmanager
    def progress(self, total: int) -> Iterator[Progress]:
        """Counts outcomes as they come: a bar on a terminal, one line a minute elsewhere."""
        if not sys.stderr.isatty() or total <= 0:
            yield Progress(total)
            return
        from rich import progress

        columns = (
            progress.BarColumn(), progress.MofNCompleteColumn(), progress.TextColumn("{task.fields[rate]}/s"),
            progress.TimeRemainingColumn(), progress.TextColumn("{task.fields[states]}"),
        )  # fmt: skip
        with progress.Progress(*columns, console=_stderr_console(), transient=True) as bar:
            yield Progress(total, bar, bar.add_task("", total=total, rate=0, states=""))

    def tally(self, sending: Sending, tally: Tally, planned: Planned | None) -> dict[str, Any]:
        """A sending's counts, as a document."""
        return {
            "issue": sending.issue,
            "edition": planned.edition if planned else None,
            "transport": planned.transport if planned else None,
            "rehearsal": sending.rehearsal,
            "planned": tally.planned,
            **asdict(tally),
        }

    def counts(self, tally: Tally) -> str:
        """Name the states that occur: 24 accepted, 1 suppressed."""
        counts = [f"{count} {state}" for state, count in asdict(tally).items() if count]
        return ", ".join(counts) or "nobody planned"

    def columns(self, rows: Sequence[tuple[str, str, str]]) -> None:
        """A label and two columns, as wide as the terminal."""
        from rich.console import Console
        from rich.table import Table

        table = Table(box=None, show_header=False, expand=True, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(ratio=1)
        table.add_column(ratio=1)
        for row in rows:
            table.add_row(*row)
        width = None if self.out.isatty() else 100
        Console(file=self.out, width=width, highlight=False, markup=False, color_system=None).print(table)

    def people(self, deliveries: Iterable[Delivery]) -> None:
        """Persons and the server's words."""
        for delivery in deliveries:
            self.say(f"  {delivery.state:10} {delivery.contact.address}  {delivery.reply}")

    def table(self, rows: Iterable[tuple[Sending, Delivery]]) -> None:
        """The same as CSV on stdout, for a spreadsheet."""
        writer = csv.writer(SimpleNamespace(write=lambda text: _print(text, sys.stdout, end="")), lineterminator="\n")
        writer.writerow(("email", "name", "state", "attempts", "reply", "source", "issue", "rehearsal"))
        for sending, delivery in rows:
            contact, kind = delivery.contact, "yes" if sending.rehearsal else "no"
            cells = (contact.address, contact.name, delivery.state, str(delivery.attempts), delivery.reply,
                     contact.source, sending.issue, kind)  # fmt: skip
            # A cell that begins like a formula is a formula to a spreadsheet.
            writer.writerow([f"'{cell}" if cell.startswith(("=", "+", "-", "@")) else cell for cell in cells])


def people(count: int) -> str:
    """1 person, 2 people."""
    return "1 person" if count == 1 else f"{count} people"


def duration(seconds: float) -> str:
    """For a person: 40 seconds, 7 minutes, 3.5 hours, 5 days."""
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.{1 if seconds < 10 * size else 0}f}".removesuffix(".0") + f" {unit}s"
    return "1 second" if seconds == 1 else f"{seconds:.0f} seconds"


def _print(text: str, stream: TextIO, end: str = "\n") -> None:
    """Print at once. That nobody reads it any more is no reason to stop a sending: `mailer send | head`, ssh lost."""
    try:
        print(text, file=stream, end=end, flush=True)
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EIO):  # no reader of the pipe, no terminal
            raise
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _bytes(count: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if count >= size:
            return f"{count / size:.{1 if count < 10 * size else 0}f} {unit}"
    return f"{count} bytes"


def _styled(text: str, style: str) -> str:
    plain = not sys.stderr.isatty() or not sys.stdout.isatty() or os.environ.get("NO_COLOR")
    return text if plain else f"\033[{style}m{text}\033[0m"


def _stderr_console() -> Any:
    from rich.console import Console

    stream = sys.stderr  # itself: while a bar is shown, sys.stderr is rich's
    # Through `_print`: a bar, too, may outlive its terminal.
    screen: Any = SimpleNamespace(
        write=lambda text: _print(text, stream, end=""), flush=stream.flush, isatty=stream.isatty,
        fileno=stream.fileno, encoding=stream.encoding,
    )  # fmt: skip
    return Console(file=screen)
