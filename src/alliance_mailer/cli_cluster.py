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
