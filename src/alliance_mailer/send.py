"""What `mailer send` does: plan, ask, deliver, say what became of it."""

import contextlib
import difflib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from .approval import Approval, facts_of, refuse_drift, require
from .approval_file import read_approval
from .checks import RULES, Finding, errors_in
from .config import Config, TransportConfig
from .contact import Contact, lists_sha256, read_lists
from .deliver import Later
from .edition import Edition
from .errors import (
    CheckFailed,
    EditionChanged,
    InputError,
    NotApproved,
    Problem,
    SentElsewhere,
    UsageError,
    did_you_mean,
)
from .forgotten import recognised
from .handover import Writer, find_receipt, has_lessons, learn
from .issue import Issue
from .ledger import Audience, KeyedRequest, Ledger, Planned, Sending, Tally, open_ledger
from .message import Message, Outcome
from .pace import at_least
from .receipt import Receipt, git_command
from .report import Report, duration, people
from .run import Ending, banner, in_doubt, now, run_sending
from .signing import existing_key, signing_key
from .suppressed import read_in, write_back
from .transports import Traits, refuse_pictures, transport_module
from .walltime import to_instant

if TYPE_CHECKING:
    from .ledger.postgres import PostgresLedger


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asked `mailer send` for."""

    dry_run: bool = False
    limit: int | None = None
    to_new: bool = False
    allow: frozenset[str] = frozenset()
    yes: bool = False


def send_issue(
    project: Path,
    config: Config,
    report: Report,
    issue: Issue,
    edition: Edition,
    findings: list[Finding],
    transport: str | None,
    request: Request,
    clock: Callable[[], datetime] = now,
) -> int:
    """Plan, ask, deliver. Returns the exit code; raises MailerError where nothing was sent."""
    chosen = config.transport(transport)
    approval = read_approval(project, issue.number)
    if approval or config.approval.required:
        facts = facts_of(project, issue, edition)
        require(approval, facts, issue.number, required=config.approval.required, project=project)
    for rule in request.allow - RULES.keys():
        raise UsageError(f"--allow: there is no rule {rule}{did_you_mean(rule, RULES)}", hint="mailer check --help")
    local = transport_module(chosen.use).LOCAL
    sending = Sending(issue.number, rehearsal=local)
    report.findings(findings, as_warnings=local)
    # Who lacks a field is said below, person by person.
    refused = [] if local else errors_in(findings, {*request.allow, *(approval.allow if approval else ()), "M010"})
    if refused:
        rules = " ".join(f"--allow {rule}" for rule in dict.fromkeys(finding.rule for finding in refused))
        mistakes = "a mistake" if len(refused) == 1 else f"{len(refused)} mistakes"
        raise CheckFailed(f"issue {issue.number} is not sent: {mistakes} in it", hint=f"mend that, or {rules}")
    ledger = open_ledger(config.ledger, dry_run=request.dry_run, durability=config.durability)
    with contextlib.closing(ledger), contextlib.ExitStack() as held:
        run = _Run(
            project, config, report, issue, edition, ledger, sending, chosen, request, approval, clock, held.close
        )
        if run.by_workers and run.is_under_way:
            return run.follow()
        held.enter_context(ledger.hold(issue.number))
        return run.run()


def stop_sending(config: Config, report: Report, number: str) -> int:
    """Halt a sending on all machines that work on it. Returns the exit code."""
    if isinstance(config.ledger, Path):
        hint = "Ctrl-C in the terminal where it runs"
        raise UsageError("--stop is for a sending that workers are at; this ledger has none", hint=hint)
    from .follow import stop

    with contextlib.closing(open_ledger(config.ledger)) as ledger:
        stopped = stop(cast("PostgresLedger", ledger), Sending(number, rehearsal=False))
        report.say(f"Issue {number} is stopped; what is on the wires is finished. The same without --stop goes on."
                   if stopped else f"Nobody is sending issue {number}.")  # fmt: skip
        report.document({"issue": number, "stopped": stopped})
    return 0


@dataclass(frozen=True, slots=True)
class _Run:
    """One `mailer send`, while it holds the issue."""

    project: Path
    config: Config
    report: Report
    issue: Issue
    edition: Edition
    ledger: Ledger
    sending: Sending
    chosen: TransportConfig
    request: Request
    approval: Approval | None
    clock: Callable[[], datetime]
    let_go: Callable[[], None]  # of the issue

    @property
    def by_workers(self) -> bool:
        """Whether other machines send, and this one plans and follows. A few messages (--limit) it sends itself."""
        one_machine = isinstance(self.config.ledger, Path) or self.sending.rehearsal
        return not (one_machine or self.request.dry_run or self.request.limit)

    @property
    def is_under_way(self) -> bool:
        """Whether workers are at it, with the edition that it is now, and nobody is to be added."""
        planned = self.ledger.planned(self.sending)
        same = planned is not None and planned.edition == self.edition.sha256
        return same and not self.request.to_new and self.ledger.is_held(self.issue.number)

    def run(self) -> int:
        ledger, sending, report = self.ledger, self.sending, self.report
        contacts = self.project / "contacts"
        if not (contacts / "suppressed.csv").exists():
            report.warn("there is no contacts/suppressed.csv: nobody is kept from being mailed by it")
        key = existing_key(self.project, self.config.secret_env, os.environ)
        forgotten = read_in(self.project, ledger, sending, key)

        def people_of_the_lists() -> Iterator[Contact]:
            return recognised(read_lists(contacts, self.issue.audience), forgotten, key)

        receipt = None if sending.rehearsal else find_receipt(self.project, ledger, self.issue.number, key)
        if receipt and key:
            self._learn(receipt, key, people_of_the_lists())
        tally = ledger.tally(sending)
        planned = self._earlier_plan(tally, receipt)
        if planned is None:
            tally = Tally()
        elif not self.request.dry_run and ledger.recover(sending, repeat=sending.rehearsal):
            tally = ledger.tally(sending)
        plans = planned is None or self.request.to_new
        audience = self._stage(contacts, people_of_the_lists(), planned, plans=plans)
        if planned is None:
            self._refuse_empty(audience)
            self._ask_again_after_drift(audience.joined)
        repeats = [] if self.request.dry_run or planned is None else self._in_doubt()
        doubtful = sum(each.in_doubt for each in repeats)
        left = tally.waiting + tally.deferred + doubtful
        joining = audience.joined if plans else 0
        self._refuse_another_edition(planned, left + joining)
        if plans:
            report.audience(audience)
            self._refuse_mistakes(audience)
        if not left + joining and planned:
            self._complete(receipt)
            return self._everyone_has_it(tally, audience, planned)
        # Before anything is shown or asked: a dry run is to tell what would stop the sending.
        transport_module(self.chosen.use).check(
            self.chosen.options, project=self.project, issue=self.issue.number, environ=os.environ
        )
        refuse_pictures(self.chosen.use, self.edition)
        self._show(left, joining, audience, tally, doubtful)
        if self.issue.send_at and to_instant(self.issue.send_at, self.config.publication.timezone) > self.clock():
            report.warn(f"{self.issue.file} says send_at {self.issue.send_at:%Y-%m-%d %H:%M}; this sends now")
        if self.request.dry_run:
            if plans:
                ledger.plan(sending, self._plan(audience), self.clock())
            report.document(report.tally(sending, ledger.tally(sending), ledger.planned(sending)))
            report.say("\nA dry run: nothing was written or sent.")
            return 0
        self._ask(self._total(left + joining))
        return self._deliver(tally, audience, fresh=planned is None, plans=plans, total=left + joining, repeats=repeats)

    def _in_doubt(self) -> list[KeyedRequest]:
        return in_doubt(self.project, self.config, self.chosen, self.ledger, self.sending, self.edition, self.clock())

    @property
    def _traits(self) -> Traits:
        traits: Traits = transport_module(self.chosen.use).TRAITS
        return traits

    @property
    def _command(self) -> str:
        """The command line that was typed, for hints: none of its options may get lost."""
        request = self.request
        options = [f"--issue {self.issue.number}"]
        options += [f"--transport {self.chosen.name}"] if self.chosen.name != "default" else []
        options += [f"--limit {request.limit}"] if request.limit else []
        options += ["--to-new"] if request.to_new else []
        options += [f"--allow {rule}" for rule in sorted(request.allow)]
        return f"mailer send {' '.join(options)}"

    def _total(self, people: int) -> int:
        return min(people, self.request.limit or people)

    @property
    def _lists(self) -> str:
        return ", ".join(f"contacts/{name}.csv" for name in self.issue.audience)

    def _refuse_empty(self, audience: Audience) -> None:
        if not audience.joined:
            who = f"none of the {audience.people} in" if audience.people else "nobody stands in"
            why = " can be mailed: invalid or suppressed" if audience.people else ""
            hint = f"add people to {self._lists.split(', ')[0]}, or name another list: audience: […]"
            raise InputError(f"the audience is empty: {who} {self._lists}{why}", hint=hint)

    def _ask_again_after_drift(self, joined: int) -> None:
        """Many came or left since the approval: the question that follows names it; where none follows, it refuses."""
        try:
            refuse_drift(self.approval, joined, self.issue.number)
        except NotApproved as drift:
            if self.request.yes or not sys.stdin.isatty():
                raise
            self.report.warn(str(drift))

    def _stage(self, folder: Path, contacts: Iterator[Contact], planned: Planned | None, *, plans: bool) -> Audience:
        """Read the lists. A plan that is only to be finished does not need them: then they tell who joined."""
        try:
            digest = lists_sha256(folder, self.issue.audience)
            if planned and not plans and planned.lists_sha256 == digest:
                return Audience()  # nobody: a million rows need not be read for that
            audience = self.ledger.stage(self.sending, contacts, self.edition.fields, self.edition.mistakes)
            audience.lists_sha256 = digest
        except InputError as error:
            if plans:
                raise
            self.report.warn(f"{error}; who joined since is not known")
            return Audience()
        return audience

    def _learn(self, receipt: Receipt, key: bytes, contacts: Iterator[Contact]) -> None:
        """Let the ledger know what the receipt knows better: in a fresh clone, or restored from a backup."""
        another = receipt.edition != self.edition.sha256
        if not has_lessons(receipt, self.ledger, self.issue.number) or (another and not receipt.is_sent):
            return
        if not self.request.dry_run:
            self.ledger.recover(self.sending, repeat=False)
        what = ("", "") if another else (self.edition.subject.shown(), self.edition.text.shown())
        learnt = learn(
            receipt, self.ledger, self.sending, contacts, Planned(receipt.edition, receipt.transport, *what),
            self.edition.fields, self.edition.mistakes, key=key, now=self.clock(),
        )  # fmt: skip
        self._refuse_mistakes(learnt.audience)
        self.report.say(f"{receipt.name} knows who has it: {self.report.counts(receipt.tally)}.")
        if learnt.strangers.planned:
            self.report.warn(
                f"{people(learnt.strangers.planned)} of it on no list here, and not sent to:"
                f" {self.report.counts(learnt.strangers)}; who waits gets it once {self._lists} names them again"
            )
        if receipt.is_sent and self.ledger.planned(self.sending) is None and not self.request.to_new:
            raise SentElsewhere(
                f"issue {self.issue.number} was sent from elsewhere, to other people than stand in {self._lists}",
                hint="copy contacts/ from the machine that sent; or --to-new, to send it to those who stand there",
            )

    def _earlier_plan(self, tally: Tally, receipt: Receipt | None) -> Planned | None:
        """What was planned before. It starts afresh where nobody has it in another form already.

        That is a rehearsal of another edition, through another transport or whose files are gone; and a sending of
        another edition that the server took from nobody.
        """
        planned = self.ledger.planned(self.sending)
        if planned is None:
            return None
        another = planned.edition != self.edition.sha256
        if self.sending.rehearsal:
            written = transport_module(self.chosen.use).written(self.chosen.options, self.project, self.issue.number)
            afresh = another or planned.transport != self._banner() or written < tally.accepted
        else:
            # A claim of a dead run may have been taken; `recover` makes it unknown only below, so waiting ones count.
            afresh = another and not (tally.accepted or tally.unknown or self.ledger.claimed(self.sending))
            afresh = afresh and not (receipt and receipt.is_sent)
        if afresh:
            self.ledger.forget(self.sending)
        return None if afresh else planned

    def _plan(self, audience: Audience) -> Planned:
        subject, text = self.edition.subject.shown(), self.edition.text.shown()
        return Planned(self.edition.sha256, self._banner(), subject, text, audience.lists_sha256)

    def _banner(self) -> str:
        return banner(self.chosen, self.issue.number)

    def _refuse_another_edition(self, planned: Planned | None, left: int) -> None:
        if planned is None or planned.edition == self.edition.sha256 or not left:
            return
        said = "(what went out is not known here, only its hash)"
        old = [f"Subject: {planned.subject}", *planned.text.splitlines()]
        new = [f"Subject: {self.edition.subject.shown()}", *self.edition.text.shown().splitlines()]
        changes = list(difflib.unified_diff(old, new, "what was sent", "what it says now", n=0, lineterm=""))
        if planned.text:
            same = "(the words are the same: the template, a picture or a header differs)"
            said = "\n".join(changes[:40]) if changes else same
        raise EditionChanged(
            f"issue {self.issue.number} is half sent, and has changed since; {people(left)} left\n{said}",
            hint=f"undo the change (git diff {self.issue.file}), send the rest, and correct it in the next issue",
        )

    def _refuse_mistakes(self, audience: Audience) -> None:
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

    def _complete(self, receipt: Receipt | None) -> None:
        """The run that sent the last message may have been killed before it could write the receipt."""
        ours = receipt is None or self.ledger.has_serial(self.issue.number, receipt.serial)
        if ours and not (receipt and receipt.finished) and not self.request.dry_run and not self.sending.rehearsal:
            key = signing_key(self.project, self.config.secret_env, os.environ)
            Writer(self.project, self.ledger, self.sending, key).write(finished=True)

    def _everyone_has_it(self, tally: Tally, audience: Audience, planned: Planned) -> int:
        report = self.report
        if self.sending.rehearsal:
            done = "The rehearsal is complete"
        else:
            done = "Nobody is left" if tally.refused or tally.unknown else "Everyone has it"
        report.say(f"{done}: {report.counts(tally)}. Nothing was sent.")
        if planned.edition != self.edition.sha256:
            report.say(f"{self.issue.file} has changed since; what went out was edition {planned.edition[:12]}.")
        if audience.joined:
            report.say(f"{people(audience.joined)} joined the lists since: {self._command} --to-new")
        self._say_what_next(tally)
        report.document(report.tally(self.sending, tally, planned))
        return 1 if tally.refused or tally.unknown else 0

    def _show(self, left: int, joining: int, audience: Audience, tally: Tally, doubtful: int) -> None:
        done = f"; {tally.accepted} have it" if tally.accepted else ""
        if self.request.to_new or not tally.planned:
            apart = f", {audience.suppressed} suppressed" if audience.suppressed else ""
            apart += f", {audience.invalid_count} invalid" if audience.invalid else ""
            who = f"{people(left + joining)} ({audience.people} in {self._lists}{apart}{done})"
        else:
            joined = f", {audience.joined} joined since: --to-new" if audience.joined else ""
            who = f"{people(left)} left of {tally.planned} planned{done}{joined}"
        if self.request.limit and self.request.limit < left + joining:
            who += f"; {self.request.limit} of them now"
        size = len(Message(self.edition, self.edition.neutral_reader, self.clock(), "0" * 32, "0" * 32).as_bytes())
        total = self._total(left + joining)
        notes = list(self._traits.notes)
        if doubtful:
            notes.append(f"{people(doubtful)} in doubt: {self._traits.name} is asked once more, with the same key")
        self.report.plan(self.edition, who, self._banner(), total, size, self._time(total), notes)

    def _time(self, count: int) -> str:
        if self.sending.rehearsal:
            return ""
        rates = ", ".join(map(str, self.chosen.rate))
        seconds = at_least(count, self.chosen.rate)
        slowed = f"at least {duration(seconds)} at {rates}" if seconds >= 1 else "as fast as the server takes them"
        return f"{slowed}, over {self.chosen.connections} connections"

    def _ask(self, count: int) -> None:
        """A live sending is confirmed by typing the issue's number."""
        if self.sending.rehearsal or self.request.yes:
            return
        number = self.issue.number
        if not sys.stdin.isatty():
            raise UsageError(
                "a live sending asks first, and there is no terminal",
                hint=f"{self._command} --yes",
            )
        print(
            f"\nSend it to {people(count)}? Type the issue's number ({number}): ",
            end="",
            file=sys.stderr,
            flush=True,
        )
        if sys.stdin.readline().strip() != number:
            raise UsageError("nothing was sent", hint=f"{self._command}, and type {number}")

    def _deliver(
        self,
        tally: Tally,
        audience: Audience,
        *,
        fresh: bool,
        plans: bool,
        total: int,
        repeats: list[KeyedRequest],
    ) -> int:
        def plan() -> None:
            if plans:
                self.ledger.plan(self.sending, self._plan(audience), self.clock())

        # What is in doubt is asked about once, while nobody else is at it; then the workers have it.
        limit = 0 if self.by_workers else self.request.limit
        if self.by_workers and not repeats:
            return self._hand_over(plan)
        with self._abortable(), self.report.progress(self._total(total)) as progress:
            ending = run_sending(
                self.project, self.config, self.chosen, self.ledger, self.sending, self.edition,
                tally=tally, people=self._total(total), fresh=fresh, plan=plan,
                settled=progress.settled, waits=progress.waits, limit=limit, clock=self.clock,
                repeats=repeats,
            )  # fmt: skip
        if self.by_workers and not ending.stopped and not ending.interrupted:
            return self._hand_over(plan)
        return self._conclude(ending)

    def _hand_over(self, plan: Callable[[], None]) -> int:
        from .follow import hand_over

        shared = cast("PostgresLedger", self.ledger)
        hand_over(self.project, self.config, self.chosen, shared, self.sending, self.edition, plan)
        self.let_go()
        return self.follow()

    def follow(self) -> int:
        """Follow the workers. Ctrl-C ends the following, and nothing else."""
        from .follow import follow

        tally, shared = self.ledger.tally(self.sending), cast("PostgresLedger", self.ledger)
        receipt = Writer(
            self.project, shared, self.sending, signing_key(self.project, self.config.secret_env, os.environ)
        )
        with self.report.progress(tally.waiting + tally.deferred) as progress:

            def heard(outcome: Outcome) -> None:
                progress.settled(outcome)
                receipt.now_and_then()

            ending = follow(shared, self.sending, self.report, heard, self.config.delivery.wait)
        if ending.interrupted:
            self.report.say(
                f"\nThe workers go on. Follow them again: {self._command}; halt them: {self._command} --stop"
            )
            return 130
        receipt.write(finished=True)
        write_back(self.project, shared)
        return self._conclude(ending)

    @contextlib.contextmanager
    def _abortable(self) -> Iterator[None]:
        """Ctrl-C for the second time: say what that leaves."""
        try:
            yield
        except KeyboardInterrupt:
            claimed = self.ledger.claimed(self.sending)
            self.report.warn(f"aborted; whether {people(claimed)} got it is unknown, and the next run says so")
            raise

    def _conclude(self, ending: Ending) -> int:
        """Say what became of it. When several codes apply: 130 > 69 > 75 > 1."""
        report, tally = self.report, self.ledger.tally(self.sending)
        left = tally.waiting + tally.deferred
        report.say(f"\n{report.counts(tally)}{'.' if left else '; nobody is left.'}")
        if ending.stopped:
            report.error(ending.stopped)
        else:
            document = report.tally(self.sending, tally, self.ledger.planned(self.sending))
            report.document(document | {"transport": self._banner()})
        if left:
            why, when = self._why(ending.later), self._when(ending.later)
            report.say(f"{people(left)} left{why}: run the same command again{when}.")
        doubtful = sum(each.in_doubt for each in self._in_doubt())
        if doubtful:
            report.say(f"{people(doubtful)} in doubt: run the same command again soon, and {self._traits.name} tells.")
        self._say_what_next(tally)
        if ending.interrupted:
            return 130
        if ending.stopped:
            return ending.stopped.code
        return 75 if left or doubtful else 1 if tally.refused or tally.unknown else 0

    def _why(self, later: Later | None) -> str:
        return f" ({later.reason})" if later else ""

    def _when(self, later: Later | None) -> str:
        due = later.at if later else self.ledger.next_due(self.sending)
        if not due or due <= self.clock():
            return ""
        local = due.astimezone()
        same_day = local.date() == self.clock().astimezone().date()
        return f" after {local:{'%H:%M' if same_day else '%Y-%m-%d %H:%M'}}"

    def _say_what_next(self, tally: Tally) -> None:
        report, number = self.report, self.issue.number
        if tally.refused or tally.unknown:
            report.say(f"Who, and why: mailer status --issue {number} --failed")
        if not self.sending.rehearsal and (command := git_command(self.project, number, report.counts(tally))):
            report.say(f"The receipt, for whoever sends after you: {command}")
        if not self.sending.rehearsal or tally.waiting or tally.deferred:
            return
        folder = transport_module(self.chosen.use).where(self.chosen.options, number)
        report.say(f"Look at them: {folder}/  (any mail program opens an .eml)")
        ways = [name for name, way in self.config.transports.items() if not transport_module(way.use).LOCAL]
        if not ways:
            report.say("Next: name a mail server in mailer.toml, as [transports.live], then")
        out = "" if "default" in ways else f" --transport {ways[0] if ways else 'live'}"
        report.say(f"{'Next:' if ways else '     '} mailer test --issue {number} --to you@…{out}")
        report.say(f"      mailer send --issue {number}{out}")
