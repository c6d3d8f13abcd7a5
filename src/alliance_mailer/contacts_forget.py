"""What `mailer contacts suppress` and `mailer contacts forget` do: never mail somebody again; and erase who it was."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from .config import Config
from .contact import Suppression, canonical_address, list_names
from .disk import alone, write_atomically
from .errors import InputError, TryLater
from .forgotten import pseudonym
from .ledger import Ledger, open_ledger
from .report import Report, people
from .sheet import Row, with_changes
from .signing import signing_key
from .suppressed import NAME, append, replace
from .transports import files, transport_module


def suppress(project: Path, config: Config, report: Report, addresses: Sequence[str], reason: str) -> None:
    """Write them into contacts/suppressed.csv and the ledger, so that a run that is under way stops mailing them, too.

    Raises InputError for what is no address: then nobody is suppressed.
    """
    canonical = [_canonical(address) for address in addresses]
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    rows = [Suppression(address, reason, today, "mailer contacts suppress") for address in canonical]
    added = append(project, rows)
    with contextlib.closing(open_ledger(config.ledger, durability=config.durability)) as ledger:
        ledger.suppress(rows)
    there = len(set(canonical)) - added
    already = f"; {people(there)} stood there before" if there else ""
    report.say(f"{people(added)} suppressed in {NAME}{already}. Nothing takes that back, no import either.")
    report.document({"suppressed": canonical, "added": added})


def forget(project: Path, config: Config, report: Report, environ: Mapping[str, str], written: str) -> None:
    """Erase a person from lists, ledger and rehearsals; what is left is a pseudonym, which stays suppressed.

    Raises InputError for what is no address, TryLater where a run that mails the person is under way.
    """
    address = _canonical(written)
    key = signing_key(project, config.secret_env, environ)
    remains = pseudonym(key, address)
    suppression = Suppression(remains, "forgotten", f"{datetime.now(UTC):%Y-%m-%d}", "mailer contacts forget")
    opened = open_ledger(config.ledger, durability=config.durability)
    with contextlib.closing(opened) as ledger, _held(ledger, address):
        # The pseudonym first: at no moment may the person be mailed.
        append(project, [suppression])
        ledger.suppress([suppression])
        lists = [name for name in list_names(project / "contacts") if _strike(project, name, address)]
        replace(project, address, suppression)
        rows = ledger.rename(address, remains)
    messages = _delete_rehearsals(project, config, address)
    report.document({"pseudonym": remains, "lists": lists, "deliveries": rows, "files": messages})
    report.say(f"Forgotten. What is left is {remains} in {NAME} and in the ledger:")
    report.say(f"  lists       {', '.join(lists) or 'none'}")
    report.say(f"  ledger      {rows} {'row' if rows == 1 else 'rows'} without address, name and the server's words")
    report.say(f"  rehearsals  {', '.join(messages) or 'none'}")
    report.say(
        "Whoever has the key recognises the address, and no import and no sending takes it. Not erased: backups,"
    )
    report.say("the history of git where a list was tracked, the mail server's log.")


def _canonical(written: str) -> str:
    try:
        return canonical_address(written)
    except ValueError as error:
        raise InputError(
            f"{written!r} is no address: {error}", hint="one address, such as reader@example.org"
        ) from None


@contextlib.contextmanager
def _held(ledger: Ledger, address: str) -> Iterator[None]:
    """No run may have the person in its hands: an answer that comes later would bring the address back."""
    with contextlib.ExitStack() as stack:
        for issue in {sending.issue for sending, _ in ledger.story(address)}:
            stack.enter_context(ledger.hold(issue))
        yield


def _strike(project: Path, name: str, address: str) -> bool:
    """Delete the person's rows from a list."""
    path, shown, struck = project / "contacts" / f"{name}.csv", f"contacts/{name}.csv", False

    def change(row: Row) -> Row | None:
        nonlocal struck
        with contextlib.suppress(ValueError):
            if canonical_address(row["email"]) == address:
                struck = True
                return None
        return row

    with alone(path.parent):
        data = with_changes(path, shown, required="email", change=change)
        if struck:
            write_atomically(path, data)
    return struck


def _delete_rehearsals(project: Path, config: Config, address: str) -> list[str]:
    deleted = list[str]()
    for folder in {way.options.folder for way in config.transports.values() if transport_module(way.use) is files}:
        for path in sorted((project / folder).rglob(files.file_name(address))):
            try:
                path.unlink()
            except OSError as error:
                raise TryLater(f"{path} cannot be deleted: {error.strerror}") from None
            deleted.append(path.relative_to(project).as_posix())
    return deleted
