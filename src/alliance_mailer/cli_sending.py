"""The commands for who sends an issue: have it approved, send it, see what became of it."""

from __future__ import annotations

from typing import Annotated

import typer

from .cli_schedule import now
from .cli_session import IssueOption, Session, TransportOption


def approve(
    context: typer.Context,
    issue: IssueOption,
    transport: TransportOption = None,
    by: Annotated[
        str | None, typer.Option("--by", metavar="PERSON", help='"Ann Example <ann@…>"; else who git says you are.')
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option("--allow", metavar="RULE=REASON", help="Approve in spite of this check's findings; recorded."),
    ] = None,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="It holds no longer; the record stays.")] = False,
) -> None:
    """Approve an issue as it is: these bytes, these lists, that time. What changes afterwards is not sent.

    Shows what is approved and writes issues/N.approval.toml, which belongs into git.

    \b
    mailer approve --issue 2.6
    mailer approve --issue 2.6 --transport live --by "Ann Example <ann@example.org>"
    mailer approve --issue 2.6 --allow L001="the report is published on Friday"
    mailer approve --issue 2.6 --withdraw
    """
    from .approve import approve_issue, withdraw_approval
    from .checks import read_allowed

    session: Session = context.obj
    session.open()
    if withdraw:
        withdraw_approval(session.project, session.report, issue, by, now())
        return
    allowed = read_allowed(allow or [])
    loaded, edition, findings = session.load(issue)
    approve_issue(
        session.project, session.config, session.report, loaded, edition, findings,
        transport=transport, by=by, allow=allowed, now=now(),
    )  # fmt: skip


def send(
    context: typer.Context,
    issue: IssueOption,
    transport: TransportOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan; write and send nothing.")] = False,
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="K", min=1, help="Stop after K messages; the next run goes on."),
    ] = None,
    to_new: Annotated[
        bool, typer.Option("--to-new", help="Also to those who joined the lists since the issue was planned.")
    ] = False,
    allow: Annotated[
        list[str] | None,
        typer.Option("--allow", metavar="RULE=REASON", help="Send in spite of this check's findings; recorded."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; for scripts.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Halt the workers that are sending it (many machines).")] = False,
) -> None:
    """Send an issue to everyone planned who has not got it. Run it again at any time: nobody gets it twice.

    With the files transport it is a rehearsal: one .eml a person in outbox/N, and nothing leaves this machine.

    \b
    mailer send --issue 2.6
    mailer send --issue 2.6 --transport live --dry-run
    mailer send --issue 2.6 --transport live --limit 5
    mailer send --issue 2.6 --transport live --allow L001="the report is published on Friday"
    """
    from .checks import read_allowed
    from .planning import Request
    from .send import send_issue, stop_sending

    session: Session = context.obj
    session.open()
    if stop:
        raise typer.Exit(stop_sending(session.config, session.report, issue))
    request = Request(dry_run=dry_run, limit=limit, to_new=to_new, allow=read_allowed(allow or ()), yes=yes)
    loaded, edition, findings = session.load(issue)
    raise typer.Exit(
        send_issue(session.project, session.config, session.report, loaded, edition, findings, transport, request)
    )


def dispatch(context: typer.Context) -> None:
    """Send every approved issue that is due: what cron calls. Silent when there is nothing to do.

    An issue that is due and not approved, changed since, or too late is told once. Any number at once send once.

    \b
    mailer dispatch                     now, by hand
    mailer schedule install --cron      every five minutes, by cron
    """
    from .dispatch import dispatch as dispatch_due

    session: Session = context.obj
    session.find()
    raise typer.Exit(dispatch_due(session.project, session.open, session.report, session.load, now))


def status(
    context: typer.Context,
    issue: Annotated[str | None, typer.Option("--issue", metavar="N", help="One issue; else all.")] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="List who was refused, deferred or unknown, and why.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="That list as CSV on stdout.")] = False,
) -> None:
    """How far each issue is: accepted, refused, suppressed, waiting, deferred, unknown.

    \b
    mailer status
    mailer status --issue 2.6 --failed
    mailer status --issue 2.6 --csv > failed.csv
    """
    from .status import show_status

    session: Session = context.obj
    session.open()
    show_status(session.config, session.report, session.project, issue, failed=failed, as_csv=as_csv)


def explain(
    context: typer.Context,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Any address, on a list or not.")],
    issue: Annotated[str | None, typer.Option("--issue", metavar="N", help="One issue; else all.")] = None,
) -> None:
    """One person's story: on which list, suppressed since when and why, state, the server's words, Message-ID.

    \b
    mailer explain ken.sato@example.com
    mailer explain --issue 2.6 ken.sato@example.com
    """
    from .explain import explain

    session: Session = context.obj
    config = session.open()
    explain(session.project, config, session.report, address, issue)


def resolve(
    context: typer.Context,
    issue: IssueOption,
    addresses: Annotated[
        list[str] | None, typer.Argument(metavar="[ADDRESS]...", help="For these alone; else for all undecided.")
    ] = None,
    resend: Annotated[bool, typer.Option("--resend", help="It did not arrive: send it again.")] = False,
    leave: Annotated[bool, typer.Option("--leave", help="It arrived, or better none than two.")] = False,
) -> None:
    """Decide on the unknown: who may have got an issue, or not. Without a decision it lists them (exit code 1).

    \b
    mailer resolve --issue 2.6
    mailer resolve --issue 2.6 --resend ken.sato@example.com
    mailer resolve --issue 2.6 --leave
    """
    from .resolve import resolve

    session: Session = context.obj
    config = session.open()
    raise typer.Exit(
        resolve(session.project, config, session.report, issue, addresses or [], resend=resend, leave=leave)
    )


def audit(context: typer.Context, issue: IssueOption) -> None:
    """Prove that everybody planned is accounted for, once, and that the receipt says the same. Exit code 1 if not.

    \b
    mailer audit --issue 2.6
    """
    from .audit import audit

    session: Session = context.obj
    config = session.open()
    raise typer.Exit(audit(session.project, config, session.report, issue))


def doctor(
    context: typer.Context,
    online: Annotated[
        bool, typer.Option("--online", help="Ask the network about the sender though no transport leaves this machine.")
    ] = False,
) -> None:
    """Look for what would stop a sending: settings, key, clock, disk, ledger, lists, git, transports, DNS.

    It sends nothing. With a transport that leaves this machine it connects, and asks the DNS for the sender's SPF,
    DMARC, DKIM and MX, and the one-click endpoint whether it answers.

    \b
    mailer doctor
    mailer doctor --online
    """
    import os

    from .doctor import doctor

    session: Session = context.obj
    raise typer.Exit(doctor(session.find(), session.report, os.environ, online=online))
