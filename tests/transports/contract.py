"""What every transport keeps. A transport's test file inherits `TransportContract` and opens one."""

from collections.abc import Iterator

import pytest

from alliance_mailer.edition import Edition
from alliance_mailer.message import Message, Verdict
from alliance_mailer.transports import Transport

from .letters import letter, send, small

_PEOPLE = [
    ("ann@example.org", "Ann"),
    ("o'brien@example.com", "Siobhán O'Brien"),
    ("ken+digest@xn--r8jz45g.jp", "佐藤 健"),
]


class TransportContract:
    """Inherit, and say how it is opened and what has arrived."""

    @pytest.fixture
    def transport(self) -> Transport:
        raise NotImplementedError

    def arrived(self, transport: Transport) -> list[bytes]:
        raise NotImplementedError

    def test_a_message_arrives_byte_for_byte(self, transport: Transport, edition: Edition) -> None:
        message = letter(edition)
        outcome = send(transport, [message])[0]
        assert outcome.verdict is Verdict.ACCEPTED
        assert outcome.reply
        assert self.arrived(transport) == [message.as_bytes()]

    def test_what_looks_like_the_end_of_a_message_arrives_byte_for_byte(
        self, transport: Transport, edition: Edition
    ) -> None:
        message = letter(small(edition, b".\r\n..\r\n.hidden\r\nthe end.\r\n"))
        send(transport, [message])
        assert self.arrived(transport) == [message.as_bytes()]

    def test_each_of_several_messages_has_an_outcome_and_arrives(self, transport: Transport, edition: Edition) -> None:
        one, two, three = [letter(edition, to, name) for to, name in _PEOPLE]
        # Whatever the requests: of several, of one, of none for now; and a second time.
        outcomes = [*send(transport, [], [one, two], [], [], [three]), *send(transport, [one])]
        assert [outcome.verdict for outcome in outcomes] == [Verdict.ACCEPTED] * 4
        assert {*self.arrived(transport)} == {message.as_bytes() for message in (one, two, three)}

    def test_nothing_is_pulled_before_it_can_be_begun_with(self, transport: Transport, edition: Edition) -> None:
        """One request is on the wire, and one is next: what is in doubt if we die."""
        pulled = 0

        def batches() -> Iterator[list[Message]]:
            nonlocal pulled
            for to, name in _PEOPLE * 2:
                pulled += 1
                yield [letter(small(edition), to, name)]

        for answered, outcome in enumerate(transport.carry(batches())):
            assert outcome.verdict is Verdict.ACCEPTED
            assert pulled - answered <= 2
        assert pulled == 6

    def test_to_send_nothing_is_nothing(self, transport: Transport) -> None:
        assert send(transport) == send(transport, [], []) == []
        assert self.arrived(transport) == []

    def test_closing_twice_is_closing_once(self, transport: Transport, edition: Edition) -> None:
        send(transport, [letter(edition)])
        transport.close()
        transport.close()
        assert len(self.arrived(transport)) == 1
