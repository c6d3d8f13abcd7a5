"""Whom a run of `mailer send` is for, from the ledger, the receipt and the lists. Nothing is said or sent here."""

import difflib
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from .config import Config, TransportConfig
from .contact import Contact, lists_sha256
from .edition import Edition
from .errors import EditionChanged, InputError, Problem, SentElsewhere
from .handover import Learnt, has_lessons, learn
from .issue import Issue
from .ledger import Audience, KeyedRequest, Ledger, Planned, Sending, Tally
from .receipt import Receipt
from .report import people
from .run import banner, in_doubt
from .transports import Traits, transport_module


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asked `mailer send` for."""

    dry_run: bool = False
    limit: int | None = None
    to_new: bool = False
    allow: Mapping[str, str] = field(default_factory=dict)  # rules to be passed over, and why
    yes: bool = False


@dataclass(frozen=True, slots=True)
class Mailing:
    """An edition that is to go out through a transport, as a person asked for it."""

    project: Path
    config: Config
    issue: Issue
    edition: Edition
    chosen: TransportConfig
    request: Request
    allowed: Mapping[str, str]  # the rules whose mistakes are passed over, and why

    @property
    def sending(self) -> Sending:
        """What the ledger calls it."""
        return Sending(self.issue.number, rehearsal=transport_module(self.chosen.use).LOCAL)

    @property
    def traits(self) -> Traits:
        """What its transport promises."""
        traits: Traits = transport_module(self.chosen.use).TRAITS
        return traits

    @property
    def banner(self) -> str:
        """The loud name of its transport."""
        return banner(self.chosen, self.issue.number)

    @property
    def lists(self) -> str:
        """The files of its audience."""
        return ", ".join(f"contacts/{name}.csv" for name in self.issue.audience)

    @property
    def command(self) -> str:
        """The command line that was typed, for hints: none of its options may get lost."""
        request = self.request
        options = [f"--issue {self.issue.number}"]
        options += [f"--transport {self.chosen.name}"] if self.chosen.name != "default" else []
        options += [f"--limit {request.limit}"] if request.limit else []
        options += ["--to-new"] if request.to_new else []
        options += [f"--allow {rule}={shlex.quote(reason)}" for rule, reason in sorted(request.allow.items())]
        return f"mailer send {' '.join(options)}"

    def this_time(self, count: int) -> int:
        """Of so many people, how many this run is for."""
        return min(count, self.request.limit or count)


@dataclass(frozen=True, slots=True)
class Plan:
    """Whom a run is for."""

    earlier: Planned | None  # what was planned before, to be finished
    tally: Tally  # of that, before this run
    adds: bool  # whether this run plans whoever of the audience is not planned yet
    audience: Audience  # the lists as they are; nobody, where they need not be read or cannot be
    repeats: Sequence[KeyedRequest]  # what may be sent once more, to learn what became of it
    unread: str = ""  # why the lists could not be read

    @property
    def doubtful(self) -> int:
        """How many people the repeats tell about."""
        return doubted(self.repeats)

    @property
    def fresh(self) -> bool:
        """Whether nothing was planned before."""
        return self.earlier is None

    @property
    def left(self) -> int:
        """How many of the earlier plan are still to be tried."""
        return self.tally.waiting + self.tally.deferred + self.doubtful

    @property
    def people(self) -> int:
        """How many there are to send to, now and later."""
        return self.left + (self.audience.joined if self.adds else 0)


def plan_run(
    mailing: Mailing, ledger: Ledger, receipt: Receipt | None, contacts: Iterable[Contact], now: datetime
) -> Plan:
    """Find out whom a run is for. `ledger` holds the issue; what a dead run claimed becomes unknown in it.

    Raises InputError where the lists are needed and cannot be read.
    """
    sending, dry_run = mailing.sending, mailing.request.dry_run
    tally = ledger.tally(sending)
    earlier = _earlier(mailing, ledger, tally, receipt)
    if earlier is None:
        tally = Tally()
    elif not dry_run and ledger.recover(sending, repeat=sending.rehearsal):
        tally = ledger.tally(sending)
    adds = earlier is None or mailing.request.to_new
    audience, unread = _staged(mailing, ledger, contacts, earlier, adds=adds)
    repeats = [] if dry_run or earlier is None else doubts(mailing, ledger, now)
    return Plan(earlier, tally, adds, audience, repeats, unread)


def doubted(requests: Iterable[KeyedRequest]) -> int:
    """About how many people they tell."""
    return sum(each.in_doubt for each in requests)


def doubts(mailing: Mailing, ledger: Ledger, now: datetime) -> list[KeyedRequest]:
    """The requests that its transport may be sent once more, to learn what became of them."""
    return in_doubt(mailing.project, mailing.config, mailing.chosen, ledger, mailing.sending, mailing.edition, now)


def _earlier(mailing: Mailing, ledger: Ledger, tally: Tally, receipt: Receipt | None) -> Planned | None:
    """What was planned before. It starts afresh where nobody has it in another form already.

    That is a rehearsal of another edition, through another transport or whose files are gone; and a sending of
    another edition that the server took from nobody.
    """
    sending, chosen = mailing.sending, mailing.chosen
    planned = ledger.planned(sending)
    if planned is None:
        return None
    another = planned.edition != mailing.edition.sha256
    if sending.rehearsal:
        written = transport_module(chosen.use).written(chosen.options, mailing.project, sending.issue)
        afresh = another or planned.transport != mailing.banner or written < tally.accepted
    else:
        # A claim of a dead run may have been taken; `recover` makes it unknown only later, so waiting ones count.
        afresh = another and not (tally.accepted or tally.unknown or ledger.claimed(sending))
        afresh = afresh and not (receipt and receipt.is_sent)
    if afresh:
        ledger.forget(sending)
    return None if afresh else planned


def _staged(
    mailing: Mailing, ledger: Ledger, contacts: Iterable[Contact], earlier: Planned | None, *, adds: bool
) -> tuple[Audience, str]:
    """Read the lists. A plan that is only to be finished does not need them: then they tell who joined."""
    try:
        digest = lists_sha256(mailing.project / "contacts", mailing.issue.audience)
        if earlier and not adds and earlier.lists_sha256 == digest:
            return Audience(), ""  # nobody: a million rows need not be read for that
        audience = ledger.stage(mailing.sending, contacts, mailing.edition.fields, mailing.edition.mistakes)
        audience.lists_sha256 = digest
    except InputError as error:
        if adds:
            raise
        return Audience(), str(error)
    return audience, ""


# What the receipt of another clone knows ---------------------------------------------------------------------------


def learn_from(
    receipt: Receipt, mailing: Mailing, ledger: Ledger, contacts: Iterable[Contact], key: bytes | None, now: datetime
) -> Learnt | None:
    """Let the ledger know what the receipt knows better: in a fresh clone, or restored from a backup.

    Raises InputError where the edition cannot be addressed to somebody who still waits.
    """
    another = receipt.edition != mailing.edition.sha256
    lessons = has_lessons(receipt, ledger, mailing.issue.number) and (receipt.is_sent or not another)
    if key is None or not lessons:
        return None
    if not mailing.request.dry_run:
        ledger.recover(mailing.sending, repeat=False)
    edition = mailing.edition
    what = ("", "") if another else (edition.subject.shown(), edition.text.shown())
    planned = Planned(receipt.edition, receipt.transport, *what)
    learnt = learn(
        receipt, ledger, mailing.sending, contacts, planned, edition.fields, edition.mistakes, key=key, now=now
    )
    refuse_mistakes(learnt.audience)
    return learnt


# What must not go out ----------------------------------------------------------------------------------------------


def refuse_other_people(mailing: Mailing, receipt: Receipt, ledger: Ledger) -> None:
    """Raise SentElsewhere where the issue went out, and to none of those who stand in the lists here."""
    if receipt.is_sent and ledger.planned(mailing.sending) is None and not mailing.request.to_new:
        raise SentElsewhere(
            f"issue {mailing.issue.number} was sent from elsewhere, to other people than stand in {mailing.lists}",
            hint="copy contacts/ from the machine that sent; or --to-new, to send it to those who stand there",
        )


def refuse_empty(mailing: Mailing, audience: Audience) -> None:
    """Raise InputError where there is nobody to send to."""
    if not audience.joined:
        who = f"none of the {audience.people} in" if audience.people else "nobody stands in"
        why = " can be mailed: invalid or suppressed" if audience.people else ""
        hint = f"add people to {mailing.lists.split(', ')[0]}, or name another list: audience: […]"
        raise InputError(f"the audience is empty: {who} {mailing.lists}{why}", hint=hint)


def refuse_another_edition(mailing: Mailing, plan: Plan) -> None:
    """Raise EditionChanged where some have the issue in other words than the rest would get."""
    planned, edition = plan.earlier, mailing.edition
    if planned is None or planned.edition == edition.sha256 or not plan.people:
        return
    said = "(what went out is not known here, only its hash)"
    old = [f"Subject: {planned.subject}", *planned.text.splitlines()]
    new = [f"Subject: {edition.subject.shown()}", *edition.text.shown().splitlines()]
    changes = list(difflib.unified_diff(old, new, "what was sent", "what it says now", n=0, lineterm=""))
    if planned.text:
        same = "(the words are the same: the template, a picture or a header differs)"
        said = "\n".join(changes[:40]) if changes else same
    raise EditionChanged(
        f"issue {mailing.issue.number} is half sent, and has changed since; {people(plan.people)} left\n{said}",
        hint=f"undo the change (git diff {mailing.issue.file}), send the rest, and correct it in the next issue",
    )


def refuse_mistakes(audience: Audience) -> None:
    """Raise InputError where the edition wants a field that somebody lacks."""
    if not audience.mistakes:
        return
    problems = []
    for contact, mistakes in audience.mistakes:
        file, _, line = contact.source.rpartition(":")
        problems += [Problem(file, int(line), f"{contact.address} {mistake}") for mistake in mistakes]
    more = audience.mistake_count - len(audience.mistakes)
    if more > 0:
        problems.append(Problem("", None, f"… and {people(more)} more"))
    hint = 'give the field a fallback, {{ contact.first_name | default("reader") }}, or complete the list'
    problems[-1] = replace(problems[-1], hint=hint)
    raise InputError(problems)
