"""Contacts: what a valid address is, and the people of a list, row by row; nobody is dropped in silence."""

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .errors import InputError, Problem, did_you_mean
from .sheet import read_heading, read_rows

# Line breaks inside a quoted cell become a blank; any other control character, a lone surrogate or a Unicode
# line separator in a list is a broken export or an attack on a header.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

# Nine of ten addresses, in 0.7 µs against email-validator's 38; held to agree with it by a test.
_PLAIN = re.compile(
    r"(?=.{3,254}\Z)[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*"
    r"@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?:com|org|net|edu|gov|jp|uk|de|fr|us|eu|info)",
    re.IGNORECASE | re.ASCII,  # or "K", the Kelvin sign, would be a k
)


@dataclass(frozen=True, slots=True)
class Contact:
    """A person on a list. `address` is canonical, or as written where `invalid` says why it cannot be mailed."""

    address: str
    fields: Mapping[str, str] = field(default_factory=dict)  # every column but tags; email as it was written
    tags: tuple[str, ...] = ()
    source: str = ""  # file:line
    invalid: str = ""

    @property
    def name(self) -> str:
        """The name as a To header shows it; none is guessed."""
        given, family = self.fields.get("first_name", ""), self.fields.get("last_name", "")
        return self.fields.get("name", "") or f"{given} {family}".strip()


def canonical_address(text: str) -> str:
    """NFC, lower case, the domain as A-label; plus and dots are kept. Raises ValueError with the reason."""
    text = text.strip()
    if _PLAIN.fullmatch(text) and "--" not in text:
        return text.lower()
    if _FORBIDDEN.search(text):
        raise ValueError("a line break or control character in the address")
    import email_validator  # 60 ms, and most lists never need it

    try:
        valid = email_validator.validate_email(text, check_deliverability=False)
    except email_validator.EmailNotValidError as error:
        raise ValueError(str(error).rstrip(".")) from None
    return f"{unicodedata.normalize('NFC', valid.local_part.lower())}@{valid.ascii_domain.lower()}"


def read_contacts(path: Path, name: str) -> Iterator[Contact]:
    """The contacts of a CSV file, streaming; `name` is what messages call the file.

    An invalid address comes out as a contact that says so. Raises InputError for a file that cannot be read:
    encoding, heading, quoting, control characters.
    """
    for line, row in read_rows(path, name, required="email"):
        source, written = f"{name}:{line}", row["email"].strip()
        fields = {column: value.strip() for column, value in row.items()}
        if not "".join(row.values()).isprintable():  # rare, and a million rows need not be searched cell by cell
            fields = _folded(row, name, line)
        fields["email"] = written
        tags = tuple(filter(None, (tag.strip() for tag in fields.pop("tags", "").split(";"))))
        if not written:
            # A row of its own in the ledger, so that nobody is dropped: no two rows share this text.
            yield Contact(f"(no address, {source})", fields, tags, source, "no address")
            continue
        try:
            yield Contact(canonical_address(written), fields, tags, source)
        except ValueError as error:
            shown = _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", written)
            yield Contact(shown, fields | {"email": shown}, tags, source, str(error))


_FOLD = re.compile(r"[\t\r\n]+ *")


def _folded(row: Mapping[str, str], name: str, line: int) -> dict[str, str]:
    fields = {column: _FOLD.sub(" ", value).strip() for column, value in row.items()}
    for column, value in fields.items():
        if column != "email" and _FORBIDDEN.search(value):
            raise InputError(Problem(name, line, f"a control character in {column}: {value!r}"))
    return fields


# Suppressions ------------------------------------------------------------------------------------------------------


# What is left of a person who was forgotten: "forgotten:" and 32 characters that only who has the key can make.
FORGOTTEN = "forgotten:"
_PSEUDONYM = re.compile(FORGOTTEN + "[a-z2-7]{32}")

# A cell that begins so is a formula to a spreadsheet. It is written with an apostrophe before it, and read without.
FORMULA = re.compile("'*[=+@＝＋－＠-]")


@dataclass(frozen=True, slots=True)
class Suppression:
    """An address that must never be mailed, and why. `address` is canonical, or a forgotten person's pseudonym."""

    address: str
    reason: str = ""
    since: str = ""
    source: str = ""


def read_suppressions(path: Path, name: str) -> Iterator[Suppression]:
    """The rows of `contacts/suppressed.csv`; none where there is no such file.

    Raises InputError as `read_contacts` does, and for an invalid address: a wish not to be mailed that we cannot
    understand must stop us, not be passed over.
    """
    if not os.path.lexists(path):  # a broken link is no empty list
        return
    for line, cells in read_rows(path, name, required="email"):
        row = {key: cell[1:] if cell[:1] == "'" and FORMULA.match(cell) else cell for key, cell in cells.items()}
        address = row["email"].strip()
        try:
            address = address if _PSEUDONYM.fullmatch(address) else canonical_address(address)
        except ValueError as error:
            message = f"{row['email']!r} is no address ({error}), so nobody can be kept from being mailed by it"
            raise InputError(Problem(name, line, message, "mend the address or delete the row")) from None
        yield Suppression(address, row.get("reason", ""), row.get("since", ""), row.get("source", ""))


def read_columns(folder: Path, name: str) -> set[str]:
    """The columns of a list, known fields among them. Raises InputError for a list that is not there."""
    return {"email", "name", *read_heading(*_list(folder, name))} - {"", "tags"}


def read_lists(folder: Path, lists: Iterable[str]) -> Iterator[Contact]:
    """The contacts of several lists, one after the other. Raises InputError for a list that is not there."""
    for name in lists:
        yield from read_contacts(*_list(folder, name))


def lists_sha256(folder: Path, lists: Iterable[str]) -> str:
    """Of the lists' bytes: as long as it is the same, nobody joined. Raises InputError for a list that is not there."""
    digests = []
    for name in lists:
        path, shown = _list(folder, name)
        try:
            with path.open("rb") as stream:
                digests.append(hashlib.file_digest(stream, "sha256").digest())
        except OSError as error:
            raise InputError(Problem(shown, None, f"cannot be read: {error.strerror}")) from None
    return hashlib.sha256(b"".join(digests)).hexdigest()


def list_names(folder: Path) -> list[str]:
    """The lists that there are."""
    return sorted(path.stem for path in folder.glob("*.csv") if path.is_file() and path.stem != "suppressed")


def _list(folder: Path, name: str) -> tuple[Path, str]:
    path, shown = folder / f"{name}.csv", f"{folder.name}/{name}.csv"
    if not path.is_file():
        message = f'there is no list "{name}"{did_you_mean(name, list_names(folder))}'
        raise InputError(Problem(shown, None, message, f"make {shown}, or name another list: audience: […]"))
    return path, shown
