"""Microsoft 365: the message byte for byte, with a token that is asked for first and again before it runs out."""

import base64
from urllib.parse import parse_qs

import pytest

from alliance_mailer.errors import ConfigError, TransportRefused, TryLater
from alliance_mailer.message import Verdict
from alliance_mailer.transports import graph

from .api_contract import NOBODY, SECRET, ApiContract, carried
from .letters import letter
from .web import DROP, Reply

TOKEN = "marked-token-4567"


class TestGraph(ApiContract):
    use = "graph"
    options = {
        "tenant": "example.org",
        "client_id": "an-app",
        "client_secret_env": "KEY",
        "mailbox": "digest@example.org",
    }
    secrets = [SECRET, TOKEN]
    reads = False

    def people(self, asked):
        head = base64.b64decode(asked.body).partition(b"\r\n\r\n")[0].decode()
        (to,) = [line for line in head.split("\r\n") if line.startswith("To: ")]
        return [to.rpartition("<")[2].rstrip(">")]

    def answer(self, asked):
        if asked.path.endswith("/token"):
            return Reply(200, {"token_type": "Bearer", "expires_in": 3599, "access_token": TOKEN})
        if self.people(asked) == [NOBODY]:
            return Reply(400, {"error": {"code": "ErrorInvalidRecipients", "message": "no address: nobody"}})
        return Reply(202, b"", {"request-id": "r-1"})

    def test_the_requests(self, web, opened, edition):
        message, transport = letter(edition), opened()
        outcomes, _ = carried(transport, message)
        carried(transport, message)
        asked_for, asked, again = web.asked
        assert asked_for.path == "/example.org/oauth2/v2.0/token"
        assert parse_qs(asked_for.body.decode()) == {
            "grant_type": ["client_credentials"],
            "client_id": ["an-app"],
            "client_secret": [SECRET],
            "scope": [f"{web.url}/.default"],
        }
        assert "authorization" not in asked_for.headers
        assert (asked.method, asked.path) == ("POST", "/v1.0/users/digest@example.org/sendMail")
        assert (asked.headers["authorization"], asked.headers["content-type"]) == (f"Bearer {TOKEN}", "text/plain")
        assert base64.b64decode(asked.body, validate=True) == message.as_bytes()
        assert again.path == asked.path
        assert (outcomes[0].verdict, outcomes[0].provider_id) == (Verdict.ACCEPTED, "r-1")

    @pytest.mark.parametrize("code", ["ErrorExceededMessageLimit", "ErrorSendAsDenied", "MailboxNotEnabledForRESTAPI"])
    def test_a_code_about_us_stops_the_run(self, web, opened, edition, code):
        transport = opened()
        self.warm(transport, web, edition)
        web.script.append(Reply(403, {"error": {"code": code, "message": "no"}}))
        outcomes, error = carried(transport, letter(edition))
        assert outcomes == []
        assert isinstance(error, TransportRefused)

    @pytest.mark.parametrize(
        "reply",
        [Reply(401, {"error": "invalid_client", "error_description": f"secret {SECRET}"}), Reply(200, b"<html>")],
    )
    def test_no_token_is_a_refusal_before_any_message(self, web, opened, edition, reply):
        web.script.append(reply)
        outcomes, error = carried(opened(), letter(edition))
        assert outcomes == []
        assert isinstance(error, TransportRefused)
        assert "client_id" in error.hint
        assert SECRET not in f"{error}{error.hint}"
        assert len(web.asked) == 1

    def test_silence_about_a_token_is_no_doubt(self, web, opened, edition):
        web.script.append(DROP)
        outcomes, error = carried(opened(), letter(edition))
        assert outcomes == []
        assert isinstance(error, TryLater)

    def test_a_token_is_renewed_five_minutes_before_it_runs_out(self):
        now, asked = 1000.0, []

        def exchange(request):
            asked.append(now)
            return graph.Answer(200, {}, b'{"access_token": "t%d", "expires_in": 3600}' % len(asked))

        options = graph.Options("example.org", "an-app", "KEY", "digest@example.org")
        authorize = graph._authorization(options, SECRET, set(), lambda: now)
        assert authorize(exchange) == {"Authorization": "Bearer t1"}
        now += 3299
        assert authorize(exchange) == {"Authorization": "Bearer t1"}
        now += 2
        assert authorize(exchange) == {"Authorization": "Bearer t2"}

    @pytest.mark.parametrize("tenant", ["../evil", "a/b", "a?b", ""])
    def test_a_tenant_does_not_lead_elsewhere(self, opened, tenant):
        with pytest.raises(ConfigError, match=r"transport\.tenant"):
            opened(tenant=tenant)
