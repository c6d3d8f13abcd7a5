"""What `mailer resolve` does: a person's decision on those who may have got an issue, or not."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .config import Config
from .contact import canonical_address
from .errors import InputError, UsageError
from .handover import Writer, correct, find_receipt, has_lessons
from .ledger import Delivery, Ledger, Sending, is_there, open_ledger
from .message import message_key
from .receipt import git_command
from .report import Report, people
from .signing import existing_key

_SHOWN = 10


def resolve(
    project: Path, config: Config, report: Report, number: str, addresses: Sequence[str], *, resend: bool, leave: bool
) -> int:
    """List them, or send to them again, or leave them as they are. Returns the exit code."""
    if resend and leave:
        raise UsageError("--resend and --leave are two decisions", hint="one of them, and addresses for whom it holds")
    not_sent = InputError(f"issue {number} was not sent from here, so nobody of it is unknown", hint="mailer status")
    if not is_there(config.ledger):
        raise not_sent
    sending, key = Sending(number, rehearsal=False), existing_key(project, config.secret_env, os.environ)
    with contextlib.closing(open_ledger(config.ledger, durability=config.durability)) as ledger, ledger.hold(number):
        if sending not in ledger.sendings():
            raise not_sent
        receipt = find_receipt(project, ledger, number, key)
        ledger.recover(sending, repeat=False)
        if receipt and key and has_lessons(receipt, ledger, number):
            correct(receipt, ledger, sending, key)
        chosen = _chosen(ledger, sending, addresses)
        if not resend and not leave:
            return _ask(config, report, sending, chosen, key)
        count = ledger.resolve(sending, resend=resend, addresses=_canonical(addresses) if addresses else None)
        if count and key:
            Writer(project, ledger, sending, key).write(finished=True)
        tally = ledger.tally(sending)
        report.document({"issue": number, "resend": resend, "resolved": count, "unknown": tally.unknown,
                         "left": ledger.left(sending)})  # fmt: skip
        if not count:
            report.say(f"Nobody of issue {number} waits for a decision.")
            if resend and tally.unknown:
                report.say(f"Left before, {people(tally.unknown)}: mailer resolve --issue {number} --resend ADDRESS …")
        elif resend:
            report.say(f"{people(count)} will get it, some of them perhaps for the second time. Next: {_send(number)}")
        else:
            report.say(f"{people(count)} left as {'it is' if count == 1 else 'they are'}: unknown, and not sent again.")
        if count and (command := git_command(project, number, report.counts(tally))):
            report.say(f"The receipt, for whoever sends after you: {command}")
        return 0


def _send(number: str) -> str:
    return f"mailer send --issue {number}, with the transport of before"


def _canonical(addresses: Sequence[str]) -> list[str]:
    def canonical(address: str) -> str:
        with contextlib.suppress(ValueError):
            return canonical_address(address)
        return address

    return list(map(canonical, addresses))


def _chosen(ledger: Ledger, sending: Sending, addresses: Sequence[str]) -> list[Delivery]:
    """Who is unknown, and nobody has decided; or these, whatever was decided before."""
    unknown = {delivery.contact.address: delivery for delivery in ledger.deliveries(sending, ["unknown"])}
    if not addresses:
        return [delivery for delivery in unknown.values() if not delivery.left]
    for address in _canonical(addresses):
        if address not in unknown:
            hint = f"mailer explain --issue {sending.issue} {address}"
            raise InputError(f"{address} is not unknown", hint=hint)
    return [unknown[address] for address in _canonical(addresses)]


def _ask(config: Config, report: Report, sending: Sending, chosen: Sequence[Delivery], key: bytes | None) -> int:
    publication, number = config.publication, sending.issue

    def told(delivery: Delivery) -> dict[str, Any]:
        made = key and message_key(key, publication.list_id, number, delivery.contact.address)
        tried = delivery.tried_at and delivery.tried_at.isoformat(timespec="seconds")
        return {"address": delivery.contact.address, "reply": delivery.reply, "tried_at": tried,
                "message_id": f"{made}@{publication.domain}" if made else None}  # fmt: skip

    rows = [told(delivery) for delivery in chosen]
    report.document({"issue": number, "unknown": rows})
    if not rows:
        report.say(f"Nobody of issue {number} waits for a decision.")
        return 0
    report.say(f"{people(len(rows))} may have got issue {number}, or not:")
    for row in rows[:_SHOWN]:
        report.say(f"  {row['address']}  {row['reply']}\n    tried {row['tried_at']}, Message-ID {row['message_id']}")
    if len(rows) > _SHOWN:
        report.say(f"  … and {len(rows) - _SHOWN} more: mailer status --issue {number} --failed")
    report.say("Look for the Message-IDs in the log of your mail server or provider. Then, for all or for some:")
    report.say(f"  mailer resolve --issue {number} --resend [ADDRESS …]   it did not arrive: send it")
    report.say(f"  mailer resolve --issue {number} --leave [ADDRESS …]    it did, or better none than two")
    return 1
