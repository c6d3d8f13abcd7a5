"""Who must never be mailed: `contacts/suppressed.csv` and the ledger tell each other, and neither takes one back."""

import os
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

from .contact import FORGOTTEN, FORMULA, Suppression, canonical_address, read_suppressions
from .disk import alone, write_atomically
from .forgotten import identities, pseudonym, refuse_other_keys
from .ledger import Ledger, Sending
from .sheet import Row, with_changes

NAME = "contacts/suppressed.csv"
_HEADING = b"email,reason,since,source\n"


def read_in(project: Path, ledger: Ledger, sending: Sending | None, key: bytes | None) -> list[str]:
    """Tell the ledger what the file says. Returns the pseudonyms of all who were forgotten.

    Somebody in the plan of `sending` who was forgotten elsewhere is forgotten in the ledger, too. Raises InputError for
    a file that cannot be understood, ConfigError where a pseudonym was made with another key.
    """
    ledger.suppress(read_suppressions(project / NAME, NAME))
    pseudonyms = [each.address for each in ledger.suppressions() if each.address.startswith(FORGOTTEN)]
    refuse_other_keys(key, pseudonyms)
    if pseudonyms and sending is not None and key is not None:
        identity = identities(key)
        known = set(map(identity, pseudonyms))
        rows = (row[0] for row in ledger.people(sending) if not row[0].startswith(FORGOTTEN))
        for address in [address for address in rows if identity(address) in known]:
            ledger.rename(address, pseudonym(key, address))
    return pseudonyms


def write_back(project: Path, ledger: Ledger) -> int:
    """Append to the file whom the ledger alone knows, after a hard bounce for instance. Returns how many."""
    return append(project, ledger.suppressions())


def append(project: Path, suppressions: Iterable[Suppression]) -> int:
    """Append who does not stand in the file yet. Returns how many. Raises InputError and TryLater."""
    with alone(_folder(project)):
        there = {each.address for each in read_suppressions(project / NAME, NAME)}
        rows = [_row(each) for each in suppressions if each.address not in there]
        if rows:
            _write(project, lambda row: row, rows)
    return len(rows)


def replace(project: Path, address: str, by: Suppression) -> None:
    """Put a forgotten person's pseudonym in the place of the address. Raises InputError and TryLater."""

    def change(row: Row) -> Row | None:
        return None if _address(row) in (address, by.address) else row

    with alone(_folder(project)):
        _write(project, change, [_row(by)])


def _folder(project: Path) -> Path:
    folder = project / "contacts"
    folder.mkdir(exist_ok=True)
    return folder


def _write(project: Path, change: Callable[[Row], Row | None], rows: Iterable[Row]) -> None:
    path = project / NAME
    if not os.path.lexists(path):
        write_atomically(path, _HEADING)
    columns = ("email", "reason", "since", "source")
    write_atomically(path, with_changes(path, NAME, required="email", change=change, more=rows, columns=columns))


def _row(suppression: Suppression) -> Row:
    cells = asdict(suppression)
    cells["email"] = cells.pop("address")
    return {column: f"'{cell}" if FORMULA.match(cell) else cell for column, cell in cells.items()}


def _address(row: Row) -> str:
    """Of a row that `read_suppressions` has taken."""
    written = row["email"].strip()
    written = written[1:] if written[:1] == "'" and FORMULA.match(written) else written
    return written if written.startswith(FORGOTTEN) else canonical_address(written)
