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
import itertools
import json
import os
import secrets
import time
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .contact import Contact
from .disk import write_atomically
from .errors import Problem, SentElsewhere, TryLater
from .forgotten import identity
from .ledger import STATES, Audience, Ledger, Mistakes, Planned, Sending, Tally
from .unsubscribe import keyed

_VERSION = 1
_STATE = {state[0]: state for state in STATES}
_LETTER = {state: letter for letter, state in _STATE.items()} | {"sending": "u"}
_LINE = 64  # people; a diff shows the lines where something became of somebody
_SIZE = 8  # bytes a person: that any two of a million have the same ones, one in 37 million
_INTERVAL = 60.0  # seconds between two writings as the run goes on; at a million people, one takes 5

People = Iterable[tuple[int, str]]  # eight bytes as a number, and the letter; in the order of the numbers


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt that was read."""

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
        counts = Counter(_STATE[letter] for letter in self.letters.lower())
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


def person(key: bytes, issue: str) -> Callable[[str], int]:
    """Makes an address (canonical), or the pseudonym that it has become, the number that stands in the receipt."""
    prefix = f"receipt\0{issue}\0".encode()
    return lambda address: int.from_bytes(hmac.digest(key, prefix + identity(key, address), "sha256")[:_SIZE])


def key_mark(key: bytes) -> str:
    """What a receipt says of the key that wrote it."""
    return keyed(key, "receipt key")[:16]


# Before the first message -----------------------------------------------------------------------------------------


def read_receipt(project: Path, issue: str) -> Receipt | None:
    """The receipt of an issue, None where there is none. Raises SentElsewhere for one that cannot be understood."""
    path, name = receipt_file(project, issue), f"sends/{issue}.json"
    if not os.path.lexists(path):
        return None
    hint = f"git log {name}, and git checkout the last one that was whole"
    try:
        found = json.loads(path.read_bytes())
        if found["version"] != _VERSION or found["issue"] != issue:
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
            name, edition, transport, serial, mark, begun, written, found["finished"] is True, hashes, "".join(letters)
        )
        if len(hashes) != len(receipt.letters) or not set(receipt.letters.lower()) <= _STATE.keys():
            raise ValueError("its people and their states do not fit together")
    except OSError as error:
        raise SentElsewhere(Problem(name, None, f"cannot be read: {error.strerror}")) from None
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        raise SentElsewhere(Problem(name, line, f"is no receipt: {error}", hint)) from None
    return receipt


def find_receipt(project: Path, ledger: Ledger, issue: str, key: bytes | None) -> Receipt | None:
    """The receipt of an issue. Raises SentElsewhere where it knows better than the ledger, and the key is missing."""
    receipt = read_receipt(project, issue)
    if receipt and has_lessons(receipt, ledger, issue) and (key is None or receipt.key != key_mark(key)):
        said = ", ".join(f"{getattr(receipt.tally, state)} {state}" for state in ("accepted", "unknown"))
        which = "the key is not here" if key is None else "the key here is another one"
        raise SentElsewhere(
            f"issue {issue} was sent from elsewhere: {receipt.name}, written {receipt.written}, says {said}."
            f" Only the key that wrote it tells who, and {which}",
            hint="copy .mailer/key from the machine that sent (or set the variable of secret_env), then run it again",
        )
    return receipt


def has_lessons(receipt: Receipt, ledger: Ledger, issue: str) -> bool:
    """Whether there is something in it that the ledger may not know."""
    return not ledger.has_serial(issue, receipt.serial) or receipt.strangers > 0


@dataclass(frozen=True, slots=True)
class Learnt:
    """What a receipt has taught the ledger."""

    audience: Audience  # whom it planned for that; the mistakes are of those alone who are still to be mailed
    strangers: Tally  # whom the receipt names, and no list here


def learn(
    receipt: Receipt, ledger: Ledger, sending: Sending, contacts: Iterable[Contact], planned: Planned,
    fields: Iterable[str], mistakes: Mistakes, *, key: bytes, now: datetime,
) -> Learnt:  # fmt: skip
    """Plan whom the receipt names, and write down what became of them. May be repeated.

    What the ledger has accepted, refused or unknown stays so where the receipt says that somebody waits.
    """
    is_news, number = not ledger.has_serial(sending.issue, receipt.serial), person(key, sending.issue)
    reply = f"as {receipt.name} says, written {receipt.written}"

    def is_news_of(letter: str) -> bool:
        return is_news or letter.isupper()

    def state(letter: str) -> str:
        in_doubt = letter in ("w", "d") and not receipt.finished
        return "unknown" if in_doubt else "waiting" if letter in ("d", "D") else _STATE[letter.lower()]

    def better(address: str) -> str:
        letter = receipt.letter(number(address))
        return state(letter) if letter and is_news_of(letter) else ""

    def mistakes_of_the_waiting(contact: Contact) -> list[str]:
        return mistakes(contact) if better(contact.address) == "waiting" else []

    named = (contact for contact in contacts if better(contact.address))
    audience = ledger.stage(sending, named, fields, mistakes_of_the_waiting)
    if audience.mistakes:
        return Learnt(audience, Tally())
    ledger.plan(sending, planned, now)
    met = Counter[str]()

    def rows() -> Iterator[tuple[str, str, str]]:
        for address, _, _ in ledger.people(sending):
            if found := better(address):
                met[found] += 1
                if found != "waiting":
                    yield address, found, reply

    ledger.overwrite(sending, rows())
    named_there = Counter(state(letter) for letter in receipt.letters if is_news_of(letter))
    return Learnt(audience, Tally(**(named_there - met)))


# As the run goes on, and at its end -----------------------------------------------------------------------------


class Writer:
    """Writes the receipt of a sending that this process holds, once it is planned."""

    def __init__(self, project: Path, ledger: Ledger, sending: Sending, key: bytes) -> None:
        """`ledger` is the one that the run writes to. Raises SentElsewhere for a receipt that cannot be understood."""
        self._path, self._ledger, self._sending, self._key = receipt_file(project, sending.issue), ledger, sending, key
        self._planned, known = ledger.planned(sending), read_receipt(project, sending.issue)
        edition = self._planned.edition if self._planned else ""
        # With another key its strangers mean nothing; of another edition, which nobody has got, they are none.
        is_kept = known and known.key == key_mark(key) and (known.is_sent or known.edition == edition)
        self._known = known if is_kept else None
        self._cost, self._written = 0.0, time.monotonic()

    def begin(self) -> None:
        """Before the first message: who is planned, and that it is under way. Raises TryLater: then nothing may go."""
        known, tally = self._known, self._ledger.tally(self._sending)
        if (
            known
            and self._ledger.has_serial(self._sending.issue, known.serial)
            and len(known.letters) - known.strangers == tally.planned
        ):
            # Everybody is in it already; what has become of some since is no news to who must not send to them.
            self._write(known.people, finished=False)
        else:
            self.write(finished=False)

    def now_and_then(self) -> None:
        """As it goes on: write it anew if the last time is long enough ago. That it cannot be written stops nothing."""
        if time.monotonic() - self._written > max(_INTERVAL, 50 * self._cost):
            with contextlib.suppress(TryLater):
                self.write(finished=False)
            self._written = time.monotonic()

    def write(self, *, finished: bool) -> None:
        """Write what the ledger says now, and the strangers that an earlier receipt names. Raises TryLater."""
        began = time.monotonic()
        number = person(self._key, self._sending.issue)
        rows = ((number(address), state) for address, state, _ in self._ledger.people(self._sending))
        self._write(_with_strangers(_in_order(rows), self._known), finished=finished)
        self._cost = time.monotonic() - began

    def _write(self, people: People, *, finished: bool) -> None:
        serial, now = secrets.token_hex(16), f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        head = {
            "version": _VERSION,
            "issue": self._sending.issue,
            "edition": self._planned.edition if self._planned else "",
            "transport": self._planned.transport if self._planned else "",
            "begun": self._known.begun if self._known else now,
            "written": now,
            "finished": finished,
            "serial": serial,
            "key": key_mark(self._key),
        }
        data = compose(head, people)
        # The other way round a run that dies in between would find a receipt that it does not know for its own.
        self._ledger.add_serial(self._sending.issue, serial)
        write_atomically(self._path, data)
        self._written = time.monotonic()


def compose(head: dict[str, Any], people: People) -> bytes:
    """A receipt's text: the head with the counts, then the people, some on each line."""
    counts, lines, numbers = Counter[str](), [], iter(people)
    while line := list(itertools.islice(numbers, _LINE)):
        hashes = b"".join(number.to_bytes(_SIZE) for number, _ in line)
        letters = "".join(letter for _, letter in line)
        counts.update(letters.lower())
        lines.append(f'["{base64.b64encode(hashes).decode()}", "{letters}"]')
    states = {state: counts[letter] for letter, state in _STATE.items()}
    text = json.dumps({**head, "planned": counts.total(), **states}, indent=2, ensure_ascii=False)
    body = ",\n    ".join(lines)
    return f'{text[:-2]},\n  "people": [\n    {body}\n  ]\n}}\n'.encode()


def _in_order(rows: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """By number. In 256 parts, each sorted by itself: 9 bytes a person, where a list of all would take 150."""
    parts = [bytearray() for _ in range(256)]
    for number, state in rows:
        parts[number >> 56] += number.to_bytes(_SIZE) + _LETTER[state].encode()
    for part in parts:
        for row in sorted(bytes(part[at : at + 9]) for at in range(0, len(part), 9)):
            yield int.from_bytes(row[:_SIZE]), chr(row[_SIZE])


def _with_strangers(rows: Iterator[tuple[int, str]], known: Receipt | None) -> Iterator[tuple[int, str]]:
    """The ledger's people, and in capitals whom only an earlier receipt knows."""
    strangers = iter(known.people) if known else iter(())
    stranger = next(strangers, None)
    for row in rows:
        while stranger and stranger[0] <= row[0]:
            if stranger[0] < row[0]:
                yield _carried(known, *stranger)
            stranger = next(strangers, None)
        yield row
    while stranger:
        yield _carried(known, *stranger)
        stranger = next(strangers, None)


def _carried(known: Receipt | None, number: int, letter: str) -> tuple[int, str]:
    # Who waits in a run that nobody has heard the end of may have got it; a capital was not that run's to send to.
    in_doubt = known is not None and not known.finished and letter in "wd"
    return number, "U" if in_doubt else letter.upper()


def git_command(project: Path, issue: str, words: str) -> str:
    """How to commit the receipt; empty where there is none, or no git."""
    name = receipt_file(project, issue).relative_to(project)
    if not (project / name).exists() or not any((folder / ".git").exists() for folder in (project, *project.parents)):
        return ""
    return f'git add {name} && git commit -m "Issue {issue}: {words}" {name}'
