"""What `mailer explain` does: one person's story, from the list to the server's words."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from .config import Config
from .contact import Contact, canonical_address, list_names, read_lists, read_suppressions
from .errors import InputError, UsageError, did_you_mean
from .forgotten import pseudonym
from .issue import issue_numbers
from .ledger import Delivery, Ledger, Sending, read_ledger
from .message import message_key
from .receipt import STATE_OF, key_mark, person, read_receipt, receipt_numbers
from .report import Report
from .signing import existing_key
from .suppressed import NAME


def explain(project: Path, config: Config, report: Report, written: str, number: str | None) -> None:
    """Tell the story of an address, in one issue or in all.

    Raises InputError where nobody knows it, UsageError where there is none.
    """
    if not written.strip():
        hint = f"mailer explain {f'--issue {number} ' if number else ''}reader@example.org"
        raise UsageError("whom? The address is empty", hint=hint)
    with contextlib.suppress(ValueError):
        written = canonical_address(written)  # an invalid one may stand in the ledger all the same
    key = existing_key(project, config.secret_env, os.environ)
    names = [written, *([pseudonym(key, written)] if key else [])]
    with contextlib.closing(read_ledger(config.ledger)) as ledger:
        known = {*issue_numbers(project), *receipt_numbers(project), *(each.issue for each in ledger.sendings())}
        if number is not None and number not in known:
            raise InputError(f"there is no issue {number!r}{did_you_mean(number, known)}", hint="mailer status")
        story = {
            "address": written,
            "lists": [_on_list(contact) for contact in _lists(project) if contact.address == written],
            "suppressed": _suppressed(project, ledger, names),
            "deliveries": [
                _delivery(config, key, sending, delivery)
                for name in names
                for sending, delivery in ledger.story(name)
                if number in (None, sending.issue)
            ],
            "receipts": _receipts(project, key, written, number),
        }
        if not any(story[part] for part in ("lists", "suppressed", "deliveries", "receipts")):
            where = f"no list and no issue{' ' + number if number else ''} knows {written}"
            raise InputError(where + did_you_mean(written, _near(project, ledger, written)), hint="mailer status")
    report.document(story)
    _say(config, report, story, number)


def _lists(project: Path) -> Iterator[Contact]:
    """All people of all lists."""
    return read_lists(project / "contacts", list_names(project / "contacts"))


def _on_list(contact: Contact) -> dict[str, Any]:
    return {"source": contact.source, "name": contact.name, "tags": contact.tags, "invalid": contact.invalid}


def _suppressed(project: Path, ledger: Ledger, names: list[str]) -> dict[str, str] | None:
    told = [*read_suppressions(project / NAME, NAME), *ledger.suppressions()]
    found = next((each for each in told if each.address in names), None)
    return {key: value for key, value in asdict(found).items() if key != "address"} if found else None


def _delivery(config: Config, key: bytes | None, sending: Sending, delivery: Delivery) -> dict[str, Any]:
    publication = config.publication
    sent = delivery.tried_at and key
    made = message_key(key, publication.list_id, sending.issue, delivery.contact.address) if sent and key else None
    return {
        "issue": sending.issue,
        "rehearsal": sending.rehearsal,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "planned_at": delivery.planned_at.isoformat(),
        "tried_at": delivery.tried_at.isoformat() if delivery.tried_at else None,
        "settled_at": delivery.settled_at.isoformat() if delivery.settled_at else None,
        "reply": delivery.reply,
        "source": delivery.contact.source,
        "message_id": f"{made}@{publication.domain}" if made else None,
        "provider_id": delivery.provider_id or None,
        "left": delivery.left,
    }


def _receipts(project: Path, key: bytes | None, address: str, number: str | None) -> list[dict[str, str]]:
    """What the receipts say that this key has written."""
    found = []
    for issue in receipt_numbers(project) if key else []:
        receipt = read_receipt(project, issue) if number in (None, issue) else None
        if receipt and key and receipt.key == key_mark(key) and (letter := receipt.letter(person(key, issue)(address))):
            found.append({"file": receipt.name, "state": STATE_OF[letter.lower()], "written": receipt.written})
    return found


def _near(project: Path, ledger: Ledger, written: str) -> set[str]:
    """Addresses that begin like it."""
    start = written[:3]
    near = {contact.address for contact in _lists(project) if contact.address.startswith(start)}
    for sending in ledger.sendings():
        near |= {address for address, _, _ in ledger.people(sending, start)}
    return near


def _say(config: Config, report: Report, story: dict[str, Any], number: str | None) -> None:
    def local(moment: str) -> str:
        return f"{datetime.fromisoformat(moment).astimezone(config.publication.timezone):%Y-%m-%d %H:%M:%S}"

    report.say(story["address"])
    for each in story["lists"]:
        more = ", ".join(filter(None, (each["name"], *each["tags"], each["invalid"] and f"invalid: {each['invalid']}")))
        report.say(f"  list        {each['source']}{f'  ({more})' if more else ''}")
    if not story["lists"]:
        report.say("  list        on none, as they are now")
    if told := story["suppressed"]:
        since = f" since {told['since']}" if told["since"] else ""
        source = f" ({told['source']})" if told["source"] else ""
        report.say(f"  suppressed{since}: {told['reason'] or 'no reason given'}{source}")
    for each in story["deliveries"]:
        kind = "rehearsal" if each["rehearsal"] else "sending"
        left = ", left so" if each["left"] else ""
        report.say(f"  {each['issue'] + ' ' + kind:11} {each['state']}{left}")
        for label, moment in (("planned", "planned_at"), ("first tried", "tried_at"), ("settled", "settled_at")):
            if each[moment]:
                tries = f", attempt {each['attempts']}" if moment == "settled_at" and each["attempts"] > 1 else ""
                report.say(f"    {label:11} {local(each[moment])}{tries}")
        for label, value in (("words", each["reply"]), ("Message-ID", each["message_id"]), ("id", each["provider_id"])):
            if value:
                report.say(f"    {label:11} {value}")
    if not story["deliveries"]:
        report.say(f"  {number or 'issues':11} not in the plan of {'it' if number else 'any'}, as this ledger knows")
    for each in story["receipts"]:
        report.say(f"  receipt     {each['file']}: {each['state']}, written {each['written']}")
