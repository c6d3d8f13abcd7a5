"""What `mailer send` does: plan, ask, deliver, say what became of it."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from .approval import Approval, facts_of, refuse_drift, require
from .approval_file import read_approval
from .checks import Finding, errors_in
from .config import Config
from .contact import Contact, read_lists
from .edition import Edition
from .errors import CheckFailed, NotApproved, UsageError
from .forgotten import recognised
from .handover import Writer, find_receipt
from .issue import Issue
from .ledger import Ledger, Planned, Sending, open_ledger
from .message import Outcome
from .planning import (
    Mailing,
    Plan,
    Request,
    doubted,
    doubts,
    learn_from,
    plan_run,
    refuse_another_edition,
    refuse_empty,
    refuse_mistakes,
    refuse_other_people,
)
from .receipt import Receipt
from .report import Report, people
from .run import Ending, now, run_sending
from .signing import existing_key, signing_key
from .suppressed import read_in, write_back
from .telling import ask, tell_complete, tell_learnt, tell_left, tell_next, tell_plan
from .transports import refuse_pictures, transport_module

if TYPE_CHECKING:
    from .ledger.postgres import PostgresLedger


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
    local = transport_module(chosen.use).LOCAL
    report.findings(findings, as_warnings=local)
    # Who lacks a field is said below, person by person.
    mistakes = [] if local else errors_in(findings, {"M010"})
    reasons = {**(approval.allow if approval else {}), **request.allow}
    allowed = {each.rule: reasons[each.rule] for each in mistakes if each.rule in reasons}
    if refused := errors_in(mistakes, allowed):
        rules = " ".join(f'--allow {rule}="why"' for rule in dict.fromkeys(finding.rule for finding in refused))
        count = "a mistake" if len(refused) == 1 else f"{len(refused)} mistakes"
        raise CheckFailed(f"issue {issue.number} is not sent: {count} in it", hint=f"mend that, or {rules}")
    ledger = open_ledger(config.ledger, dry_run=request.dry_run, durability=config.durability)
    with contextlib.closing(ledger), contextlib.ExitStack() as held:
        mailing = Mailing(project, config, issue, edition, chosen, request, allowed)
        run = _Run(mailing, ledger, report, approval, clock, held.close)
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

    mailing: Mailing
    ledger: Ledger
    report: Report
    approval: Approval | None
    clock: Callable[[], datetime]
    let_go: Callable[[], None]  # of the issue

    @property
    def by_workers(self) -> bool:
        """Whether other machines send, and this one plans and follows. A few messages (--limit) it sends itself."""
        request, rehearsal = self.mailing.request, self.mailing.sending.rehearsal
        one_machine = isinstance(self.mailing.config.ledger, Path) or rehearsal
        return not (one_machine or request.dry_run or request.limit)

    @property
    def is_under_way(self) -> bool:
        """Whether workers are at it, with the edition that it is now, and nobody is to be added."""
        sending = self.mailing.sending
        planned = self.ledger.planned(sending)
        same = planned is not None and planned.edition == self.mailing.edition.sha256
        return same and not self.mailing.request.to_new and self.ledger.is_held(sending.issue)

    def run(self) -> int:
        mailing, ledger, report = self.mailing, self.ledger, self.report
        receipt, plan = self._plan()
        if not plan.people and not plan.fresh:
            self._complete(receipt)
            tell_complete(report, mailing, plan)
            return 1 if plan.tally.refused or plan.tally.unknown else 0
        # Before anything is shown or asked: a dry run is to tell what would stop the sending.
        chosen, sending = mailing.chosen, mailing.sending
        transport_module(chosen.use).check(
            chosen.options, project=mailing.project, issue=sending.issue, environ=os.environ
        )
        refuse_pictures(chosen.use, mailing.edition)
        tell_plan(report, mailing, plan, self.clock())
        if mailing.request.dry_run:
            self._write(plan)
            report.document(report.tally(sending, ledger.tally(sending), ledger.planned(sending)))
            report.say("\nA dry run: nothing was written or sent.")
            return 0
        ask(mailing, mailing.this_time(plan.people))
        return self._deliver(plan)

    # Before --------------------------------------------------------------------------------------------------------

    def _plan(self) -> tuple[Receipt | None, Plan]:
        """The issue's receipt, and whom this run is for. Raises MailerError where nobody may get it as it is."""
        mailing, ledger, report, sending = self.mailing, self.ledger, self.report, self.mailing.sending
        contacts = mailing.project / "contacts"
        if not (contacts / "suppressed.csv").exists():
            report.warn("there is no contacts/suppressed.csv: nobody is kept from being mailed by it")
        key = existing_key(mailing.project, mailing.config.secret_env, os.environ)
        forgotten = read_in(mailing.project, ledger, sending, key)

        def people_of_the_lists() -> Iterator[Contact]:
            return recognised(read_lists(contacts, mailing.issue.audience), forgotten, key)

        receipt = None if sending.rehearsal else find_receipt(mailing.project, ledger, sending.issue, key)
        if receipt and (learnt := learn_from(receipt, mailing, ledger, people_of_the_lists(), key, self.clock())):
            tell_learnt(report, mailing, receipt, learnt)
            refuse_other_people(mailing, receipt, ledger)
        plan = plan_run(mailing, ledger, receipt, people_of_the_lists(), self.clock())
        if plan.unread:
            report.warn(f"{plan.unread}; who joined since is not known")
        if plan.fresh:
            refuse_empty(mailing, plan.audience)
            self._ask_again_after_drift(plan.audience.joined)
        refuse_another_edition(mailing, plan)
        if plan.adds:
            report.audience(plan.audience)
            refuse_mistakes(plan.audience)
        return receipt, plan

    def _ask_again_after_drift(self, joined: int) -> None:
        """Many came or left since the approval: the question that follows names it; where none follows, it refuses."""
        try:
            refuse_drift(self.approval, joined, self.mailing.issue.number)
        except NotApproved as drift:
            if self.mailing.request.yes or not sys.stdin.isatty():
                raise
            self.report.warn(str(drift))

    def _complete(self, receipt: Receipt | None) -> None:
        """The run that sent the last message may have been killed before it could write the receipt."""
        sending = self.mailing.sending
        ours = receipt is None or self.ledger.has_serial(sending.issue, receipt.serial)
        if ours and not (receipt and receipt.finished) and not self.mailing.request.dry_run and not sending.rehearsal:
            self._writer().write(finished=True)
            write_back(self.mailing.project, self.ledger)

    def _writer(self) -> Writer:
        project, config = self.mailing.project, self.mailing.config
        key = signing_key(project, config.secret_env, os.environ)
        return Writer(project, self.ledger, self.mailing.sending, key, self.mailing.allowed)

    # Meanwhile -----------------------------------------------------------------------------------------------------

    def _write(self, plan: Plan) -> None:
        """Plan whom it adds."""
        mailing, edition = self.mailing, self.mailing.edition
        if plan.adds:
            what = edition.sha256, mailing.banner, edition.subject.shown(), edition.text.shown()
            self.ledger.plan(mailing.sending, Planned(*what, plan.audience.lists_sha256), self.clock())

    def _deliver(self, plan: Plan) -> int:
        mailing, total = self.mailing, self.mailing.this_time(plan.people)
        # What is in doubt is asked about once, while nobody else is at it; then the workers have it.
        limit = 0 if self.by_workers else mailing.request.limit
        if self.by_workers and not plan.repeats:
            return self._hand_over(plan)
        with self._abortable(), self.report.progress(total) as progress:
            ending = run_sending(
                mailing.project, mailing.config, mailing.chosen, self.ledger, mailing.sending, mailing.edition,
                tally=plan.tally, people=total, fresh=plan.fresh, plan=lambda: self._write(plan),
                settled=progress.settled, waits=progress.waits, limit=limit, clock=self.clock,
                repeats=plan.repeats, allowed=mailing.allowed,
            )  # fmt: skip
        if self.by_workers and not ending.stopped and not ending.interrupted:
            return self._hand_over(plan)
        return self._conclude(ending)

    def _hand_over(self, plan: Plan) -> int:
        from .follow import hand_over

        mailing, shared = self.mailing, cast("PostgresLedger", self.ledger)
        hand_over(
            mailing.project, mailing.config, mailing.chosen, shared, mailing.sending, mailing.edition,
            lambda: self._write(plan), mailing.allowed,
        )  # fmt: skip
        self.let_go()
        return self.follow()

    def follow(self) -> int:
        """Follow the workers. Ctrl-C ends the following, and nothing else."""
        from .follow import follow

        mailing, shared = self.mailing, cast("PostgresLedger", self.ledger)
        tally, receipt = shared.tally(mailing.sending), self._writer()
        with self.report.progress(tally.waiting + tally.deferred) as progress:

            def heard(outcome: Outcome) -> None:
                progress.settled(outcome)
                receipt.now_and_then()

            ending = follow(
                shared, mailing.sending, self.report, heard,
                lambda: bool(doubts(mailing, self.ledger, self.clock())), mailing.config.delivery.wait,
            )  # fmt: skip
        if ending.interrupted:
            command = mailing.command
            self.report.say(f"\nThe workers go on. Follow them again: {command}; halt them: {command} --stop")
            return 130
        receipt.write(finished=ending.later is None)  # they go on later, and nobody here hears of it
        write_back(mailing.project, shared)
        return self._conclude(ending)

    @contextlib.contextmanager
    def _abortable(self) -> Iterator[None]:
        """Ctrl-C for the second time: say what that leaves."""
        try:
            yield
        except KeyboardInterrupt:
            claimed = self.ledger.claimed(self.mailing.sending)
            self.report.warn(f"aborted; whether {people(claimed)} got it is unknown, and the next run says so")
            raise

    # Afterwards ----------------------------------------------------------------------------------------------------

    def _conclude(self, ending: Ending) -> int:
        """Say what became of it. When several codes apply: 130 > 69 > 75 > 1."""
        mailing, ledger, report, sending = self.mailing, self.ledger, self.report, self.mailing.sending
        tally, provider = ledger.tally(sending), mailing.traits.name
        left, doubtful = tally.waiting + tally.deferred, doubted(doubts(mailing, ledger, self.clock()))
        report.say(f"\n{report.counts(tally)}{'.' if left else '; nobody is left.'}")
        if ending.stopped:
            report.error(ending.stopped)
        else:
            document = report.tally(sending, tally, ledger.planned(sending))
            report.document(document | {"transport": mailing.banner})
        if left:
            tell_left(report, left, ending.later, ledger.next_due(sending), self.clock())
        if doubtful:
            report.say(f"{people(doubtful)} in doubt: run the same command again soon, and {provider} tells.")
        tell_next(report, mailing, tally)
        if ending.interrupted:
            return 130
        if ending.stopped:
            return ending.stopped.code
        return 75 if left or doubtful else 1 if tally.refused or tally.unknown else 0
