"""What `mailer approve` does: shows what is being approved, and writes down who did."""

import contextlib
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from .approval import Approval, facts_of
from .approval_file import approval_file, read_approval, write_approval
from .checks import Finding, errors_in
from .config import Config
from .contact import Contact, read_lists
from .edition import Edition
from .errors import CheckFailed, InputError, NotApproved, Problem, UsageError
from .forgotten import recognised
from .git import head, last_author, whoami
from .issue import Issue, number_order
from .ledger import Audience, Ledger, Sending, open_ledger
from .report import Report, people
from .signing import existing_key
from .suppressed import read_in
from .transports import transport_module
from .walltime import clock_changes, shown, to_instant


def approve_issue(
    project: Path,
    config: Config,
    report: Report,
    issue: Issue,
    edition: Edition,
    findings: list[Finding],
    *,
    transport: str | None,
    by: str | None,
    allow: Mapping[str, str],
    now: datetime,
) -> None:
    """Write issues/N.approval.toml. Raises MailerError where there is something that nobody should approve."""
    chosen = config.transport(transport or config.schedule.transport)
    report.findings(findings, as_warnings=False)
    if mistakes := errors_in(findings, {*allow}):
        rules = " ".join(f'--allow {rule}="why"' for rule in dict.fromkeys(finding.rule for finding in mistakes))
        count = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        raise CheckFailed(f"issue {issue.number} is not approved: {count} in it", hint=f"mend that, or {rules}")
    facts = facts_of(project, issue, edition)
    approver = _approver(project, config, issue.number, by, [name for name in facts.files if (project / name).exists()])
    audience, since = _count(project, config, report, issue, edition)
    approval = Approval(
        issue.number,
        approver,
        now.replace(microsecond=0),
        facts,
        audience.joined if audience else None,
        chosen.name,
        allow,
        head(project),
    )
    module = transport_module(chosen.use)
    rows = [
        ("subject", edition.subject.shown()),
        ("from", f"{edition.publication.sender_name} <{edition.publication.sender}>"),
        ("to", f"{_who(issue, audience)}{since}"),
        ("at", _when(issue, config, now)),
        ("through", module.describe(chosen.options, issue.number)),
        *(("allowed", f"{rule}: {reason}") for rule, reason in allow.items()),
        ("by", approver),
    ]
    report.rows(edition, rows)
    _warn(report, issue, config, now, local=module.LOCAL)
    path = write_approval(project, approval).relative_to(project)
    report.say(f"\nApproved: {path}. Keep it:\n\n  git add {shlex.quote(str(path))} {shlex.quote(issue.file)}\n"
               f'  git commit -m "Approve issue {issue.number}"')  # fmt: skip
    report.document(_document(approval, path))


def withdraw_approval(project: Path, report: Report, number: str, by: str | None, now: datetime) -> None:
    """Write down that it holds no longer; the record stays. Raises InputError where there is none."""
    approval = read_approval(project, number)
    if approval is None:
        raise InputError(f"issue {number} has no approval to withdraw", hint=f"mailer approve --issue {number}")
    if not approval.withdrawn_at:
        approval = replace(approval, withdrawn_by=_person(project, by), withdrawn_at=now.replace(microsecond=0))
        write_approval(project, approval)
    path = approval_file(project, number).relative_to(project)
    report.say(f"The approval of issue {number} ({approval.said}) is withdrawn: it is not sent. Keep that:\n\n"
               f'  git commit -m "Withdraw issue {number}" {shlex.quote(str(path))}')  # fmt: skip
    report.document(_document(approval, path))


def _document(approval: Approval, path: Path) -> dict[str, object]:
    facts = approval.facts
    return {
        "issue": approval.issue, "edition": facts.edition, "by": approval.by, "at": approval.at.isoformat(),
        "audience": list(facts.audience), "people": approval.people, "send_at": facts.send_at or None,
        "instant": facts.instant.isoformat() if facts.instant else None, "transport": approval.transport,
        "allow": dict(approval.allow), "withdrawn": approval.withdrawn_at is not None, "file": path.as_posix(),
    }  # fmt: skip


# Who approves ------------------------------------------------------------------------------------------------------


def _person(project: Path, by: str | None) -> str:
    person = " ".join((by or whoami(project)).encode(errors="replace").decode().split())
    if not person:
        raise UsageError("who approves? git does not know who you are", hint='--by "Ann Example <ann@example.org>"')
    return person


def _approver(project: Path, config: Config, number: str, by: str | None, files: list[str]) -> str:
    person = _person(project, by)
    if config.approval.by == "another":
        author = last_author(project, files)
        if not author:
            raise NotApproved(
                f"issue {number}: who wrote it is not known, it is not in git as it is now (mailer.toml: approval.by)",
                hint="git add the issue, its pictures and its template, and git commit",
            )
        if _address(person) == _address(author):
            raise NotApproved(
                f"issue {number} was last written by {author}; somebody else approves it (mailer.toml: approval.by)",
                hint=f"ask another person to run  mailer approve --issue {number}",
            )
    return person


def _address(person: str) -> str:
    return person.rpartition("<")[2].rstrip(">").strip().lower()


# For whom, when ----------------------------------------------------------------------------------------------------


def _count(
    project: Path, config: Config, report: Report, issue: Issue, edition: Edition
) -> tuple[Audience | None, str]:
    """The lists as they are, and how they differ from whom the issue before was planned for."""
    contacts = project / "contacts"
    ledger = open_ledger(config.ledger)
    with contextlib.closing(ledger):
        sending = Sending(issue.number, rehearsal=False)
        key = existing_key(project, config.secret_env, os.environ)
        forgotten = read_in(project, ledger, sending, key)

        def people_of_the_lists() -> Iterator[Contact]:
            return recognised(read_lists(contacts, issue.audience), forgotten, key)

        try:
            audience = ledger.stage(sending, people_of_the_lists(), edition.fields, edition.mistakes)
        except InputError as error:
            report.warn(f"{error}; the audience is not counted")
            return None, ""
        report.audience(audience)
        if audience.mistakes:
            raise InputError([Problem(contact.source.rpartition(":")[0], int(contact.source.rpartition(":")[2]),
                                      f"{contact.address} {mistake}")
                              for contact, mistakes in audience.mistakes for mistake in mistakes])  # fmt: skip
        return audience, _since(ledger, people_of_the_lists(), issue, edition)


def _since(ledger: Ledger, contacts: Iterable[Contact], issue: Issue, edition: Edition) -> str:
    here = number_order(issue.number)
    earlier = [each for each in ledger.sendings() if not each.rehearsal and number_order(each.issue) < here]
    if not earlier:
        return ""
    last = max(earlier, key=lambda sending: number_order(sending.issue))
    staged = ledger.stage(last, contacts, edition.fields, lambda _: [])
    stayed = staged.people - staged.joined - staged.suppressed
    return f"; +{staged.joined} −{max(0, ledger.tally(last).planned - stayed)} since {last.issue}"


def _who(issue: Issue, audience: Audience | None) -> str:
    lists = ", ".join(f"contacts/{name}.csv" for name in issue.audience)
    if audience is None:
        return f"whoever stands in {lists}"
    apart = f", {audience.suppressed} suppressed" if audience.suppressed else ""
    return f"{people(audience.joined)} ({audience.people} in {lists}{apart})"


def _when(issue: Issue, config: Config, now: datetime) -> str:
    if issue.send_at is None:
        return "no send_at: whenever somebody runs `mailer send`; dispatch never does"
    return shown(to_instant(issue.send_at, config.publication.timezone), config.zones)


def _warn(report: Report, issue: Issue, config: Config, now: datetime, *, local: bool) -> None:
    if local:
        report.warn("that transport writes files: a rehearsal, nothing leaves this machine; --transport names another")
    if issue.send_at is None:
        return
    instant = to_instant(issue.send_at, config.publication.timezone)
    late = (now - instant).total_seconds()
    if late > config.schedule.max_late:
        report.warn("send_at is past by more than max_late: dispatch does not send it; write another time, or send it")
    elif late > 0:
        report.warn("send_at is past: the next dispatch sends it")
    for name, day in clock_changes(now, instant, config.zones):
        report.warn(f"{name} moves its clocks on {day}, between now and then")
