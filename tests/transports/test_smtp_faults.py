"""SMTP against a server that fails in every way and at every moment, and keeps the book of what it really took.

Whatever happens: accepted, and it took the message; deferred or refused, and it did not; else unknown. Nobody twice, and
nobody else is harmed.
"""

import hashlib
import re
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alliance_mailer.edition import Edition
from alliance_mailer.errors import TransportRefused, TryLater
from alliance_mailer.message import Message, Outcome, Verdict
from alliance_mailer.transports import smtp
from alliance_mailer.transports.smtp import Options, connect
from faults import FaultyServer

from .letters import letter, send, small

ACCEPTED, DEFERRED, REFUSED, UNKNOWN = Verdict.ACCEPTED, Verdict.DEFERRED, Verdict.REFUSED, Verdict.UNKNOWN

ANN, BOB, EVE, KIM, LEO, MAX = PEOPLE = [f"{name}@example.org" for name in ("ann", "bob", "eve", "kim", "leo", "max")]

SERVERS = {
    "verb by verb": ({"pipelining": False}, {}),
    "pipelined": ({}, {}),
    "in windows": ({"chunking": True}, {"chunking_window": 3}),
}
every_server = pytest.mark.parametrize("how", SERVERS)
one_by_one = pytest.mark.parametrize("how", ["verb by verb", "pipelined"])

LOST = ["drop", "end", "half", "garbage", "endless", "hang"]
HARMLESS = ["long", "slow", "late"]


class Sending:
    """Everybody once over one transport after another, as `deliver` does, with an empty batch wherever one may be."""

    def __init__(self, edition: Edition, size: int = 0, people: list[str] = PEOPLE) -> None:
        text = b"".join(b"%06d %s\r\n" % (line, b"x" * 60) for line in range(size // 70))
        self.letters = {to: letter(small(edition, text), to) for to in people}
        self.outcomes: dict[str, Outcome] = {}
        self.troubles: list[str] = []

    def over(self, server: FaultyServer, *, batch: int = 1, empty: str = "", **options: object) -> None:
        """`empty`: a "1" for each empty batch, a "0" for each that is none; then there are no others."""
        options = Options(**{"host": "127.0.0.1", "port": server.port, "tls": "none", "timeout": 5.0, **options})
        for _ in range(30):
            pulled = deque[str]()
            try:
                with closing(connect(options, project=Path(), issue="2.6", environ={})) as transport:
                    for outcome in transport.carry(self._batches(batch, empty, pulled)):
                        to = pulled.popleft()
                        assert to not in self.outcomes
                        self.outcomes[to] = outcome
                assert not pulled
            except (TryLater, TransportRefused) as trouble:
                self.troubles.append(str(trouble))
            if len(self.outcomes) == len(self.letters):
                return
        raise AssertionError(f"no end: {self.troubles}")

    def _batches(self, size: int, empty: str, pulled: deque[str]) -> Iterator[list[Message]]:
        left = [to for to in self.letters if to not in self.outcomes]
        when = iter(empty)
        while left:
            if next(when, "0") == "1":
                yield []
                continue
            batch, left = left[:size], left[size:]
            pulled.extend(batch)
            yield [self.letters[to] for to in batch]

    def lies(self, server: FaultyServer) -> list[str]:
        """Where what is said is not what the server took. Ask when it has stopped, and its book is complete."""
        # A server that says more than it is asked for puts us out of step itself.
        pipelining = server.pipelining or not any("dot extra" in entry.get("fault", "") for entry in server.entries)
        excused = pipelining and any(re.search("extra|text [45]", entry.get("fault", "")) for entry in server.entries)
        lies = [str(entry) for entry in server.entries if entry["what"] == "breach" and not excused]
        taken = Counter(each.to for each in server.took)
        for to, outcome in self.outcomes.items():
            if taken[to] not in {ACCEPTED: {1}, UNKNOWN: {0, 1}}.get(outcome.verdict, {0}):
                lies.append(f"{to}: {outcome}, and the server took {taken[to]}")
        right = {to: hashlib.sha256(letter.as_bytes()).hexdigest() for to, letter in self.letters.items()}
        return [*lies, *(f"{each.to}: other bytes" for each in server.took if each.sha256 != right[each.to])]

    def verdicts(self) -> dict[str, Verdict]:
        return {to: outcome.verdict for to, outcome in self.outcomes.items()}


@pytest.fixture
def sent(edition, monkeypatch):
    def sent(how: str, *faults: str, to: str = BOB, size: int = 0, **more) -> Sending:
        """Bob's message meets each fault in turn, one a try. Others have none."""
        offers, options = SERVERS[how]
        hangs = any("hang" in fault for fault in faults)
        monkeypatch.setattr(smtp, "_FINAL_DOT", 0.3 if hangs else 5.0)
        monkeypatch.setattr(smtp, "_GOODBYE", 0.2)
        options = {"timeout": 0.3 if hangs else 5.0, "batch": options.get("chunking_window", 1), **options, **more}
        sending = Sending(edition, size)
        script = {to: [*faults]} if to != "*" else {to: ["", "", *faults]}  # a greeting, Ann's, and then Bob's
        with FaultyServer(script=script, **offers) as server:
            sending.over(server, **options)
        assert {entry["fault"] for entry in server.entries if entry["what"] == "fault"} == {
            each for fault in faults for each in fault.split("; ")
        }
        assert sending.lies(server) == []
        sending.connections = sum(entry["what"] == "connection" for entry in server.entries)
        return sending

    return sent


def harmed(sending: Sending, whom: str = BOB) -> dict[str, Verdict]:
    return {to: verdict for to, verdict in sending.verdicts().items() if to != whom and verdict is not ACCEPTED}


# One fault, one verdict -----------------------------------------------------------------------------------------------

REPLIES = [
    ("rcpt 421 4.3.2 shutting down", DEFERRED),
    ("rcpt 450 4.2.0 greylisted", DEFERRED),
    ("rcpt 552 5.2.2 mailbox full", DEFERRED),
    ("rcpt 550 5.1.1 no such user", REFUSED),
    ("rcpt 251 forwarded", ACCEPTED),
    ("data 421 4.3.2 shutting down", DEFERRED),
    ("data 451 4.3.0 later", DEFERRED),
    ("data 554 5.6.0 no", REFUSED),
    ("dot 421 4.3.2 shutting down", DEFERRED),
    ("dot 451 4.3.0 later", DEFERRED),
    ("dot 554 5.6.0 no", REFUSED),
    *((f"{moment} {what}", ACCEPTED) for moment in ("rcpt", "data", "dot") for what in HARMLESS),
]
LOSSES = [
    *((f"{moment} {what}", DEFERRED) for moment in ("rcpt", "data") for what in LOST),
    *((f"dot {taken}{what}", UNKNOWN) for taken in ("", "taken ") for what in LOST),
    ("rcpt close", DEFERRED),
    ("data close", UNKNOWN),  # it is gone before the text, and the system takes that all the same
    ("dot close", ACCEPTED),
]


@every_server
@pytest.mark.parametrize(("fault", "verdict"), REPLIES)
def test_a_reply_has_its_verdict_and_harms_nobody_else(sent, how, fault, verdict):
    # In a window Bob's goes by BDAT and Eve's by DATA.
    for whom in (BOB, EVE) if how == "in windows" and not fault.startswith("data") else (EVE,):
        sending = sent(how, fault, to=whom)
        assert (sending.verdicts()[whom], harmed(sending, whom)) == (verdict, {})


@one_by_one
@pytest.mark.parametrize(("fault", "verdict"), LOSSES)
def test_a_lost_connection_has_its_verdict_and_harms_nobody_else(sent, how, fault, verdict):
    sending = sent(how, fault)
    assert sending.verdicts()[BOB] in {verdict, DEFERRED} if fault == "data close" else {verdict}
    # A reset takes the reply to Ann's message along: it waited for the others.
    in_front = {ANN: UNKNOWN} if how == "pipelined" and fault in ("rcpt drop", "data drop") else {}
    assert harmed(sending) == in_front


@pytest.mark.parametrize(("fault", "verdict"), [case for case in LOSSES if not case[0].startswith("data")])
def test_a_connection_lost_in_a_window_leaves_in_doubt_what_has_no_answer(sent, fault, verdict):
    sending = sent("in windows", fault)
    assert sending.verdicts()[BOB] is (ACCEPTED if fault == "dot close" else UNKNOWN)
    assert harmed(sending) == ({ANN: UNKNOWN} if "drop" in fault else {})


@pytest.mark.parametrize(("fault", "verdict"), LOSSES)
def test_a_connection_lost_at_a_windows_end_leaves_in_doubt_what_follows(sent, fault, verdict):
    sending = sent("in windows", fault, to=EVE)
    assert sending.verdicts()[EVE] in {verdict, DEFERRED} if fault == "data close" else {verdict}
    in_front = {ANN: UNKNOWN, BOB: UNKNOWN} if fault in ("rcpt drop", "data drop") else {}
    behind = {KIM: UNKNOWN, LEO: UNKNOWN} if fault.startswith(("dot", "data close")) else {}
    assert harmed(sending, EVE) in ([in_front, behind] if fault == "data close" else [in_front | behind])


@one_by_one
@pytest.mark.parametrize("fault", ["mail 421 4.7.0 too many messages", *(f"mail {what}" for what in LOST)])
def test_a_connection_that_takes_no_more_is_changed_and_nobody_hears_of_it(sent, how, fault):
    sending = sent(how, fault, to="*")
    assert harmed(sending, "") == ({ANN: UNKNOWN} if how == "pipelined" and fault == "mail drop" else {})
    assert (sending.connections, sending.troubles) == (2, [])


def test_421_within_a_window_harms_nobody(sent):
    assert harmed(sent("in windows", "mail 421 4.7.0 too many messages", to="*"), "") == {}


@every_server
@pytest.mark.parametrize("fault", ["mail 451 4.3.0 later", "mail close"])
def test_a_sender_that_is_put_off_is_deferred(sent, how, fault):
    sending = sent(how, fault, to="*")
    assert sending.verdicts()[BOB] is (UNKNOWN if fault == "mail close" and how == "in windows" else DEFERRED)
    assert harmed(sending) == {}


@every_server
@pytest.mark.parametrize("moment", ["mail", "rcpt", "data", "dot"])
@pytest.mark.parametrize("code", ["550 5.7.1 no", "530 5.7.0 who are you?", "535 5.7.8 who are you?"])
def test_a_refusal_of_us_stops_the_run_and_marks_nobody_refused(sent, how, moment, code):
    whom = EVE if moment == "data" else BOB
    sending = sent(how, f"{moment} {code}", to="*" if moment == "mail" else whom)
    assert sending.troubles[0].startswith(f"127.0.0.1 refuses us, not the person: {code}")
    assert sending.outcomes[whom] == Outcome(DEFERRED, code, about_us=True)
    assert harmed(sending, whom) == {}


@every_server
@pytest.mark.parametrize("what", [*HARMLESS, "extra", *LOST, "421 4.3.2 x", "close"])
@pytest.mark.parametrize("moment", ["greeting", "ehlo", "rset", "quit"])
def test_around_the_messages_nothing_harms_anybody(sent, how, moment, what):
    faults = {"rset": [f"rcpt 550 5.1.1 no; rset {what}"], "quit": [f"rcpt 550 5.1.1 no; quit {what}"]}
    if moment in faults:
        more = {"messages_per_connection": 2} if moment == "quit" else {}
        sending = sent(how, *faults[moment], to=BOB, **more)
        reset = how == "in windows" and moment == "rset" and what == "drop"  # takes the refusal along
        assert sending.verdicts()[BOB] is (UNKNOWN if reset else REFUSED)
    else:
        sending = sent(how, f"{moment} {what}", to="*", messages_per_connection=1)
    assert {*harmed(sending).values()} <= ({UNKNOWN} if how == "in windows" and what in LOST else set())


@one_by_one
@pytest.mark.parametrize("moment", ["mail", "rcpt", "data", "dot"])
def test_out_of_step_is_noticed_before_a_message_can_be_mistaken_for_another(sent, how, moment):
    sending = sent(how, f"{moment} extra", to="*" if moment == "mail" else BOB)
    # A second 354 is seen before the text; what is out of step before, is changed for a connection that is not.
    assert harmed(sending, "") == ({BOB: DEFERRED} if moment == "data" else {})


@pytest.mark.parametrize("moment", ["mail", "rcpt", "dot"])
def test_out_of_step_in_a_window_shows_at_the_next_refusal(edition, moment):
    sending = Sending(edition)
    script = {
        "*" if moment == "mail" else ANN: [*["", ""] * (moment == "mail"), f"{moment} extra"],
        BOB: ["dot 451 4.3.0 x"],
    }
    with FaultyServer(chunking=True, script=script) as server:
        sending.over(server, batch=6, chunking_window=6)
    assert sending.lies(server) == []


@every_server
@pytest.mark.parametrize("what", ["drop", "end", "half", "garbage", "421 4.3.2 x", "554 5.6.0 no", "close", "extra"])
def test_in_the_middle_of_a_text(sent, how, what):
    sending = sent(how, f"text {what}", size=300_000)
    assert sending.verdicts()[BOB] in {UNKNOWN, DEFERRED, REFUSED} | ({ACCEPTED} if what == "extra" else set())
    # Where it answers twice and each verb is answered for itself, the second answer is taken for one to the next MAIL.
    assert {*harmed(sending).values()} <= {"in windows": {UNKNOWN}, "verb by verb": {DEFERRED}}.get(how, set())


@pytest.mark.parametrize("how", ["pipelined", "in windows"])
def test_a_server_that_wants_a_text_for_nobody_gets_an_empty_one(sent, how):
    whom = EVE if how == "in windows" else BOB
    sending = sent(how, "rcpt 550 5.1.1 no; data eager", to=whom)
    assert (sending.verdicts()[whom], harmed(sending, whom), sending.connections) == (REFUSED, {}, 1)


@every_server
@pytest.mark.parametrize("fault", ["", "dot 550 5.7.1 no"])
def test_what_was_announced_when_it_was_broken_off_is_not_taken_for_the_next(edition, how, fault):
    offers, options = SERVERS[how]
    sending = Sending(edition)
    with FaultyServer(script={ANN: [fault]}, **offers) as server:
        options = Options("127.0.0.1", server.port, tls="none", **options)
        with closing(connect(options, project=Path(), issue="2.6", environ={})) as transport:
            broken = transport.carry(iter([[sending.letters[ANN]], [sending.letters[BOB]], [sending.letters[EVE]]]))
            sending.outcomes[ANN] = next(broken)
            if fault:
                with pytest.raises(TransportRefused):
                    next(broken)
            sending.outcomes |= zip(
                [KIM, LEO], send(transport, [sending.letters[KIM]], [sending.letters[LEO]]), strict=True
            )
    assert sending.lies(server) == []
    assert sending.verdicts() == {ANN: DEFERRED if fault else ACCEPTED, KIM: ACCEPTED, LEO: ACCEPTED}


# Any faults, in any order ---------------------------------------------------------------------------------------------

WHATS = ["drop", "end", "half", "garbage", "close", "long", "421 4.3.2 x", "450 4.2.0 x", "550 5.1.1 x", "550 5.7.1 x"]
MOMENTS = ["mail", "rcpt", "data", "text", "dot", "dot taken", "rset", "greeting", "ehlo", "quit"]
# A reply of "not taken" to what was taken is a lie, and "mail close" in the middle of nothing is no fault.
FAULTS = st.one_of(
    st.just(""),
    st.builds(lambda moment, what: f"{moment} {what}", st.sampled_from(MOMENTS), st.sampled_from(WHATS)).filter(
        lambda fault: not re.fullmatch(r"dot taken (?:\d.*)", fault)
    ),
    st.just("rcpt 550 5.1.1 x; data eager"),
    st.just("rcpt 550 5.1.1 x; rset drop"),
)


@every_server
@settings(max_examples=120)
@given(
    script=st.dictionaries(st.sampled_from([*PEOPLE, "*"]), st.lists(FAULTS, max_size=6), max_size=4),
    batch=st.integers(1, 4),
    empty=st.text("01", max_size=8),
    window=st.integers(0, 4),
    most=st.integers(0, 3),
    last=st.integers(0, 3),
    size=st.sampled_from([0, 0, 0, 200_000]),
)
def test_whatever_happens_the_server_agrees(edition, how, script, batch, empty, window, most, last, size):
    offers, options = SERVERS[how]
    sending = Sending(edition, size)
    with FaultyServer(script=script, last=last, **offers) as server:
        sending.over(server, batch=batch, empty=empty, messages_per_connection=most, timeout=2.0,
                     **({"chunking_window": window} if options else {}))  # fmt: skip
    assert sending.lies(server) == []
    # Nobody is in doubt without a reason: what one broken connection leaves is what was on the wire.
    broken = sum(entry["what"] == "fault" for entry in server.entries) + (len(PEOPLE) if last else 0)
    unknown = sum(verdict is UNKNOWN for verdict in sending.verdicts().values())
    assert unknown <= broken * (max(1, window) if options else 1)
