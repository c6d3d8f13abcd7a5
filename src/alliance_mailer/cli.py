"""The commands: read options, call the stages, report, exit. `mailer --help` imports only what is quick."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from .cli_cluster import ledger, worker
from .cli_contacts import contacts
from .cli_issue import build, check, diff, import_, init, new, preview, test
from .cli_schedule import schedule
from .cli_sending import approve, audit, dispatch, doctor, explain, resolve, send, status
from .cli_session import Session


class _Commands(TyperGroup):
    """Says the whole first sentence of each command, over two lines where it is long; typer would cut it off."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        rows = [(name, command.get_short_help_str(sys.maxsize)) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


app = typer.Typer(
    cls=_Commands, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True
)
# In the order of --help.
app.command()(init)
app.command("import")(import_)
app.command()(new)
app.command()(build)
app.command()(preview)
app.command()(check)
app.command()(diff)
app.command()(test)
app.command()(approve)
app.command()(send)
app.command()(dispatch)
app.command()(status)
app.command()(explain)
app.command()(resolve)
app.command()(audit)
app.command()(doctor)
app.command()(worker)
app.add_typer(contacts, name="contacts", cls=_Commands)
app.add_typer(ledger, name="ledger", cls=_Commands)
app.add_typer(schedule, name="schedule", cls=_Commands)


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
