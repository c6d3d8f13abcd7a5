"""Amazon SES: the message byte for byte, signed; also against moto, which others wrote."""

import base64
import re

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.server import ThreadedMotoServer
from moto.ses.models import ses_backends

from alliance_mailer.errors import ConfigError, TransportRefused
from alliance_mailer.message import Verdict
from alliance_mailer.transports import ses

from .api_contract import NOBODY, SECRET, ApiContract, carried, verdicts
from .letters import letter
from .web import Reply

SESSION = "marked-session-token/89+0="


@pytest.fixture(autouse=True)
def credentials(monkeypatch, tmp_path):
    """botocore looks at the process's own environment, and at files in the home directory."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", SESSION)


class TestSes(ApiContract):
    use = "ses"
    options = {"region": "eu-west-1"}
    environ = {}
    secrets = [SECRET, SESSION]
    ascii_only = True

    def people(self, asked):
        return asked.json["Destination"]["ToAddresses"]

    def answer(self, asked):
        if self.people(asked) == [NOBODY]:
            words = {"message": "Local address contains control or whitespace"}
            return Reply(400, words, {"x-amzn-ErrorType": "BadRequestException:http://internal.amazon.com/"})
        return Reply(200, {"MessageId": "0102-ses"})

    def test_the_request(self, web, opened, edition):
        message = letter(edition)
        outcomes, _ = carried(opened(configuration_set="digest"), message)
        (asked,) = web.asked
        assert (asked.method, asked.path) == ("POST", "/v2/email/outbound-emails")
        assert asked.headers["content-type"] == "application/json"
        raw = asked.json["Content"]["Raw"]["Data"]
        assert asked.json == {
            "Destination": {"ToAddresses": ["ann@example.org"]},
            "Content": {"Raw": {"Data": raw}},
            "ConfigurationSetName": "digest",
        }
        assert base64.b64decode(raw, validate=True) == message.as_bytes()
        assert outcomes[0].provider_id == "0102-ses"

    def test_what_arrives_is_what_was_signed(self, web, opened, edition):
        """The server's half of Signature Version 4, over the request as it came."""
        carried(opened(), letter(edition))
        (asked,) = web.asked
        pattern = r"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/\d{8}/eu-west-1/ses/aws4_request, "
        found = re.fullmatch(
            pattern + r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})", asked.headers["authorization"]
        )
        signed = {name: asked.headers[name] for name in found[1].split(";")}
        assert {"content-type", "host", "x-amz-date", "x-amz-security-token"} == signed.keys()
        request = AWSRequest("POST", f"{web.url}{asked.path}", data=asked.body, headers=signed)
        request.context["timestamp"] = asked.headers["x-amz-date"]
        auth = SigV4Auth(Credentials("AKIDEXAMPLE", SECRET, SESSION), "ses", "eu-west-1")
        text = auth.string_to_sign(request, auth.canonical_request(request))
        assert auth.signature(text, request) == found[2]

    @pytest.mark.parametrize(
        ("kind", "words", "verdict", "stops"),
        [
            ("TooManyRequestsException", "Maximum sending rate exceeded", Verdict.ACCEPTED, False),
            ("LimitExceededException", "Daily message quota exceeded", None, True),
            ("MessageRejected", "Email address is not verified", None, True),
            ("AccountSuspendedException", "suspended", None, True),
            ("BadRequestException", "Missing final '@domain'", Verdict.REFUSED, False),
            ("BadRequestException", "Missing required header 'From'", None, True),
        ],
    )
    def test_an_error_and_its_type(self, web, opened, edition, kind, words, verdict, stops):
        web.script.append(Reply(400, {"message": words}, {"x-amzn-ErrorType": kind}))
        outcomes, error = carried(opened(), letter(edition))
        assert verdicts(outcomes) == ([verdict] if verdict else [])
        assert isinstance(error, TransportRefused) == stops

    def test_the_sandbox_is_the_simulator(self, web, opened, edition):
        carried(opened(sandbox=True), letter(edition))
        assert self.people(web.asked[0]) == ["success@simulator.amazonses.com"]

    def test_no_credentials_anywhere(self, opened, monkeypatch):
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        with pytest.raises(TransportRefused, match="no credentials") as refused:
            opened()
        assert "AWS_ACCESS_KEY_ID" in refused.value.hint

    def test_a_profile_that_is_not_there(self, opened):
        with pytest.raises(TransportRefused, match="nobody"):
            opened(profile="nobody")

    def test_a_profile_of_the_shared_configuration(self, web, opened, edition, monkeypatch, tmp_path):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            monkeypatch.delenv(name)
        (tmp_path / "none").write_text(f"[digest]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = {SECRET}\n")
        carried(opened(profile="digest"), letter(edition))
        assert "Credential=AKIDPROFILE/" in web.asked[0].headers["authorization"]

    @pytest.mark.parametrize("region", ["", "eu-west-1.evil.example", "a/b", "EU"])
    def test_a_region_does_not_lead_to_another_host(self, opened, region):
        with pytest.raises(ConfigError, match=r"transport\.region"):
            opened(region=region)

    def test_without_botocore_it_says_what_to_install(self, opened, monkeypatch):
        monkeypatch.setattr(ses, "find_spec", lambda name: None)
        with pytest.raises(ConfigError, match="needs botocore") as refused:
            opened()
        assert refused.value.hint == "pip install 'alliance-mailer[ses]'"


def test_moto_takes_it_and_has_what_was_sent(edition, tmp_path):
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        _, port = server.get_host_and_port()
        backend = ses_backends["123456789012"]["eu-west-1"]
        backend.verify_email_identity("digest@example.org")
        options = ses.Options("eu-west-1", base_url=f"http://127.0.0.1:{port}")
        transport = ses.connect(options, project=tmp_path, issue="2.6", environ={})
        message = letter(edition)
        outcomes, error = carried(transport, message)
        transport.close()
        assert (verdicts(outcomes), error) == ([Verdict.ACCEPTED], None)
        (taken,) = backend.sent_messages
        assert taken.id == outcomes[0].provider_id
        assert {to.rpartition("<")[2].rstrip(">") for to in taken.destinations} == {"ann@example.org"}
        assert taken.raw_data.encode() in (message.as_bytes(), message.as_bytes().replace(b"\r\n", b"\n"))
    finally:
        server.stop()


def test_what_takes_long_to_import_waits_until_it_is_needed():
    import subprocess
    import sys

    code = (
        "import sys; from alliance_mailer.transports import transport_module as m;"
        "[m(n) for n in ('ses','resend','graph')]; print('botocore' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
