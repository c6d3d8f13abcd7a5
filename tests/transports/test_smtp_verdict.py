"""What a reply means: for the message, and where it is about us, for whoever reads what to do. And the presets' keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alliance_mailer.config import load_config
from alliance_mailer.errors import ConfigError
from alliance_mailer.message import Outcome, Verdict
from alliance_mailer.transports._smtp_codes import meaning
from alliance_mailer.transports._smtp_verdict import judge, retry_after
from alliance_mailer.transports._smtp_wire import Reply
from alliance_mailer.transports.smtp import PRESETS, check

VERBS = ["MAIL", "RCPT", "DATA", "BDAT", "."]


def judged(verb: str, reply: str) -> Outcome:
    return judge(verb, Reply(int(reply[:3]), reply[4:].encode()))


ABOUT_US = [
    ("MAIL", "550 5.1.8 sender unknown"),
    ("MAIL", "501 5.1.7 bad sender"),
    ("MAIL", "552 5.3.4 too big"),
    ("RCPT", "530 authenticate first"),
    ("RCPT", "530 5.7.57 Client not authenticated to send mail"),
    ("RCPT", "535 who are you"),
    ("RCPT", "550 5.4.5 Daily user sending limit exceeded"),
    ("RCPT", "550 5.7.26 unauthenticated mail"),
    ("RCPT", "554 5.7.1 <ann@example.org>: Relay access denied"),
    ("RCPT", "550 relay not permitted"),
    ("RCPT", "550-Verification failed\r\n550 Sender verify failed"),
    ("RCPT", "504 5.5.2 <here>: Helo command rejected: need fully-qualified hostname"),
    ("RCPT", "550 5.1.8 <digest@example.org>: Sender address rejected: Domain not found"),
    ("RCPT", "554 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org"),
    ("RCPT", "550 5.1.90 Your message can't be sent because you've reached your daily limit"),
    ("DATA", "503 5.5.1 need RCPT first"),
    ("DATA", "554 5.7.1 your address is on a blocklist"),
    (".", "552 5.3.4 too big"),
    (".", "552 message exceeds fixed maximum message size"),
    (".", "550 5.7.515 Access denied, sending domain does not meet the required authentication level"),
    (".", "554 5.2.252 SendAsDenied; not allowed to send as"),
    ("BDAT", "550 5.7.1 no"),
]
DEFERRALS = [
    ("MAIL", "451 4.3.0 try later"),
    ("RCPT", "450 4.2.0 greylisted"),
    ("RCPT", "452 4.5.3 too many recipients"),
    ("RCPT", "552 too many recipients"),
    ("RCPT", "552 5.2.2 mailbox full"),
    (".", "552 5.2.2 mailbox full"),
    ("RCPT", "451 4.7.1 try again"),
    (".", "454 Throttling failure: Maximum sending rate exceeded"),
    (".", "421 4.7.28 unusual rate of mail"),
]
REFUSALS = [
    ("RCPT", "550 5.1.1 no such user", True),
    ("RCPT", "550 5.1.2 no such domain", True),
    ("RCPT", "501 5.1.3 bad syntax", True),
    ("RCPT", "551 5.1.6 moved", True),
    ("RCPT", "556 5.1.10 null MX", True),
    ("RCPT", "550 4.1.1 of another class than its code", False),
    ("RCPT", "550 5.2.1 mailbox disabled", False),
    ("RCPT", "550 no such user", False),
    ("DATA", "554 5.5.1 no valid recipients", False),
    (".", "554 5.6.0 content refused", False),
]


@pytest.mark.parametrize(("verb", "reply"), ABOUT_US)
def test_what_is_about_us_is_put_off_and_told(verb, reply):
    outcome = judged(verb, reply)
    assert (outcome.verdict, outcome.about_us, outcome.hard) == (Verdict.DEFERRED, True, False)


@pytest.mark.parametrize(("verb", "reply"), DEFERRALS)
def test_what_is_for_now_is_deferred(verb, reply):
    outcome = judged(verb, reply)
    assert (outcome.verdict, outcome.about_us, outcome.reply) == (Verdict.DEFERRED, False, reply)


@pytest.mark.parametrize(("verb", "reply", "hard"), REFUSALS)
def test_what_is_for_good_is_refused_and_hard_where_the_address_does_not_exist(verb, reply, hard):
    assert judged(verb, reply) == Outcome(Verdict.REFUSED, reply, hard=hard)


@given(
    verb=st.sampled_from(VERBS),
    code=st.integers(400, 599),
    words=st.one_of(
        st.binary(max_size=80),
        st.builds(lambda *codes: b"%d.%d.%d x" % codes, st.integers(2, 5), st.integers(0, 9), st.integers(0, 999)),
    ),
)
def test_whatever_a_server_says_has_one_meaning(verb, code, words):
    outcome = judge(verb, Reply(code, words))
    if code < 500:
        assert (outcome.verdict, outcome.about_us) == (Verdict.DEFERRED, False)
    else:
        assert outcome.verdict in (Verdict.DEFERRED, Verdict.REFUSED)
    assert outcome.hard <= (outcome.verdict is Verdict.REFUSED)
    assert outcome.reply.startswith(str(code))
    assert outcome.reply.isprintable()
    assert isinstance(meaning(outcome.reply), str)


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("4.2.0 Greylisted, try again in 300 seconds", 300),
        ("4.2.0 please come back in 00:05:10", 310),
        ("4.7.1 Greylisting in action", 300),
        ("try again after 2 minutes", 120),
        ("within 1 hour", 3600),
        ("in about 45 minutes", 2700),
        ("in 99999 hours", 4 * 3600),
        ("in 0 seconds", None),
        ("try later", None),
    ],
)
def test_a_time_that_is_named_is_kept_to(words, seconds):
    assert retry_after(words) == seconds


# Two servers' words for each, and what a person is told.
MEANINGS = [
    ("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant", "switched off"),
    ("550 5.7.30 Basic authentication is not supported for Client Submission", "log in with a token"),
    ("550 5.7.30 DKIM authentication did not pass", "DKIM did not pass"),
    ("534 5.7.9 Application-specific password required", "app password"),
    ("534 5.7.14 Please log in via your web browser", "in a browser"),
    ("530 5.7.0 Must issue a STARTTLS command first", "The server wants TLS"),
    ("530 5.7.57 Client not authenticated to send mail", "wants a login"),
    ("554 5.2.252 SendAsDenied; digest@example.org not allowed to send as", "may not send from our address"),
    ("554 Message rejected: Email address is not verified", "verify the domain"),
    ("554 Access denied: User is not authorized to perform ses:SendRawEmail", "ses:SendRawEmail"),
    ("550 5.4.5 Daily user sending limit exceeded", "in 24 hours"),
    ("454 Throttling failure: Maximum sending rate exceeded", "lower rate"),
    ("421 4.7.0 too many concurrent SMTP connections", "connections = 1"),
    ("550 5.7.26 This mail has been blocked because the sender is unauthenticated", "SPF, DKIM and DMARC"),
    ("550 5.7.515 Access denied, sending domain does not meet the required authentication level", "all three"),
    ("550 5.7.25 The IP address does not have a PTR record", "(PTR)"),
    ("450 4.7.25 Client host rejected: cannot find your hostname", "(PTR)"),
    ("550 5.7.27 SPF did not pass", "SPF did not pass"),
    ("550 5.7.31 no DMARC record", "v=DMARC1"),
    ("550 5.7.32 From is not aligned", "does not fit"),
    ("421 4.7.28 Our system has detected an unusual rate of mail", "0.1 %"),
    ("550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP", "block list"),
    ("554 5.7.1 blocked using zen.spamhaus.org", "block list"),
    ("550 5.1.8 Access denied, bad outbound sender", "Restricted entities"),
    ("554 5.7.1 <ann@example.org>: Relay access denied", "mynetworks"),
    ("552 5.3.4 Message size exceeds fixed limit", "smaller pictures"),
    ("504 5.5.2 <here>: Helo command rejected: need fully-qualified hostname", "hostname -f"),
    ("550 5.1.8 <digest@example.org>: Sender address rejected: Domain not found", "no such sender"),
    ("535 5.7.8 Username and Password not accepted", "do not fit"),
    ("550 5.7.999 something new", "its words say which"),
    ("550 something new", ""),
]


@pytest.mark.parametrize(("reply", "told"), MEANINGS)
def test_a_code_about_us_is_explained(reply, told):
    assert told in meaning(reply)
    assert bool(meaning(reply)) == bool(told)


# Presets --------------------------------------------------------------------------------------------------------------

NEEDED = {
    "microsoft365": 'user = "digest@example.org"\ntoken_env = "SECRET"',
    "ses": 'host = "email-smtp.eu-central-1.amazonaws.com"\nuser = "AKIA"\npassword_env = "SECRET"',
    "resend": 'password_env = "SECRET"',
    "postfix": "",
}
RATES = {
    "microsoft365": ["30/min", "10000/d"],
    "google-workspace": ["1/s", "2000/d"],
    "google-workspace-relay": ["10000/d"],
    "ses": ["1/s"],
    "postmark": [],
    "resend": ["2/s"],
    "postfix": [],
}


@pytest.fixture
def preset(project):
    def preset(name: str, more: str):
        with (project / "mailer.toml").open("a") as config:
            config.write(f'\n[transports.live]\nuse = "smtp"\npreset = "{name}"\n{more}\n')
        return load_config(project).transport("live")

    return preset


@pytest.mark.parametrize("name", RATES)
def test_a_preset_needs_a_login_and_no_more(preset, project, name):
    assert set(RATES) == set(PRESETS)
    chosen = preset(name, NEEDED.get(name, 'user = "digest@example.org"\npassword_env = "SECRET"'))
    check(chosen.options, project=project, issue="2.6", environ={"SECRET": "x"})
    assert [str(rate) for rate in chosen.rate] == RATES[name]
    assert chosen.options.tls == ("none" if name == "postfix" else "implicit" if name == "resend" else "starttls")
    assert 1 <= chosen.connections <= 5
    if name != "postfix":
        assert chosen.options.messages_per_connection == 1000
        with pytest.raises(ConfigError, match="SECRET is not set"):
            check(chosen.options, project=project, issue="2.6", environ={})


def test_a_key_goes_before_the_presets(preset):
    chosen = preset("postfix", 'host = "127.0.0.1"\nconnections = 2\nrate = ["9/s"]')
    assert (chosen.options.host, chosen.connections, [str(rate) for rate in chosen.rate]) == ("127.0.0.1", 2, ["9/s"])


def test_microsoft_wants_a_token(preset, project):
    chosen = preset("microsoft365", 'user = "digest@example.org"\npassword_env = "SECRET"')
    with pytest.raises(ConfigError, match="password_env is for a password"):
        check(chosen.options, project=project, issue="2.6", environ={"SECRET": "x"})
