"""A worker's ledger: its lease, its death, a database that goes away, a rate that all workers share."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import astuple
from unittest.mock import Mock

import pytest

from alliance_mailer.errors import ConfigError, TryLater
from alliance_mailer.jobs import end_dead_leases
from alliance_mailer.ledger import Keyed, Spent, Tally, leased
from alliance_mailer.ledger.database import check_queue
from alliance_mailer.ledger.leased import LeasedLedger
from alliance_mailer.ledger.orders import Order, Orders
from alliance_mailer.ledger.postgres import PostgresLedger, open_ledger
from alliance_mailer.message import Verdict
from alliance_mailer.pace import Pace, Rate

from .rows import ANN, BOB, EVE, NOW, SENDING, addresses, claim, plan, settle

NAME = "smtp mail.example.org:587 (LIVE)"


@pytest.fixture
def url(server, monkeypatch) -> str:
    """A ledger whose leases live for a second, with three people in it whom workers are to mail."""
    for name, seconds in (("TERM", 1.0), ("_BEAT", 0.2), ("_MARGIN", 0.3), ("_AGAIN", 0.1)):
        monkeypatch.setattr(leased, name, seconds)
    url = server.new_database("leased")
    with closing(open_ledger(url)) as ledger:
        plan(ledger)
        Orders(ledger).give(Order("2.6", False, "a1b2", "0" * 64, "live", "s"), b"")
    return url


@pytest.fixture
def ledger(url) -> PostgresLedger:
    with closing(open_ledger(url)) as ledger:
        yield ledger


@pytest.fixture
def worker(url) -> Callable[[], LeasedLedger]:
    opened = []

    def worker() -> LeasedLedger:
        opened.append(LeasedLedger(url, SENDING, 3))
        return opened[-1]

    yield worker
    for each in opened:
        each.close()


def dies(worker: LeasedLedger) -> None:
    """Its process is gone, or stopped: nobody renews its lease any more."""
    worker._closing.set()
    worker._heart.join()


def until(holds: Callable[[], object]) -> None:
    ends = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < ends, "it never came"
        time.sleep(0.01)


def dead_leases_end(ledger: PostgresLedger) -> None:
    def ended() -> bool:
        Orders(ledger).end_dead_leases()
        return not Orders(ledger).workers()

    until(ended)


def test_two_workers_claim_side_by_side_and_a_run_that_would_hold_the_issue_alone_does_not(worker, ledger):
    one, two = worker(), worker()
    assert addresses(claim(one) + claim(two)) == [ANN, BOB]
    assert ledger.is_held("2.6")
    with pytest.raises(TryLater, match="another run holds"), ledger.hold("2.6"):
        pass
    settle(one, claim(two), Verdict.ACCEPTED)  # another's claim is not ours to settle
    assert ledger.tally(SENDING) == Tally(waiting=3)


def test_a_living_workers_claims_stay_its_own_however_long_they_take(worker, ledger):
    one = worker()
    rows = claim(one)
    began = one._alive_until
    until(lambda: one._alive_until > began + 1.0)  # renewed, beyond what the first lease was worth
    assert Orders(ledger).end_dead_leases() == {}
    assert ledger.recover(SENDING, repeat=False) == 0
    settle(one, rows, Verdict.ACCEPTED)
    assert ledger.tally(SENDING) == Tally(accepted=1, waiting=2)


def test_a_dead_workers_claims_become_unknown_and_what_it_says_later_changes_nothing(worker, ledger):
    one = worker()
    rows = claim(one, 2)
    dies(one)
    dead_leases_end(ledger)
    assert ledger.tally(SENDING) == Tally(unknown=2, waiting=1)
    settle(one, rows, Verdict.ACCEPTED)
    one.release(rows)
    assert claim(one) == []  # it has no lease to claim for
    assert ledger.tally(SENDING) == Tally(unknown=2, waiting=1)


def test_what_a_person_sends_again_is_not_settled_by_the_dead(worker, ledger):
    one, two = worker(), worker()
    rows = claim(one)
    dies(one)
    until(lambda: Orders(ledger).end_dead_leases())
    ledger.resolve(SENDING, resend=True)
    assert addresses(claim(two)) == [ANN]
    settle(one, rows, Verdict.REFUSED)
    assert ledger.tally(SENDING) == Tally(waiting=3)


def test_a_worker_whose_lease_was_ended_begins_nothing_more(worker, ledger):
    one = worker()
    assert one.is_ours
    ledger.connection.execute("delete from lease")
    until(lambda: one.lost)
    assert not one.is_ours


def test_a_worker_that_cannot_renew_begins_nothing_more_before_its_lease_ends(worker, ledger):
    one = worker()
    dies(one)
    until(lambda: not one.is_ours)
    assert Orders(ledger).workers()[0][3] > 0  # the lease lives


def test_a_lost_connection_is_made_again_and_nothing_is_claimed_twice_or_lost(worker, ledger):
    one = worker()
    first = claim(one)
    lost = claim(one)  # as if the answer to this one had not come
    one._known.discard(lost[0].id)
    ledger.connection.execute("select pg_terminate_backend(%s)", (one.connection.info.backend_pid,))
    settle(one, first, Verdict.ACCEPTED)
    assert ledger.tally(SENDING) == Tally(accepted=1, waiting=2)
    assert ledger.claimed(SENDING) == 0  # it was put back
    assert addresses(claim(one, 9)) == [BOB, EVE]


def test_after_a_restart_of_the_server_leases_have_another_term(worker, server, url, monkeypatch):
    monkeypatch.setattr(leased, "TERM", 6.0)
    one = worker()
    rows = claim(one, 2)
    dies(one)
    server.stop("immediate")
    server.start()
    with closing(open_ledger(url)) as ledger:
        ledger.connection.execute("update lease set until = clock_timestamp() - interval '1 second'")
        assert Orders(ledger).end_dead_leases() == {}  # nobody could renew it
        settle(one, rows, Verdict.ACCEPTED)
        assert ledger.tally(SENDING) == Tally(accepted=2, waiting=1)


def test_a_worker_that_ends_leaves_no_claim_and_no_lease(worker, ledger):
    one = worker()
    claim(one)
    one.close()
    assert ledger.tally(SENDING) == Tally(unknown=1, waiting=2)
    assert Orders(ledger).workers() == []


def test_what_one_worker_asks_a_provider_about_no_other_does_until_that_one_is_gone(worker, ledger):
    dead, one, two = worker(), worker(), worker()
    keyed = Keyed("resend", 2, lambda rows: "+".join(addresses(rows)))
    dead.exchange(SENDING, [], 3, NOW, keyed=keyed)
    dies(dead)
    until(lambda: Orders(ledger).end_dead_leases())
    assert [addresses(each.deliveries) for each in one.repeatable(SENDING, "resend", NOW)] == [[ANN, BOB], [EVE]]
    assert two.repeatable(SENDING, "resend", NOW) == []
    assert len(one.repeatable(SENDING, "resend", NOW)) == 2
    dies(one)
    until(lambda: two.repeatable(SENDING, "resend", NOW))
    assert ledger.tally(SENDING) == Tally(unknown=3)


def test_a_job_asks_about_what_a_dead_worker_leaves(worker, ledger):
    check_queue(ledger.connection)
    one = worker()
    claim(one)
    dies(one)
    until(lambda: end_dead_leases(ledger))
    jobs = ledger.connection.execute("select task_name, args from procrastinate_jobs").fetchall()
    assert jobs == [("share", {"issue": "2.6", "rehearsal": False})]


def test_who_could_not_use_a_schema_that_was_upgraded_in_between_gets_no_lease(worker, ledger, monkeypatch):
    ledger.connection.execute("update ledger set version = 7, readable_by = 7")
    monkeypatch.setattr(
        leased, "prepare", Mock(side_effect=[None, ConfigError("too new")])
    )  # once, it came before that
    with pytest.raises(ConfigError, match="too new"):
        worker()
    assert Orders(ledger).workers() == []


def test_a_stopped_sending_is_heard_of_at_the_next_heartbeat(worker, ledger):
    one = worker()
    assert Orders(ledger).stop(SENDING, "by a person")
    assert not Orders(ledger).stop(SENDING, "again")
    until(lambda: one.stopped == "by a person")


def test_workers_spend_of_one_rate_and_never_more(worker, ledger):
    plan(ledger, [f"reader{n}@example.org" for n in range(200)])
    second = int(NOW.timestamp())
    workers = []
    for _ in range(3):
        one = worker()
        pace = Pace(NAME, [Rate(50, 86400)], [], one.spent_since(NAME, 0))
        one.share_rate(pace.room_beside)
        workers.append((one, pace))
    claimed = []
    for turn in range(60):
        one, pace = workers[turn % 3]
        pace.spent.clear()
        claimed += one.exchange(
            SENDING, [], 3, NOW, put_off=lambda row, pace=pace: pace.admit(row, second), spent=pace.spent
        )
    assert len({row.id for row in claimed}) == len(claimed) == 50
    assert astuple(ledger.spent_since(NAME, 0)[0]) == astuple(Spent(NAME, "", second, 50))


def test_a_compiled_edition_that_was_tampered_with_is_refused(ledger):
    with pytest.raises(TryLater, match="is not what was put into the ledger"):
        Orders(ledger).content("0" * 64)
    with pytest.raises(TryLater, match="is not in the ledger"):
        Orders(ledger).content("1" * 64)


def test_who_is_due_is_counted_for_the_jobs_and_who_waits_for_a_rate_is_not(ledger):
    orders = Orders(ledger)
    assert dict(orders.open(enough=2)) == {SENDING: 2}
    orders.wait_until(SENDING, time.time() + 60)
    assert dict(orders.open(enough=9)) == {}
