"""Receipts, `sends/N.json`: what became of an issue, for git. No address stands in one.

A person is eight bytes that only who has the publication's key can make of the address, for this issue alone: a fresh
clone with the key finishes the issue without sending it to anybody twice, one without the key is refused. One letter
says what became of the person:

    a accepted   r refused   s suppressed   w waiting   d deferred   u unknown, or on its way

and a capital that whoever wrote the receipt had the person on no list: it is carried on from an earlier receipt.

A receipt is written before the first message of a run ("finished": false), now and then as it goes on, and at its end.
Each has a serial, which the ledger remembers: a receipt with another serial was written by another ledger, or later
than this one was copied, and knows better. Of one that is not finished, who waits may have got it meanwhile: unknown.
"""

import base64
import contextlib
import hmac
import json
import os
import sys
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from .errors import Problem, SentElsewhere
from .forgotten import identities
from .ledger import STATES, Tally
from .unsubscribe import keyed

VERSION = 1
STATE_OF = {state[0]: state for state in STATES}
_LETTERS = "".join(STATE_OF)
LETTER_OF = {state: letter for letter, state in STATE_OF.items()} | {"sending": "u"}
_INDEX = {state: _LETTERS.index(letter) for state, letter in LETTER_OF.items()}
_LINE = 64  # people; a diff shows the lines where something became of somebody
_FREE = 7  # the bits of a number that are always 0. 61 are left: that any two of a million are one, 1 in 5 million


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt that was read."""

    issue: str
    name: str  # the file
    edition: str
    transport: str
    serial: str
    key: str  # tells whether it was written with the same key, and not which
    begun: str
    written: str
    finished: bool
    hashes: "array[int]"  # ascending
    letters: str  # one for each
    allow: Mapping[str, str] = field(default_factory=dict)  # rules of the checks that were passed over, and why

    def place(self, person: int) -> int | None:
        """Where a person stands; None where nowhere."""
        at = bisect_left(self.hashes, person)
        return at if at < len(self.hashes) and self.hashes[at] == person else None

    def letter(self, person: int) -> str:
        """What became of a person; empty for a stranger."""
        at = self.place(person)
        return "" if at is None else self.letters[at]

    @property
    def people(self) -> Iterator[tuple[int, str]]:
        """All of them, by number."""
        return zip(self.hashes, self.letters, strict=True)

    @property
    def tally(self) -> Tally:
        """How many are in each state, as far as it knows."""
        return count(self.letters.lower())

    @property
    def strangers(self) -> int:
        """How many were on no list where it was written."""
        return sum(self.letters.count(letter.upper()) for letter in _LETTERS)

    @property
    def is_sent(self) -> bool:
        """Whether anybody has got it, or may have."""
        return not set(self.letters.lower()) <= set("rs" if not self.finished else "rswd")


def count(letters: str) -> Tally:
    """How many are in each state; strangers, in capitals, do not count."""
    return Tally(**{state: letters.count(letter) for letter, state in STATE_OF.items()})


def receipt_file(project: Path, issue: str) -> Path:
    """Where the receipt of an issue lies."""
    return project / "sends" / f"{issue}.json"


def receipt_numbers(project: Path) -> list[str]:
    """The issues that have a receipt."""
    return [path.stem for path in sorted((project / "sends").glob("*.json"))]


def person(key: bytes, issue: str) -> Callable[[str], int]:
    """Makes an address (canonical), or the pseudonym that it has become, the number that stands in the receipt."""
    identity = identities(key)
    begun = blake2b(key=hmac.digest(key, f"receipt\0{issue}".encode(), "sha256"), digest_size=8)

    def number(address: str) -> int:
        mac = begun.copy()
        mac.update(identity(address))
        return int.from_bytes(mac.digest()) & ~_FREE

    return number


def key_mark(key: bytes) -> str:
    """What a receipt says of the key that wrote it."""
    return keyed(key, "receipt key")[:16]


def is_open(project: Path, issue: str) -> bool:
    """Whether the receipt says that its run goes on. Only its head is read, not a million people."""
    with contextlib.suppress(OSError), receipt_file(project, issue).open("rb") as file:
        return b'"finished": false' in file.read(4096).partition(b'"people"')[0]
    return False


def read_receipt(project: Path, issue: str) -> Receipt | None:
    """The receipt of an issue, None where there is none. Raises SentElsewhere for one that cannot be understood."""
    path, name = receipt_file(project, issue), f"sends/{issue}.json"
    if not os.path.lexists(path):
        return None
    try:
        about = path.stat()
    except OSError as error:
        raise SentElsewhere(Problem(name, None, f"cannot be read: {error.strerror}")) from None
    return _read(path, name, issue, (about.st_mtime_ns, about.st_size, about.st_ino))


@lru_cache(maxsize=1)  # a run asks twice, before and after a person has said yes; a million people take 0.3 s
def _read(path: Path, name: str, issue: str, _unchanged: tuple[int, ...]) -> Receipt:
    hint = f"git log {name}, and git checkout the last one that was whole"
    try:
        found = json.loads(path.read_bytes())
        if found["version"] != VERSION or found["issue"] != issue:
            hint = "use the version of mailer that wrote it, or a later one"
            raise ValueError(f"it is of version {found['version']}, for issue {found['issue']}")
        hashes, letters = array("Q"), []
        for line, states in found["people"]:
            hashes.frombytes(base64.b64decode(line, validate=True))
            letters.append(states)
        edition, transport, serial, mark, begun, written = (
            str(found[each]) for each in ("edition", "transport", "serial", "key", "begun", "written")
        )
        receipt = Receipt(
            issue,
            name,
            edition,
            transport,
            serial,
            mark,
            begun,
            written,
            found["finished"] is True,
            _big_endian(hashes),
            "".join(letters),
            {str(rule): str(reason) for rule, reason in dict(found.get("allow", {})).items()},
        )
        if len(hashes) != len(receipt.letters) or not set(receipt.letters.lower()) <= STATE_OF.keys():
            raise ValueError("its people and their states do not fit together")
    except OSError as error:
        raise SentElsewhere(Problem(name, None, f"cannot be read: {error.strerror}")) from None
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        raise SentElsewhere(Problem(name, line, f"is no receipt: {error}", hint)) from None
    return receipt


def compose(head: Mapping[str, Any], hashes: "array[int]", letters: str) -> Iterator[bytes]:
    """A receipt's text, piece by piece: the head with the counts, then the people, some on each line."""
    states = {state: letters.lower().count(letter) for letter, state in STATE_OF.items()}
    text = json.dumps({**head, "planned": len(letters), **states}, indent=2, ensure_ascii=False)
    yield text[:-2].encode() + b',\n  "people": ['
    for at in range(0, len(letters), _LINE):
        line = base64.b64encode(_big_endian(hashes[at : at + _LINE]))
        yield b'%s\n    ["%s", "%s"]' % (b"," if at else b"", line, letters[at : at + _LINE].encode())
    yield b"\n  ]\n}\n"


def _big_endian(numbers: "array[int]") -> "array[int]":
    swapped = array("Q", numbers)
    if sys.byteorder == "little":
        swapped.byteswap()
    return swapped


def in_order(rows: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """(number, state) of each person as (number, letter), by number; doubles stay.

    In 256 parts, each sorted by itself, with the state in the bits that a number leaves free: 8 bytes a person, where
    a list of them all would take 150.
    """
    parts = [array("Q") for _ in range(256)]
    for number, state in rows:
        parts[number >> 56].append(number | _INDEX[state])
    for part in parts:
        for each in sorted(part):
            yield each & ~_FREE, _LETTERS[each & _FREE]


def git_command(project: Path, issue: str, words: str) -> str:
    """How to commit the receipt; empty where there is none, or no git."""
    name = receipt_file(project, issue).relative_to(project)
    if not (project / name).exists() or not any((folder / ".git").exists() for folder in (project, *project.parents)):
        return ""
    return f'git add {name} && git commit -m "Issue {issue}: {words}" {name}'
