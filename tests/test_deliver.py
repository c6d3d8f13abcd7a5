"""The heart: what is claimed, sent and settled, whatever a transport does. One fake, at the one seam."""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alliance_mailer.deliver import deliver
from alliance_mailer.errors import TransportRefused, TryLater
from alliance_mailer.ledger import Delivery, Tally
from alliance_mailer.ledger.sqlite import SqliteLedger, open_ledger
from alliance_mailer.message import Message, Outcome, Verdict, address
from ledger.rows import ANN, BOB, EVE, SENDING, addresses, plan

NOW = datetime(2023, 4, 3, 14, 0, tzinfo=UTC)
ACCEPTED, DEFERRED, REFUSED, UNKNOWN = Verdict.ACCEPTED, Verdict.DEFERRED, Verdict.REFUSED, Verdict.UNKNOWN


class Killed(BaseException):
    """The process ends here."""


@dataclass
class FakeTransport:
    """Answers each message with the next of its script, then with yes. An exception is raised, a function called."""

    script: list[Verdict | BaseException | Callable[[], None]] = field(default_factory=list)
    batch_size: int = 1
    repeatable: bool = False
    requests: list[list[str]] = field(default_factory=list)

    def send(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        self.requests.append([message.contact.address for message in batch])
        return [outcome for _ in batch if (outcome := self._answer())]

    def _answer(self) -> Outcome | None:
        answer = self.script.pop(0) if self.script else ACCEPTED
        if isinstance(answer, BaseException):
            raise answer
        if callable(answer) and not isinstance(answer, Verdict):
            return answer()
        return Outcome(answer, f"the server says {answer}")

    def close(self) -> None:
        pass


@pytest.fixture
def ledger(tmp_path):
    with closing(open_ledger(tmp_path / "ledger.db")) as ledger:
        plan(ledger)
        yield ledger


@pytest.fixture
def run(ledger, edition):
    def run(transport: FakeTransport, **options: object) -> list[Verdict]:
        return run_with(ledger, edition, transport, **options)

    return run


def run_with(ledger: SqliteLedger, edition, transport: FakeTransport, **options: object) -> list[Verdict]:
    heard: list[Verdict] = []

    def addressed(delivery: Delivery) -> Message:
        return address(edition, delivery.contact, date=delivery.planned_at, key=b"a key of sixteen")

    options = {"now": lambda: NOW, "stopped": lambda: False, **options}
    deliver(ledger, SENDING, transport, addressed, settled=lambda outcome: heard.append(outcome.verdict), **options)
    return heard


def test_everybody_gets_it_once_in_the_order_of_the_plan(run, ledger):
    transport = FakeTransport()
    assert run(transport) == [ACCEPTED] * 3
    assert transport.requests == [[ANN], [BOB], [EVE]]
    assert run(transport) == []
    assert ledger.tally(SENDING) == Tally(accepted=3)


def test_each_outcome_is_written_down_as_it_is(run, ledger):
    assert run(FakeTransport([REFUSED, DEFERRED, UNKNOWN])) == [REFUSED, DEFERRED, UNKNOWN]
    assert ledger.tally(SENDING) == Tally(refused=1, deferred=1, unknown=1)
    assert [row.reply for row in ledger.deliveries(SENDING, ["refused"])] == ["the server says refused"]


def test_a_claim_is_durable_before_its_request_and_settled_after_it(run, ledger, tmp_path):
    seen = []

    def look():
        with closing(open_ledger(tmp_path / "ledger.db")) as other:
            states = {
                state: addresses(other.deliveries(SENDING, [state])) for state in ("accepted", "sending", "waiting")
            }
        seen.append(states)
        return Outcome(ACCEPTED)

    run(FakeTransport([look, look]))
    assert seen == [
        {"accepted": [], "sending": [ANN], "waiting": [BOB, EVE]},
        {"accepted": [ANN], "sending": [BOB], "waiting": [EVE]},
    ]


def test_a_transport_that_refuses_us_stops_the_run_and_refuses_nobody(run, ledger):
    with pytest.raises(TransportRefused):
        run(FakeTransport([ACCEPTED, TransportRefused("550 5.7.1 not you")]))
    assert ledger.tally(SENDING) == Tally(accepted=1, deferred=1, waiting=1)
    assert [row.reply for row in ledger.deliveries(SENDING, ["deferred"])] == ["550 5.7.1 not you"]


def test_a_transport_that_cannot_now_stops_the_run_as_if_nothing_had_been_tried(run, ledger):
    with pytest.raises(TryLater):
        run(FakeTransport([ACCEPTED, TryLater("no connection")]))
    assert ledger.tally(SENDING) == Tally(accepted=1, waiting=2)
    assert run(FakeTransport()) == [ACCEPTED] * 2
    assert {row.attempts for row in ledger.deliveries(SENDING, ["accepted"])} == {1}


@pytest.mark.parametrize("end", [Killed(), KeyboardInterrupt(), RuntimeError("a mistake of ours")])
def test_what_ends_in_the_middle_of_a_request_is_unknown_and_not_tried_again(run, ledger, end):
    with pytest.raises(type(end)):
        run(FakeTransport([ACCEPTED, end]))
    assert ledger.recover(SENDING, repeat=False) == 1
    transport = FakeTransport()
    run(transport)
    assert transport.requests == [[EVE]]
    assert ledger.tally(SENDING) == Tally(accepted=2, unknown=1)


def test_the_run_ends_after_the_message_on_the_wire_when_it_is_asked_to(run, ledger):
    transport = FakeTransport()
    assert run(transport, stopped=lambda: len(transport.requests) == 2) == [ACCEPTED] * 2
    assert ledger.tally(SENDING) == Tally(accepted=2, waiting=1)
    assert ledger.recover(SENDING, repeat=False) == 0


@pytest.mark.parametrize(("limit", "batch_size"), [(1, 1), (2, 1), (2, 5), (3, 2), (9, 2)])
def test_no_more_than_the_limit_are_sent(run, limit, batch_size):
    transport = FakeTransport([DEFERRED], batch_size=batch_size)
    assert len(run(transport, limit=limit)) == min(limit, 3)
    assert sum(map(len, transport.requests)) == min(limit, 3)


def test_a_request_carries_what_the_transport_takes_at_once(run, ledger):
    transport = FakeTransport([ACCEPTED, REFUSED, DEFERRED], batch_size=2)
    assert run(transport) == [ACCEPTED, REFUSED, DEFERRED]
    assert transport.requests == [[ANN, BOB], [EVE]]
    assert addresses(ledger.deliveries(SENDING, ["refused"])) == [BOB]


def test_a_transport_that_forgets_an_outcome_leaves_its_request_unknown(run, ledger):
    with pytest.raises(ValueError, match="argument"):
        run(FakeTransport([ACCEPTED, lambda: None], batch_size=2))
    ledger.recover(SENDING, repeat=False)
    assert ledger.tally(SENDING) == Tally(unknown=2, waiting=1)


def test_whom_a_server_deferred_is_tried_again_in_a_run_that_lasts_long_enough(run, ledger):
    clock = iter(range(0, 6000, 61))
    transport = FakeTransport([DEFERRED])
    assert run(transport, now=lambda: NOW + timedelta(seconds=next(clock))) == [DEFERRED, ACCEPTED, ACCEPTED, ACCEPTED]
    assert transport.requests == [[ANN], [BOB], [EVE], [ANN]]


def test_a_retry_repeats_the_same_bytes(ledger, edition):
    sent = []

    class Recording(FakeTransport):
        def send(self, batch):
            sent.extend(message.as_bytes() for message in batch)
            return super().send(batch)

    run_with(ledger, edition, Recording([DEFERRED, ACCEPTED, ACCEPTED]))
    run_with(ledger, edition, Recording(), now=lambda: NOW + timedelta(hours=1))
    assert len(sent) == 4
    assert sent[3] == sent[0]


# What a server may do to one request: take it or not, and then we hear of it or die.
_EVENTS = st.lists(st.sampled_from([*Verdict, "killed before", "killed after", "try later", "refused us"]), max_size=25)


@settings(max_examples=30)
@given(events=_EVENTS, batch_size=st.integers(1, 3), people=st.integers(1, 7))
def test_nobody_gets_it_twice_and_nobody_is_forgotten_however_often_a_run_dies(edition, events, batch_size, people):
    mailboxes: list[str] = []
    in_doubt = 0  # how many messages were on the wire when a run died or an answer was lost

    class Server(FakeTransport):
        def send(self, batch):
            self.requests.append([message.contact.address for message in batch])
            event = events.pop() if events else ACCEPTED
            nonlocal in_doubt
            in_doubt += len(batch) if event in (UNKNOWN, "killed before", "killed after") else 0
            if event in (ACCEPTED, UNKNOWN, "killed after"):
                mailboxes.extend(self.requests[-1])
            if event in ("killed before", "killed after"):
                raise Killed
            if event == "try later":
                raise TryLater("no connection")
            if event == "refused us":
                raise TransportRefused("550 5.7.1")
            return [Outcome(event, "words")] * len(batch)

    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        ledger = stack.enter_context(closing(open_ledger(Path(folder) / "ledger.db")))
        plan(ledger, [f"reader{n}@example.org" for n in range(people)])
        later = NOW
        while True:
            ledger.recover(SENDING, repeat=False)
            later += timedelta(hours=1)
            with suppress(Killed, TryLater, TransportRefused):
                run_with(ledger, edition, Server(batch_size=batch_size), now=lambda now=later: now)
            tally = ledger.tally(SENDING)
            assert tally.planned == people
            if ledger.next_due(SENDING) is None and tally.waiting == 0:
                break
        assert len(mailboxes) == len(set(mailboxes))
        assert tally.accepted + tally.refused + tally.unknown == people
        assert set(addresses(ledger.deliveries(SENDING, ["accepted"]))) <= set(mailboxes)
        assert tally.unknown == in_doubt
