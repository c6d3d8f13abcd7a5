"""Who hears of it: a heartbeat, a mail, a webhook. None of them ever stops a sending."""

import json
import ssl
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import trustme

from conftest import change
from ticks import Desk, settings, wall

DUE, BEFORE, MINUTE = wall("2026-04-03 09:00"), wall("2026-04-02 16:00"), timedelta(minutes=1)


class Web(ThreadingHTTPServer):
    """Remembers what was asked, and answers with `status`."""

    def __init__(self):
        self.asked, self.status = [], 200
        super().__init__(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.command, self.path, json.loads(body) if body else None))
        self.send_response(self.server.status)
        self.end_headers()

    def do_POST(self):
        self.do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def web():
    server = Web()
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def desk(live, project):
    desk = Desk(project)
    desk.write("2.6", "2026-04-03 09:00")
    (project / "contacts" / "subscribers.csv").write_text("email\nann@example.org\nbob@example.net\n")
    desk.approve("2.6", BEFORE)
    return desk


# The heartbeat ----------------------------------------------------------------------------------------------------


def test_every_tick_is_a_heartbeat_and_a_sending_has_a_beginning(desk, web):
    settings(desk.project, f'[schedule]\nheartbeat_url = "{web.url}/ping/5f2c?x=1"')
    desk.tick(DUE - MINUTE)
    assert [path for _, path, _ in web.asked] == ["/ping/5f2c?x=1"]
    desk.tick(DUE)
    assert [path for _, path, _ in web.asked[1:]] == ["/ping/5f2c/start?x=1", "/ping/5f2c?x=1"]
    assert {method for method, _, _ in web.asked} == {"GET"}


def test_a_refusal_is_a_failure(desk, web):
    settings(desk.project, f'[schedule]\nheartbeat_url = "{web.url}/ping"')
    change(desk.project / "issues" / "2.6.md", "an oil spill near Naujan", "an oil slick near Naujan")
    assert desk.tick(DUE).code == 77
    assert web.asked[-1][1] == "/ping/fail"


def test_a_heartbeat_that_nobody_hears_is_told_once_and_stops_nothing(desk, web, live):
    settings(desk.project, '[schedule]\nheartbeat_url = "http://127.0.0.1:1/ping"')
    result = desk.tick(DUE)
    assert (result.code, len(live.accepted)) == (0, 2)
    assert result.err.startswith("warning: heartbeat: 127.0.0.1:1 cannot be reached: ")
    assert result.err.count("\n") == 1
    assert desk.tick(DUE + MINUTE).err == ""


def test_a_heartbeat_that_is_refused_is_told(desk, web, live):
    web.status = 404
    settings(desk.project, f'[schedule]\nheartbeat_url = "{web.url}/ping"')
    result = desk.tick(DUE)
    assert (result.code, len(live.accepted)) == (0, 2)
    assert result.err == f"warning: heartbeat: {web.url.removeprefix('http://')} answers 404 Not Found\n"


def test_a_server_that_cannot_prove_who_it_is_hears_nothing(desk, web, live):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)  # of an authority that nobody trusts
    web.socket = context.wrap_socket(web.socket, server_side=True)
    settings(desk.project, f'[schedule]\nheartbeat_url = "{web.url.replace("http:", "https:")}/ping"')
    result = desk.tick(DUE)
    assert (result.code, len(live.accepted), web.asked) == (0, 2, [])
    assert "CERTIFICATE_VERIFY_FAILED" in result.err


# The report -------------------------------------------------------------------------------------------------------


def test_the_operators_get_a_mail_about_a_sending_through_the_same_transport(desk, live):
    settings(desk.project, '[schedule]\ntransport = "live"\nreport_to = ["editor@example.org", "boss@example.org"]')
    assert desk.tick(DUE).code == 0
    reports = [message_from_bytes(raw, policy=default) for _, to, raw in live.accepted if to.startswith(("edi", "bos"))]
    assert [report["To"] for report in reports] == ["editor@example.org", "boss@example.org"]
    assert reports[0]["Subject"] == "Issue 2.6 is sent: 2 accepted"
    text = reports[0].get_body(("plain",)).get_content()
    assert "2 accepted; nobody is left." in text
    assert len({report["Message-ID"] for report in reports}) == 2
    desk.tick(DUE + MINUTE)
    assert len(live.accepted) == 4  # two readers, two operators, once


def test_the_operators_get_a_mail_about_a_refusal_once(desk, live):
    settings(desk.project, '[schedule]\ntransport = "live"\nreport_to = "editor@example.org"')
    change(desk.project / "issues" / "2.6.md", "an oil spill near Naujan", "an oil slick near Naujan")
    desk.tick(DUE)
    desk.tick(DUE + MINUTE)
    ((_, to, raw),) = live.accepted
    report = message_from_bytes(raw, policy=default)
    assert to == "editor@example.org"
    assert report["Subject"].startswith("Issue 2.6 is not sent: issue 2.6 has changed since its approval (Ann Example")
    assert "+ … Japan to keep an oil slick near Naujan" in report.get_body(("plain",)).get_content()


def test_a_webhook_gets_the_same_as_json(desk, web, live, monkeypatch):
    monkeypatch.setenv("MAILER_WEBHOOK", f"{web.url}/services/T0/B0/secret")
    settings(desk.project, '[schedule]\nwebhook_env = "MAILER_WEBHOOK"')
    desk.tick(DUE)
    ((method, path, document),) = web.asked
    assert (method, path) == ("POST", "/services/T0/B0/secret")
    assert (document["issue"], document["code"]) == ("2.6", 0)
    assert document["text"].startswith("Issue 2.6 is sent: 2 accepted\n")


def test_a_webhook_that_fails_is_told_without_its_secret_and_stops_nothing(desk, web, live, monkeypatch):
    web.status = 500
    monkeypatch.setenv("MAILER_WEBHOOK", f"{web.url}/services/T0/B0/secret")
    settings(desk.project, '[schedule]\nwebhook_env = "MAILER_WEBHOOK"')
    result = desk.tick(DUE)
    assert (result.code, len(live.accepted)) == (0, 2)
    assert result.err == f"warning: {web.url.removeprefix('http://')} answers 500 Internal Server Error\n"
    monkeypatch.setenv("MAILER_WEBHOOK", "no url at all: secret")
    desk.write("2.7", "2026-04-03 09:10")
    again = desk.tick(DUE + 10 * MINUTE)
    assert again.code == 77
    assert "cannot be reached" in again.err
    assert "secret" not in again.err


def test_a_webhook_without_its_variable_is_told(desk, live, monkeypatch):
    monkeypatch.delenv("MAILER_WEBHOOK", raising=False)
    settings(desk.project, '[schedule]\nwebhook_env = "MAILER_WEBHOOK"')
    result = desk.tick(DUE)
    assert (result.code, len(live.accepted)) == (0, 2)
    assert result.err == "warning: the environment variable MAILER_WEBHOOK (schedule.webhook_env) is not set\n"


def test_an_operator_whom_the_server_refuses_stops_nothing(desk, live):
    settings(desk.project, '[schedule]\ntransport = "live"\nreport_to = "editor@example.org"')
    live.rcpt_replies["editor@example.org"] = "550 5.1.1 no such user"
    result = desk.tick(DUE)
    assert (result.code, len(live.accepted)) == (0, 2)
    assert result.err == "warning: the report was not taken: editor@example.org: 550 5.1.1 no such user\n"
