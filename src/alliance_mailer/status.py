"""What `mailer status` does: how far each issue is, person by person if wanted."""

import contextlib
from pathlib import Path
from typing import Any

from .config import Config
from .errors import InputError, SentElsewhere, TryLater, UsageError
from .issue import issue_numbers, number_order
from .ledger import Ledger, Sending, Tally, read_ledger
from .receipt import Receipt, read_receipt, receipt_numbers
from .report import Report
from .run import finish_receipt

_FAILED = ("refused", "deferred", "unknown")


def show_status(
    config: Config, report: Report, project: Path, number: str | None, *, failed: bool, as_csv: bool
) -> None:
    """Print the counts of one issue or of all; `failed`: who was refused, or may not have got it."""
    if as_csv and report.as_json:
        raise UsageError("--csv and --json both want the whole of stdout", hint="leave one of them out")
    with contextlib.closing(read_ledger(config.ledger)) as ledger:
        known = sorted(ledger.sendings(), key=lambda sending: (number_order(sending.issue), sending.rehearsal))
        receipts = {each for each in receipt_numbers(project) if Sending(each, rehearsal=False) not in known}
        numbers = {*issue_numbers(project), *(sending.issue for sending in known), *receipts}
        if number is not None and number not in numbers:
            raise InputError(f"there is no issue {number!r}; there are: {', '.join(issue_numbers(project)) or 'none'}")
        chosen = [sending for sending in known if number in (None, sending.issue)]
        for sending in chosen:
            try:
                finish_receipt(project, config, ledger, sending)
            except (SentElsewhere, TryLater) as error:
                report.warn(str(error))
        if as_csv:
            report.table((sending, row) for sending in chosen for row in ledger.deliveries(sending, _FAILED))
            return
        documents = [
            _receipt_alone(report, receipt)
            for each in sorted(receipts, key=number_order)
            if number in (None, each) and (receipt := read_receipt(project, each))
        ]
        documents += [_sending(report, ledger, sending, failed=failed) for sending in chosen]
        if not documents:
            what = f"issue {number}" if number else "anything"
            report.say(f"Nobody was planned for {what} yet. Next: mailer send --issue {number or 'N'}")
        if number is None:
            report.document({"issues": documents})
        else:
            nothing = report.tally(Sending(number, rehearsal=False), Tally(), None)
            report.document(documents[0] if documents else nothing)


def _sending(report: Report, ledger: Ledger, sending: Sending, *, failed: bool) -> dict[str, Any]:
    tally, planned = ledger.tally(sending), ledger.planned(sending)
    kind = "rehearsal" if sending.rehearsal else "sending"
    running = ", under way" if ledger.is_held(sending.issue) else ""
    report.say(f"{sending.issue} {kind}{running}: {tally.planned} planned = {report.counts(tally)}")
    if planned:
        report.say(f"  {planned.transport}, edition {planned.edition[:12]}")
    if failed:
        report.people(ledger.deliveries(sending, _FAILED))
    undecided = tally.unknown - ledger.left(sending)
    if undecided and not sending.rehearsal and not running:
        report.say(f"  unknown: it may have arrived, or not. Decide: mailer resolve --issue {sending.issue}")
    return report.tally(sending, tally, planned)


def _receipt_alone(report: Report, receipt: Receipt) -> dict[str, Any]:
    """What a fresh clone knows."""
    tally = receipt.tally
    report.say(f"{receipt.issue} sending, as {receipt.name} says: {tally.planned} planned = {report.counts(tally)}")
    report.say(f"  {receipt.transport}, edition {receipt.edition[:12]}; sent from elsewhere, written {receipt.written}")
    document = report.tally(Sending(receipt.issue, rehearsal=False), tally, None)
    return document | {"edition": receipt.edition, "transport": receipt.transport}
