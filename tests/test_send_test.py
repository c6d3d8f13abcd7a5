"""`mailer test`: the real message to any address, marked, and the ledger does not hear of it."""

import json
import re
from email import message_from_bytes, policy

import pytest

from conftest import change

ME, KEN = "me@example.org", "ken.sato@example.com"


@pytest.fixture
def send_test(project, mailer):
    def send_test(*options):
        return mailer("test", "--issue", "2.6", *options)

    return send_test


def parsed(data):
    return message_from_bytes(data, policy=policy.default)


def text_of(message):
    return message.get_body(("plain",)).get_content()


def test_it_goes_to_any_address_with_a_marked_subject(send_test, project):
    result = send_test("--to", ME)
    assert result.code == 0
    assert "accepted: [TEST] US-Japan Alliance Digest 2.6" in result.out
    assert f"to {ME} through files → outbox/test/2.6" in result.out
    message = parsed((project / "outbox" / "test" / "2.6" / f"{ME}.eml").read_bytes())
    assert message["Subject"].startswith("[TEST] US-Japan Alliance Digest 2.6")
    assert message["To"] == ME
    assert "Thank you for reading, friend." in text_of(message)


def test_a_contacts_own_message_can_be_seen(send_test, project):
    assert send_test("--to", ME, "--as", "KEN.Sato@example.com").code == 0
    message = parsed((project / "outbox" / "test" / "2.6" / f"{ME}.eml").read_bytes())
    assert message["To"].addresses[0].addr_spec == ME
    assert message["To"].addresses[0].display_name == "佐藤 健"
    assert "Thank you for reading, 健." in text_of(message).replace("\n", " ")
    assert f"You are receiving this at {KEN}." in text_of(message)


def test_it_differs_from_the_real_message_only_in_its_mark_and_its_identity(send_test, mailer, live):
    mailer("send", "--issue", "2.6", "--transport", "live", "--yes")
    assert send_test("--to", KEN, "--as", KEN, "--transport", "live").code == 0
    real, tried = (next(m for _, to, m in messages if to == KEN) for messages in (live.accepted, live.accepted[::-1]))
    assert parsed(tried)["Message-ID"] != parsed(real)["Message-ID"]
    assert parsed(tried)["Subject"] == "[TEST] " + parsed(real)["Subject"]

    def rest(message):
        unmarked = re.sub(rb"(?m)^(Message-ID|Date|Subject): .*(\r\n[ \t].*)*\r\n", b"", message)
        return re.sub(rb"=_[0-9a-f]+", b"=_boundary", unmarked).replace(b"[TEST] ", b"")

    assert rest(tried) == rest(real)


def test_each_try_has_an_identity_of_its_own(send_test):
    ids = {json.loads(send_test("--to", ME, "--json").out)["message_id"] for _ in range(2)}
    assert len(ids) == 2


def test_the_ledger_does_not_hear_of_it(send_test, mailer, project):
    send_test("--to", KEN)
    assert not (project / ".mailer" / "ledger.db").exists()
    assert "24 people" in mailer("send", "--issue", "2.6").out


def test_it_leaves_a_rehearsal_alone(send_test, mailer, project):
    mailer("send", "--issue", "2.6")
    send_test("--to", ME)
    assert len([*(project / "outbox" / "2.6").iterdir()]) == 24
    assert "The rehearsal is complete" in mailer("send", "--issue", "2.6").out


def test_a_live_test_goes_out_without_being_asked(send_test, live):
    result = send_test("--to", ME, "--transport", "live")
    assert result.code == 0
    assert "(LIVE): 250 OK queued" in result.out
    assert [to for _, to, _ in live.accepted] == [ME]


@pytest.mark.parametrize(
    ("reply", "code"), [("550 5.1.1 no such user", 1), ("450 4.2.0 greylisted", 75), ("550 5.7.1 not you", 69)]
)
def test_a_server_that_does_not_take_it_is_heard(send_test, live, reply, code):
    live.rcpt_replies[ME] = reply
    result = send_test("--to", ME, "--transport", "live")
    assert result.code == code
    assert reply in result.out + result.err


def test_a_mistake_in_the_issue_is_only_a_warning(send_test, project, live):
    change(project / "issues" / "2.6.md", "(https://www.mda.mil/)", "(#)")
    result = send_test("--to", ME, "--transport", "live")
    assert result.code == 0
    assert "[L001]" in result.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--to", "no address"), "--to no address: "),
        (("--to", ME, "--as", "ken"), "--as ken: "),
        (
            ("--to", ME, "--as", "stranger@example.org"),
            "stranger@example.org stands in no list of this issue (subscribers)",
        ),
    ],
)
def test_an_address_that_will_not_do_is_named(send_test, project, options, said):
    result = send_test(*options)
    assert result.code == 65
    assert said in result.err
    assert not (project / "outbox").exists()


def test_a_contact_who_lacks_a_field_is_named_with_the_place(send_test, project):
    change(project / "issues" / "2.6.md", ' | default("friend")', "")
    error = json.loads(send_test("--to", ME, "--as", "desk@example.net", "--json").out)["error"]
    assert (error["code"], error["file"], error["line"]) == (65, "contacts/subscribers.csv", 9)
    assert error["message"] == "desk@example.net has no first_name"


def test_a_field_without_a_fallback_shows_its_name(send_test, project):
    change(project / "issues" / "2.6.md", ' | default("friend")', "")
    send_test("--to", ME)
    assert "reading, [first_name]." in text_of(parsed((project / "outbox" / "test" / "2.6" / f"{ME}.eml").read_bytes()))
