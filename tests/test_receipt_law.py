"""The law of receipts: whatever machines send, are killed and restored, nobody gets it twice, and nobody is forgotten."""

import shutil
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from alliance_mailer.contact import Contact
from alliance_mailer.handover import Writer, find_receipt, has_lessons, learn
from alliance_mailer.ledger import Planned, Sending, Settled
from alliance_mailer.ledger.sqlite import open_ledger
from alliance_mailer.message import Outcome, Verdict
from alliance_mailer.receipt import read_receipt

KEY, NOW = b"0123456789abcdef" * 2, datetime(2023, 4, 3, 13, tzinfo=UTC)
SENDING, PLAN = Sending("2.6", rehearsal=False), Planned("a1b2", "smtp (LIVE)", "Digest", "Hello\n")
PEOPLE = [f"reader{n}@example.org" for n in range(5)]
MACHINES = st.sampled_from(["here", "there"])


class Receipts(RuleBasedStateMachine):
    """Two machines with ledgers of their own and one receipt between them, which git carries."""

    @initialize(there=st.sets(st.sampled_from(PEOPLE)))
    def begin(self, there: set[str]) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.lists = {"here": PEOPLE, "there": sorted(there)}
        self.got: Counter[str] = Counter()  # the truth
        self.refused: set[str] = set()

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @rule(
        machine=MACHINES,
        messages=st.lists(st.sampled_from("ard"), max_size=4),
        killed=st.booleans(),
        gone=st.booleans(),
        to_new=st.booleans(),
    )
    def run(self, machine: str, messages: list[str], *, killed: bool, gone: bool, to_new: bool) -> None:
        path = self.folder / machine / "ledger.db"
        ledger = open_ledger(path)
        try:
            ledger.recover(SENDING, repeat=False)
            people = [Contact(address) for address in self.lists[machine]]
            receipt = find_receipt(self.folder, ledger, "2.6", KEY)
            if receipt and has_lessons(receipt, ledger, "2.6"):
                learn(receipt, ledger, SENDING, iter(people), PLAN, (), lambda _: [], key=KEY, now=NOW)
            frozen = ledger.planned(SENDING) is not None or (receipt is not None and receipt.is_sent)
            ledger.stage(SENDING, iter(people), (), lambda _: [])
            if not frozen or to_new:
                ledger.plan(SENDING, PLAN, NOW)
            if ledger.planned(SENDING) is None:
                return
            writer = Writer(self.folder, ledger, SENDING, KEY)
            writer.begin()
            for message in messages:
                self.carry(ledger, message)
            claimed = ledger.exchange(SENDING, [], 1, NOW) if killed else []
            for delivery in claimed:
                self.got[delivery.contact.address] += gone
            if not killed:
                writer.write(finished=True)
        finally:
            ledger.close()

    def carry(self, ledger, message: str) -> None:
        for delivery in ledger.exchange(SENDING, [], 1, NOW):
            verdict = {"a": Verdict.ACCEPTED, "r": Verdict.REFUSED, "d": Verdict.DEFERRED}[message]
            self.got[delivery.contact.address] += verdict is Verdict.ACCEPTED
            if verdict is Verdict.REFUSED:
                self.refused.add(delivery.contact.address)
            ledger.exchange(SENDING, [Settled(delivery, Outcome(verdict))], 0, NOW)

    @rule(machine=MACHINES)
    def back_up(self, machine: str) -> None:
        if (self.folder / machine).exists():
            shutil.rmtree(self.folder / f"{machine} backup", ignore_errors=True)
            shutil.copytree(self.folder / machine, self.folder / f"{machine} backup")

    @rule(machine=MACHINES)
    def restore(self, machine: str) -> None:
        shutil.rmtree(self.folder / machine, ignore_errors=True)
        if (self.folder / f"{machine} backup").exists():
            shutil.copytree(self.folder / f"{machine} backup", self.folder / machine)

    @rule(machine=MACHINES)
    def lose(self, machine: str) -> None:
        shutil.rmtree(self.folder / machine, ignore_errors=True)

    @invariant()
    def nobody_twice(self) -> None:
        assert not [address for address, count in self.got.items() if count > 1]

    @invariant()
    def nobody_refused_is_tried_again(self) -> None:
        assert not self.refused & {address for address, count in self.got.items() if count}

    @invariant()
    def the_equation_holds(self) -> None:
        receipt = read_receipt(self.folder, "2.6")
        if receipt is None:
            return
        tally = receipt.tally
        assert tally.planned == len(receipt.letters) <= len(PEOPLE)
        assert list(receipt.hashes) == sorted(set(receipt.hashes))
        assert tally.accepted <= self.got.total()

    @rule(machine=MACHINES)
    def finish(self, machine: str) -> None:
        """Everybody on the lists has it, was refused, or is known to be in doubt."""
        self.run(machine, ["a"] * 5, killed=False, gone=False, to_new=True)
        ledger = open_ledger(self.folder / machine / "ledger.db")
        tally = ledger.tally(SENDING)
        assert tally.waiting == 0
        rows = {address: state for address, state, _ in ledger.people(SENDING)}
        ledger.close()
        assert set(self.lists[machine]) <= rows.keys() or not rows
        for address, state in rows.items():
            assert state != "accepted" or self.got[address] == 1


TestReceipts = Receipts.TestCase
TestReceipts.settings = settings(settings.get_profile("dev"), max_examples=25, stateful_step_count=12, deadline=None)
