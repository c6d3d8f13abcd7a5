"""What `mailer status` does: how far each issue is, person by person if wanted."""

import contextlib
from pathlib import Path

from .config import Config
from .errors import InputError, UsageError
from .issue import issue_numbers, number_order
from .ledger import Sending, Tally
from .ledger.sqlite import open_ledger
from .report import Report

_FAILED = ("refused", "deferred", "unknown")


def show_status(
    config: Config, report: Report, project: Path, number: str | None, *, failed: bool, as_csv: bool
) -> None:
    """Print the counts of one issue or of all; `failed`: who was refused, or may not have got it."""
    if as_csv and report.as_json:
        raise UsageError("--csv and --json both want the whole of stdout", hint="leave one of them out")
    ledger = open_ledger(config.ledger, dry_run=not config.ledger.exists())
    with contextlib.closing(ledger):
        known = sorted(ledger.sendings(), key=lambda sending: (number_order(sending.issue), sending.rehearsal))
        if number is not None and number not in {
            *issue_numbers(project),
            *(sending.issue for sending in known),
        }:
            raise InputError(f"there is no issue {number!r}; there are: {', '.join(issue_numbers(project)) or 'none'}")
        chosen = [sending for sending in known if number in (None, sending.issue)]
        documents = []
        for sending in chosen:
            tally, planned = ledger.tally(sending), ledger.planned(sending)
            documents.append(report.tally(sending, tally, planned))
            if not as_csv:
                kind = "rehearsal" if sending.rehearsal else "sending"
                report.say(f"{sending.issue} {kind}: {tally.planned} planned = {report.counts(tally)}")
                if planned:
                    report.say(f"  {planned.transport}, edition {planned.edition[:12]}")
            if failed and not as_csv:
                report.people(ledger.deliveries(sending, _FAILED))
        if as_csv:
            report.table((sending, row) for sending in chosen for row in ledger.deliveries(sending, _FAILED))
        elif not chosen:
            what = f"issue {number}" if number else "anything"
            report.say(f"Nobody was planned for {what} yet. Next: mailer send --issue {number or 'N'}")
        if number is None:
            report.document({"issues": documents})
        else:
            nothing = report.tally(Sending(number, rehearsal=False), Tally(), None)
            report.document(documents[0] if documents else nothing)
