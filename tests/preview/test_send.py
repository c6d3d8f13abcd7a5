"""“Send test…” on the page is `mailer test`: the configured transport, the subject marked, one message."""

import json
from email import message_from_bytes, policy
from urllib.parse import urlencode

import pytest


@pytest.fixture
def post(served):
    def post(**fields: str) -> dict[str, object]:
        status, _, body = served.ask("/send", "POST", body=urlencode(fields), Origin=f"http://{served.host}")
        assert status == 200
        return json.loads(body)

    return post


def outbox(project):
    return {
        path.name: message_from_bytes(path.read_bytes(), policy=policy.default)
        for path in (project / "outbox").rglob("*.eml")
    }


def test_a_test_goes_through_the_configured_transport_marked_and_as_the_reader_gets_it(post, served_project):
    said = post(issue="2.6", to="me@example.org", **{"as": "ken.sato@example.com"}, transport="default")
    assert said["good"]
    assert "nothing leaves this machine" in said["words"]
    message = outbox(served_project)["me@example.org.eml"]
    assert message["Subject"].startswith("[TEST] US-Japan Alliance Digest 2.6")
    assert "reading, 健." in message.get_body(("plain",)).get_content().replace("\n", " ")


@pytest.mark.parametrize(
    ("to", "says"),
    [("nonsense", "An email address must have an @-sign"), ("thomas.ashdown@example.net", "must never be mailed"), ("", "@-sign"),
     ("a@example.org\r\nBcc: b@example.org", "line break")],
)  # fmt: skip
def test_an_address_that_cannot_be_mailed_is_told(post, served_project, to, says):
    before = outbox(served_project).keys()
    said = post(issue="2.6", to=to)
    assert not said["good"]
    assert says in said["words"]
    assert outbox(served_project).keys() == before


def test_a_transport_that_is_not_there_is_told(post):
    said = post(issue="2.6", to="me@example.org", transport="pigeon")
    assert (said["good"], "pigeon" in said["words"]) == (False, True)


def test_the_page_names_what_a_test_goes_through(served):
    assert b"files \xe2\x86\x92 outbox/test/2.6 (nothing leaves this machine)" in served.ask("/?issue=2.6")[2]
