"""The commands of `mailer contacts`: people in, people out, and who must never be mailed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

contacts = typer.Typer(
    help="Lists of people: look through them, import, never mail somebody again, forget somebody.",
    rich_markup_mode=None,
    no_args_is_help=True,
)


@contacts.command()
def check(
    context: typer.Context,
    lists: Annotated[list[str] | None, typer.Argument(metavar="[LIST]...", help="As in contacts/LIST.csv.")] = None,
) -> None:
    """Name what will not arrive, or should not be sent, with file and line. Exit code 1 where an address is none.

    \b
    mailer contacts check
    mailer contacts check subscribers
    """
    from .contacts_check import check_contacts
    from .signing import existing_key

    session = context.obj
    config = session.open()
    key = existing_key(session.project, config.secret_env, os.environ)
    raise typer.Exit(check_contacts(session.project, session.report, lists or [], key))


@contacts.command("import")
def import_(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, as a spreadsheet or a provider saves it.")],
    name: Annotated[
        str, typer.Option("--list", metavar="LIST", help="As in contacts/LIST.csv; made when it is not there.")
    ] = "subscribers",
    apply: Annotated[bool, typer.Option("--apply", help="Write it; else the changes are only shown.")] = False,
) -> None:
    """Show what a file would change in a list; write it with --apply. Nobody is removed, nobody suppressed comes back.

    \b
    mailer contacts import ~/Downloads/export.csv
    mailer contacts import export.csv --list press --apply
    """
    from .contacts_import import import_contacts
    from .signing import existing_key

    session = context.obj
    config = session.open()
    key = existing_key(session.project, config.secret_env, os.environ)
    raise typer.Exit(import_contacts(session.project, session.report, file, name, key, apply=apply))


@contacts.command()
def suppress(
    context: typer.Context,
    addresses: Annotated[list[str], typer.Argument(metavar="ADDRESS...", help="Who must never be mailed again.")],
    reason: Annotated[str, typer.Option("--reason", metavar="WHY", help="For whoever asks later.")] = "asked for it",
) -> None:
    """Never mail somebody again, whatever a list says. It holds at once, for a run that is under way, too.

    \b
    mailer contacts suppress reader@example.org --reason "asked by telephone"
    """
    from .contacts_forget import suppress

    session = context.obj
    config = session.open()
    suppress(session.project, config, session.report, addresses, reason)


@contacts.command()
def forget(
    context: typer.Context,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Whose name and address are to be erased.")],
) -> None:
    """Erase a person from lists, ledger and rehearsals. A keyed hash is left, which keeps the person from being mailed.

    \b
    mailer contacts forget reader@example.org
    """
    from .contacts_forget import forget

    session = context.obj
    config = session.open()
    forget(session.project, config, session.report, os.environ, address)
