"""What `mailer test` does: one message to one address. The ledger does not hear of it."""

import contextlib
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from .config import Config
from .contact import Contact, canonical_address, read_lists, read_suppressions
from .edition import Edition
from .errors import InputError, Problem
from .forgotten import pseudonym
from .issue import Issue
from .message import Verdict, address
from .report import Report
from .signing import existing_key, signing_key
from .transports import connect, refuse_pictures, transport_module
from .unsubscribe import keyed


def send_test(
    project: Path,
    config: Config,
    report: Report,
    issue: Issue,
    edition: Edition,
    to: str,
    as_: str | None,
    transport: str | None,
    *,
    sandbox: bool = False,
) -> int:
    """Send to one address; in a `sandbox` the provider looks at it and delivers nothing. Returns the exit code."""
    recipient = _canonical("--to", to)
    suppressed = read_suppressions(project / "contacts" / "suppressed.csv", "contacts/suppressed.csv")
    key = existing_key(project, config.secret_env, os.environ)
    names = {recipient, pseudonym(key, recipient)} if key else {recipient}
    if any(suppression.address in names for suppression in suppressed):
        raise InputError(f"{recipient} stands in contacts/suppressed.csv and must never be mailed")
    contact = edition.neutral_reader
    if as_:
        model, lists = _canonical("--as", as_), read_lists(project / "contacts", issue.audience)
        found = next((each for each in lists if each.address == model and not each.invalid), None)
        if found is None:
            raise InputError(f"{model} stands in no list of this issue ({', '.join(issue.audience)})")
        contact = found
        if mistakes := edition.mistakes(contact):
            file, _, line = contact.source.rpartition(":")
            raise InputError([Problem(file, int(line), f"{contact.address} {mistake}") for mistake in mistakes])
    contact = Contact(recipient, {"email": contact.address, **contact.fields})
    chosen = config.transport(transport)
    key, now = signing_key(project, config.secret_env, os.environ), datetime.now(UTC)
    message = address(edition, contact, date=now.astimezone(config.publication.timezone), key=key)
    # An id of its own: Gmail shows one of two messages with the same, and the real one must arrive.
    message = replace(message, key=keyed(key, "test", edition.issue, recipient, now.isoformat()))
    place = f"test/{issue.number}"
    refuse_pictures(chosen.use, edition)
    opened = connect(chosen.use, chosen.options, project=project, issue=place, environ=os.environ, sandbox=sandbox)
    with contextlib.closing(opened):
        [outcome] = opened.carry(iter([[message]]))
    banner = transport_module(chosen.use).describe(chosen.options, place)
    if sandbox:
        banner += f", sandbox: {transport_module(chosen.use).TRAITS.sandbox}; nothing is delivered"
    report.say(f"{outcome.verdict}: {message.subject}\n  to {recipient} through {banner}: {outcome.reply}")
    report.document({"issue": issue.number, "to": recipient, "verdict": outcome.verdict, "reply": outcome.reply,
                     "message_id": message.message_id})  # fmt: skip
    return {Verdict.ACCEPTED: 0, Verdict.DEFERRED: 75}.get(outcome.verdict, 1)


def _canonical(option: str, written: str) -> str:
    try:
        return canonical_address(written)
    except ValueError as error:
        raise InputError(f"{option} {written}: {error}", hint=f"{option} me@example.org") from None
