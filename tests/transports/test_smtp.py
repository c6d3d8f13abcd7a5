"""SMTP, reply by reply: what each moment of the conversation makes of a message."""

import os
import signal
import socket
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from threading import Thread

import pytest

from alliance_mailer.errors import MailerError, TransportRefused, TryLater
from alliance_mailer.message import Verdict
from alliance_mailer.transports import smtp
from alliance_mailer.transports.smtp import Options, Smtp, connect

from .contract import TransportContract
from .letters import heavy, letter, send, small
from .scripted import DROP, HANG

ACCEPTED, DEFERRED, REFUSED, UNKNOWN = Verdict.ACCEPTED, Verdict.DEFERRED, Verdict.REFUSED, Verdict.UNKNOWN


@pytest.fixture
def opened(tmp_path):
    with ExitStack() as stack:

        def opened(port, **options) -> Smtp:
            options = Options(**{"host": "127.0.0.1", "port": port, "tls": "none", "timeout": 5.0, **options})
            transport = connect(options, project=tmp_path, issue="2.6", environ=os.environ)
            stack.callback(transport.close)
            return transport

        yield opened


def tell(transport, edition, to="ann@example.org"):
    return send(transport, [letter(small(edition), to)])[0]


class TestContract(TransportContract):
    @pytest.fixture
    def transport(self, opened, smtp_server):
        self.server = smtp_server
        return opened(smtp_server.port)

    def arrived(self, transport):
        return [data for _, _, data in self.server.accepted]


# A reply and its verdict ------------------------------------------------------------------------------------------

VERDICTS = [
    ("MAIL", "451 4.3.0 try later", DEFERRED),
    ("RCPT", "450 4.2.0 greylisted", DEFERRED),
    ("RCPT", "421 4.7.0 too many", DEFERRED),
    ("RCPT", "550 5.1.1 no such user", REFUSED),
    ("RCPT", "552 5.2.2 mailbox full", DEFERRED),
    ("RCPT", "251 forwarded", ACCEPTED),
    ("RCPT", DROP, DEFERRED),
    ("RCPT", "hello?", DEFERRED),
    ("RCPT", "x" * 9000, DEFERRED),
    ("DATA", "451 4.3.0 try later", DEFERRED),
    ("DATA", "421 4.3.2 shutting down", DEFERRED),
    ("DATA", "554 5.5.1 no valid recipients", REFUSED),
    ("DATA", "250 OK", DEFERRED),
    ("DATA", DROP, DEFERRED),
    ("DATA", "hello?", DEFERRED),
    ("DOT", "250 2.0.0 queued as 1234", ACCEPTED),
    ("DOT", "451 4.3.0 try later", DEFERRED),
    ("DOT", "421 4.3.2 shutting down", DEFERRED),
    ("DOT", "554 5.6.0 content refused", REFUSED),
    ("DOT", DROP, UNKNOWN),
    ("DOT", "hello?", UNKNOWN),
    ("DOT", "354 go on", UNKNOWN),
    ("DOT", "x" * 9000, UNKNOWN),
]


@pytest.mark.parametrize(("moment", "reply", "verdict"), VERDICTS)
def test_a_reply_has_its_verdict_and_the_next_message_goes_out(scripted, opened, edition, moment, reply, verdict):
    transport = opened(scripted(**{moment: [reply]}).port)
    outcome, following = send(transport, [letter(small(edition))], [letter(small(edition), "next@example.org")])
    assert outcome.verdict is verdict
    if reply[0] in "45":
        assert outcome.reply == reply
    assert following.verdict is ACCEPTED


@pytest.mark.parametrize("answer", ["421 4.7.0 too many", DROP, "hello?", "250-x\r\n550 y"])
def test_a_new_connection_that_takes_no_message_is_a_reason_to_try_later(scripted, opened, edition, answer):
    transport = opened(scripted(MAIL=[answer]).port)
    with pytest.raises(TryLater, match="takes no message now") as later:
        tell(transport, edition)
    assert later.value.hint == "run the same command again later"
    assert tell(transport, edition).verdict is ACCEPTED


@pytest.mark.parametrize(
    ("moment", "reply"),
    [
        ("MAIL", "550 5.1.8 sender unknown"),
        ("RCPT", "550 5.7.26 unauthenticated mail"),
        ("DATA", "554 5.7.1 your address is on a blocklist"),
        ("DOT", "550 5.7.515 access denied"),
    ],
)
def test_a_refusal_of_us_stops_the_run_and_refuses_nobody(scripted, opened, edition, moment, reply):
    server = scripted(**{moment: [reply]})
    transport, heard = opened(server.port), []
    with pytest.raises(TransportRefused) as refusal:
        heard.extend(transport.carry(iter([[letter(small(edition))], [letter(small(edition), "next@example.org")]])))
    assert str(refusal.value) == f"127.0.0.1 refuses us, not the person: {reply}"
    assert refusal.value.hint.startswith("nobody is marked refused for it. ")
    assert refusal.value.code == 69
    assert not any("next@example.org" in line for line in server.said)
    assert tell(transport, edition).verdict is ACCEPTED


def test_who_was_on_the_wire_when_we_were_refused_is_told_so(scripted, opened, edition):
    carried = opened(scripted(RCPT=["550 5.7.1 no"]).port).carry(iter([[letter(small(edition))]]))
    outcome = next(carried)
    assert (outcome.verdict, outcome.about_us, outcome.reply) == (DEFERRED, True, "550 5.7.1 no")


def test_a_refusal_of_many_lines_is_told_in_one(scripted, opened, edition):
    outcome = tell(opened(scripted(RCPT="550-5.1.1 no such user\r\n550 5.1.1 see https://example.org").port), edition)
    assert (outcome.verdict, outcome.reply) == (REFUSED, "550 5.1.1 no such user see https://example.org")


def test_a_servers_control_characters_reach_no_terminal(scripted, opened, edition):
    outcome = tell(opened(scripted(RCPT="550 5.1.1 \x1b[2Jgone\x07").port), edition)
    assert outcome.reply == "550 5.1.1 \N{REPLACEMENT CHARACTER}[2Jgone\N{REPLACEMENT CHARACTER}"


def test_a_connection_lost_within_the_message_is_deferred(scripted, opened, edition):
    server = scripted(TEXT=[DROP])
    transport = opened(server.port)
    outcome = send(transport, [letter(heavy(edition))])[0]
    assert outcome.verdict is DEFERRED
    assert "before the end of the message" in outcome.reply
    assert server.messages == []
    assert tell(transport, edition).verdict is ACCEPTED


@pytest.mark.parametrize(("moment", "verdict"), [("RCPT", DEFERRED), ("DATA", DEFERRED), ("DOT", UNKNOWN)])
def test_silence_has_the_verdict_of_a_lost_connection(scripted, opened, edition, monkeypatch, moment, verdict):
    monkeypatch.setattr(smtp, "_FINAL_DOT", 0.2)
    transport = opened(scripted(**{moment: [HANG]}).port, timeout=0.2)
    outcome = tell(transport, edition)
    assert outcome.verdict is verdict
    assert "no answer in time" in outcome.reply
    assert tell(transport, edition).verdict is ACCEPTED


def test_after_the_final_dot_there_is_more_patience_than_anywhere_else(scripted, opened, edition):
    def late() -> str:
        time.sleep(0.4)
        return "250 OK"

    assert smtp._FINAL_DOT == 600
    server = scripted(DOT=[late])
    assert tell(opened(server.port, timeout=0.2), edition).verdict is ACCEPTED
    assert tell(opened(scripted(RCPT=[late]).port, timeout=0.2), edition).verdict is DEFERRED


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("552 5.3.4 too big", DEFERRED),
        ("554 5.6.0 no", REFUSED),
        ("421 4.3.2 shutting down", DEFERRED),
        ("250 OK", DEFERRED),
    ],
)
def test_who_interrupts_a_message_is_heard(scripted, opened, edition, reply, verdict):
    server = scripted(TEXT=[reply])
    outcome = next(opened(server.port).carry(iter([[letter(heavy(edition))]])))
    assert outcome.verdict is verdict
    assert reply in outcome.reply
    assert server.messages == []


# The connection ------------------------------------------------------------------------------------------------------


def test_one_connection_carries_all_messages(scripted, opened, edition):
    server = scripted()
    transport = opened(server.port)
    outcomes = [*send(transport, *[[letter(small(edition))]] * 2), tell(transport, edition)]
    assert [outcome.verdict for outcome in outcomes] == [ACCEPTED] * 3
    transport.close()
    assert server.connections == 1
    assert server.verbs() == ["EHLO", *["MAIL", "RCPT", "DATA"] * 3, "QUIT"]


def test_no_reply_waits_for_another_packet(scripted, opened):
    transport = opened(scripted().port)
    assert transport._connection.smtp.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_refused_recipient_costs_no_connection(scripted, opened, edition):
    server = scripted(RCPT=["550 5.1.1 no such user"])
    transport = opened(server.port)
    assert tell(transport, edition).verdict is REFUSED
    assert tell(transport, edition).verdict is ACCEPTED
    assert server.connections == 1
    assert server.verbs()[:4] == ["EHLO", "MAIL", "RCPT", "RSET"]


@pytest.mark.parametrize("goodbye", ["421 4.7.0 too many messages", DROP])
def test_a_server_tired_of_the_connection_gets_the_message_over_a_new_one_at_once(scripted, opened, edition, goodbye):
    server = scripted(MAIL=["250 OK", "250 OK", goodbye])
    transport = opened(server.port)
    assert [tell(transport, edition).verdict for _ in range(4)] == [ACCEPTED] * 4
    assert (server.connections, len(server.messages)) == (2, 4)


@pytest.mark.parametrize("answer", [DROP, "421 4.3.2 shutting down"])
def test_a_connection_lost_after_a_refusal_harms_nobody_else(scripted, opened, edition, answer):
    server = scripted(RCPT=["550 5.1.1 no such user"], RSET=answer)
    transport = opened(server.port)
    assert [tell(transport, edition).verdict for _ in range(2)] == [REFUSED, ACCEPTED]
    assert server.connections == 2


def test_a_server_that_is_gone_for_good_is_a_reason_to_try_later(scripted, opened, edition):
    transport = opened(scripted(BANNER=["220 ready", DROP], MAIL=["250 OK", DROP]).port)
    assert tell(transport, edition).verdict is ACCEPTED
    with pytest.raises(TryLater, match="cannot connect"):
        tell(transport, edition)


def test_ctrl_c_in_the_middle_of_a_message_says_no_goodbye_and_does_not_wait_for_one(scripted, opened, edition):
    def interrupted():
        os.kill(os.getpid(), signal.SIGINT)
        return HANG

    server = scripted(DOT=interrupted)
    transport = opened(server.port)
    with pytest.raises(KeyboardInterrupt):
        tell(transport, edition)
    began = time.monotonic()
    transport.close()
    assert time.monotonic() - began < 1
    assert "QUIT" not in server.verbs()


@pytest.mark.parametrize("answer", ["500 what?", DROP])
def test_the_answer_to_quit_changes_nothing(scripted, opened, edition, answer):
    transport = opened(scripted(QUIT=answer).port)
    assert tell(transport, edition).verdict is ACCEPTED
    assert transport.close() is None


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ({"BANNER": "421 4.3.2 busy"}, 75),
        ({"BANNER": "554 5.7.1 no mail from you"}, 69),
        ({"BANNER": "SSH-2.0-OpenSSH"}, 75),
        ({"BANNER": DROP}, 75),
        ({"BANNER": HANG}, 75),
        ({"EHLO": DROP}, 75),
        ({"EHLO": "500 what?", "HELO": "451 later"}, 75),
        ({"EHLO": "500 what?", "HELO": "550 5.7.1 no"}, 69),
    ],
)
def test_a_greeting_that_fails_stops_before_anything_is_sent(scripted, opened, script, code):
    began = time.monotonic()
    with pytest.raises(MailerError) as stop:
        opened(scripted(**script).port, timeout=0.3)
    assert time.monotonic() - began < 5
    assert stop.value.code == code
    assert stop.value.code == 69 or stop.value.hint


def test_a_server_that_only_knows_helo_will_do(scripted, opened, edition):
    server = scripted(EHLO="500 what?")
    assert tell(opened(server.port), edition).verdict is ACCEPTED
    assert server.verbs()[:3] == ["EHLO", "HELO", "MAIL"]


def test_where_nobody_listens_it_is_a_reason_to_try_later(opened):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(TryLater, match=rf"cannot connect to 127\.0\.0\.1:{port}: .*refused"):
        opened(port)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(2, []), (0, ["LIMITS RCPTMAX=1 MAILMAX=2"]), (3, ["LIMITS MAILMAX=2"]), (2, ["LIMITS MAILMAX=0"])],
)
def test_after_so_many_messages_a_new_connection_is_made(scripted, opened, edition, ours, theirs):
    server = scripted(offers=["PIPELINING", *theirs])  # RFC 9422
    transport = opened(server.port, messages_per_connection=ours)
    outcomes = send(transport, *[[letter(small(edition))]] * 5)
    transport.close()
    assert [outcome.verdict for outcome in outcomes] == [ACCEPTED] * 5
    once = ["EHLO", *["MAIL", "RCPT", "DATA"] * 2, "QUIT"]
    assert server.verbs() == [*once, *once, "EHLO", "MAIL", "RCPT", "DATA", "QUIT"]


def test_a_connection_without_work_is_closed_and_another_made_when_there_is_some(scripted, opened, edition):
    server = scripted(offers=["PIPELINING"])
    message = letter(small(edition))
    # The first empty batch comes while the message is on the wire; only the second says that nothing came for a while.
    assert [each.verdict for each in send(opened(server.port), [message], [], [message])] == [ACCEPTED] * 2
    assert server.connections == 1
    assert [each.verdict for each in send(opened(server.port), [message], [], [], [message])] == [ACCEPTED] * 2
    assert server.verbs()[-5:] == ["QUIT", "EHLO", "MAIL", "RCPT", "DATA"]


@pytest.mark.parametrize("goodbye", ["421 4.4.2 idle for too long", DROP])
def test_a_server_that_closes_an_idle_connection_harms_nobody(scripted, opened, edition, goodbye):
    server = scripted(DOT=["250 OK", "250 OK"], MAIL=["250 OK", goodbye])
    assert [each.verdict for each in send(opened(server.port), *[[letter(small(edition))]] * 2)] == [ACCEPTED] * 2
    assert server.connections == 2


# What goes together ---------------------------------------------------------------------------------------------------


@dataclass
class Session:
    """What `smtplib` leaves after login: the one fake, so that a test is the other end of the wire."""

    sock: socket.socket
    esmtp_features: dict[str, str]

    def close(self):
        self.sock.close()


@pytest.fixture
def wired():
    """A transport and the server's end of its wire; whatever it says has a second to come."""
    with ExitStack() as stack:

        def wired(*offers, batches, **options):
            ours, theirs = map(stack.enter_context, socket.socketpair())
            theirs.settimeout(5)
            options = Options("localhost", **options)
            transport = Smtp(options, lambda: Session(ours, dict.fromkeys(offers, "")))
            outcomes = []
            carrying = Thread(target=lambda: outcomes.extend(transport.carry(iter(batches))))
            carrying.start()
            stack.callback(carrying.join)
            stack.callback(theirs.shutdown, socket.SHUT_RDWR)
            return theirs, outcomes, carrying

        yield wired


def heard(theirs, end):
    text = b""
    while not text.endswith(end):
        more = theirs.recv(65536)
        assert more, text
        text += more
    return text


def test_the_next_messages_commands_travel_with_this_ones_final_dot(wired, edition):
    one, two = letter(small(edition)), letter(small(edition), "bob@example.org")
    theirs, outcomes, carrying = wired("pipelining", batches=[[one], [two]])
    begin = b"MAIL FROM:<digest@example.org>\r\nRCPT TO:<%s@example.org>\r\nDATA\r\n"
    assert heard(theirs, b"DATA\r\n") == begin % b"ann"
    theirs.sendall(b"250 OK\r\n250 OK\r\n354 go on\r\n")
    assert heard(theirs, b"DATA\r\n") == one.as_bytes() + b".\r\n" + begin % b"bob"
    theirs.sendall(b"250 one\r\n250 OK\r\n250 OK\r\n354 go on\r\n")
    assert heard(theirs, b"\r\n.\r\n") == two.as_bytes() + b".\r\n"
    theirs.sendall(b"250 two\r\n")
    carrying.join()
    assert [outcome.reply for outcome in outcomes] == ["250 one", "250 two"]


def test_without_pipelining_each_verb_waits_for_its_answer(wired, edition):
    message = letter(small(edition))
    theirs, outcomes, carrying = wired("chunking", batches=[[message, message]], chunking_window=3)
    for _ in range(2):
        for line in (b"MAIL FROM:<digest@example.org>\r\n", b"RCPT TO:<ann@example.org>\r\n", b"DATA\r\n"):
            assert heard(theirs, b"\r\n") == line
            theirs.sendall(b"354 go on\r\n" if line == b"DATA\r\n" else b"250 OK\r\n")
        assert heard(theirs, b"\r\n.\r\n") == message.as_bytes() + b".\r\n"
        theirs.sendall(b"250 OK\r\n")
    carrying.join()
    assert [outcome.verdict for outcome in outcomes] == [ACCEPTED] * 2


def test_a_window_travels_at_once_and_the_next_with_its_final_dot(wired, edition):
    messages = [
        letter(small(edition, b".dot\r\n"), f"{name}@example.org") for name in ("ann", "bob", "eve", "kim", "leo")
    ]

    def chunk(message):
        data = message.as_bytes()
        begin = f"MAIL FROM:<digest@example.org>\r\nRCPT TO:<{message.contact.address}>\r\nBDAT {len(data)} LAST\r\n"
        return begin.encode() + data + b"RSET\r\n"

    begin = b"MAIL FROM:<digest@example.org>\r\nRCPT TO:<%s@example.org>\r\nDATA\r\n"
    theirs, outcomes, carrying = wired(
        "pipelining", "chunking", batches=[messages[:3], messages[3:]], chunking_window=3
    )
    assert heard(theirs, b"DATA\r\n") == chunk(messages[0]) + chunk(messages[1]) + begin % b"eve"
    theirs.sendall(b"250 OK\r\n" * 10 + b"354 go on\r\n")
    stuffed = messages[2].as_bytes().replace(b"\r\n.", b"\r\n..")
    assert heard(theirs, b"DATA\r\n") == stuffed + b".\r\n" + chunk(messages[3]) + begin % b"leo"
    theirs.sendall(b"250 OK\r\n" * 7 + b"354 go on\r\n")
    heard(theirs, b"\r\n.\r\n")
    theirs.sendall(b"250 OK\r\n")
    carrying.join()
    assert [outcome.verdict for outcome in outcomes] == [ACCEPTED] * 5


def test_who_answers_at_length_while_we_speak_is_listened_to(wired, edition):
    # RFC 2920, 3.1: both sides could wait for each other, with all buffers full.
    message = letter(heavy(edition))
    theirs, outcomes, carrying = wired("pipelining", "chunking", batches=[[message, message]], chunking_window=2)
    heard(theirs, b"")
    theirs.sendall((b"250-" + b"x" * 500 + b"\r\n") * 100 + b"250 OK\r\n")  # more than the buffers between us hold
    end = len(message.as_bytes())
    while end > 0:
        end -= len(theirs.recv(1 << 20))
    theirs.sendall(b"250 OK\r\n" * 5 + b"421 4.3.2 enough\r\n")
    theirs.shutdown(socket.SHUT_WR)
    carrying.join()
    assert [outcome.verdict for outcome in outcomes] == [ACCEPTED, DEFERRED]


# What is said --------------------------------------------------------------------------------------------------------


def test_the_size_is_told_where_the_server_wants_to_know(scripted, opened, edition):
    with_size, without = scripted(offers=["SIZE 1000000"]), scripted(offers=[])
    for server in (with_size, without):
        tell(opened(server.port), edition)
    size = len(letter(small(edition)).as_bytes())
    assert with_size.said[1:3] == [f"MAIL FROM:<digest@example.org> SIZE={size}", "RCPT TO:<ann@example.org>"]
    assert without.said[1:3] == ["MAIL FROM:<digest@example.org>", "RCPT TO:<ann@example.org>"]


def test_a_message_that_is_too_large_for_the_server_stops_the_run_before_it_is_sent(scripted, opened, edition):
    server = scripted(offers=["SIZE 500"])
    transport = opened(server.port)
    carried = transport.carry(iter([[letter(small(edition))]]))
    outcome = next(carried)
    assert (outcome.verdict, outcome.about_us) == (DEFERRED, True)
    with pytest.raises(TransportRefused, match=r"too large: [\d,]+ bytes, and the server takes at most 500") as refusal:
        next(carried)
    assert "assets_url" in refusal.value.hint
    assert server.verbs() == ["EHLO"]


@pytest.mark.parametrize("offer", ["SIZE", "SIZE 0", "SIZE unlimited"])
def test_a_server_without_a_limit_is_told_the_size_all_the_same(scripted, opened, edition, offer):
    server = scripted(offers=[offer])
    assert tell(opened(server.port), edition).verdict is ACCEPTED
    assert f"SIZE={len(letter(small(edition)).as_bytes())}" in server.said[1]


def test_bounces_go_where_they_are_wanted(scripted, opened, edition):
    server = scripted(offers=[])
    tell(opened(server.port, bounce_address="bounces@example.org"), edition)
    tell(opened(server.port, bounce_address="bounces+{key}@example.org"), edition)
    ours, verp = [line for line in server.said if line.startswith("MAIL")]
    assert ours == "MAIL FROM:<bounces@example.org>"
    assert verp == f"MAIL FROM:<bounces+{letter(small(edition)).key}@example.org>"


def test_a_delivery_report_will_name_the_delivery_where_the_server_knows_how(scripted, opened, edition):
    server = scripted(offers=["DSN"])
    assert tell(opened(server.port), edition, "ann+a=b@example.org").verdict is ACCEPTED
    assert server.said[1:3] == [
        f"MAIL FROM:<digest@example.org> RET=HDRS ENVID={letter(small(edition), 'ann+a=b@example.org').key}",
        "RCPT TO:<ann+a=b@example.org> NOTIFY=FAILURE,DELAY ORCPT=rfc822;ann+2Ba+3Db@example.org",
    ]


def test_a_sender_that_the_server_cannot_be_told_of_is_our_trouble_and_nobody_elses(scripted, opened, edition):
    publication = replace(edition.publication, sender="jörg@example.org")
    server = scripted(offers=["8BITMIME"])
    with pytest.raises(TransportRefused, match="no SMTPUTF8"):
        tell(opened(server.port), replace(edition, publication=publication))
    assert server.verbs() == ["EHLO"]


def test_a_non_ascii_address_is_sent_where_the_server_takes_it(scripted, opened, edition):
    server = scripted(offers=["SMTPUTF8", "8BITMIME"])
    transport = opened(server.port)
    assert tell(transport, edition, "jörg@example.org").verdict is ACCEPTED
    assert server.said[1:3] == ["MAIL FROM:<digest@example.org> BODY=8BITMIME SMTPUTF8", "RCPT TO:<jörg@example.org>"]
    assert "To: Ann <jörg@example.org>".encode() in server.messages[0]


@pytest.mark.parametrize("offers", [["8BITMIME"], ["SMTPUTF8"], []])
def test_a_non_ascii_address_is_refused_where_the_server_does_not_take_it(scripted, opened, edition, offers):
    server = scripted(offers=offers)
    transport = opened(server.port)
    outcome = tell(transport, edition, "jörg@example.org")
    assert (outcome.verdict, "no SMTPUTF8" in outcome.reply) == (REFUSED, True)
    assert server.verbs() == ["EHLO"]
    assert tell(transport, edition).verdict is ACCEPTED


def test_dots_are_doubled_on_the_wire(scripted, opened, edition):
    server = scripted()
    send(opened(server.port), [letter(small(edition, b".\r\n.hidden\r\na.b\r\n"))])
    assert server.messages[0].endswith(b"\r\n..\r\n..hidden\r\na.b\r\n.\r\n")
