"""Rates that hold whatever the clock does, and the brake."""

from bisect import bisect_left
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alliance_mailer.contact import Contact
from alliance_mailer.ledger import Delivery, Spent, Tally
from alliance_mailer.ledger.sqlite import open_ledger
from alliance_mailer.message import Outcome, Verdict
from alliance_mailer.pace import DAY, Brake, Pace, Policy, Rate, at_least, heard_before
from ledger.rows import ANN, BOB, SENDING, claim, contact, plan, settle

NOW = datetime(2023, 4, 3, 14, 0, tzinfo=UTC)
START = NOW.timestamp()
RATES = st.lists(
    st.builds(Rate, st.integers(1, 20), st.sampled_from([1, 60, 3600, DAY])), min_size=1, max_size=3
)  # fmt: skip
STEPS = st.lists(st.sampled_from([0.0, 0.05, 0.3, 1, 7, 59, 61, 600, 3600, 40_000]), min_size=1, max_size=60)


def row(address: str, due: int = 0) -> Delivery:
    return Delivery(1, contact(address), "sending", 1, NOW, due=due)


def go(pace: Pace, steps: list[float]) -> list[float]:
    """When messages go, if after each step as many as there is room for do."""
    seconds, went = START, []
    for step in steps:
        seconds += step
        for _ in range(pace.room(seconds) or 0):
            assert pace.admit(row("ann@example.org"), seconds) == 0
            went.append(seconds)
    return went


def most(went: list[float], period: float) -> int:
    """The most that ever went within a period."""
    return max((bisect_left(went, begin + period) - index for index, begin in enumerate(went)), default=0)


@given(RATES, STEPS)
def test_no_period_ever_sees_more_than_its_rate(rates, steps):
    went = go(Pace("smtp", rates, ()), steps)
    for rate in rates:
        # Of a second a tenth may come early: timers are not exact.
        early = max(1, rate.count // 10) if rate.period == 1 else 0
        assert most(went, rate.period) <= rate.count + early


@given(RATES, STEPS, STEPS)
def test_a_rate_holds_over_two_runs(rates, before, after):
    first = Pace("smtp", rates, ())
    went = go(first, before)
    spent = Counter((each.transport, each.domain, each.second) for each in first.spent)
    remembered = [Spent(*key, count) for key, count in sorted(spent.items(), key=lambda pair: pair[0][2])]
    pause = went[-1] - START + 0.5 if went else 0.5
    second = go(Pace("smtp", rates, (), remembered), [pause, *after])
    for rate in rates:
        if rate.period > 1:
            assert most([*went, *second], rate.period) <= rate.count


@given(RATES, STEPS)
def test_when_it_says_that_the_next_may_go_the_next_may_go(rates, steps):
    pace = Pace("smtp", rates, ())
    went = go(pace, steps)
    now = went[-1] if went else START
    at = pace.next(now)
    assert at >= now
    if at > now + 1:
        assert not pace.room(at - 1)
    assert pace.room(at + 1e-6)


def test_without_a_rate_any_number_may_go():
    pace = Pace("smtp", (), ())
    assert pace.is_free
    assert pace.room(START) is None
    assert pace.next(START) == START


def test_each_domain_has_its_own_rate_and_its_rows_queue_up():
    pace = Pace("smtp", (), [Rate(1, 60)])
    assert pace.admit(row("a@example.org"), START) == 0
    assert pace.admit(row("a@example.net"), START) == 0
    waits = [pace.admit(row(f"{n}@example.org"), START) - START for n in range(3)]
    assert waits[0] >= 60
    assert all(later - sooner >= 60 for sooner, later in pairwise(waits))


@pytest.mark.parametrize("count", [1, 10, 30])
@pytest.mark.parametrize("late", [0.0, 0.003, 0.7])
def test_a_domains_rate_is_used_up_and_no_second_sees_more(count, late):
    pace, due, went = Pace("smtp", (), [Rate(count, 1)]), dict.fromkeys(range(count * 20), 0), []
    while due:
        second = max(START, min(due.values()))
        for each in [each for each, at in due.items() if at <= second]:
            wait = pace.admit(row(f"{each}@example.org", due[each]), second + late)
            if wait:
                assert wait > second + late
                due[each] = wait
            else:
                went.append(second)
                del due[each]
    assert max(Counter(went).values()) == count
    assert went[-1] - START <= 20 + 1  # the first who are put off skip a second


def test_what_goes_is_told_to_the_ledger_by_domain_and_in_all():
    pace = Pace("smtp", [Rate(9, 1)], [Rate(9, 1)])
    pace.admit(row("a@example.org"), START)
    assert pace.spent == [Spent("smtp", "", int(START), 1), Spent("smtp", "example.org", int(START), 1)]


@pytest.mark.parametrize(
    ("count", "rates", "seconds"),
    [
        (100, [], 0),
        (100, [Rate(50, 1)], 2),
        (2000, [Rate(2000, DAY)], 0),
        (2001, [Rate(2000, DAY)], DAY),
        (90, [Rate(30, 60), Rate(10_000, DAY)], 120),
    ],
)
def test_how_long_a_sending_takes_at_the_least(count, rates, seconds):
    assert at_least(count, rates) == seconds


def test_a_server_that_names_tomorrow_is_asked_tomorrow():
    tomorrow = Outcome(Verdict.DEFERRED, "450 4.2.1 the daily limit", retry_after=DAY + 60)
    tried = replace(row("ann@example.org"), tried_at=NOW)
    assert Policy().after(tried, tomorrow, NOW + timedelta(seconds=5)) == (tomorrow, START + DAY + 65)
    assert Policy().after(tried, tomorrow, NOW + timedelta(days=2))[0].verdict is Verdict.REFUSED


# The brake ------------------------------------------------------------------------------------------------------------


def heard(brake: Brake, *outcomes: Outcome) -> str:
    return next((reason for outcome in outcomes if (reason := brake.after(outcome))), "")


NO = Outcome(Verdict.REFUSED, "550 5.1.1 no such user")
YES = Outcome(Verdict.ACCEPTED, "250 OK")
POLICY = Outcome(Verdict.DEFERRED, "421 4.7.28 unusual rate")
LATER = Outcome(Verdict.DEFERRED, "451 4.3.0 later")


def test_refusals_stop_a_run_when_there_are_too_many_for_the_answers():
    assert heard(Brake(0.05, Tally()), *[NO] * 9) == ""
    assert "10 of 10 answers are refusals" in heard(Brake(0.05, Tally()), *[NO] * 10)
    assert heard(Brake(0.05, Tally()), *[YES] * 200, *[NO] * 10) == ""
    assert "550 5.1.1 no such user" in heard(Brake(0.05, Tally()), *[YES] * 150, *[NO] * 10)


def test_what_earlier_runs_heard_counts():
    assert heard(Brake(0.05, Tally(accepted=20, refused=9)), NO)
    assert heard(Brake(0.05, Tally(accepted=1000, refused=9)), NO) == ""


def test_who_has_no_valid_address_was_refused_by_no_server(tmp_path):
    with closing(open_ledger(tmp_path / "ledger.db")) as ledger:
        plan(ledger, [ANN, BOB, *(Contact(f"nobody {n}", invalid="no address") for n in range(20))])
        settle(ledger, claim(ledger), Verdict.REFUSED)
        tally = ledger.tally(SENDING)
        assert tally.refused == 21
        assert heard_before(ledger, SENDING, tally) == replace(tally, refused=1)


def test_what_stopped_a_run_is_told_and_not_the_last_word():
    assert "the last: 550 5.1.1 no such user" in heard(Brake(0.05, Tally()), *[NO] * 9, *[YES] * 9, NO)
    assert "the last" not in heard(Brake(0.05, Tally(accepted=9, refused=20)), YES)


def test_policy_replies_stop_a_run():
    assert "deferred for policy (4.7.x)" in heard(Brake(0.05, Tally()), *[YES, POLICY] * 10)


def test_a_server_that_takes_nothing_at_all_stops_a_run():
    assert "20 messages in a row were deferred" in heard(Brake(0.05, Tally()), *[LATER] * 20)
    assert heard(Brake(0.05, Tally()), *[*[LATER] * 19, YES] * 5) == ""


def test_greylisting_and_refusals_of_us_are_no_reason_to_brake():
    greylisted = Outcome(Verdict.DEFERRED, "450 4.2.0 greylisted", retry_after=300)
    about_us = Outcome(Verdict.DEFERRED, "550 5.7.1 not you", about_us=True)
    assert heard(Brake(0.05, Tally()), *[greylisted] * 50, *[about_us] * 50) == ""


def test_a_brake_of_a_hundred_percent_never_stops():
    assert heard(Brake(1, Tally()), *[NO] * 100, *[POLICY] * 100, *[LATER] * 100) == ""


def test_the_clock_of_a_rate_may_go_backwards():
    pace = Pace("smtp", [Rate(2, 60)], ())
    go(pace, [0])
    earlier = NOW - timedelta(hours=1)
    assert pace.room(earlier.timestamp()) == 0
