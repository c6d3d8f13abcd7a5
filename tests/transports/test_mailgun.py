"""Mailgun: the message byte for byte, as a form's file."""

from email import message_from_bytes, policy

import pytest

from alliance_mailer.errors import ConfigError, TransportRefused

from .api_contract import NOBODY, SECRET, ApiContract, carried
from .letters import letter
from .web import Reply


def form(asked):
    """multipart/form-data as the standard library reads it: [(name, file name, bytes)]."""
    head = f"Content-Type: {asked.headers['content-type']}\r\n\r\n".encode()
    parts = message_from_bytes(head + asked.body, policy=policy.HTTP).iter_parts()
    names = [part["Content-Disposition"].params for part in parts]
    limit = b"--" + asked.headers["content-type"].partition('boundary="')[2].rstrip('"').encode()
    raw = [piece.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for piece in asked.body.split(limit)[1:-1]]
    return [(name["name"], name.get("filename"), data) for name, data in zip(names, raw, strict=True)]


class TestMailgun(ApiContract):
    use = "mailgun"
    options = {"api_key_env": "KEY", "domain": "mg.example.org"}

    def people(self, asked):
        return [data.decode() for name, _, data in form(asked) if name == "to"]

    def answer(self, asked):
        if self.people(asked) == [NOBODY]:
            return Reply(400, {"message": "'to' parameter is not a valid address. please check documentation"})
        return Reply(200, {"id": "<1@mg.example.org>", "message": "Queued. Thank you."})

    def test_the_request(self, web, opened, edition):
        message = letter(edition)
        outcomes, _ = carried(opened(), message)
        (asked,) = web.asked
        assert (asked.method, asked.path) == ("POST", "/v3/mg.example.org/messages.mime")
        assert asked.headers["authorization"].startswith("Basic ")
        assert form(asked) == [
            ("to", None, b"ann@example.org"),
            ("o:tracking", None, b"no"),
            ("message", "message.eml", message.as_bytes()),
        ]
        assert (outcomes[0].provider_id, outcomes[0].reply) == ("<1@mg.example.org>", "200 Queued. Thank you.")

    def test_its_front_page_is_no_api(self, web, opened, edition):
        web.script.append(Reply(200, b"Mailgun Magnificent API"))
        outcomes, error = carried(opened(), letter(edition))
        assert outcomes == []
        assert isinstance(error, TransportRefused)

    def test_the_sandbox_is_its_test_mode(self, web, opened, edition):
        carried(opened(sandbox=True), letter(edition))
        assert ("o:testmode", None, b"yes") in form(web.asked[0])

    @pytest.mark.parametrize("domain", ["a/b", "a?b", "../x", "mg example", "mg.exämple.org"])
    def test_a_domain_does_not_lead_to_another_endpoint(self, opened, domain):
        with pytest.raises(ConfigError, match=r"transport\.domain"):
            opened(domain=domain)

    def test_the_key_is_basic_authentication(self, web, opened, edition):
        import base64

        carried(opened(), letter(edition))
        sent = web.asked[0].headers["authorization"].removeprefix("Basic ")
        assert base64.b64decode(sent) == f"api:{SECRET}".encode()
