"""The commands for who writes an issue: make it, look at it, mend it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .cli_schedule import now
from .cli_session import IssueOption, Session, TransportOption


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


def _relative(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
