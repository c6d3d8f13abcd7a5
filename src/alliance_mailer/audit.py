"""What `mailer audit` does: prove that everybody planned is accounted for, once, and that the receipt says the same."""

import contextlib
import heapq
import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path

from .config import Config
from .errors import InputError
from .handover import find_receipt
from .ledger import KEPT, STATES, Ledger, Sending, read_ledger
from .receipt import Receipt, in_order, key_mark, person, receipt_file
from .report import Report, people
from .run import finish_receipt
from .signing import existing_key


def audit(project: Path, config: Config, report: Report, number: str) -> int:
    """Print the equation, and whatever contradicts it. Returns the exit code: 1 where something does.

    Raises SentElsewhere where the receipt cannot be understood, or only with another key; TryLater where an open one
    cannot be finished.
    """
    sending, key = Sending(number, rehearsal=False), existing_key(project, config.secret_env, os.environ)
    with contextlib.closing(read_ledger(config.ledger)) as ledger:
        finish_receipt(project, config, ledger, sending)
        receipt = find_receipt(project, ledger, number, key)
        if sending not in ledger.sendings() and receipt is None:
            raise InputError(f"issue {number} was not sent: no ledger and no receipt knows it", hint="mailer status")
        problems, notes = list[str](), list[str]()
        for severe, text in _findings(project, ledger, sending, receipt, key):
            (problems if severe else notes).append(text)
        tally = ledger.tally(sending)
        name = receipt_file(project, number).relative_to(project).as_posix() if receipt else None
        equation = " + ".join(f"{getattr(tally, state)} {state}" for state in STATES)
        report.say(f"issue {number}: {tally.planned} planned = {equation}")
        for note in notes:
            report.say(f"  note: {note}")
        for problem in problems:
            report.say(f"  problem: {problem}")
        if not problems:
            agrees = f", and {name} says the same" if receipt and not notes else ""
            report.say(f"Everybody is accounted for, once{agrees}.")
        document = report.tally(sending, tally, ledger.planned(sending))
        report.document(document | {"receipt": name, "notes": notes, "problems": problems})
        return 1 if problems else 0


def _findings(
    project: Path, ledger: Ledger, sending: Sending, receipt: Receipt | None, key: bytes | None
) -> Iterator[tuple[bool, str]]:
    """What is to be said, and whether it is a problem."""
    number = sending.issue
    for words in ledger.damage():
        yield True, f"the ledger is damaged: {words}; restore it from a backup"
    tally, rows = ledger.tally(sending), sum(1 for _ in ledger.people(sending))
    if rows != tally.planned:
        yield True, f"{rows} rows, but the states make {tally.planned}"
    if ledger.is_held(number):
        yield False, "a run is under way; the receipt is looked at when it has ended"
        return
    if claimed := ledger.claimed(sending):
        yield False, f"{people(claimed)} of the waiting claimed by a run that died; the next run makes them unknown"
    if receipt is None and tally.accepted + tally.unknown:
        yield True, f"there is no receipt sends/{number}.json; mailer send --issue {number} writes it"
    if receipt and not ledger.has_serial(number, receipt.serial):
        yield (
            True,
            (
                f"{receipt.name} was written by another ledger, or later than this one was copied;"
                f" mailer send --issue {number} learns from it"
            ),
        )
    elif key is None or (receipt and receipt.key != key_mark(key)):
        if rows:
            yield True, "the key that wrote the receipt is not here, so that it cannot be compared"
    else:
        yield from _comparison(ledger, sending, receipt, key)


@dataclass(slots=True)
class Comparison:
    """Where a receipt that was written from a ledger, and that ledger, tell different stories of how many people."""

    twice: int = 0  # in the ledger under two addresses
    missing: int = 0  # planned in the ledger, and not in the receipt
    vanished: int = 0  # the other way round
    contradicted: int = 0  # accepted or refused in the receipt, and something else in the ledger
    behind: int = 0  # something has become of them since the receipt was written
    examples: dict[str, set[int]] = field(default_factory=dict)  # the first few of each kind

    def note(self, kind: str, number: int) -> None:
        """Count one."""
        setattr(self, kind, getattr(self, kind) + 1)
        numbers = self.examples.setdefault(kind, set())
        if len(numbers) < KEPT:
            numbers.add(number)


def compare(receipt: Receipt | None, ledger: Ledger, sending: Sending, key: bytes) -> Comparison:
    """Lay them side by side, person by person; without a receipt the ledger only beside itself."""
    found, number = Comparison(), person(key, sending.issue)
    ours = in_order((number(address), state) for address, state, _ in ledger.people(sending))
    theirs = receipt.people if receipt else ()
    # Both are in order, so they are gone through once; in the receipt a capital is nobody of this ledger's.
    for each, group in itertools.groupby(heapq.merge(((n, "", a) for n, a in ours), ((n, b, "") for n, b in theirs),
                                                     key=itemgetter(0)), key=itemgetter(0)):  # fmt: skip
        rows = list(group)
        now = [letter for _, _, letter in rows if letter]
        then = "".join(letter for _, letter, _ in rows)
        if len(now) > 1:
            found.note("twice", each)
        elif not now:
            found.vanished += then.islower()
        elif receipt and not then:
            found.note("missing", each)
        elif then in ("a", "r") and now != [then]:
            found.note("contradicted", each)
        elif receipt and now != [then.lower()]:
            found.note("behind", each)
    return found


def _comparison(ledger: Ledger, sending: Sending, receipt: Receipt | None, key: bytes) -> Iterator[tuple[bool, str]]:
    found = compare(receipt, ledger, sending, key)

    def named(kind: str) -> str:
        return ": " + ", ".join(_addresses(ledger, sending, key, found.examples[kind]))

    if found.twice:
        yield True, f"{people(found.twice)} stand in the plan twice{named('twice')}"
    if receipt is None:
        return
    if found.contradicted:
        yield True, f"of {people(found.contradicted)} {receipt.name} says something else{named('contradicted')}"
    if found.missing:
        yield receipt.finished, f"{people(found.missing)} not in {receipt.name}{named('missing')}"
    if found.vanished:
        yield True, f"{receipt.name} names {people(found.vanished)} whom the ledger does not know"
    if found.behind:
        why = "was written before that" if receipt.finished else "was under way, and its run has ended unheard of"
        yield False, f"something became of {people(found.behind)} since: {receipt.name} {why}"
    if receipt.strangers:
        yield False, f"{receipt.name} also names {people(receipt.strangers)} who were on no list here"


def _addresses(ledger: Ledger, sending: Sending, key: bytes, numbers: Iterable[int]) -> list[str]:
    number, wanted = person(key, sending.issue), set(numbers)
    return [address for address, _, _ in ledger.people(sending) if number(address) in wanted]
