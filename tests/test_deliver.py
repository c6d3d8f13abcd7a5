"""The heart: what is claimed, sent and settled, whatever a transport does. One fake, at the one seam."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Barrier, Event

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alliance_mailer.contact import Suppression
from alliance_mailer.deliver import Later, deliver
from alliance_mailer.errors import TransportRefused, TryLater
from alliance_mailer.hub import apart
from alliance_mailer.ledger import Delivery, Tally
from alliance_mailer.ledger.sqlite import SqliteLedger, open_ledger
from alliance_mailer.message import Message, Outcome, Verdict, address
from alliance_mailer.pace import Brake, Pace, Policy, Rate
from ledger.rows import ANN, BOB, EVE, SENDING, addresses, plan

NOW = datetime(2023, 4, 3, 14, 0, tzinfo=UTC)
ACCEPTED, DEFERRED, REFUSED, UNKNOWN = Verdict.ACCEPTED, Verdict.DEFERRED, Verdict.REFUSED, Verdict.UNKNOWN


class Killed(BaseException):
    """The process ends here."""


Answer = Verdict | Outcome | BaseException | Callable[[], Outcome | None]


@dataclass
class FakeTransport:
    """Answers each message with the next of its script, then with yes. An exception is raised, a function called, apart.

    `ahead`: it pulls the next batch before it tells of the one on the wire, as pipelining does.
    """

    script: list[Answer] = field(default_factory=list)
    batch_size: int = 1
    ahead: bool = False
    requests: list[list[str]] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    idle: int = 0  # how often it was told that there was nothing
    opened: int = 0

    def connect(self) -> "FakeTransport":
        self.opened += 1
        return self

    def carry(self, batches: Iterator[Sequence[Message]]) -> Iterator[Outcome]:
        batch = next(batches, None)
        while batch is not None:
            self.idle += not batch
            outcomes = self.send(batch) if batch else []
            following = next(batches, None) if self.ahead and batch else None
            yield from outcomes
            batch = following if self.ahead and following is not None and batch else next(batches, None)

    def send(self, batch: Sequence[Message]) -> list[Outcome]:
        self.requests.append([message.contact.address for message in batch])
        self.sent += [message.as_bytes() for message in batch]
        return [outcome for _ in batch if (outcome := self._answer())]

    def _answer(self) -> Outcome | None:
        answer = self.script.pop(0) if self.script else ACCEPTED
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, Verdict):
            return Outcome(answer, f"the server says {answer}")
        return answer if isinstance(answer, Outcome) else apart(answer)

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
        return run_with(ledger, edition, transport, **options)[0]

    return run


def run_with(ledger: SqliteLedger, edition, transport: FakeTransport, **options) -> tuple[list[Verdict], Later | None]:
    heard: list[Verdict] = []

    def addressed(delivery: Delivery) -> Message:
        return address(edition, delivery.contact, date=delivery.planned_at, key=b"a key of sixteen")

    chosen = {
        "connections": 1,
        "policy": Policy(reconnect=(), wait=0),
        "pace": Pace("fake", (), ()),
        "brake": Brake(1, Tally()),
        "now": lambda: NOW,
        "stopped": lambda: False,
        "settled": lambda outcome: heard.append(outcome.verdict),
        **options,
    }
    return heard, deliver(ledger, SENDING, transport.connect, addressed, **chosen)


def clock(step: float) -> Callable[[], datetime]:
    """Each look at it comes so many seconds after the one before."""
    looks = 0

    def now() -> datetime:
        nonlocal looks
        looks += 1
        return NOW + timedelta(seconds=step * looks)

    return now


@pytest.mark.parametrize("ahead", [False, True])
def test_everybody_gets_it_once_in_the_order_of_the_plan(run, ledger, ahead):
    transport = FakeTransport(ahead=ahead)
    assert run(transport) == [ACCEPTED] * 3
    assert transport.requests == [[ANN], [BOB], [EVE]]
    assert run(transport) == []
    assert ledger.tally(SENDING) == Tally(accepted=3)


def test_each_outcome_is_written_down_as_it_is(run, ledger):
    assert run(FakeTransport([REFUSED, DEFERRED, UNKNOWN])) == [REFUSED, DEFERRED, UNKNOWN]
    assert ledger.tally(SENDING) == Tally(refused=1, deferred=1, unknown=1)
    assert [row.reply for row in ledger.deliveries(SENDING, ["refused"])] == ["the server says refused"]


def test_a_claim_is_durable_before_its_request_and_no_more_than_two_are_out(run, ledger, tmp_path):
    plan(ledger, [f"reader{n}@example.org" for n in range(5)])
    seen = []

    def look():
        with closing(open_ledger(tmp_path / "ledger.db")) as other:
            seen.append((transport.requests[-1][0], addresses(other.deliveries(SENDING, ["sending"]))))
        return Outcome(ACCEPTED)

    transport = FakeTransport([look] * 8, ahead=True)
    run(transport)
    assert len(seen) == 8
    for on_the_wire, claimed in seen:
        assert on_the_wire in claimed
        assert len(claimed) <= 2


def test_a_transport_that_refuses_us_stops_the_run_and_refuses_nobody(run, ledger):
    with pytest.raises(TransportRefused):
        run(FakeTransport([ACCEPTED, TransportRefused("550 5.7.1 not you")]))
    assert ledger.tally(SENDING) == Tally(accepted=1, waiting=2)
    assert ledger.recover(SENDING, repeat=False) == 0


def test_a_transport_that_cannot_now_stops_the_run_as_if_nothing_had_been_tried(run, ledger):
    with pytest.raises(TryLater):
        run(FakeTransport([ACCEPTED, TryLater("no connection")]))
    assert ledger.tally(SENDING) == Tally(accepted=1, waiting=2)
    assert run(FakeTransport()) == [ACCEPTED] * 2
    assert {row.attempts for row in ledger.deliveries(SENDING, ["accepted"])} == {1}


def test_a_lost_connection_is_made_again(run, ledger):
    transport = FakeTransport([ACCEPTED, TryLater("no connection"), ACCEPTED, TryLater("no connection")])
    assert run(transport, policy=Policy(reconnect=(0,), wait=0)) == [ACCEPTED] * 3
    assert transport.opened == 3


def test_a_connection_that_cannot_be_made_again_is_given_up(run):
    transport = FakeTransport([TryLater("no connection")] * 5)
    with pytest.raises(TryLater, match="no connection"):
        run(transport, policy=Policy(reconnect=(0, 0), wait=0))
    assert transport.opened == 3


def test_what_one_connection_cannot_carry_another_does(ledger, edition):
    plan(ledger, [f"reader{n}@example.org" for n in range(20)])
    broken = []

    class Flaky(FakeTransport):
        def connect(self):
            self.opened += 1
            if self.opened == 1:
                broken.append(self.opened)
                return FakeTransport([TryLater("no connection")])
            return self

    heard, _ = run_with(ledger, edition, Flaky(), connections=2)
    assert heard == [ACCEPTED] * 23
    assert broken


def test_several_connections_are_on_the_wire_at_once(ledger, edition):
    plan(ledger, [f"reader{n}@example.org" for n in range(9)])
    together = Barrier(3, timeout=10)

    class Meeting(FakeTransport):
        def connect(self):
            return FakeTransport([lambda: (together.wait(), Outcome(ACCEPTED))[1]] * 4)

    heard, _ = run_with(ledger, edition, Meeting(), connections=3)
    assert heard == [ACCEPTED] * 12


@pytest.mark.parametrize("end", [Killed(), KeyboardInterrupt(), RuntimeError("a mistake of ours")])
def test_what_ends_in_the_middle_of_a_request_is_unknown_and_not_tried_again(run, ledger, end):
    plan(ledger, ["dan@example.org", "fay@example.org"])
    with pytest.raises(type(end)):
        run(FakeTransport([ACCEPTED, end]))
    doubtful = ledger.recover(SENDING, repeat=False)
    assert doubtful in (1, 2)
    assert BOB in addresses(ledger.deliveries(SENDING, ["unknown"]))
    transport = FakeTransport()
    run(transport)
    assert len(transport.requests) == 4 - doubtful
    assert ledger.tally(SENDING) == Tally(accepted=5 - doubtful, unknown=doubtful)


def test_an_abort_waits_for_the_ledger_whose_next_call_would_come_into_this_one(run, ledger, monkeypatch):
    exchange, calls, ended = ledger.exchange, [], []
    asking, aborting = Event(), Event()

    def slow(*args, **options):
        calls.append(args)
        if len(calls) == 2:  # the next request is asked for while the first is on the wire
            asking.set()
            aborting.wait(10)
            time.sleep(0.1)
        rows = exchange(*args, **options)
        ended.append(args)
        return rows

    def abort():
        asking.wait(10)
        aborting.set()
        raise KeyboardInterrupt

    monkeypatch.setattr(ledger, "waits", True)
    monkeypatch.setattr(ledger, "exchange", slow)
    with pytest.raises(KeyboardInterrupt):
        run(FakeTransport([abort]))
    assert len(calls) == len(ended) == 2
    assert ledger.claimed(SENDING) == 2


@pytest.mark.parametrize("where", ["settled", "stopped", "waits"])
def test_a_mistake_of_the_callers_ends_the_run_and_loses_nobody(ledger, edition, where):
    plan(ledger, [f"reader{n}@example.org" for n in range(20)])

    def mistake(*_: object) -> None:
        raise RuntimeError("a terminal that is gone")

    # Only where all are put off is there something to wait for.
    transport = FakeTransport([DEFERRED] * 23 if where == "waits" else [])
    policy = Policy(reconnect=(), wait=100, retry=(10,))
    with pytest.raises(RuntimeError, match="terminal"):
        run_with(ledger, edition, transport, connections=3, policy=policy, **{where: mistake})
    ledger.recover(SENDING, repeat=False)
    tally = ledger.tally(SENDING)
    assert tally.planned == 23
    assert tally.unknown <= 2 * 3


def test_the_run_ends_after_what_is_on_the_wire_when_it_is_asked_to(run, ledger):
    plan(ledger, [f"reader{n}@example.org" for n in range(20)])
    transport = FakeTransport()
    heard = run(transport, stopped=lambda: len(transport.requests) >= 2)
    assert 2 <= len(heard) <= 4
    assert ledger.tally(SENDING) == Tally(accepted=len(heard), waiting=23 - len(heard))
    assert ledger.recover(SENDING, repeat=False) == 0


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize(("limit", "batch_size"), [(1, 1), (2, 1), (2, 5), (3, 2), (9, 2)])
def test_no_more_than_the_limit_are_sent(run, limit, batch_size, ahead):
    transport = FakeTransport([DEFERRED], batch_size=batch_size, ahead=ahead)
    assert len(run(transport, limit=limit)) == min(limit, 3)
    assert sum(map(len, transport.requests)) == min(limit, 3)


def test_a_request_carries_what_the_transport_takes_at_once(run, ledger):
    transport = FakeTransport([ACCEPTED, REFUSED, DEFERRED], batch_size=2)
    assert run(transport) == [ACCEPTED, REFUSED, DEFERRED]
    assert transport.requests == [[ANN, BOB], [EVE]]
    assert addresses(ledger.deliveries(SENDING, ["refused"])) == [BOB]


def test_a_transport_that_forgets_an_outcome_leaves_its_request_unknown(run, ledger):
    with pytest.raises(RuntimeError, match="told no outcome"):
        run(FakeTransport([ACCEPTED, lambda: None], batch_size=3))
    ledger.recover(SENDING, repeat=False)
    assert ledger.tally(SENDING) == Tally(accepted=2, unknown=1)


# Later ----------------------------------------------------------------------------------------------------------------


def test_a_run_waits_for_whom_the_server_deferred_for_a_short_time(run, ledger):
    transport = FakeTransport([DEFERRED])
    heard = run(transport, policy=Policy(retry=(60,), wait=120), now=clock(15))
    assert heard == [DEFERRED, ACCEPTED, ACCEPTED, ACCEPTED]
    assert transport.requests == [[ANN], [BOB], [EVE], [ANN]]


def test_a_run_leaves_whom_the_server_deferred_for_a_long_time(ledger, edition):
    transport = FakeTransport([Outcome(DEFERRED, "451 greylisted", retry_after=900)])
    heard, later = run_with(ledger, edition, transport, policy=Policy(wait=120))
    assert heard == [DEFERRED, ACCEPTED, ACCEPTED]
    assert later == Later("they are to be tried again later", NOW + timedelta(seconds=900))
    assert ledger.tally(SENDING) == Tally(accepted=2, deferred=1)


def test_each_deferral_waits_longer_and_the_last_one_is_a_refusal(ledger, edition):
    policy, now = Policy(retry=(60, 300), max_attempts=4, wait=0, give_up_after=9e9), NOW
    plan(ledger, [ANN])
    waits = []
    for _ in range(4):
        _, later = run_with(ledger, edition, FakeTransport([DEFERRED]), policy=policy, now=lambda now=now: now, limit=9)
        waits += [(later.at - now).total_seconds()] if later else []
        now = later.at if later else now
    assert waits == [60, 300, 300]
    assert [row.reply for row in ledger.deliveries(SENDING, ["refused"])] == [
        "given up after 4 attempts: the server says deferred"
    ]
    assert list(ledger.suppressions()) == []


def test_who_was_deferred_for_too_long_is_given_up(ledger, edition):
    policy = Policy(retry=(3600,), give_up_after=5400, wait=0)
    for hours in range(3):
        run_with(
            ledger, edition, FakeTransport([DEFERRED] * 3), policy=policy, now=lambda h=hours: NOW + timedelta(hours=h)
        )
    assert ledger.tally(SENDING) == Tally(refused=3)
    assert {row.attempts for row in ledger.deliveries(SENDING, ["refused"])} == {2}


def test_nobody_is_given_up_or_kept_waiting_because_we_are_refused(ledger):
    plan(ledger)
    [row] = ledger.exchange(SENDING, [], 1, NOW)
    refusal = Outcome(DEFERRED, "550 5.7.1", about_us=True)
    assert Policy(max_attempts=1).after(row, refusal, NOW) == (refusal, NOW.timestamp())


def test_a_rate_is_kept_and_waited_for(run, ledger):
    at = []
    now = clock(10)

    class Timed(FakeTransport):
        def send(self, batch):
            at.append(seconds[-1])
            return super().send(batch)

    seconds = []

    def looked():
        seconds.append(now().timestamp())
        return now()

    run(Timed(), pace=Pace("fake", [Rate(1, 60)], ()), policy=Policy(wait=120), now=looked)
    assert ledger.tally(SENDING) == Tally(accepted=3)
    assert all(after - before >= 59 for before, after in pairwise(at))


def test_a_rate_that_is_used_up_for_long_leaves_people_for_later(ledger, edition):
    pace = Pace("fake", [Rate(2, 86400)], ())
    heard, later = run_with(ledger, edition, FakeTransport(), pace=pace, policy=Policy(wait=120))
    assert heard == [ACCEPTED] * 2
    assert later
    assert later.reason == "the rate is used up for now"
    assert later.at >= NOW + timedelta(days=1)
    remembered = Pace("fake", [Rate(2, 86400)], (), ledger.spent_since("fake", 0))
    assert run_with(ledger, edition, FakeTransport(), pace=remembered, policy=Policy(wait=120))[0] == []


def test_a_domains_rate_holds_up_nobody_else(run, ledger):
    plan(ledger, ["zoe@example.net"])
    transport = FakeTransport()
    run(transport, pace=Pace("fake", (), [Rate(1, 3600)]))
    assert transport.requests == [[ANN], ["zoe@example.net"]]
    assert ledger.tally(SENDING) == Tally(accepted=2, waiting=2)


# Brake, suppression, the ledger --------------------------------------------------------------------------------------


def test_the_brake_stops_a_run_that_is_refused_too_often(ledger, edition):
    plan(ledger, [f"reader{n}@example.org" for n in range(97)])
    transport = FakeTransport([REFUSED] * 100)
    with pytest.raises(TransportRefused, match="stopped: 10 of 10 answers are refusals"):
        run_with(ledger, edition, transport, brake=Brake(0.05, Tally()))
    tally = ledger.tally(SENDING)
    assert 10 <= tally.refused <= 12
    assert tally.refused + tally.waiting == 100


def test_who_is_suppressed_while_a_run_goes_on_is_not_mailed(run, ledger, tmp_path):
    plan(ledger, ["dan@example.org"])

    def unsubscribe():
        with closing(open_ledger(tmp_path / "ledger.db")) as other:
            other.suppress([Suppression("dan@example.org", "unsubscribe")])
        return Outcome(ACCEPTED)

    run(FakeTransport([unsubscribe]))
    assert ledger.tally(SENDING) == Tally(accepted=3, suppressed=1)


def test_what_a_full_disk_kept_from_being_written_down_is_written_at_the_end(ledger, edition, tmp_path):
    full, heard = Event(), []

    class Full:
        """The ledger, on a disk that is full for a while."""

        def __getattr__(self, name):
            return getattr(ledger, name)

        def exchange(self, sending, settled, limit, now, **options):
            if settled and not full.is_set():
                full.set()
                raise TryLater("the ledger cannot be used: disk is full")
            return ledger.exchange(sending, settled, limit, now, **options)

    with pytest.raises(TryLater, match="disk is full"):
        heard += run_with(Full(), edition, FakeTransport())[0]
    tally = ledger.tally(SENDING)
    assert tally.accepted >= 1
    assert tally.accepted + tally.waiting == 3
    assert ledger.recover(SENDING, repeat=False) == 0


def test_a_retry_repeats_the_same_bytes(ledger, edition):
    first, second = FakeTransport([DEFERRED, ACCEPTED, ACCEPTED]), FakeTransport()
    run_with(ledger, edition, first)
    run_with(ledger, edition, second, now=lambda: NOW + timedelta(hours=1))
    assert len(second.sent) == 1
    assert second.sent[0] == first.sent[0]


# What a server may do to one request: take it or not, and then we hear of it or die.
_EVENTS = st.lists(st.sampled_from([*Verdict, "killed before", "killed after", "try later", "refused us"]), max_size=25)


@settings(max_examples=30)
@given(events=_EVENTS, batch_size=st.integers(1, 3), people=st.integers(1, 7), connections=st.integers(1, 3))
def test_nobody_gets_it_twice_and_nobody_is_forgotten_however_often_a_run_dies(
    edition, events, batch_size, people, connections
):
    mailboxes: list[str] = []
    lost = kills = 0  # answers, runs

    class Server(FakeTransport):
        def send(self, batch):
            nonlocal lost, kills
            addresses = [message.contact.address for message in batch]
            event = events.pop() if events else ACCEPTED
            lost += event is UNKNOWN
            if event in (ACCEPTED, UNKNOWN, "killed after"):
                mailboxes.extend(addresses)
            if event in ("killed before", "killed after"):
                kills += 1
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
                server = Server(batch_size=batch_size)
                run_with(ledger, edition, server, now=lambda now=later: now, connections=connections)
            tally = ledger.tally(SENDING)
            assert tally.planned == people
            if ledger.next_due(SENDING) is None and tally.waiting == 0:
                break
        assert len(mailboxes) == len(set(mailboxes))
        assert tally.accepted + tally.refused + tally.unknown == people
        accepted, unknown = (set(addresses(ledger.deliveries(SENDING, [state]))) for state in ("accepted", "unknown"))
        assert accepted <= set(mailboxes) <= accepted | unknown
        assert tally.unknown <= batch_size * (lost + 2 * connections * kills)


@pytest.mark.parametrize("ahead", [False, True])
def test_what_is_no_longer_ours_is_not_begun_with_and_given_back(run, ledger, ahead):
    transport, lost, looks = FakeTransport(ahead=ahead), False, 0

    def stopped() -> bool:  # asked in each of the clerk's rounds
        nonlocal looks
        looks += 1
        return lost

    def stands_still() -> Outcome:
        """This process, while the message is on its wire and the next is claimed; its lease ends."""
        nonlocal lost
        begun = looks
        while looks < begun + 2:
            time.sleep(0.001)
        lost = True
        return Outcome(ACCEPTED)

    transport.script = [stands_still]
    assert run(transport, is_ours=lambda: not lost, stopped=stopped) == [ACCEPTED]
    assert transport.requests == [[ANN]]
    assert ledger.tally(SENDING) == Tally(accepted=1, waiting=2)
    assert ledger.claimed(SENDING) == 0
