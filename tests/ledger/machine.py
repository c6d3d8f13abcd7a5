"""Any order of plan, claim, settle, release, recover, suppress and reopen, against a model that is a dictionary."""

from collections import Counter
from contextlib import AbstractContextManager, ExitStack
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from alliance_mailer.contact import Suppression
from alliance_mailer.ledger import Delivery, Sending, Settled, Tally
from alliance_mailer.message import Outcome, Verdict

from .contract import Open
from .rows import NOW, PLAN, REHEARSAL, SENDING, stage

_ADDRESSES = st.sampled_from([f"reader{n}@example.org" for n in range(6)])
_SENDINGS = st.sampled_from([SENDING, REHEARSAL])


class LedgerMachine(RuleBasedStateMachine):
    """Each row of the model: its state, and whether it was settled before."""

    def store(self) -> AbstractContextManager[Open]:
        raise NotImplementedError

    @initialize()
    def open(self) -> None:
        self.stack = ExitStack()
        self.connect = self.stack.enter_context(self.store())
        self.ledger = self.connect()
        self.state: dict[tuple[Sending, str], str] = {}
        self.tried: set[tuple[Sending, str]] = set()
        self.claimed: list[tuple[Sending, Delivery]] = []
        self.accepted: Counter[tuple[Sending, str]] = Counter()
        self.suppressed: set[str] = set()
        self.now = NOW

    def teardown(self) -> None:
        self.stack.close()

    @rule(sending=_SENDINGS, people=st.lists(_ADDRESSES))
    def plan(self, sending: Sending, people: list[str]) -> None:
        stage(self.ledger, people, sending)
        self.ledger.plan(sending, PLAN, self.now)
        for address in people:
            self.state.setdefault((sending, address), "suppressed" if address in self.suppressed else "waiting")

    @rule(address=_ADDRESSES)
    def suppress(self, address: str) -> None:
        self.ledger.suppress([Suppression(address, "unsubscribe")])
        self.suppressed.add(address)

    @rule(sending=_SENDINGS, limit=st.integers(1, 3))
    def claim(self, sending: Sending, limit: int) -> None:
        self._claim(sending, [], limit)

    def _claim(self, sending: Sending, settled: list[Settled], limit: int) -> None:
        for delivery in self.ledger.exchange(sending, settled, limit, self.now):
            key = sending, delivery.contact.address
            assert self.state[key] in ("waiting", "deferred")
            assert delivery.contact.address not in self.suppressed
            self.state[key] = "sending"
            self.claimed.append((sending, delivery))
        for key, state in self.state.items():  # those that the claim came across
            if key[1] in self.suppressed and state in ("waiting", "deferred") and self._is_suppressed(*key):
                self.state[key] = "suppressed"

    def _is_suppressed(self, sending: Sending, address: str) -> bool:
        return address in [each.contact.address for each in self.ledger.deliveries(sending, ["suppressed"])]

    @precondition(lambda self: self.claimed)
    @rule(verdict=st.sampled_from(Verdict), wait=st.sampled_from([0, 60]), limit=st.integers(0, 2), data=st.data())
    def exchange(self, verdict: Verdict, wait: int, limit: int, data: st.DataObject) -> None:
        sending, delivery = self._take(data)
        key = sending, delivery.contact.address
        self.state[key] = verdict.value
        self.tried.add(key)
        self.accepted[key] += verdict is Verdict.ACCEPTED
        due = int(self.now.timestamp()) + wait if verdict is Verdict.DEFERRED else 0
        self._claim(sending, [Settled(delivery, Outcome(verdict), due)], limit)

    @precondition(lambda self: self.claimed)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        sending, delivery = self._take(data)
        self.ledger.release([delivery])
        key = sending, delivery.contact.address
        self.state[key] = "deferred" if key in self.tried else "waiting"

    def _take(self, data: st.DataObject) -> tuple[Sending, Delivery]:
        return self.claimed.pop(data.draw(st.integers(0, len(self.claimed) - 1)))

    @rule(sending=_SENDINGS)
    def recover(self, sending: Sending) -> None:
        dead = [key for key, state in self.state.items() if key[0] == sending and state == "sending"]
        assert self.ledger.recover(sending, repeat=sending.rehearsal) == len(dead)
        self.state |= dict.fromkeys(dead, "waiting" if sending.rehearsal else "unknown")
        self.claimed = [each for each in self.claimed if each[0] != sending]

    @rule(seconds=st.sampled_from([1, 60, 3600]))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def reopen(self) -> None:
        self.ledger.close()
        self.ledger = self.connect()

    @invariant()
    def everybody_is_in_one_state(self) -> None:
        for sending in (SENDING, REHEARSAL):
            states = Counter(state for key, state in self.state.items() if key[0] == sending)
            states["waiting"] += states.pop("sending", 0)
            tally = self.ledger.tally(sending)
            assert tally == Tally(**states)
            assert tally.planned == states.total()

    @invariant()
    def nobody_is_accepted_twice(self) -> None:
        assert all(times <= 1 for times in self.accepted.values())


LedgerMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
