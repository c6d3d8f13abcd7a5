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
import hmac
import itertools
import json
import os
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import Problem, SentElsewhere
from .forgotten import identity
from .ledger import STATES, Tally
from .unsubscribe import keyed

VERSION = 1
STATE_OF = {state[0]: state for state in STATES}
_LETTER = {state: letter for letter, state in STATE_OF.items()} | {"sending": "u"}
_LINE = 64  # people; a diff shows the lines where something became of somebody
_SIZE = 8  # bytes a person: that any two of a million have the same ones, one in 37 million
_INTERVAL = 60.0  # seconds between two writings as the run goes on; at a million people, one takes 5

People = Iterable[tuple[int, str]]  # eight bytes as a number, and the letter; in the order of the numbers


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

    def letter(self, person: int) -> str:
        """What became of a person; empty for a stranger."""
        at = bisect_left(self.hashes, person)
        return self.letters[at] if at < len(self.hashes) and self.hashes[at] == person else ""

    @property
    def people(self) -> People:
        """All of them."""
        return zip(self.hashes, self.letters, strict=True)

    @property
    def tally(self) -> Tally:
        """How many are in each state, as far as it knows."""
        counts = Counter(STATE_OF[letter] for letter in self.letters.lower())
        return Tally(**counts)

    @property
    def strangers(self) -> int:
        """How many were on no list where it was written."""
        return sum(map(str.isupper, self.letters))

    @property
    def is_sent(self) -> bool:
        """Whether anybody has got it, or may have."""
        return not set(self.letters.lower()) <= set("rs" if not self.finished else "rswd")


def receipt_file(project: Path, issue: str) -> Path:
    """Where the receipt of an issue lies."""
    return project / "sends" / f"{issue}.json"


def receipt_numbers(project: Path) -> list[str]:
    """The issues that have a receipt."""
    return [path.stem for path in sorted((project / "sends").glob("*.json"))]


def person(key: bytes, issue: str) -> Callable[[str], int]:
    """Makes an address (canonical), or the pseudonym that it has become, the number that stands in the receipt."""
    prefix = f"receipt\0{issue}\0".encode()
    return lambda address: int.from_bytes(hmac.digest(key, prefix + identity(key, address), "sha256")[:_SIZE])


def key_mark(key: bytes) -> str:
    """What a receipt says of the key that wrote it."""
    return keyed(key, "receipt key")[:16]


def read_receipt(project: Path, issue: str) -> Receipt | None:
    """The receipt of an issue, None where there is none. Raises SentElsewhere for one that cannot be understood."""
    path, name = receipt_file(project, issue), f"sends/{issue}.json"
    if not os.path.lexists(path):
        return None
    hint = f"git log {name}, and git checkout the last one that was whole"
    try:
        found = json.loads(path.read_bytes())
        if found["version"] != VERSION or found["issue"] != issue:
            hint = "use the version of mailer that wrote it, or a later one"
            raise ValueError(f"it is of version {found['version']}, for issue {found['issue']}")
        hashes, letters = array("Q"), []
        for line, states in found["people"]:
            numbers = array("Q", base64.b64decode(line, validate=True))
            numbers.byteswap()
            hashes += numbers
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
            hashes,
            "".join(letters),
        )
        if len(hashes) != len(receipt.letters) or not set(receipt.letters.lower()) <= STATE_OF.keys():
            raise ValueError("its people and their states do not fit together")
    except OSError as error:
        raise SentElsewhere(Problem(name, None, f"cannot be read: {error.strerror}")) from None
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        raise SentElsewhere(Problem(name, line, f"is no receipt: {error}", hint)) from None
    return receipt


def compose(head: dict[str, Any], people: People) -> bytes:
    """A receipt's text: the head with the counts, then the people, some on each line."""
    counts, lines, numbers = Counter[str](), list[bytes](), iter(people)
    while line := list(itertools.islice(numbers, _LINE)):
        hashes = b"".join(number.to_bytes(_SIZE) for number, _ in line)
        letters = "".join(letter for _, letter in line)
        counts.update(letters.lower())
        lines.append(b'%s\n    ["%s", "%s"]' % (b"," if lines else b"", base64.b64encode(hashes), letters.encode()))
    states = {state: counts[letter] for letter, state in STATE_OF.items()}
    text = json.dumps({**head, "planned": counts.total(), **states}, indent=2, ensure_ascii=False)
    return b"".join([text[:-2].encode(), b',\n  "people": [', *lines, b"\n  ]\n}\n"])


def in_order(rows: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """By number. In 256 parts, each sorted by itself: 9 bytes a person, where a list of all would take 150."""
    parts = [bytearray() for _ in range(256)]
    for number, state in rows:
        parts[number >> 56] += number.to_bytes(_SIZE) + _LETTER[state].encode()
    for part in parts:
        for row in sorted(bytes(part[at : at + 9]) for at in range(0, len(part), 9)):
            yield int.from_bytes(row[:_SIZE]), chr(row[_SIZE])


def git_command(project: Path, issue: str, words: str) -> str:
    """How to commit the receipt; empty where there is none, or no git."""
    name = receipt_file(project, issue).relative_to(project)
    if not (project / name).exists() or not any((folder / ".git").exists() for folder in (project, *project.parents)):
        return ""
    return f'git add {name} && git commit -m "Issue {issue}: {words}" {name}'
