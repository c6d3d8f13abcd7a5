"""What every ledger answers once a run is over: to `explain`, `resolve`, `contacts forget`, and to a receipt."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from alliance_mailer.contact import FORGOTTEN, Suppression
from alliance_mailer.ledger import Ledger, Tally
from alliance_mailer.message import Verdict

from .rows import ANN, BOB, EVE, PEOPLE, REHEARSAL, SENDING, addresses, claim, plan, settle

Open = Callable[[], Ledger]
NAME = f"{FORGOTTEN}{'a' * 32}"


def states(ledger: Ledger) -> dict[str, str]:
    return {address: state for address, state, _ in ledger.people(SENDING)}


class LaterContract:
    """Inherit, and say what a store is."""

    def store(self) -> AbstractContextManager[Open]:
        raise NotImplementedError

    @pytest.fixture
    def ledger(self) -> Iterator[Ledger]:
        """Ann has it, of Bob nobody knows, Eve waits; and a rehearsal."""
        with self.store() as connect:
            ledger = connect()
            plan(ledger, PEOPLE, REHEARSAL)
            plan(ledger)
            settle(ledger, claim(ledger), Verdict.ACCEPTED, "250 OK <ann@example.org>")
            settle(ledger, claim(ledger), Verdict.UNKNOWN)
            yield ledger

    def test_a_story_has_every_row_of_an_address(self, ledger: Ledger) -> None:
        told = [(sending, delivery.state) for sending, delivery in ledger.story(ANN)]
        assert told == [(REHEARSAL, "waiting"), (SENDING, "accepted")]
        assert ledger.story("nobody@example.org") == []

    def test_people_are_all_rows_of_one_sending_or_those_that_begin_so(self, ledger: Ledger) -> None:
        assert states(ledger) == {ANN: "accepted", BOB: "unknown", EVE: "waiting"}
        assert [address for address, _, _ in ledger.people(SENDING, "b")] == [BOB]
        assert list(ledger.people(SENDING, "x")) == []

    # A decision ------------------------------------------------------------------------------------------------------

    def test_who_is_resent_to_waits_again(self, ledger: Ledger) -> None:
        assert ledger.resolve(SENDING, resend=True) == 1
        assert states(ledger)[BOB] == "waiting"
        assert addresses(claim(ledger, 9)) == [BOB, EVE]

    def test_who_is_left_is_not_asked_about_again_but_by_name(self, ledger: Ledger) -> None:
        assert ledger.resolve(SENDING, resend=False) == 1
        assert ledger.left(SENDING) == 1
        assert ledger.resolve(SENDING, resend=True) == 0
        assert ledger.resolve(SENDING, resend=True, addresses=[BOB]) == 1
        assert (ledger.left(SENDING), states(ledger)[BOB]) == (0, "waiting")

    def test_a_decision_holds_for_the_unknown_alone(self, ledger: Ledger) -> None:
        assert ledger.resolve(SENDING, resend=True, addresses=[ANN, EVE]) == 0
        assert states(ledger) == {ANN: "accepted", BOB: "unknown", EVE: "waiting"}

    # A receipt -------------------------------------------------------------------------------------------------------

    def test_a_receipt_is_known_by_its_serial(self, ledger: Ledger) -> None:
        assert not ledger.has_serial("2.6", "abc")
        ledger.add_serial("2.6", "abc")
        ledger.add_serial("2.6", "abc")
        assert ledger.has_serial("2.6", "abc")
        assert not ledger.has_serial("2.7", "abc")

    @pytest.mark.parametrize("state", ["accepted", "refused", "unknown", "suppressed"])
    def test_a_receipt_overwrites_who_waits_and_who_is_unknown(self, ledger: Ledger, state: str) -> None:
        ledger.overwrite(
            SENDING, [(BOB, state, "as it says"), (EVE, state, "as it says"), ("x@example.org", state, "")]
        )
        assert states(ledger) == {ANN: "accepted", BOB: state, EVE: state}
        assert claim(ledger, 9, after=99_999) == []

    @pytest.mark.parametrize("state", ["waiting", "refused", "unknown", "suppressed"])
    def test_who_has_it_has_it_whatever_a_receipt_says(self, ledger: Ledger, state: str) -> None:
        assert ledger.overwrite(SENDING, [(ANN, state, "as it says")]) == 0
        assert states(ledger)[ANN] == "accepted"

    def test_rows_may_be_overwritten_while_they_are_read(self, ledger: Ledger) -> None:
        rows = ((address, "refused", "") for address, _, _ in ledger.people(SENDING))
        assert ledger.overwrite(SENDING, rows) == 2
        assert ledger.tally(SENDING) == Tally(accepted=1, refused=2)

    # Forgetting ------------------------------------------------------------------------------------------------------

    def test_who_is_forgotten_stands_in_every_row_under_the_pseudonym_alone(self, ledger: Ledger) -> None:
        assert ledger.rename(ANN, NAME) == 2
        assert ledger.story(ANN) == []
        for _, delivery in ledger.story(NAME):
            assert (delivery.contact.name, delivery.contact.source) == ("", "")
            assert "ann" not in delivery.reply
        assert states(ledger)[NAME] == "accepted"

    def test_who_waits_and_is_forgotten_is_suppressed(self, ledger: Ledger) -> None:
        ledger.rename(EVE, NAME)
        assert states(ledger)[NAME] == "suppressed"
        assert claim(ledger, 9) == []

    def test_a_suppression_keeps_neither_address_nor_reason(self, ledger: Ledger) -> None:
        ledger.suppress([Suppression(EVE, "hard bounce: <eve@example.org>", "2023-03-02", "issue 2.5")])
        ledger.suppress([Suppression(NAME, "forgotten", "2023-04-03")])
        ledger.rename(EVE, NAME)
        (only,) = ledger.suppressions()
        assert (only.address, only.reason, only.source) == (NAME, "forgotten", "")
