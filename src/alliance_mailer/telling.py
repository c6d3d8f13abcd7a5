"""What `mailer send` says to a person: what it is about to do, whether it may, what became of it, what to type next."""

import sys
from datetime import datetime

from .deliver import Later
from .errors import UsageError
from .handover import Learnt
from .ledger import Sending, Tally
from .message import Message
from .pace import at_least
from .planning import Mailing, Plan
from .receipt import Receipt, git_command
from .report import Report, duration, people
from .transports import transport_module
from .walltime import to_instant

# Before ------------------------------------------------------------------------------------------------------------


def tell_learnt(report: Report, mailing: Mailing, receipt: Receipt, learnt: Learnt) -> None:
    """Say what the receipt knew better than the ledger."""
    report.say(f"{receipt.name} knows who has it: {report.counts(receipt.tally)}.")
    if learnt.strangers.planned:
        report.warn(
            f"{people(learnt.strangers.planned)} of it on no list here, and not sent to:"
            f" {report.counts(learnt.strangers)}; who waits gets it once {mailing.lists} names them again"
        )


def tell_plan(report: Report, mailing: Mailing, plan: Plan, now: datetime) -> None:
    """Say who, how many, from whom, through what, how long it takes; and that send_at says another time."""
    edition, total = mailing.edition, mailing.this_time(plan.people)
    size = len(Message(edition, edition.neutral_reader, now, "0" * 32, "0" * 32).as_bytes())
    notes, provider = list(mailing.traits.notes), mailing.traits.name
    if plan.doubtful:
        notes.append(f"{people(plan.doubtful)} in doubt: {provider} is asked once more, with the same key")
    notes += [f"allowed: {rule}, {reason}" for rule, reason in mailing.allowed.items()]
    report.plan(edition, _who(mailing, plan), mailing.banner, total, size, _time(mailing, total), notes)
    issue = mailing.issue
    if issue.send_at and to_instant(issue.send_at, mailing.config.publication.timezone) > now:
        report.warn(f"{issue.file} says send_at {issue.send_at:%Y-%m-%d %H:%M}; this sends now")


def _who(mailing: Mailing, plan: Plan) -> str:
    audience, tally, limit = plan.audience, plan.tally, mailing.request.limit
    done = f"; {tally.accepted} have it" if tally.accepted else ""
    if mailing.request.to_new or not tally.planned:
        apart = f", {audience.suppressed} suppressed" if audience.suppressed else ""
        apart += f", {audience.invalid_count} invalid" if audience.invalid else ""
        who = f"{people(plan.people)} ({audience.people} in {mailing.lists}{apart}{done})"
    else:
        joined = f", {audience.joined} joined since: --to-new" if audience.joined else ""
        who = f"{people(plan.left)} left of {tally.planned} planned{done}{joined}"
    return f"{who}; {limit} of them now" if limit and limit < plan.people else who


def _time(mailing: Mailing, count: int) -> str:
    if mailing.sending.rehearsal:
        return ""
    rates = ", ".join(map(str, mailing.chosen.rate))
    seconds = at_least(count, mailing.chosen.rate)
    slowed = f"at least {duration(seconds)} at {rates}" if seconds >= 1 else "as fast as the server takes them"
    return f"{slowed}, over {mailing.chosen.connections} connections"


def ask(mailing: Mailing, count: int) -> None:
    """Have a live sending confirmed by typing the issue's number. Raises UsageError where it is not."""
    if mailing.sending.rehearsal or mailing.request.yes:
        return
    number = mailing.issue.number
    if not sys.stdin.isatty():
        raise UsageError("a live sending asks first, and there is no terminal", hint=f"{mailing.command} --yes")
    question = f"\nSend it to {people(count)}? Type the issue's number ({number}): "
    print(question, end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != number:
        raise UsageError("nothing was sent", hint=f"{mailing.command}, and type {number}")


# Afterwards --------------------------------------------------------------------------------------------------------


def tell_complete(report: Report, mailing: Mailing, plan: Plan) -> None:
    """Say that nobody was left to send to."""
    tally, planned = plan.tally, plan.earlier
    assert planned
    if mailing.sending.rehearsal:
        done = "The rehearsal is complete"
    else:
        done = "Nobody is left" if tally.refused or tally.unknown else "Everyone has it"
    report.say(f"{done}: {report.counts(tally)}. Nothing was sent.")
    if planned.edition != mailing.edition.sha256:
        report.say(f"{mailing.issue.file} has changed since; what went out was edition {planned.edition[:12]}.")
    if plan.audience.joined:
        report.say(f"{people(plan.audience.joined)} joined the lists since: {mailing.command} --to-new")
    tell_next(report, mailing, tally)
    report.document(report.tally(mailing.sending, tally, planned))


def tell_left(report: Report, left: int, later: Later | None, due: datetime | None, now: datetime) -> None:
    """Say that some are left for another run: why, and when. `due`: when the first of them may be tried again."""
    why, at = (f" ({later.reason})", later.at) if later else ("", due)
    report.say(f"{people(left)} left{why}: run the same command again{_when(at, now)}.")


def _when(at: datetime | None, now: datetime) -> str:
    if not at or at <= now:
        return ""
    local = at.astimezone()
    same_day = local.date() == now.astimezone().date()
    return f" after {local:{'%H:%M' if same_day else '%Y-%m-%d %H:%M'}}"


def tell_next(report: Report, mailing: Mailing, tally: Tally) -> None:
    """Say what to type next: who failed, the receipt, and after a rehearsal the way to the real thing."""
    sending = mailing.sending
    if tally.refused or tally.unknown:
        report.say(f"Who, and why: mailer status --issue {sending.issue} --failed")
    if not sending.rehearsal and (command := git_command(mailing.project, sending.issue, report.counts(tally))):
        report.say(f"The receipt, for whoever sends after you: {command}")
    if sending.rehearsal and not tally.waiting + tally.deferred:
        _tell_rehearsed(report, mailing, sending)


def _tell_rehearsed(report: Report, mailing: Mailing, sending: Sending) -> None:
    number, chosen = sending.issue, mailing.chosen
    report.say(f"Look at them: {transport_module(chosen.use).where(chosen.options, number)}/"
               "  (any mail program opens an .eml)")  # fmt: skip
    ways = [name for name, way in mailing.config.transports.items() if not transport_module(way.use).LOCAL]
    if not ways:
        report.say("Next: name a mail server in mailer.toml, as [transports.live], then")
    out = "" if "default" in ways else f" --transport {ways[0] if ways else 'live'}"
    report.say(f"{'Next:' if ways else '     '} mailer test --issue {number} --to you@…{out}")
    report.say(f"      mailer send --issue {number}{out}")
