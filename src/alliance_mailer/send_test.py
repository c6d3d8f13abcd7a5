"""What `mailer test` and the preview's “Send test…” do: one message to one address. The ledger does not hear of it."""

import contextlib
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from .config import Config
from .contact import Contact, canonical_address, read_lists, read_suppressions
from .edition import Edition
from .errors import InputError, Problem
from .forgotten import pseudonym
from .issue import Issue
from .message import Message, Outcome, Verdict, address
from .report import Report
from .signing import existing_key, signing_key
from .transports import connect, refuse_pictures, transport_module
from .unsubscribe import keyed


@dataclass(frozen=True, slots=True)
class Tested:
    """A test that went out, or did not."""

    message: Message
    banner: str  # through what
    outcome: Outcome

    def __str__(self) -> str:
        outcome, message = self.outcome, self.message
        to = f"to {message.contact.address} through {self.banner}: {outcome.reply}"
        return f"{outcome.verdict}: {message.subject}\n  {to}"


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
    reader = edition.neutral_reader
    if as_:
        model, lists = _canonical("--as", as_), read_lists(project / "contacts", issue.audience)
        found = next((each for each in lists if each.address == model and not each.invalid), None)
        if found is None:
            raise InputError(f"{model} stands in no list of this issue ({', '.join(issue.audience)})")
        reader = found
    tested = try_out(project, config, edition, to, reader, transport, sandbox=sandbox)
    outcome, message = tested.outcome, tested.message
    report.say(str(tested))
    report.document({"issue": issue.number, "to": message.contact.address, "verdict": outcome.verdict,
                     "reply": outcome.reply, "message_id": message.message_id})  # fmt: skip
    return {Verdict.ACCEPTED: 0, Verdict.DEFERRED: 75}.get(outcome.verdict, 1)


def try_out(
    project: Path,
    config: Config,
    edition: Edition,
    to: str,
    reader: Contact,
    transport: str | None,
    *,
    sandbox: bool = False,
) -> Tested:
    """Send the edition to an address, as `reader` gets it. Its subject should be marked when it is compiled.

    Raises InputError for an address that is none or must not be mailed, and for a reader who lacks a field.
    """
    recipient = _canonical("--to", to)
    suppressed = read_suppressions(project / "contacts" / "suppressed.csv", "contacts/suppressed.csv")
    existing = existing_key(project, config.secret_env, os.environ)
    names = {recipient, pseudonym(existing, recipient)} if existing else {recipient}
    if any(suppression.address in names for suppression in suppressed):
        raise InputError(f"{recipient} stands in contacts/suppressed.csv and must never be mailed")
    if mistakes := edition.mistakes(reader):
        file, _, line = reader.source.rpartition(":")
        raise InputError([Problem(file, int(line or 0), f"{reader.address} {mistake}") for mistake in mistakes])
    contact = Contact(recipient, {"email": reader.address, **reader.fields})
    chosen = config.transport(transport)
    key, now = signing_key(project, config.secret_env, os.environ), datetime.now(UTC)
    message = address(edition, contact, date=now.astimezone(config.publication.timezone), key=key)
    # An id of its own: Gmail shows one of two messages with the same, and the real one must arrive.
    message = replace(message, key=keyed(key, "test", edition.issue, recipient, now.isoformat()))
    place = _place(edition.issue)
    refuse_pictures(chosen.use, edition)
    opened = connect(chosen.use, chosen.options, project=project, issue=place, environ=os.environ, sandbox=sandbox)
    with contextlib.closing(opened):
        [outcome] = opened.carry(iter([[message]]))
    through = banner(config, edition.issue, transport)
    if sandbox:
        through += f", sandbox: {transport_module(chosen.use).TRAITS.sandbox}; nothing is delivered"
    return Tested(message, through, outcome)


def banner(config: Config, number: str, transport: str | None) -> str:
    """Through what a test of an issue goes."""
    chosen = config.transport(transport)
    return str(transport_module(chosen.use).describe(chosen.options, _place(number)))


def _place(number: str) -> str:
    return f"test/{number}"


def _canonical(option: str, written: str) -> str:
    try:
        return canonical_address(written)
    except ValueError as error:
        raise InputError(f"{option} {written}: {error}", hint=f"{option} me@example.org") from None
