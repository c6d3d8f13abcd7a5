"""The commands of `mailer schedule`: what is coming, and how cron comes to call us."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

schedule = typer.Typer(add_completion=False, rich_markup_mode=None, invoke_without_command=True)


def now() -> datetime:
    """UTC."""
    return datetime.now(UTC)


@schedule.callback()
def show(context: typer.Context) -> None:
    """Show which issues are coming, when in every zone that matters, and what each still needs.

    \b
    mailer schedule
    mailer schedule install --cron
    """
    if context.invoked_subcommand:
        return
    from .schedule import show_schedule

    session = context.obj
    session.open()
    show_schedule(session.project, session.config, session.report, now())


@schedule.command()
def install(
    context: typer.Context,
    cron: Annotated[bool, typer.Option("--cron", help="A line in your crontab.")] = False,
    systemd: Annotated[bool, typer.Option("--systemd", help="A timer: root's for the machine, else your own.")] = False,
    github_actions: Annotated[bool, typer.Option("--github-actions", help="A workflow in the repository.")] = False,
    print_: Annotated[bool, typer.Option("--print", help="Print it; write nothing.")] = False,
    uninstall: Annotated[bool, typer.Option("--uninstall", help="Take it away again.")] = False,
) -> None:
    """Have cron, systemd or GitHub call `mailer dispatch`. Run it again at any time; what others wrote stays.

    \b
    mailer schedule install --cron
    mailer schedule install --systemd --print
    mailer schedule install --cron --uninstall
    """
    from .install import Kind, install_units, print_units

    session = context.obj
    config = session.open()
    asked: dict[Kind, bool] = {"cron": cron, "systemd": systemd, "github-actions": github_actions}
    chosen = [kind for kind, wanted in asked.items() if wanted]
    if print_:
        print_units(session.project, config, session.report, chosen)
    else:
        install_units(session.project, config, session.report, chosen, installed=not uninstall)
