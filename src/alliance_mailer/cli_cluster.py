"""The commands for many machines: `mailer worker`, and `mailer ledger` for the database that they share."""

from __future__ import annotations

from typing import Annotated

import typer

ledger = typer.Typer(
    help="The ledger's database: upgrade its schema, move it to another database.",
    rich_markup_mode=None,
    no_args_is_help=True,
)


@ledger.command()
def upgrade(context: typer.Context) -> None:
    """Bring the schema of a PostgreSQL ledger up to date, all or nothing. Workers of the version before may go on.

    \b
    mailer ledger upgrade
    """
    from .ledger_commands import upgrade_ledger

    session = context.obj
    upgrade_ledger(session.open(), session.report)


@ledger.command()
def copy(
    context: typer.Context,
    to: Annotated[str, typer.Argument(metavar="URL", help="sqlite:///PATH or postgresql://…; must hold nothing yet.")],
) -> None:
    """Copy the whole ledger into another database, when nothing is being sent; then [ledger] url may name that one.

    \b
    mailer ledger copy postgresql://mailer@db.example.org/mailer
    mailer ledger copy sqlite:///.mailer/ledger.db
    """
    from .ledger_commands import copy_to

    session = context.obj
    session.open()
    copy_to(session.project, session.config, session.report, to)


def worker(
    context: typer.Context,
    connections: Annotated[
        int | None, typer.Option("--connections", metavar="N", min=1, max=100, help="Else as the transport says.")
    ] = None,
    health: Annotated[
        bool, typer.Option("--health", help="Say whether workers are at it, and leave: 0, or 1 where people wait.")
    ] = False,
    dispatch: Annotated[
        bool,
        typer.Option("--dispatch", help="Also `mailer dispatch`, once a minute on one machine: instead of cron."),
    ] = False,
    metrics: Annotated[
        int | None, typer.Option("--metrics", metavar="PORT", help="Prometheus text on 127.0.0.1:PORT/metrics.")
    ] = None,
) -> None:
    """Send together with other machines, until Ctrl-C: as many as you like, each with the settings and the secrets.

    The ledger is in PostgreSQL ([ledger] url = "postgresql://…"). `mailer send` plans; workers send.

    \b
    mailer worker --connections 10
    mailer worker --dispatch          where the repository is
    mailer worker --health
    """
    from pathlib import Path

    from .errors import ConfigError

    session = context.obj
    config = session.open()
    if isinstance(config.ledger, Path):
        hint = 'in mailer.toml  [ledger]  url = "postgresql://…"; mailer ledger copy takes what there is along'
        raise ConfigError("workers share a ledger in PostgreSQL, and this one is a file", hint=hint)
    from .ledger import open_ledger

    open_ledger(config.ledger).close()  # says what to install
    from . import health as status
    from .worker import Worker

    if health:
        raise typer.Exit(status.show_health(config.ledger, session.report))
    process = Worker(session.project, config, session.report, config.ledger, connections, dispatch=dispatch)
    with status.serving(metrics, config.ledger, process.outcomes):
        raise typer.Exit(process.run())
