"""What `mailer contacts import` does: show what a file would change in a list, and write it if told to."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .contact import FORGOTTEN, canonical_address, read_suppressions
from .disk import alone, write_atomically
from .errors import UsageError
from .forgotten import identities, refuse_other_keys
from .report import Report, people
from .sheet import Row, new_sheet, read_heading, read_rows, with_changes
from .suppressed import NAME

_SHOWN = 20  # rows of a kind


@dataclass(slots=True)
class Diff:
    """What an import changes."""

    added: list[Row] = field(default_factory=list)
    changed: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)  # by address: column, before, after
    skipped: list[tuple[int, str, str]] = field(default_factory=list)  # line, email, why
    invalid: int = 0  # of these
    same: int = 0
    only_there: int = 0  # on the list, and not in the file


def import_contacts(project: Path, report: Report, file: Path, name: str, key: bytes | None, *, apply: bool) -> int:
    """Print the diff; with `apply` the list becomes it. Returns the exit code: 1 where a row was no address.

    Nobody is removed, an empty cell erases nothing, and who is suppressed or was forgotten is not imported. Raises
    InputError for a file that cannot be read: nothing is written then.
    """
    if not re.fullmatch(r"[\w-][\w.-]*", name) or name == "suppressed":
        raise UsageError(f"--list {name}: expected the name of a list", hint="--list subscribers")
    path, shown = project / "contacts" / f"{name}.csv", f"contacts/{name}.csv"
    if path.exists() and file.exists() and path.samefile(file):
        raise UsageError(f"{file} is the list itself", hint=f"mailer contacts check {name}")
    (project / "contacts").mkdir(exist_ok=True)
    with alone(project / "contacts"):
        diff, data = _diff(project, file, path, shown, key)
        if apply and (diff.added or diff.changed):
            write_atomically(path, data)
    _say(report, diff, file, shown, name, applied=apply)
    report.document(
        {
            "list": shown,
            "added": [row["email"] for row in diff.added],
            "changed": [
                {"email": address, "fields": {column: after for column, (_, after) in cells.items()}}
                for address, cells in diff.changed.items()
            ],
            "unchanged": diff.same,
            "only_on_the_list": diff.only_there,
            "skipped": [{"line": line, "email": email, "reason": why} for line, email, why in diff.skipped],
            "applied": apply and bool(diff.added or diff.changed),
        }
    )
    return 1 if diff.invalid else 0


def _diff(project: Path, file: Path, path: Path, shown: str, key: bytes | None) -> tuple[Diff, bytes]:
    """What changes, and what the list would hold then."""
    diff = Diff()
    incoming = _incoming(project, file, key, diff)
    columns = [column for column in read_heading(file, str(file)) if column]
    if not path.exists():
        # In the file's own order of columns, but the address first.
        columns = ["email", *(column for column in columns if column != "email")]
        diff.added = list(incoming.values())
        return diff, new_sheet(columns, diff.added)
    left = dict(incoming)

    def change(row: Row) -> Row:
        try:
            address = canonical_address(row["email"])
        except ValueError:
            return row
        new = left.pop(address, None)
        if new is None:
            diff.only_there += address not in incoming
            return row
        cells = {
            column: (row.get(column, ""), cell)
            for column, cell in new.items()
            if column != "email" and cell.strip() and cell.strip() != row.get(column, "").strip()
        }
        if not cells:
            diff.same += 1
            return row
        diff.changed[address] = cells
        return {**row, **{column: after for column, (_, after) in cells.items()}}

    def more() -> Iterator[Row]:
        diff.added = list(left.values())  # once all others have been gone through
        yield from diff.added

    return diff, with_changes(path, shown, required="email", change=change, more=more(), columns=columns)


def _incoming(project: Path, file: Path, key: bytes | None, diff: Diff) -> Mapping[str, Row]:
    """The rows of the file by address, without those that are not imported."""
    suppressed = {each.address: each for each in read_suppressions(project / NAME, NAME)}
    pseudonyms = [address for address in suppressed if address.startswith(FORGOTTEN)]
    refuse_other_keys(key, pseudonyms)
    identity = identities(key) if key else str.encode
    forgotten = set(map(identity, pseudonyms))
    incoming = dict[str, Row]()
    for line, row in read_rows(file, str(file), required="email"):
        written = row["email"].strip()
        try:
            address = canonical_address(written)
        except ValueError as error:
            diff.invalid += 1
            diff.skipped.append((line, written, f"no address: {error}"))
            continue
        if found := suppressed.get(address):
            since = f" since {found.since}" if found.since else ""
            diff.skipped.append((line, written, f"suppressed{since}: {found.reason or 'no reason given'}"))
        elif forgotten and identity(address) in forgotten:
            diff.skipped.append((line, written, "forgotten: only a new wish of the person undoes that"))
        elif address in incoming:
            diff.skipped.append((line, written, "stands in the file already; that row counts"))
        else:
            incoming[address] = {**row, "email": written}
    return incoming


def _say(report: Report, diff: Diff, file: Path, shown: str, name: str, *, applied: bool) -> None:
    report.say(shown)
    for row in diff.added[:_SHOWN]:
        more = ", ".join(cell.strip() for column, cell in row.items() if column != "email" and cell.strip())
        report.say(f"  + {row['email']}{f'  {more}' if more else ''}")
    _more(report, len(diff.added), "added")
    for address, cells in list(diff.changed.items())[:_SHOWN]:
        said = ", ".join(f'{column} "{before}" → "{after}"' for column, (before, after) in cells.items())
        report.say(f"  ~ {address}  {said}")
    _more(report, len(diff.changed), "changed")
    for line, email, why in diff.skipped[:_SHOWN]:
        report.say(f"  ! {file}:{line}: {email or '(empty)'} is not imported: {why}")
    _more(report, len(diff.skipped), "not imported")
    counts = f"{len(diff.added)} added, {len(diff.changed)} changed, {diff.same} as they are"
    left = f"; {people(diff.only_there)} only on the list, and kept" if diff.only_there else ""
    report.say(f"{counts}, {len(diff.skipped)} not imported{left}.")
    if not diff.added and not diff.changed:
        report.say("There is nothing to write.")
    elif applied:
        report.say(f"Written. Next: mailer contacts check {name}")
    else:
        to = f" --list {name}" if name != "subscribers" else ""
        report.say(f"Nothing was written. To write it: mailer contacts import {file}{to} --apply")


def _more(report: Report, count: int, what: str) -> None:
    if count > _SHOWN:
        report.say(f"    … and {count - _SHOWN} more {what}")
