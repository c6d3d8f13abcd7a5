"""Between a receipt and the ledger: what the ledger learns from it, before a run, and what the run writes into it.

A receipt whose serial the ledger does not know was written by another ledger, or later than this one was copied: then
it knows better. Of one that is not finished, who waits may have got it meanwhile, and is unknown here.
"""

import contextlib
import secrets
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from .contact import Contact
from .disk import write_pieces_atomically
from .errors import SentElsewhere, TryLater
from .ledger import Audience, Ledger, Mistakes, Planned, Sending, Tally
from .receipt import (
    LETTER_OF,
    STATE_OF,
    VERSION,
    Receipt,
    compose,
    count,
    in_order,
    key_mark,
    person,
    read_receipt,
    receipt_file,
)

_INTERVAL = 60.0  # seconds between two writings as the run goes on
_SHARE = 50  # and so many times as long as one takes: of a million people's, 4 seconds, at most 2 % of a run
_FEW = 1000  # people who are looked up one by one

# Before the first message -----------------------------------------------------------------------------------------


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
    """Plan whom the receipt names, and write down what became of them. May be repeated."""
    better = _better(receipt, ledger, sending, key)

    def mistakes_of_the_waiting(contact: Contact) -> list[str]:
        return mistakes(contact) if better(contact.address) == "waiting" else []

    named = (contact for contact in contacts if better(contact.address))
    audience = ledger.stage(sending, named, fields, mistakes_of_the_waiting)
    if audience.mistakes:
        return Learnt(audience, Tally())
    if audience.people:
        ledger.plan(sending, planned, now)
    return Learnt(audience, correct(receipt, ledger, sending, key))


def correct(receipt: Receipt, ledger: Ledger, sending: Sending, key: bytes) -> Tally:
    """Write down what the receipt knows better of those who are planned. Returns whom it names beside them.

    Nobody is made waiting by it: where the ledger says unknown, and the receipt that somebody waits, the next run of
    this ledger could not know what the last one did.
    """
    better, met = _better(receipt, ledger, sending, key), Counter[str]()
    reply = f"as {receipt.name} says, written {receipt.written}"

    def rows() -> Iterator[tuple[str, str, str]]:
        for address, _, _ in ledger.people(sending):
            if state := better(address):
                met[state] += 1
                if state != "waiting":
                    yield address, state, reply

    ledger.overwrite(sending, rows())
    is_news = not ledger.has_serial(sending.issue, receipt.serial)
    named = Counter(_state(receipt, letter) for letter in receipt.letters if is_news or letter.isupper())
    return Tally(**(named - met))


def _better(receipt: Receipt, ledger: Ledger, sending: Sending, key: bytes) -> Callable[[str], str]:
    """The state of an address, as far as the receipt is news; empty where it is not."""
    is_news, number = not ledger.has_serial(sending.issue, receipt.serial), person(key, sending.issue)

    def better(address: str) -> str:
        letter = receipt.letter(number(address))
        return _state(receipt, letter) if letter and (is_news or letter.isupper()) else ""

    return better


def _state(receipt: Receipt, letter: str) -> str:
    # A capital was not the writer's to send to, so that there is no doubt in it.
    if letter in ("w", "d") and not receipt.finished:
        return "unknown"
    return "waiting" if letter in ("d", "D") else STATE_OF[letter.lower()]


# As the run goes on, and at its end -----------------------------------------------------------------------------


class Writer:
    """Writes the receipt of a sending that this process holds, once it is planned."""

    def __init__(
        self, project: Path, ledger: Ledger, sending: Sending, key: bytes, allowed: Mapping[str, str] | None = None
    ) -> None:
        """`ledger` is the one that the run writes to. Raises SentElsewhere as `find_receipt` does."""
        self._path, self._ledger, self._sending, self._key = receipt_file(project, sending.issue), ledger, sending, key
        self._planned, known = ledger.planned(sending), find_receipt(project, ledger, sending.issue, key)
        edition = self._planned.edition if self._planned else ""
        # With another key its strangers mean nothing; of another edition, which nobody has got, they are none.
        is_kept = known and known.key == key_mark(key) and (known.is_sent or known.edition == edition)
        self._known = known if is_kept else None
        earlier = self._known.allow if self._known else {}
        self._allowed = {**earlier, **(allowed or {})}
        self._stamped: Receipt | None = None  # it said it all when this run began
        self._touched = set[str]()  # to whom this run has sent since, or tried to; no more than a few
        self._cost, self._written = 0.0, time.monotonic()

    def begin(self) -> None:
        """Before the first message: who is planned, and that it is under way. Raises TryLater: then nothing may go."""
        known, issue = self._known, self._sending.issue
        if known and has_lessons(known, self._ledger, issue):
            correct(known, self._ledger, self._sending, self._key)
        planned = self._ledger.tally(self._sending).planned
        if known and self._ledger.has_serial(issue, known.serial) and len(known.letters) - known.strangers == planned:
            # Everybody is in it already; what has become of some since is no news to who must not send to them.
            self._stamped = known if known.finished else None
            self._write(known.hashes, known.letters, finished=False)
        else:
            self.write(finished=False)

    def touch(self, address: str) -> None:
        """Something is to become of this person."""
        if len(self._touched) <= _FEW:
            self._touched.add(address)

    def now_and_then(self) -> None:
        """As it goes on: write it anew if the last time is long enough ago. That it cannot be written stops nothing."""
        if time.monotonic() - self._written > max(_INTERVAL, _SHARE * self._cost):
            with contextlib.suppress(TryLater):
                self.write(finished=False)
            self._written = time.monotonic()

    def write(self, *, finished: bool) -> None:
        """Write what the ledger says now, and the strangers that an earlier receipt names. Raises TryLater."""
        began = time.monotonic()
        if self._stamped and (letters := self._mended(self._stamped)):
            self._write(self._stamped.hashes, letters, finished=finished)
        else:
            number = person(self._key, self._sending.issue)
            rows = ((number(address), state) for address, state, _ in self._ledger.people(self._sending))
            hashes, found = array("Q"), bytearray()
            for each, letter in _with_strangers(in_order(rows), self._known):
                hashes.append(each)
                found += letter.encode()
            self._write(hashes, found.decode(), finished=finished)
        self._cost = time.monotonic() - began

    def _mended(self, stamped: Receipt) -> str:
        """The letters, mended for the few who were touched since; empty where more has happened than that.

        A million people take 4 seconds to go through, and a run often finishes with a few.
        """
        if len(self._touched) > _FEW:
            return ""
        number, letters = person(self._key, self._sending.issue), bytearray(stamped.letters.encode())
        for address in self._touched:
            at = stamped.place(number(address))
            states = [state for each, state, _ in self._ledger.people(self._sending, address) if each == address]
            if at is None or not states:
                return ""
            letters[at] = ord(LETTER_OF[states[0]])
        mended = letters.decode()
        return mended if count(mended) == self._ledger.tally(self._sending) else ""

    def _write(self, hashes: "array[int]", letters: str, *, finished: bool) -> None:
        serial, now = secrets.token_hex(16), f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        head = {
            "version": VERSION,
            "issue": self._sending.issue,
            "edition": self._planned.edition if self._planned else "",
            "transport": self._planned.transport if self._planned else "",
            "begun": self._known.begun if self._known else now,
            "written": now,
            "finished": finished,
            **({"allow": self._allowed} if self._allowed else {}),
            "serial": serial,
            "key": key_mark(self._key),
        }
        # The other way round a run that dies in between would find a receipt that it does not know for its own.
        self._ledger.add_serial(self._sending.issue, serial)
        write_pieces_atomically(self._path, compose(head, hashes, letters))
        self._written = time.monotonic()


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
    in_doubt = known is not None and _state(known, letter) == "unknown"
    return number, "U" if in_doubt else letter.upper()
