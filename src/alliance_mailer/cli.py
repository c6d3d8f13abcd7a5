"""The commands: read options, call the stages, report, exit. `mailer --help` imports only what is quick."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .cli_cluster import ledger, worker
from .cli_contacts import contacts
from .cli_schedule import now, schedule

if TYPE_CHECKING:
    from .checks import Finding
    from .config import Config
    from .edition import Edition
    from .issue import Issue
    from .report import Report

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True)
app.add_typer(contacts, name="contacts")
app.add_typer(ledger, name="ledger")
app.add_typer(schedule, name="schedule")

IssueOption = Annotated[str, typer.Option("--issue", metavar="N", help="The issue's number, as in issues/N.md.")]
TransportOption = Annotated[
    str | None,
    typer.Option("--transport", metavar="NAME", help="A [transports.NAME] of mailer.toml instead of [transport]."),
]


class Session:
    """What a command works with: the publication's folder, its settings, the report."""

    def __init__(self, project: Path | None, *, as_json: bool, verbose: bool) -> None:
        from .report import Report

        self.report: Report = Report(as_json=as_json, verbose=verbose)
        self._start = project

    def find(self) -> Path:
        """Find the publication."""
        from .config import find_project
        from .errors import ConfigError

        if self._start is not None and not self._start.is_dir():
            raise ConfigError(f"there is no folder {self._start}")
        self.project = find_project((self._start or Path()).resolve())
        return self.project

    def open(self) -> Config:
        """Find the publication and read its settings."""
        from .config import load_config

        self.config = load_config(self.find())
        return self.config

    def load(self, number: str, *, mark: str = "") -> tuple[Issue, Edition, list[Finding]]:
        """Read, render, compile and check an issue; `mark` goes before its subject."""
        from .load import load

        loaded = load(self.project, self.config, number, mark=mark)
        return loaded.issue, loaded.edition, loaded.findings


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"mailer {version('alliance-mailer')}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    project: Annotated[
        Path | None,
        typer.Option(
            "--project",
            metavar="DIR",
            help="The publication's folder; else the nearest upwards with a mailer.toml.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document on stdout; words for people on stderr.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Show a traceback if the program itself fails.")
    ] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Sends a newsletter from a git repository: nobody twice, nobody forgotten.

    \b
    mailer init my-digest            a publication that works, to start from
    mailer preview                   a local page: the newest issue as every reader will see it
    mailer build --issue 2.6         message.html, message.txt, message.eml
    mailer test --issue 2.6 --to me@example.org
    mailer send --issue 2.6          to everyone who has not got it
    mailer approve --issue 2.6       for cron, which sends it at its time
    mailer status --issue 2.6        how far it is; --failed: who was refused
    mailer doctor                    what would stop a sending
    """
    context.obj = Session(project, as_json=as_json, verbose=verbose)


@app.command()
def init(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="A new or existing folder.")] = Path(),
) -> None:
    """Make a publication that works: settings, template, example list, example issue. Overwrites nothing.

    \b
    mailer init my-digest
    """
    import shlex

    from .example import copy_example

    report = context.obj.report
    written = copy_example(folder)
    for name in written:
        report.say(f"  {folder / name}")
    go_there = "" if folder.resolve() == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
    report.say(
        f"\nA working publication. See it go out, to files on this machine:\n\n  {go_there}mailer send --issue 2.6"
    )
    report.document({"project": str(folder.resolve()), "files": written})


@app.command("import")
def import_(
    context: typer.Context,
    manuscript: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A manuscript in Markdown, as it comes from a word processor."),
    ],
    number: Annotated[
        str | None,
        typer.Option("--issue", metavar="N", help="The issue's number, when the manuscript names none or another."),
    ] = None,
) -> None:
    """Turn a manuscript into issues/N.md. Nothing of its text is lost; what has no place is kept, and said.

    \b
    mailer import ~/Downloads/digest.md
    mailer import digest.md --issue 2.7
    """
    from .import_manuscript import import_manuscript

    session: Session = context.obj
    session.open()
    raise typer.Exit(import_manuscript(session.project, session.report, manuscript, number, session.load))


@app.command()
def new(
    context: typer.Context,
    issue: Annotated[
        str | None, typer.Option("--issue", metavar="N", help="Its number; else the one that follows the last.")
    ] = None,
) -> None:
    """Begin the next issue: number and date follow, the front matter is carried on, the sections are empty.

    \b
    mailer new
    mailer new --issue 3.1
    """
    from .new_issue import new_issue

    session: Session = context.obj
    session.open()
    new_issue(session.project, session.config, session.report, issue, now())


@app.command()
def build(
    context: typer.Context,
    issue: IssueOption,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where to write; else build/N.")] = None,
) -> None:
    """Write message.html, message.txt, message.eml and manifest.json, as a reader without a name gets them.

    No network, no secret; the same input gives the same bytes.

    \b
    mailer build --issue 2.6
    mailer build --issue 2.6 --out look
    """
    from .build import build_files
    from .disk import write_atomically

    session: Session = context.obj
    session.open()
    loaded, edition, findings = session.load(issue)
    folder = out or session.project / "build" / loaded.number
    files, manifest = build_files(loaded, edition)
    for left in (*folder.glob("pictures/*"), *folder.glob("assets/*")):  # of an earlier build
        if left.relative_to(folder).as_posix() not in files:
            left.unlink()
    for name, data in files.items():
        write_atomically(folder / name, data)
    session.report.findings(findings, as_warnings=True)
    for name, entry in manifest["files"].items():
        session.report.say(f"  {_relative(folder / name)}  {entry['bytes']:,} bytes")
    session.report.say(f"\nedition {edition.sha256}\nNext: open {_relative(folder / 'message.html')} in a browser")
    session.report.document(manifest)


@app.command()
def preview(
    context: typer.Context,
    issue: Annotated[
        str | None, typer.Option("--issue", metavar="N", help="The issue's number; else the newest.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Write the page as files and end.")] = False,
    screenshot: Annotated[
        bool, typer.Option("--screenshot", help="With --once: pictures, too, through a Chromium that is installed.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where --once writes; else build/N/preview.")
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            "--host", metavar="ADDRESS", help="Listen on this address, for a phone on the same network; asks."
        ),
    ] = None,
    browse: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
) -> None:
    """Show an issue on a local page, as every reader will see it. The page follows the files as they are saved.

    \b
    mailer preview
    mailer preview --issue 2.6
    mailer preview --issue 2.6 --once --out look
    mailer preview --host 0.0.0.0
    """
    import os

    from .errors import UsageError

    session: Session = context.obj
    session.open()
    if not once and (screenshot or out):
        raise UsageError("--out and --screenshot belong to --once", hint="mailer preview --once --out look")
    if once and host:
        raise UsageError("--once writes files, and listens nowhere", hint="leave --host out")
    if once:
        from .preview.sheet import write_sheet

        write_sheet(session.project, session.config, session.report, issue, out, pictures=screenshot)
        return
    from .preview import show

    terminal = sys.stdin.isatty() and sys.stdout.isatty()

    def ask(words: str) -> bool:
        if not terminal:
            raise UsageError("--host asks first, and there is no terminal here", hint="run it in a terminal")
        return typer.confirm(f"{words} Open it?")

    show(session.project, session.report, issue, host=host, browse=browse and terminal, environ=os.environ, ask=ask)


@app.command()
def check(
    context: typer.Context,
    issue: Annotated[
        str | None, typer.Option("--issue", metavar="N", help="The issue's number, as in issues/N.md.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option("--only", metavar="RULE", help="Only this rule.")] = None,
    skip: Annotated[list[str] | None, typer.Option("--skip", metavar="RULE", help="All but this rule.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 for warnings, too.")] = False,
    online: Annotated[
        bool, typer.Option("--online", help="Also ask the network: links, pictures, DNS, the one-click endpoint.")
    ] = False,
    form: Annotated[str, typer.Option("--format", metavar="FORM", help="text, json, github or sarif.")] = "text",
    list_: Annotated[bool, typer.Option("--list", help="Print all rules.")] = False,
    explain: Annotated[
        str | None, typer.Option("--explain", metavar="RULE", help="Print what a rule is for, and what to do.")
    ] = None,
) -> None:
    """Name every mistake that keeps the issue from being sent, with file and line. Exit code 1 where there is one.

    \b
    mailer check --issue 2.6
    mailer check --issue 2.6 --online --strict
    mailer check --explain L001
    """
    from datetime import datetime

    from .check import Wanted, check_issue, print_rules
    from .errors import UsageError
    from .load import compiled, proof

    session: Session = context.obj
    if list_ or explain is not None:
        print_rules(session.report, explain)
        return
    wanted = Wanted(only or (), skip or (), strict, online, form)
    if issue is None:
        raise UsageError("which issue?", hint="mailer check --issue N")
    config = session.open()
    pulled = proof(session.project, config, *compiled(session.project, config, issue))
    today = datetime.now(config.publication.timezone).date()
    raise typer.Exit(check_issue(session.report, pulled, wanted, today))


@app.command()
def diff(
    context: typer.Context,
    old: Annotated[str, typer.Argument(metavar="A", help="An issue's number.")],
    new: Annotated[str, typer.Argument(metavar="B", help="Another's.")],
) -> None:
    """Show two issues side by side: stories, links, template, size, audience.

    \b
    mailer diff 2.5 2.6
    """
    from .compare import Side, compare

    session: Session = context.obj
    session.open()
    compare(session.report, *(Side(*session.load(number)[:2]) for number in (old, new)))


@app.command()
def test(
    context: typer.Context,
    issue: IssueOption,
    to: Annotated[str, typer.Option("--to", metavar="ADDRESS", help="Any address; it need not be on a list.")],
    as_: Annotated[str | None, typer.Option("--as", metavar="ADDRESS", help="As this contact gets it.")] = None,
    transport: TransportOption = None,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="The provider looks at it and delivers nothing, where it can do that.")
    ] = False,
) -> None:
    """Send the message to one address, its subject marked [TEST]. The ledger does not hear of it.

    \b
    mailer test --issue 2.6 --to me@example.org
    mailer test --issue 2.6 --to me@example.org --as ken.sato@example.com
    mailer test --issue 2.6 --to me@example.org --transport live --sandbox
    """
    from .send_test import send_test

    session: Session = context.obj
    session.open()
    loaded, edition, findings = session.load(issue, mark="[TEST] ")
    session.report.findings(findings, as_warnings=True)
    code = send_test(
        session.project, session.config, session.report, loaded, edition, to, as_, transport, sandbox=sandbox
    )
    raise typer.Exit(code)


@app.command()
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
    from .approve import approve_issue, read_allowed, withdraw_approval

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


@app.command()
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
        typer.Option("--allow", metavar="RULE", help="Send in spite of this check's findings (L001, …)."),
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
    """
    from .send import Request, send_issue, stop_sending

    session: Session = context.obj
    session.open()
    if stop:
        raise typer.Exit(stop_sending(session.config, session.report, issue))
    loaded, edition, findings = session.load(issue)
    request = Request(dry_run=dry_run, limit=limit, to_new=to_new, allow=frozenset(allow or ()), yes=yes)
    raise typer.Exit(
        send_issue(session.project, session.config, session.report, loaded, edition, findings, transport, request)
    )


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
def audit(context: typer.Context, issue: IssueOption) -> None:
    """Prove that everybody planned is accounted for, once, and that the receipt says the same. Exit code 1 if not.

    \b
    mailer audit --issue 2.6
    """
    from .audit import audit

    session: Session = context.obj
    config = session.open()
    raise typer.Exit(audit(session.project, config, session.report, issue))


@app.command()
def doctor(context: typer.Context) -> None:
    """Look for what would stop a sending: settings, key, clock, disk, ledger, lists, git, transports. Sends nothing.

    \b
    mailer doctor
    """
    import os

    from .doctor import doctor

    session: Session = context.obj
    raise typer.Exit(doctor(session.find(), session.report, os.environ))


app.command()(worker)


def _relative(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def main(argv: list[str] | None = None) -> None:
    """Run the program. Ends with SystemExit and one of the codes of errors.py."""
    raise SystemExit(run(sys.argv[1:] if argv is None else argv))


def run(argv: list[str]) -> int:
    """Run the program; returns the exit code."""
    from .errors import MailerError, UsageError
    from .report import Report

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal in Latin-1 has no arrow, and no Japanese
            stream.reconfigure(errors="backslashreplace")
    # --json and -v are understood behind the command, too.
    everywhere = [word for word in argv if word in ("--json", "-v", "--verbose")]
    argv = [*everywhere, *(word for word in argv if word not in everywhere)]
    report = Report(as_json="--json" in everywhere)
    try:
        code = int(app(argv, prog_name="mailer", standalone_mode=False) or 0)
    except MailerError as error:
        report.error(error)
        return error.code
    except (typer.Abort, KeyboardInterrupt):
        code = 130
    except Exception as error:
        if hasattr(error, "format_message"):  # of typer's: the command line
            if type(error).__name__ == "NoArgsIsHelpError":
                print(error.format_message(), file=sys.stderr)
                return 2
            context = getattr(error, "ctx", None)
            command = context.command_path if context else "mailer"
            report.error(UsageError(error.format_message(), hint=f"{command} --help"))
            return 2
        if "-v" in everywhere or "--verbose" in everywhere:
            raise
        if isinstance(error, OSError):  # the terminal, a pipe: files have their own words
            print(f"error: {error.strerror or error}; nothing is lost", file=sys.stderr)
            return 75
        mistake = f"a mistake of the program itself: {type(error).__name__}: {error}"
        print(f"{mistake}\n  try: the same with -v, and report what it prints", file=sys.stderr)
        return 70
    if code == 130:  # typer makes that of a KeyboardInterrupt, and says nothing
        print("interrupted; safe to run again", file=sys.stderr)
    return code
