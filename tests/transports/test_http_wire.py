"""The wire under the mail APIs: what is known of a request when the connection breaks, or says what is no answer."""

import socket
import threading
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alliance_mailer.errors import TransportRefused, TryLater
from alliance_mailer.transports import _http_wire
from alliance_mailer.transports._http_api import Answer, Request, retry_after
from alliance_mailer.transports._http_wire import Lost, Wire

from .web import CUT, DROP, HANG, Reply, Web

HUGE = b"x" * 32_000_000  # more than the buffers between two sockets hold


@pytest.fixture
def web():
    web = Web()
    yield web
    web.stop()


@pytest.fixture
def wire():
    with ExitStack() as stack:

        def wire(timeout=5.0):
            wire = Wire({"X-Key": "k"}, timeout)
            stack.callback(wire.close)
            return wire

        yield wire


@pytest.fixture
def said():
    """A server that reads the head of one request, says these bytes, and closes."""
    with ExitStack() as stack:

        def said(answer: bytes, *, reads: int = 65536) -> str:
            server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def serve() -> None:
                connection, _ = server.accept()
                with suppress(OSError), connection:  # the client may have heard enough
                    connection.recv(reads)
                    connection.sendall(answer)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65536):
                        pass

            threading.Thread(target=serve, daemon=True).start()
            return f"http://127.0.0.1:{server.getsockname()[1]}"

        yield said


def ask(url, body=b"{}"):
    return Request(f"{url}/v1/mail", body, {"Content-Type": "application/json"})


def test_a_request_and_its_answer(web, wire):
    web.script.append(Reply(201, b"yes", {"X-Request-Id": "7"}))
    answer = wire().exchange(ask(web.url))
    assert (answer.status, answer.body, answer.headers["x-request-id"]) == (201, b"yes", "7")
    (asked,) = web.asked
    assert (asked.method, asked.path, asked.body) == ("POST", "/v1/mail", b"{}")
    assert asked.headers == {
        "host": f"localhost:{web.port}",
        "accept-encoding": "identity",
        "x-key": "k",
        "content-type": "application/json",
        "content-length": "2",
    }


def test_a_connection_is_used_again(web, wire):
    one = wire()
    for _ in range(3):
        one.exchange(ask(web.url))
    assert web.connections == 1


def test_a_connection_that_the_server_closed_in_the_meantime_is_made_again(web, wire):
    web.script.append(Reply(200, b"", {"Connection": "close"}))
    one = wire()
    for _ in range(2):
        assert one.exchange(ask(web.url)).status == 200
    assert web.connections == 2
    web.close_connections()
    assert one.exchange(ask(web.url)).status == 200


def test_a_connection_that_was_idle_for_long_is_not_trusted(web, wire, monkeypatch):
    one = wire()
    one.exchange(ask(web.url))
    monkeypatch.setattr(_http_wire, "_IDLE", 0.0)
    one.exchange(ask(web.url))
    assert web.connections == 2


def test_a_request_that_is_cut_off_did_not_get_out(web, wire):
    web.script.append(CUT)
    with pytest.raises(Lost, match="before the request was out") as lost:
        wire().exchange(ask(web.url, HUGE))
    assert not lost.value.sent


def test_an_answer_that_comes_before_the_request_is_out_is_heard(said, wire):
    answer = wire().exchange(ask(said(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"), HUGE))
    assert (answer.status, answer.body) == (413, b"no")


@pytest.mark.parametrize("reply", [DROP, HANG])
def test_silence_after_the_request_may_mean_that_it_was_taken(web, wire, reply):
    web.script.append(reply)
    with pytest.raises(Lost, match="after the request") as lost:
        wire(0.3).exchange(ask(web.url))
    assert lost.value.sent


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"hello?\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 two OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 17_000_000,
    ],
    ids=["nothing", "no HTTP", "half", "bad chunk", "no number", "a long line", "many lines", "no end"],
)
def test_what_is_no_answer_leaves_it_in_doubt(said, wire, answer):
    with pytest.raises(Lost) as lost:
        wire().exchange(ask(said(answer)))
    assert lost.value.sent


def test_nobody_at_home_is_a_reason_to_try_later(web, wire):
    web.stop()
    with pytest.raises(TryLater, match="cannot connect to localhost"):
        wire().exchange(ask(web.url))


def test_a_name_that_does_not_exist_is_a_reason_to_try_later(wire):
    with pytest.raises(TryLater, match=r"cannot connect to mail\.invalid"):
        wire().exchange(ask("https://mail.invalid"))


def test_tls_that_we_may_trust(wire, authority, certified, tmp_path, monkeypatch):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    web = Web(tls=certified())
    one = wire()
    assert [one.exchange(ask(web.url)).status for _ in range(3)] == [200] * 3
    web.stop()
    assert web.connections <= 2  # a ticket that comes late looks like a connection that is closed


@pytest.mark.parametrize("name", ["localhost", "elsewhere.example.org"])
def test_tls_that_nobody_vouches_for(wire, certified, authority, tmp_path, monkeypatch, name):
    if name != "localhost":
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    web = Web(tls=certified(name))
    with pytest.raises(TransportRefused, match="TLS failed") as refused:
        wire().exchange(ask(web.url))
    web.stop()
    assert "SSL_CERT_FILE" in refused.value.hint
    assert web.asked == []


def test_a_server_that_speaks_no_tls_is_not_spoken_to_in_the_clear(web, wire):
    with pytest.raises((TransportRefused, TryLater)):
        wire().exchange(ask(web.url.replace("http:", "https:")))
    assert web.asked == []


# Retry-After ----------------------------------------------------------------------------------------------------------

NOW = datetime(2023, 4, 3, 14, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after": format_datetime(datetime(2023, 4, 3, 14, 2, tzinfo=UTC), usegmt=True)}, 120),
        ({"retry-after": format_datetime(datetime(2020, 1, 1, tzinfo=UTC), usegmt=True)}, 0),
        ({"retry-after": "99999999"}, 86400),
        ({"retry-after": "soon", "ratelimit-reset": "7"}, 7),
        ({"x-sib-ratelimit-reset": "41"}, 41),
        ({"x-ratelimit-reset": str(int(NOW) + 30)}, 30),
        ({"x-ratelimit-reset": str(int(NOW * 1000) + 30_000)}, 30),
    ],
)
def test_how_long_an_answer_asks_to_wait(headers, seconds):
    assert retry_after(headers, NOW) == (pytest.approx(seconds) if seconds is not None else None)


@given(st.text() | st.sampled_from(["9" * 400, "-5", "nan", "inf", "Mon, 99 Foo 99999 99:99:99 GMT"]))
def test_whatever_it_says_the_wait_is_none_or_up_to_a_day(value):
    seconds = retry_after({"retry-after": value}, NOW)
    assert seconds is None or 0 <= seconds <= 86400


@given(st.binary(max_size=200))
def test_words_are_found_in_any_answer(body):
    assert isinstance(Answer(400, {}, body).words(), str)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"message": "no", "name": "validation_error"}', "validation_error no"),
        (b'{"ErrorCode": 10, "Message": "Bad token"}', "10 Bad token"),
        (b'{"error": {"code": "ErrorSendAsDenied", "message": "no"}}', "ErrorSendAsDenied no"),
        (b'{"errors": [{"message": "bad from", "field": "from"}]}', "bad from"),
        (b'{"status": "error", "data": {"code": "X", "message": "y"}}', "X y"),
        (b'{"errors": 3}', '{"errors": 3}'),
        (b"<html>", "<html>"),
    ],
)
def test_the_words_are_those_for_people(body, words):
    assert Answer(400, {}, body).words() == words
