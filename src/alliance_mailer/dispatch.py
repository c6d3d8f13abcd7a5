"""What `mailer dispatch` does, for cron: sends what is approved and due, says each refusal once, else nothing."""

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from .approval import Approval, withdrawal
from .approval_file import approval_file, read_approval
from .checks import Finding
from .config import Config
from .edition import Edition
from .errors import InputError, IssueHeld, MailerError, NotApproved, TooLate
from .handover import has_lessons
from .issue import Issue, issue_numbers, load_front_matter, number_order
from .ledger import Ledger, Sending, open_ledger
from .notify import mail, ping, post
from .planning import Request
from .receipt import read_receipt
from .report import Report, duration
from .run import repeatable
from .said import Said, only_one
from .send import send_issue
from .transports import transport_module
from .walltime import shown, to_instant

Load = Callable[[str], tuple[Issue, Edition, list[Finding]]]

_WORST = (130, 70, 78, 69, 65, 77, 75, 1, 2)  # the first that applies is the exit code


@dataclass(frozen=True, slots=True)
class _Due:
    """An issue whose time has come, approved or not."""

    number: str
    instant: datetime  # UTC
    moved: bool  # it was approved for another time
    audience: tuple[str, ...]
    approval: Approval | None


def dispatch(
    project: Path, configure: Callable[[], Config], report: Report, load: Load, clock: Callable[[], datetime]
) -> int:
    """Send what is due, oldest first. Returns the exit code; raises MailerError where even that could not begin.

    Any number of them at once are as good as one: who comes while another is at work leaves without a word.
    """
    with only_one(project / ".mailer") as first:
        if not first:
            report.document({"issues": []})
            return 0
        said = Said(project / ".mailer" / "said.json")
        try:
            config = configure()
        except MailerError as error:  # no settings, so nobody to tell but who reads cron's mail
            if said.is_news("mailer.toml", str(error)):
                report.error(error)
                return error.code
            report.document({"issues": []})
            return 0
        said.settle("mailer.toml")
        return _Dispatch(project, config, report, load, clock, said).run()


@dataclass(slots=True)
class _Dispatch:
    project: Path
    config: Config
    report: Report
    load: Load
    clock: Callable[[], datetime]
    said: Said
    codes: list[int] = field(default_factory=list)
    documents: list[dict[str, Any]] = field(default_factory=list)
    began: bool = False

    def run(self) -> int:
        code = 70  # should the program itself fail
        try:
            try:
                self._send_all()
            except MailerError as error:  # the ledger
                self._refuse("", error)
            code = next((code for code in _WORST if code in self.codes), 0)
        finally:
            if self.config.schedule.heartbeat_url:
                self._ping("fail" if code else "success")
        self.report.document({"issues": self.documents})
        return code

    def _send_all(self) -> None:
        now = self.clock()
        due = sorted(self._due(now), key=lambda due: (due.instant, number_order(due.number)))
        if not due:
            return
        busy: set[str] = set()  # lists that an issue is on its way to
        ledger = open_ledger(self.config.ledger, durability=self.config.durability)
        with contextlib.closing(ledger):
            for each in due:
                if 130 in self.codes:
                    break
                try:
                    if self._goes_now(each, ledger, busy, now):
                        busy |= {*each.audience}
                        self._send(each, ledger)
                except MailerError as error:
                    self._refuse(each.number, error)

    # What is due -------------------------------------------------------------------------------------------------

    def _due(self, now: datetime) -> Iterator[_Due]:
        for number in issue_numbers(self.project):
            try:
                approval = read_approval(self.project, number)
                meta = load_front_matter(self.project, number, self.config.publication.timezone)
            except InputError as error:
                if approval_file(self.project, number).exists():  # else it is a draft, and its author's
                    self._refuse(number, error)
                continue
            times = [to_instant(meta.send_at, self.config.publication.timezone)] if meta.send_at else []
            approved = [approval.facts.instant] if approval and approval.facts.instant else []
            # Moved since the approval: looked at when the first of both times has come, and refused.
            moved = approval is not None and times != approved
            first = min([*times, *approved], default=None)
            if first and first <= now:
                yield _Due(number, first, moved, meta.audience, approval)
            else:
                self.said.settle(number)

    def _goes_now(self, due: _Due, ledger: Ledger, busy: set[str], now: datetime) -> bool:
        """Whether there is something to do. Raises NotApproved and TooLate."""
        sending = self._sending(due)
        planned = self._is_planned(due, ledger, sending)
        following = ledger.next_due(sending) if planned else None
        if planned and following is None and not ledger.claimed(sending) and not self._may_ask(due, ledger, now):
            return False  # nobody is left; told by two indexes, however many they were
        receipt = None if sending.rehearsal else read_receipt(self.project, due.number)
        if receipt and not planned and receipt.finished and not receipt.tally.waiting + receipt.tally.deferred:
            return False  # a fresh clone, or a ledger from a backup
        if due.approval is None:
            if receipt:  # begun by hand, and so it is to be finished
                return False
            raise NotApproved(
                f"issue {due.number} was due {self._when(due)}, and is not approved",
                hint=f"mailer approve --issue {due.number}",
            )
        if due.approval.withdrawn_at:
            raise withdrawal(due.approval)
        late = now - due.instant > timedelta(seconds=self.config.schedule.max_late)
        elsewhere = receipt and receipt.is_sent and has_lessons(receipt, ledger, due.number)
        begun = elsewhere or (planned and _is_begun(ledger, sending))
        if late and not due.moved and not begun:
            raise TooLate(
                f"issue {due.number} was due {self._when(due)}; more than {duration(self.config.schedule.max_late)} "
                "have passed, and it is not sent any more",
                hint=f"write another send_at and mailer approve --issue {due.number}, or send it by hand: "
                f"mailer send --issue {due.number}",
            )
        if busy & {*due.audience}:
            return False  # one list never gets two at once: the next tick looks again
        if following and following > now:
            busy |= {*due.audience}
            return False
        return True

    def _may_ask(self, due: _Due, ledger: Ledger, now: datetime) -> bool:
        """Whether the provider still knows of requests that a run or a worker died with."""
        chosen = self.config.transport(due.approval.transport if due.approval else self.config.schedule.transport)
        return bool(repeatable(chosen, ledger, self._sending(due), now))

    def _is_planned(self, due: _Due, ledger: Ledger, sending: Sending) -> bool:
        planned = ledger.planned(sending)
        if planned and sending.rehearsal and due.approval:
            return planned.edition == due.approval.facts.edition  # another was rehearsed before it was approved
        return planned is not None

    def _sending(self, due: _Due) -> Sending:
        name = due.approval.transport if due.approval else self.config.schedule.transport
        local = due.approval is not None and transport_module(self.config.transport(name).use).LOCAL
        return Sending(due.number, rehearsal=local)

    def _when(self, due: _Due) -> str:
        return shown(due.instant, self.config.zones)

    # Sending ------------------------------------------------------------------------------------------------------

    def _send(self, due: _Due, ledger: Ledger) -> None:
        assert due.approval
        if self.config.schedule.heartbeat_url and not self.began:
            self.began = True
            self._ping("start")
        out = io.StringIO()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                issue, edition, findings = self.load(due.number)
                code = send_issue(
                    self.project, self.config, Report(), issue, edition, findings, due.approval.transport,
                    Request(yes=True), self.clock,
                )  # fmt: skip
        except MailerError as error:
            self._refuse(due.number, error, out.getvalue())
            return
        self.codes.append(code)
        tally = ledger.tally(self._sending(due))
        counts = self.report.counts(tally)
        self.documents.append({"issue": due.number, "code": code, "planned": tally.planned, **asdict(tally)})
        # People left for later are told once, not with every tick that a rate or a retry takes.
        if self.said.is_news(due.number, "75" if code == 75 else f"{code} {counts}"):
            became = "rehearsed" if self._sending(due).rehearsal else "sent"
            done = f"Issue {due.number} is {became if code in (0, 1) else 'not finished'}: {counts}"
            self.report.say(f"{done}\n\n{out.getvalue().strip()}")
            self._tell(due.number, code, done, out.getvalue())

    # Refusals and reports -----------------------------------------------------------------------------------------

    def _refuse(self, number: str, error: MailerError, before: str = "") -> None:
        if isinstance(error, IssueHeld):
            return
        # No way out and no disk are told once, too, but stay wrong: exit code and heartbeat go on saying so.
        stays = error.code in (69, 75)
        about = number or "ledger"
        news = self.said.is_news(about, str(error.code) if stays else f"{error.code} {error}")
        if news or stays:
            self.codes.append(error.code)
            self.documents.append(
                {"issue": number or None, "code": error.code, "message": str(error), "hint": error.hint}
            )
        if news:
            text = io.StringIO()
            text.write(before)
            with contextlib.redirect_stderr(text):
                Report().error(error)
            print(text.getvalue(), end="", file=sys.stderr, flush=True)
            what = f"Issue {number} is not sent" if number else "Nothing is sent"
            first = str(error).partition("\n")[0]
            self._tell(number, error.code, f"{what}: {first}", text.getvalue())

    def _tell(self, number: str, code: int, subject: str, text: str) -> None:
        schedule = self.config.schedule
        trouble: list[str] = []
        if schedule.webhook_env:
            if url := os.environ.get(schedule.webhook_env, ""):
                trouble.append(post(url, {"text": f"{subject}\n{text}".strip(), "issue": number, "code": code}))
            else:
                trouble.append(f"the environment variable {schedule.webhook_env} (schedule.webhook_env) is not set")
        if schedule.report_to:
            chosen = self.config.transport(schedule.transport)
            trouble.append(mail(self.project, self.config, chosen, schedule.report_to, subject, text, self.clock()))
        self._warn("report", [each for each in trouble if each])

    def _ping(self, what: Any) -> None:
        trouble = ping(self.config.schedule.heartbeat_url, what)
        self._warn("heartbeat", [f"heartbeat: {trouble}"] if trouble else [])

    def _warn(self, about: str, trouble: list[str]) -> None:
        if not trouble:
            self.said.settle(about)
        elif self.said.is_news(about, "\n".join(trouble)):
            for each in trouble:
                self.report.warn(each)


def _is_begun(ledger: Ledger, sending: Sending) -> bool:
    """Whether somebody may have it: then the others get it, however late."""
    tally = ledger.tally(sending)
    return bool(tally.accepted + tally.unknown + tally.deferred + ledger.claimed(sending))
