"""What every transport keeps. A transport's test file inherits `TransportContract` and opens one."""

import pytest

from alliance_mailer.edition import Edition
from alliance_mailer.message import Verdict
from alliance_mailer.transports import Transport

from .letters import letter, small

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
        outcome = transport.send([message])[0]
        assert outcome.verdict is Verdict.ACCEPTED
        assert outcome.reply
        assert self.arrived(transport) == [message.as_bytes()]

    def test_what_looks_like_the_end_of_a_message_arrives_byte_for_byte(
        self, transport: Transport, edition: Edition
    ) -> None:
        message = letter(small(edition, b".\r\n..\r\n.hidden\r\nthe end.\r\n"))
        transport.send([message])
        assert self.arrived(transport) == [message.as_bytes()]

    def test_each_of_several_messages_has_an_outcome_and_arrives(self, transport: Transport, edition: Edition) -> None:
        messages = [letter(edition, to, name) for to, name in _PEOPLE]
        outcomes = [outcome for message in messages for outcome in transport.send([message])]
        assert [outcome.verdict for outcome in outcomes] == [Verdict.ACCEPTED] * 3
        assert sorted(self.arrived(transport)) == sorted(message.as_bytes() for message in messages)

    def test_closing_twice_is_closing_once(self, transport: Transport, edition: Edition) -> None:
        transport.send([letter(edition)])
        transport.close()
        transport.close()
        assert len(self.arrived(transport)) == 1
