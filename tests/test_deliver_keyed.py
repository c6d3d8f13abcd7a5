"""The heart with a provider that has an idempotency key: requests in doubt go again, unchanged."""

import tempfile
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alliance_mailer.contact import Suppression
from alliance_mailer.deliver import deliver
from alliance_mailer.errors import TransportRefused, TryLater
from alliance_mailer.ledger import Keyed, Tally
from alliance_mailer.ledger.sqlite import open_ledger
from alliance_mailer.message import Outcome, Verdict, address, request_key
from alliance_mailer.pace import Brake, Pace, Policy
from ledger.rows import ANN, BOB, EVE, SENDING, addresses, plan

NOW = datetime(2023, 4, 3, 14, 0, tzinfo=UTC)
ACCEPTED, DEFERRED, REFUSED, UNKNOWN = Verdict.ACCEPTED, Verdict.DEFERRED, Verdict.REFUSED, Verdict.UNKNOWN


class Killed(BaseException):
    """The process ends here."""


class Provider:
    """Takes a request once, by its key. `events` say what happens to the next requests; then all is well."""

    batch_size = 3

    def __init__(self, events=()):
        self.events = list(events)
        self.taken: dict[str, list[str]] = {}
        self.posts: list[list[str]] = []

    @property
    def mailboxes(self):
        return [person for people in self.taken.values() for person in people]

    def connect(self):
        return self

    def carry(self, batches):
        for batch in batches:
            if batch:
                yield from [Outcome(self.post(batch), "words")] * len(batch)

    def post(self, batch):
        people, key = [message.contact.address for message in batch], request_key(batch)
        self.posts.append(people)
        event = self.events.pop(0) if self.events else ACCEPTED
        if event in (ACCEPTED, UNKNOWN, "killed after"):
            self.taken.setdefault(key, people)
        elif event is REFUSED and key in self.taken:
            event = ACCEPTED  # the answer of the first time
        match event:
            case "killed before" | "killed after":
                raise Killed
            case "try later":
                raise TryLater("no connection")
            case "refused us":
                raise TransportRefused("401")
        return event

    def close(self):
        pass


def run_with(ledger, edition, provider, *, secret=b"a key of sixteen", **options):
    def addressed(delivery):
        return address(edition, delivery.contact, date=delivery.planned_at, key=secret)

    keyed = Keyed("fake", provider.batch_size, lambda rows: request_key([addressed(row) for row in rows]))
    ledger.recover(SENDING, repeat=False)
    repeats = [
        request
        for request in ledger.repeatable(SENDING, "fake", NOW - timedelta(days=1))
        if keyed.key(request.deliveries) == request.key
    ]
    heard = []
    chosen = {"connections": 1, "policy": Policy(reconnect=(), wait=0), "now": lambda: NOW, **options}
    deliver(
        ledger, SENDING, provider.connect, addressed, pace=Pace("fake", (), ()), brake=Brake(1, Tally()),
        stopped=lambda: False, settled=lambda outcome: heard.append(outcome.verdict), keyed=keyed, repeats=repeats,
        **chosen,
    )  # fmt: skip
    return heard


@pytest.fixture
def ledger(tmp_path):
    with closing(open_ledger(tmp_path / "ledger.db")) as ledger:
        plan(ledger)
        yield ledger


@pytest.mark.parametrize("event", ["killed before", "killed after", UNKNOWN])
def test_a_request_in_doubt_goes_again_and_nobody_stays_in_doubt(ledger, edition, event):
    provider = Provider([event])
    with suppress(Killed):
        run_with(ledger, edition, provider)
    assert run_with(ledger, edition, provider) == [ACCEPTED] * 3
    assert provider.posts == [[ANN, BOB, EVE]] * 2
    assert provider.mailboxes == [ANN, BOB, EVE]
    assert ledger.tally(SENDING) == Tally(accepted=3)


@pytest.mark.parametrize("trouble", [DEFERRED, "try later", "refused us"])
def test_what_is_in_doubt_stays_so_until_the_provider_says(ledger, edition, trouble):
    provider = Provider([UNKNOWN, trouble])
    run_with(ledger, edition, provider)
    with suppress(TryLater, TransportRefused):
        run_with(ledger, edition, provider)
    assert ledger.tally(SENDING) == Tally(unknown=3)
    assert run_with(ledger, edition, provider) == [ACCEPTED] * 3
    assert provider.mailboxes == [ANN, BOB, EVE]


def test_over_a_new_connection_it_is_tried_in_the_same_run(ledger, edition):
    provider = Provider([UNKNOWN, "try later"])
    run_with(ledger, edition, provider)
    assert run_with(ledger, edition, provider, policy=Policy(reconnect=(0,), wait=0)) == [ACCEPTED] * 3


def test_with_another_secret_the_key_would_be_another_and_nothing_goes(ledger, edition):
    provider = Provider([UNKNOWN])
    run_with(ledger, edition, provider)
    assert run_with(ledger, edition, provider, secret=b"another key, as long") == []
    assert ledger.tally(SENDING) == Tally(unknown=3)
    assert len(provider.posts) == 1


def test_who_is_suppressed_since_is_not_sent_to_again(ledger, edition):
    provider = Provider(["killed before"])
    with suppress(Killed):
        run_with(ledger, edition, provider)
    ledger.suppress([Suppression(BOB, "unsubscribe")])
    assert run_with(ledger, edition, provider) == []
    assert (ledger.tally(SENDING), provider.mailboxes) == (Tally(unknown=3), [])


def test_a_limit_does_not_keep_what_is_in_doubt_from_being_settled(ledger, edition):
    plan(ledger, ["dan@example.org", "fay@example.org"])
    provider = Provider(["killed after"])
    with suppress(Killed):
        run_with(ledger, edition, provider, limit=3)  # the next request is not claimed yet
    assert run_with(ledger, edition, provider, limit=1) == [ACCEPTED] * 4
    assert provider.mailboxes == [ANN, BOB, EVE, "dan@example.org"]


_EVENTS = st.lists(st.sampled_from([*Verdict, "killed before", "killed after", "try later", "refused us"]), max_size=25)


@settings(max_examples=40)
@given(events=_EVENTS, people=st.integers(1, 9), connections=st.integers(1, 3))
def test_nobody_twice_nobody_forgotten_and_nobody_in_doubt(edition, events, people, connections):
    provider = Provider(events)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        ledger = stack.enter_context(closing(open_ledger(Path(folder) / "ledger.db")))
        plan(ledger, [f"reader{n}@example.org" for n in range(people)])
        for turn in range(200):
            later = NOW + timedelta(minutes=10 * turn)
            with suppress(Killed, TryLater, TransportRefused):
                policy = Policy(retry=(60,), max_attempts=1000, give_up_after=1e9, wait=0, reconnect=())
                run_with(ledger, edition, provider, now=lambda at=later: at, connections=connections, policy=policy)
            tally = ledger.tally(SENDING)
            assert tally.planned == people
            if tally.accepted + tally.refused == people:
                break
        assert tally.accepted + tally.refused == people
        assert len(provider.mailboxes) == len(set(provider.mailboxes))
        accepted, refused = (set(addresses(ledger.deliveries(SENDING, [state]))) for state in ("accepted", "refused"))
        assert accepted == set(provider.mailboxes)
        assert not refused & accepted
