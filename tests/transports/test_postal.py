"""Postal: the message byte for byte, and 200 whatever became of it."""

import base64

import pytest

from alliance_mailer.errors import TransportRefused
from alliance_mailer.message import Verdict

from .api_contract import NOBODY, SECRET, ApiContract, carried, verdicts
from .letters import letter
from .web import Reply


class TestPostal(ApiContract):
    use = "postal"
    options = {"api_key_env": "KEY"}

    def needed_url(self):
        return {"base_url": "https://postal.example.org"}

    def people(self, asked):
        return asked.json["rcpt_to"]

    def answer(self, asked):
        (to,) = self.people(asked)
        taken = {"message_id": "x", "messages": {to: {"id": 42, "token": "abc"}}}
        return Reply(200, {"status": "success", "time": 0.02, "flags": {}, "data": taken})

    def test_a_refused_address_does_not_take_its_neighbours_down(self, web, opened, edition):
        """It takes every address, and bounces what it cannot deliver."""
        outcomes, error = carried(opened(), letter(edition, NOBODY))
        assert (verdicts(outcomes), error) == ([Verdict.ACCEPTED], None)

    def test_the_request(self, web, opened, edition):
        message = letter(edition)
        outcomes, _ = carried(opened(), message)
        (asked,) = web.asked
        assert (asked.method, asked.path) == ("POST", "/api/v1/send/raw")
        assert asked.headers["x-server-api-key"] == SECRET
        data = base64.b64decode(asked.json["data"])
        assert asked.json == {
            "rcpt_to": ["ann@example.org"],
            "mail_from": "digest@example.org",
            "data": base64.b64encode(message.as_bytes()).decode(),
        }
        assert data == message.as_bytes()
        assert (outcomes[0].provider_id, outcomes[0].reply) == ("42", "200 success")

    @pytest.mark.parametrize("code", ["InvalidServerAPIKey", "ServerSuspended", "UnauthenticatedFromAddress"])
    def test_an_error_inside_a_200_is_about_us(self, web, opened, edition, code):
        web.script.append(Reply(200, {"status": "error", "data": {"code": code, "message": "no"}}))
        outcomes, error = carried(opened(), letter(edition))
        assert verdicts(outcomes) == [Verdict.DEFERRED]
        assert outcomes[0].about_us
        assert isinstance(error, TransportRefused)
        assert code in str(error)
