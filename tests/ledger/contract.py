"""What every ledger keeps, whatever it is made of. A ledger's test file inherits `LedgerContract` and gives it a store."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from threading import Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alliance_mailer.contact import Contact, Suppression
from alliance_mailer.errors import TryLater
from alliance_mailer.ledger import Delivery, Keyed, Ledger, Planned, Sending, Settled, Spent, Tally
from alliance_mailer.message import Outcome, Verdict

from .rows import ANN, BOB, EVE, NOW, PEOPLE, PLAN, REHEARSAL, SENDING, addresses, claim, contact, plan, settle, stage

Open = Callable[[], Ledger]  # a connection to the one store of a test


class LedgerContract:
    """Inherit, and say what a store is."""

    def store(self) -> AbstractContextManager[Open]:
        raise NotImplementedError

    @pytest.fixture
    def connect(self) -> Iterator[Open]:
        with self.store() as connect:
            yield connect

    @pytest.fixture
    def ledger(self, connect: Open) -> Ledger:
        return connect()

    # Planning ------------------------------------------------------------------------------------------------------

    # One method, inherited by a test class for each ledger: that is meant, and each has a store of its own.
    @settings(max_examples=20, suppress_health_check=[HealthCheck.differing_executors])
    @given(st.lists(st.sampled_from(PEOPLE)), st.lists(st.sampled_from(PEOPLE)))
    def test_planning_twice_is_planning_once(self, first: list[str], second: list[str]) -> None:
        with self.store() as connect:
            ledger = connect()
            assert plan(ledger, first) == len(set(first))
            assert plan(ledger, first) == 0
            assert plan(ledger, first + second) == len(set(second) - set(first))
            assert ledger.tally(SENDING) == Tally(waiting=len({*first, *second}))

    def test_the_first_row_of_an_address_wins_and_the_others_are_told(self, ledger: Ledger) -> None:
        rows = [
            Contact(ANN, {"name": "Ann"}, source="contacts/a.csv:2"),
            Contact(ANN, {"name": "Anna"}, source="contacts/b.csv:7"),
        ]
        audience = stage(ledger, rows)
        assert (audience.people, audience.joined) == (1, 1)
        assert audience.duplicates == [(rows[1], "contacts/a.csv:2")]
        ledger.plan(SENDING, PLAN, NOW)
        assert [each.contact.name for each in claim(ledger, 2)] == ["Ann"]

    def test_an_invalid_address_is_refused_with_the_reason_and_never_claimed(self, ledger: Ledger) -> None:
        nobody = Contact("no at", {"email": "no at"}, source="contacts/subscribers.csv:3", invalid="no @ in it")
        assert stage(ledger, [ANN, nobody]).invalid == [nobody]
        ledger.plan(SENDING, PLAN, NOW)
        assert ledger.tally(SENDING) == Tally(waiting=1, refused=1)
        assert addresses(claim(ledger, 2)) == [ANN]
        assert [each.reply for each in ledger.deliveries(SENDING, ["refused"])] == ["no @ in it"]

    def test_who_cannot_be_addressed_is_told_unless_nothing_is_sent_to_them_anyway(self, ledger: Ledger) -> None:
        plan(ledger, [ANN])
        ledger.suppress([Suppression(BOB, "unsubscribe")])
        audience = ledger.stage(SENDING, map(contact, PEOPLE), ["first_name"], lambda _: ["has no first_name"])
        assert audience.mistakes == [(contact(EVE), ["has no first_name"])]

    def test_staging_plans_nothing_and_forgets_what_was_staged_before(self, ledger: Ledger) -> None:
        stage(ledger, [ANN])
        assert ledger.tally(SENDING).planned == 0
        stage(ledger, [BOB])
        ledger.plan(SENDING, PLAN, NOW)
        assert addresses(claim(ledger, 9)) == [BOB]

    def test_who_has_joined_since_the_plan_is_counted(self, ledger: Ledger) -> None:
        plan(ledger, [ANN])
        ledger.suppress([Suppression(EVE, "unsubscribe")])
        audience = stage(ledger, PEOPLE)
        assert (audience.people, audience.joined, audience.suppressed) == (3, 1, 1)

    def test_a_row_keeps_what_the_message_writes_of_a_person_and_no_more(self, ledger: Ledger) -> None:
        ann = Contact(ANN, {"email": "Ann@Example.org", "name": "Ann", "city": "Kyōto", "phone": "1"}, source="a.csv:2")
        stage(ledger, [ann], fields=["email", "city"])
        ledger.plan(SENDING, PLAN, NOW)
        kept = claim(ledger)[0].contact
        assert kept.fields == {"email": "Ann@Example.org", "name": "Ann", "city": "Kyōto"}
        assert kept.source == "a.csv:2"

    def test_what_a_sending_was_planned_with_is_known(self, ledger: Ledger) -> None:
        assert ledger.planned(SENDING) is None
        plan(ledger)
        assert ledger.planned(SENDING) == PLAN
        assert ledger.planned(REHEARSAL) is None
        assert ledger.sendings() == [SENDING]

    def test_newcomers_planned_with_another_edition_make_it_the_known_one(self, ledger: Ledger) -> None:
        plan(ledger, [ANN])
        mended = Planned("c3d4", PLAN.transport, "Digest 2.6, corrected", "Hello!\n")
        stage(ledger, [ANN, BOB])
        assert ledger.plan(SENDING, mended, NOW) == 1
        assert ledger.planned(SENDING) == mended

    # Suppression ----------------------------------------------------------------------------------------------------

    def test_who_is_suppressed_before_the_plan_is_never_claimed(self, ledger: Ledger) -> None:
        ledger.suppress([Suppression(BOB, "unsubscribe", "2023-03-02", "reply")])
        plan(ledger)
        assert addresses(claim(ledger, 9)) == [ANN, EVE]
        assert [each.reply for each in ledger.deliveries(SENDING, ["suppressed"])] == ["unsubscribe"]

    def test_who_is_suppressed_between_plan_and_claim_is_never_claimed(self, ledger: Ledger) -> None:
        plan(ledger)
        ledger.suppress([Suppression(ANN, "complaint"), Suppression(BOB, "unsubscribe")])
        assert addresses(claim(ledger)) == [EVE]
        assert ledger.tally(SENDING) == Tally(waiting=1, suppressed=2)

    def test_a_claim_that_came_across_somebody_suppressed_is_no_larger_for_it(self, ledger: Ledger) -> None:
        plan(ledger, [ANN, BOB, EVE, "dan@example.org"])
        ledger.suppress([Suppression(ANN, "unsubscribe")])
        assert addresses(claim(ledger, 2)) == [BOB, EVE]

    def test_who_is_suppressed_while_deferred_is_never_claimed_again(self, ledger: Ledger) -> None:
        plan(ledger, [ANN])
        settle(ledger, claim(ledger), Verdict.DEFERRED)
        ledger.suppress([Suppression(ANN, "unsubscribe")])
        assert claim(ledger, after=9999) == []
        assert ledger.tally(SENDING) == Tally(suppressed=1)

    def test_the_first_reason_for_a_suppression_stands(self, ledger: Ledger) -> None:
        ledger.suppress([Suppression(ANN, "complaint")])
        ledger.suppress([Suppression(ANN, "changed his mind")])
        plan(ledger, [ANN])
        assert [each.reply for each in ledger.deliveries(SENDING, ["suppressed"])] == ["complaint"]

    # Claiming and settling -------------------------------------------------------------------------------------------

    def test_rows_are_claimed_in_the_order_of_the_plan_and_once(self, ledger: Ledger) -> None:
        plan(ledger, [EVE, ANN, BOB])
        assert addresses(claim(ledger, 2)) == [EVE, ANN]
        assert addresses(claim(ledger, 2)) == [BOB]
        assert addresses(claim(ledger, 2)) == []

    def test_a_claim_knows_its_try_and_when_it_was_planned(self, ledger: Ledger) -> None:
        plan(ledger, [ANN])
        settle(ledger, claim(ledger, after=5), Verdict.DEFERRED, "451 later", due=60)
        again = claim(ledger, after=60)[0]
        assert (again.attempts, again.planned_at, again.reply) == (2, NOW, "451 later")
        assert again.tried_at == NOW + timedelta(seconds=5)

    @pytest.mark.parametrize("verdict", [Verdict.ACCEPTED, Verdict.REFUSED, Verdict.UNKNOWN])
    def test_what_is_settled_for_good_is_never_claimed_again(self, ledger: Ledger, verdict: Verdict) -> None:
        plan(ledger, [ANN])
        settle(ledger, claim(ledger), verdict, "the server's words")
        assert claim(ledger, after=99_999) == []
        assert ledger.tally(SENDING) == Tally(**{verdict: 1})
        assert [each.reply for each in ledger.deliveries(SENDING, [verdict])] == ["the server's words"]
        assert ledger.next_due(SENDING) is None

    def test_a_deferred_row_is_claimed_when_it_is_due_and_not_before(self, ledger: Ledger) -> None:
        plan(ledger, [ANN])
        settle(ledger, claim(ledger), Verdict.DEFERRED, due=60)
        assert ledger.next_due(SENDING) == NOW + timedelta(seconds=60)
        assert claim(ledger, after=59) == []
        assert addresses(claim(ledger, after=60)) == [ANN]

    def test_whom_nobody_has_tried_comes_before_whom_a_server_deferred(self, ledger: Ledger) -> None:
        plan(ledger)
        settle(ledger, claim(ledger), Verdict.DEFERRED, due=60)
        assert addresses(claim(ledger, 3, after=60)) == [BOB, EVE, ANN]

    def test_settling_and_claiming_are_one_step(self, ledger: Ledger) -> None:
        plan(ledger)
        first = claim(ledger)
        following = ledger.exchange(SENDING, [Settled(first[0], Outcome(Verdict.ACCEPTED))], 1, NOW)
        assert addresses(following) == [BOB]
        assert ledger.tally(SENDING) == Tally(accepted=1, waiting=2)

    def test_who_is_put_off_is_not_claimed_and_due_when_it_was_said(self, ledger: Ledger) -> None:
        plan(ledger)
        later = int(NOW.timestamp()) + 30

        def put_off(delivery: Delivery) -> int:
            return 0 if delivery.contact.address == EVE else later

        assert addresses(ledger.exchange(SENDING, [], 2, NOW, put_off=put_off)) == [EVE]
        assert ledger.next_due(SENDING) == NOW + timedelta(seconds=30)
        assert [each.attempts for each in claim(ledger, 9, after=30)] == [1, 1]

    def test_what_was_spent_is_remembered_until_it_is_too_old(self, connect: Open) -> None:
        spent = [Spent("smtp", "", 100, 2), Spent("smtp", "example.org", 100, 1), Spent("smtp", "", 100, 1)]
        connect().exchange(SENDING, [], 0, NOW, spent=spent)
        connect().exchange(SENDING, [], 0, NOW, spent=[Spent("smtp", "", 160, 1), Spent("another", "", 160, 7)])
        assert connect().spent_since("smtp", 0) == [
            Spent("smtp", "", 100, 3), Spent("smtp", "example.org", 100, 1), Spent("smtp", "", 160, 1)
        ]  # fmt: skip
        assert connect().spent_since("smtp", 150) == [Spent("smtp", "", 160, 1)]
        assert connect().spent_since("smtp", 0) == [Spent("smtp", "", 160, 1)]

    def test_a_rate_is_shared_by_all_who_spend_of_it(self, connect: Open) -> None:
        told: dict[int, list[Spent]] = {1: [], 2: []}

        def opened(number: int) -> Ledger:
            ledger = connect()
            ledger.spent_since("smtp", 0)
            ledger.share_rate(lambda others, _: told[number].extend(others) or 1)
            return ledger

        plan(connect())
        one, two = opened(1), opened(2)
        assert addresses(one.exchange(SENDING, [], 3, NOW, spent=[Spent("smtp", "", 100, 2)])) == [ANN]
        two.exchange(SENDING, [], 3, NOW, spent=[Spent("smtp", "example.org", 101, 1), Spent("another", "", 101, 5)])
        one.exchange(SENDING, [], 3, NOW)
        assert told == {1: [Spent("smtp", "example.org", 101, 1)], 2: [Spent("smtp", "", 100, 2)]}
        two.exchange(SENDING, [], 0, NOW)  # who claims nothing needs no room
        assert [len(others) for others in told.values()] == [1, 1]

    def test_what_others_spend_after_a_transaction_that_failed_is_not_overlooked(self, connect: Open) -> None:
        plan(connect())
        one, two, told = connect(), connect(), list[Spent]()
        one.spent_since("smtp", 0)
        one.share_rate(lambda others, _: told.extend(others))

        def fails(rows: Sequence[Delivery]) -> str:
            raise RuntimeError

        with pytest.raises(RuntimeError):
            one.exchange(SENDING, [], 1, NOW, spent=[Spent("smtp", "", 100, 1)] * 3, keyed=Keyed("smtp", 1, fails))
        two.exchange(SENDING, [], 0, NOW, spent=[Spent("smtp", "", 100, 7)])
        one.exchange(SENDING, [], 1, NOW)
        assert told == [Spent("smtp", "", 100, 7)]

    def test_a_hard_bounce_suppresses_and_nothing_else_does(self, ledger: Ledger) -> None:
        plan(ledger)
        rows = claim(ledger, 3)
        outcomes = [
            Outcome(Verdict.REFUSED, "550 5.1.1 no such user", hard=True),
            Outcome(Verdict.REFUSED, "552 5.2.2 mailbox full"),
            Outcome(Verdict.DEFERRED, "450 4.2.0 later"),
        ]
        ledger.exchange(SENDING, list(map(Settled, rows, outcomes)), 0, NOW)
        suppressed = list(ledger.suppressions())
        assert [each.address for each in suppressed] == [ANN]
        assert suppressed[0].reason == "hard bounce: 550 5.1.1 no such user"
        assert (suppressed[0].since, suppressed[0].source) == ("2023-04-03", "issue 2.6")

    def test_a_rehearsals_hard_bounce_suppresses_nobody(self, ledger: Ledger) -> None:
        plan(ledger, [ANN], REHEARSAL)
        hard = Outcome(Verdict.REFUSED, "550 5.1.1 no such user", hard=True)
        ledger.exchange(REHEARSAL, [Settled(claim(ledger, 1, REHEARSAL)[0], hard)], 0, NOW)
        assert list(ledger.suppressions()) == []

    def test_a_waiting_row_is_due_at_once(self, ledger: Ledger) -> None:
        plan(ledger, [ANN])
        due = ledger.next_due(SENDING)
        assert due is not None
        assert due <= NOW

    def test_a_released_claim_is_as_if_it_had_not_been_tried(self, ledger: Ledger) -> None:
        plan(ledger, [ANN])
        ledger.release(claim(ledger))
        assert ledger.tally(SENDING) == Tally(waiting=1)
        assert claim(ledger, after=60)[0].attempts == 1
        (row,) = ledger.deliveries(SENDING, ["sending"])
        assert row.tried_at == NOW + timedelta(seconds=60)

    def test_a_released_claim_of_a_deferred_row_is_deferred_again(self, ledger: Ledger) -> None:
        plan(ledger, [ANN])
        settle(ledger, claim(ledger), Verdict.DEFERRED)
        ledger.release(claim(ledger, after=60))
        assert ledger.tally(SENDING) == Tally(deferred=1)
        assert claim(ledger, after=60)[0].attempts == 2

    def test_a_refusal_of_us_is_no_attempt(self, ledger: Ledger) -> None:
        plan(ledger, [ANN])
        about_us = Outcome(Verdict.DEFERRED, "550 5.7.1 not you", about_us=True)
        ledger.exchange(SENDING, [Settled(*claim(ledger), about_us, 0)], 0, NOW)
        assert ledger.tally(SENDING) == Tally(deferred=1)
        assert claim(ledger, after=60)[0].attempts == 1
        (row,) = ledger.deliveries(SENDING, ["sending"])
        assert row.tried_at == NOW + timedelta(seconds=60)

    def test_a_claim_counts_as_waiting(self, ledger: Ledger) -> None:
        plan(ledger)
        claim(ledger, 2)
        assert ledger.tally(SENDING) == Tally(waiting=3)

    # Recovering ------------------------------------------------------------------------------------------------------

    def test_a_dead_runs_claims_become_unknown(self, ledger: Ledger) -> None:
        plan(ledger)
        claim(ledger, 2)
        assert ledger.recover(SENDING, repeat=False) == 2
        assert ledger.tally(SENDING) == Tally(unknown=2, waiting=1)
        assert addresses(claim(ledger, 9)) == [EVE]

    def test_a_dead_runs_claims_wait_again_where_they_may_be_repeated(self, ledger: Ledger) -> None:
        plan(ledger, sending=REHEARSAL)
        claim(ledger, 2, REHEARSAL)
        assert ledger.recover(REHEARSAL, repeat=True) == 2
        assert addresses(claim(ledger, 9, REHEARSAL)) == [ANN, BOB, EVE]

    def test_another_issues_claims_are_left_alone(self, ledger: Ledger) -> None:
        other = Sending("2.7", rehearsal=False)
        plan(ledger, [ANN], other)
        claim(ledger, 1, other)
        assert ledger.recover(SENDING, repeat=False) == 0
        assert ledger.tally(other) == Tally(waiting=1)

    def test_an_answer_that_comes_after_recovering_changes_nothing(self, ledger: Ledger) -> None:
        plan(ledger, [ANN])
        late = claim(ledger)
        ledger.recover(SENDING, repeat=False)
        settle(ledger, late, Verdict.DEFERRED)
        ledger.release(late)
        assert ledger.tally(SENDING) == Tally(unknown=1)

    # Apart from one another ------------------------------------------------------------------------------------------

    def test_a_rehearsal_and_a_sending_know_nothing_of_each_other(self, ledger: Ledger) -> None:
        plan(ledger, PEOPLE, REHEARSAL)
        settle(ledger, claim(ledger, 3, REHEARSAL), Verdict.ACCEPTED)
        assert ledger.tally(SENDING) == Tally()
        assert plan(ledger, PEOPLE, SENDING) == 3
        assert addresses(claim(ledger, 3)) == [*PEOPLE]

    def test_forgetting_a_rehearsal_forgets_nothing_else(self, ledger: Ledger) -> None:
        other = Sending("2.7", rehearsal=True)
        for sending in (SENDING, REHEARSAL, other):
            plan(ledger, [ANN], sending)
        ledger.forget(REHEARSAL)
        assert ledger.tally(REHEARSAL) == Tally()
        assert ledger.planned(REHEARSAL) is None
        assert ledger.tally(SENDING) == ledger.tally(other) == Tally(waiting=1)
        assert ledger.planned(SENDING) == ledger.planned(other) == PLAN
        assert set(ledger.sendings()) == {SENDING, other}

    def test_the_states_asked_for_are_listed_in_the_order_of_the_plan(self, ledger: Ledger) -> None:
        plan(ledger, [EVE, BOB, ANN])
        settle(ledger, claim(ledger), Verdict.REFUSED)
        settle(ledger, claim(ledger), Verdict.ACCEPTED)
        assert addresses(ledger.deliveries(SENDING, ["waiting", "refused"])) == [EVE, ANN]

    # Requests with a key ---------------------------------------------------------------------------------------------

    def post(self, ledger: Ledger, *sizes: int) -> list[list[Delivery]]:
        """Claim one request of each size, each with the key of its people."""
        keyed = [Keyed("resend", size, lambda rows: "+".join(addresses(rows))) for size in sizes]
        return [ledger.exchange(SENDING, [], each.size, NOW, keyed=each) for each in keyed]

    def repeatable(self, ledger: Ledger, transport: str = "resend", age: int = 0) -> list[tuple[str, list[str]]]:
        found = ledger.repeatable(SENDING, transport, NOW - timedelta(seconds=age))
        return [(each.key, [row.contact.address for row in each.deliveries]) for each in found]

    def test_a_request_in_doubt_may_go_again_as_it_was(self, connect: Open) -> None:
        ledger = connect()
        plan(ledger, [EVE, ANN, BOB])
        self.post(ledger, 2, 1)
        assert self.repeatable(ledger) == []  # their run is alive
        ledger.recover(SENDING, repeat=False)
        assert self.repeatable(connect()) == [("eve@example.org+ann@example.org", [EVE, ANN]), (BOB, [BOB])]
        assert [each.in_doubt for each in ledger.repeatable(SENDING, "resend", NOW)] == [2, 1]

    def test_one_exchange_remembers_as_many_requests_as_it_claims(self, ledger: Ledger) -> None:
        plan(ledger, [EVE, ANN, BOB])
        ledger.exchange(SENDING, [], 3, NOW, keyed=Keyed("resend", 2, lambda rows: "+".join(addresses(rows))))
        ledger.recover(SENDING, repeat=False)
        assert [people for _, people in self.repeatable(ledger)] == [[EVE, ANN], [BOB]]

    def test_a_request_is_repeated_whole_though_a_part_of_it_is_settled(self, ledger: Ledger) -> None:
        plan(ledger)
        (rows,) = self.post(ledger, 3)
        settle(ledger, rows[:1], Verdict.ACCEPTED)
        settle(ledger, rows[1:2], Verdict.REFUSED)
        ledger.recover(SENDING, repeat=False)
        (request,) = ledger.repeatable(SENDING, "resend", NOW)
        assert [row.state for row in request.deliveries] == ["accepted", "refused", "unknown"]
        settle(ledger, request.deliveries, Verdict.ACCEPTED)
        assert ledger.tally(SENDING) == Tally(accepted=2, refused=1)  # what was settled stays
        assert self.repeatable(ledger) == []

    def test_what_stays_in_doubt_may_go_again(self, ledger: Ledger) -> None:
        plan(ledger)
        (rows,) = self.post(ledger, 3)
        settle(ledger, rows, Verdict.UNKNOWN)
        (request,) = ledger.repeatable(SENDING, "resend", NOW)
        settle(ledger, request.deliveries, Verdict.UNKNOWN)
        assert ledger.tally(SENDING) == Tally(unknown=3)
        assert len(self.repeatable(ledger)) == 1

    def test_a_key_is_worth_nothing_later_or_elsewhere(self, ledger: Ledger) -> None:
        plan(ledger)
        self.post(ledger, 3)
        ledger.recover(SENDING, repeat=False)
        assert self.repeatable(ledger, age=-1) == []
        assert self.repeatable(ledger, "brevo") == []
        assert ledger.repeatable(REHEARSAL, "resend", NOW) == []

    @pytest.mark.parametrize("what", ["put off", "released", "left", "resent", "suppressed", "renamed"])
    def test_a_request_that_is_no_longer_whole_is_never_repeated(self, ledger: Ledger, what: str) -> None:
        plan(ledger)
        (rows,) = self.post(ledger, 3)
        match what:
            case "put off":
                settle(ledger, rows[:1], Verdict.DEFERRED, due=60)
            case "released":
                ledger.release(rows[:1])
        ledger.recover(SENDING, repeat=False)
        match what:
            case "left" | "resent":
                ledger.resolve(SENDING, resend=what == "resent", addresses=[BOB])
            case "suppressed":
                ledger.suppress([Suppression(EVE, "unsubscribe")])
            case "renamed":
                ledger.rename(EVE, "forgotten")
                ledger.suppress([Suppression("forgotten", "erased")])
        assert self.repeatable(ledger) == []

    def test_who_was_accepted_may_be_suppressed_since(self, ledger: Ledger) -> None:
        plan(ledger)
        (rows,) = self.post(ledger, 3)
        settle(ledger, rows[:1], Verdict.ACCEPTED)
        ledger.suppress([Suppression(ANN, "unsubscribe")])
        ledger.recover(SENDING, repeat=False)
        assert len(self.repeatable(ledger)) == 1  # the provider knows the key, or has none of it

    # Several connections ---------------------------------------------------------------------------------------------

    def test_one_run_holds_an_issue_and_another_may_hold_another(self, connect: Open) -> None:
        one, two = connect(), connect()
        with (
            one.hold("2.6"),
            two.hold("2.7"),
            pytest.raises(TryLater, match=r"another run holds issue 2\.6"),
            two.hold("2.6"),
        ):
            raise AssertionError("both hold it")  # pragma: no cover
        with two.hold("2.6"):
            assert two.tally(SENDING) == Tally()

    def test_what_one_connection_wrote_another_reads(self, connect: Open) -> None:
        plan(connect())
        settle(connect(), claim(connect()), Verdict.ACCEPTED)
        assert connect().tally(SENDING) == Tally(accepted=1, waiting=2)

    def test_many_connections_never_claim_the_same_row(self, connect: Open) -> None:
        plan(connect(), [f"reader{n}@example.org" for n in range(120)])
        seen: list[str] = []

        def run() -> None:
            ledger = connect()
            while claimed := claim(ledger, 3):
                seen.extend(addresses(claimed))
            ledger.close()

        threads = [Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(seen) == len(set(seen)) == 120
