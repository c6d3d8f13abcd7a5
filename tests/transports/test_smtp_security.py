"""SMTP's TLS: whom we trust, and that nothing goes to anybody else. And that a secret is in no output."""

import base64
import socket
import ssl
import traceback
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from aiosmtpd.smtp import AuthResult, LoginPassword

from alliance_mailer.errors import ConfigError, MailerError, TransportRefused, TryLater
from alliance_mailer.message import Verdict
from alliance_mailer.transports import smtp
from conftest import FreePort, Recorder

from .letters import letter
from .scripted import DROP, HANG

USER, PASSWORD, ANOTHER = "digest@example.org", "corréct horse", "wrong horse"
LONG_AGO, YESTERDAY, TOMORROW = (datetime.now(UTC) + timedelta(days=days) for days in (-400, -1, 1))

both = pytest.mark.parametrize("tls", ["starttls", "implicit"])


@pytest.fixture
def serving(certified):
    """A mail server with TLS, whose certificate is for a name, and which knows one user where AUTH is asked for."""
    with ExitStack() as stack:

        def serving(tls: str, name: str = "localhost", auth: str = "", **certificate) -> Recorder:
            context = certified(name, **certificate)
            options = (
                {"ssl_context": context} if tls == "implicit" else {"tls_context": context, "require_starttls": True}
            )
            if auth:
                options |= {"auth_exclude_mechanism": {"LOGIN", "PLAIN"} - {auth}, "authenticator": knows}
                # aiosmtpd takes implicit TLS for none.
                options |= {"auth_require_tls": False} if tls == "implicit" else {"auth_required": True}
            controller = FreePort(Recorder(), hostname="127.0.0.1", port=0, **options)
            controller.start()
            stack.callback(controller.stop)
            controller.handler.port = controller.port
            return controller.handler

        yield serving


def knows(server, session, envelope, mechanism, data):
    return AuthResult(success=data == LoginPassword(USER.encode(), PASSWORD.encode()), handled=False)


def as_user(password=PASSWORD, **options):
    return {"user": USER, "password_env": "SMTP_PASSWORD", "environ": {"SMTP_PASSWORD": password}, **options}


# Whom we trust --------------------------------------------------------------------------------------------------------


@both
def test_a_message_goes_over_tls_to_a_server_that_we_trust(serving, edition, tmp_path, ca_file, tls):
    server, message = serving(tls), letter(edition)
    options = smtp.Options("localhost", server.port, tls=tls, ca_file=ca_file)
    transport = smtp.connect(options, project=tmp_path, issue="2.6", environ={})
    outcomes = list(transport.carry(iter([[message]])))
    transport.close()
    assert [outcome.verdict for outcome in outcomes] == [Verdict.ACCEPTED]
    assert [data for _, _, data in server.accepted] == [message.as_bytes()]


@both
def test_a_certificate_that_nobody_vouches_for_is_refused(serving, opened, tls):
    with pytest.raises(
        TransportRefused, match="the certificate is not to be trusted: unable to get local issuer"
    ) as refusal:
        opened(serving(tls).port, tls=tls)
    assert "ca_file" in refusal.value.hint


@both
def test_a_certificate_that_somebody_else_vouches_for_is_refused(serving, opened, ca_file, tls):
    with pytest.raises(TransportRefused, match="the certificate is not to be trusted"):
        opened(serving(tls, by=trustme.CA()).port, tls=tls, ca_file=ca_file)


@both
def test_a_certificate_of_another_name_is_refused(serving, opened, ca_file, tls):
    server = serving(tls, "mail.example.org")
    with pytest.raises(TransportRefused, match="Hostname mismatch") as refusal:
        opened(server.port, tls=tls, ca_file=ca_file)
    assert refusal.value.hint == "host must be a name in the certificate"
    assert server.accepted == []


def test_a_certificate_of_a_name_is_not_one_of_its_network_address(serving, opened, ca_file):
    with pytest.raises(TransportRefused, match="IP address mismatch") as refusal:
        opened(serving("implicit").port, host="127.0.0.1", tls="implicit", ca_file=ca_file)
    assert refusal.value.hint == "host must be a name in the certificate"


@both
@pytest.mark.parametrize(
    ("dates", "said"),
    [
        ({"not_before": LONG_AGO, "not_after": YESTERDAY}, "certificate has expired"),
        ({"not_before": TOMORROW}, "certificate is not yet valid"),
    ],
)
def test_a_certificate_out_of_its_time_is_refused(serving, opened, ca_file, tls, dates, said):
    with pytest.raises(TransportRefused, match=said) as refusal:
        opened(serving(tls, **dates).port, tls=tls, ca_file=ca_file)
    assert "is this machine's clock right?" in refusal.value.hint


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
@both
def test_a_server_that_speaks_only_tls_1_1_is_refused(scripted, opened, certified, ca_file, tls):
    old = certified()
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    server = scripted(offers=["STARTTLS"], tls=old, implicit=tls == "implicit")
    with pytest.raises(TransportRefused, match="TLS failed"):
        opened(server.port, tls=tls, ca_file=ca_file)
    # It does speak that: who is less particular gets through.
    careless = ssl.create_default_context(cafile=None)
    careless.check_hostname, careless.verify_mode = False, ssl.CERT_NONE
    careless.set_ciphers("ALL:@SECLEVEL=0")
    careless.minimum_version = careless.maximum_version = ssl.TLSVersion.TLSv1_1
    server = scripted(tls=old, implicit=True)
    with socket.create_connection(("127.0.0.1", server.port)) as plain, careless.wrap_socket(plain) as encrypted:
        assert encrypted.version() == "TLSv1.1"


@both
def test_what_is_said_goes_out_at_once(serving, opened, ca_file, tls):
    session = opened(serving(tls).port, tls=tls, ca_file=ca_file)
    assert session.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


# STARTTLS -------------------------------------------------------------------------------------------------------------


def test_a_server_without_starttls_gets_nothing(scripted, opened):
    server = scripted(offers=["AUTH PLAIN"])
    with pytest.raises(TransportRefused, match="STARTTLS extension not supported") as refusal:
        opened(server.port, **as_user())
    assert 'tls = "implicit"' in refusal.value.hint
    assert server.verbs() == ["EHLO"]


@pytest.mark.parametrize(
    ("reply", "raised"),
    [
        ("454 4.7.0 TLS not available", TryLater),
        ("421 4.3.2 shutting down", TryLater),
        ("hello?", TryLater),
        (DROP, TryLater),
        ("502 5.5.1 not implemented", TransportRefused),
        ("250 OK", TransportRefused),
    ],
)
def test_a_server_that_does_not_begin_tls_gets_nothing(scripted, opened, reply, raised):
    server = scripted(offers=["STARTTLS", "AUTH PLAIN"], STARTTLS=reply)
    with pytest.raises(raised):
        opened(server.port, **as_user())
    assert server.verbs() == ["EHLO", "STARTTLS"]


@pytest.mark.parametrize(
    ("reply", "raised"), [("220 hello?", TransportRefused), (DROP, TryLater), (HANG, TryLater)], ids=str
)
@both
def test_a_handshake_that_comes_to_nothing_leads_to_nothing(scripted, opened, certified, tls, reply, raised):
    server = scripted(offers=["STARTTLS", "AUTH PLAIN"], tls=certified(), implicit=tls == "implicit", HANDSHAKE=reply)
    with pytest.raises(raised):
        opened(server.port, tls=tls, **as_user(timeout=0.2))
    assert server.verbs() == (["EHLO", "STARTTLS"] if tls == "starttls" else [])


def test_replies_that_somebody_puts_before_tls_are_not_believed(scripted, opened, certified, ca_file):
    # RFC 3207, 4.2 and 6: they come with the reply to STARTTLS, and wait for the commands behind the handshake.
    server = scripted(
        offers=["STARTTLS"],
        inside=["AUTH LOGIN"],
        tls=certified(),
        STARTTLS="220 go on\r\n250-mail.example.org\r\n250 AUTH PLAIN\r\n235 welcome",
        AUTH=["334 who?", "334 and the word?", "535 5.7.8 never heard"],
    )
    with pytest.raises(TransportRefused, match=r"535 5\.7\.8 never heard"):
        opened(server.port, ca_file=ca_file, **as_user())
    assert server.verbs()[:4] == ["EHLO", "STARTTLS", "EHLO", "AUTH"]
    assert server.said[3] == "AUTH LOGIN"


def test_what_a_server_offers_before_tls_is_forgotten(scripted, opened, certified, ca_file):
    server = scripted(offers=["STARTTLS", "AUTH PLAIN", "CHUNKING"], inside=["SIZE 1000"], tls=certified())
    session = opened(server.port, ca_file=ca_file)
    assert session.has_extn("size")
    assert not session.has_extn("chunking")
    with pytest.raises(TransportRefused, match="AUTH PLAIN or LOGIN is not offered"):
        opened(server.port, ca_file=ca_file, **as_user())


def test_a_server_that_has_no_extension_inside_tls_is_greeted_in_the_old_way(scripted, opened, certified, ca_file):
    server = scripted(offers=["STARTTLS"], tls=certified(), EHLO=["250-mail\r\n250 STARTTLS", "502 5.5.1 what?"])
    opened(server.port, ca_file=ca_file)
    assert server.verbs() == ["EHLO", "STARTTLS", "EHLO", "HELO"]


def test_a_server_that_refuses_to_be_greeted_inside_tls_is_not_written_to(scripted, opened, certified, ca_file):
    refusal = "550 5.7.1 not you"
    server = scripted(offers=[], tls=certified(), EHLO=["250-mail\r\n250 STARTTLS", refusal], HELO=refusal)
    with pytest.raises(TransportRefused, match=r"refuses us: 550 5\.7\.1 not you"):
        opened(server.port, ca_file=ca_file)


def test_implicit_tls_to_a_server_that_speaks_plainly_says_so(scripted, opened):
    with pytest.raises(TransportRefused, match="TLS failed") as refusal:
        opened(scripted().port, tls="implicit")
    assert 'tls = "starttls"' in refusal.value.hint


@pytest.mark.parametrize(("content", "said"), [(None, "No such file"), ("no certificate", "holds no certificate")])
def test_a_ca_file_that_is_none_is_a_mistake_in_the_settings(opened, tmp_path, content, said):
    if content:
        (tmp_path / "mine.pem").write_text(content)
    with pytest.raises(ConfigError, match=rf'transport\.ca_file: found "mine\.pem": .*{said}'):
        opened(9, ca_file="mine.pem")


# Passwords ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@both
def test_who_knows_the_password_may_send(serving, opened, ca_file, tls, mechanism):
    server = serving(tls, auth=mechanism)
    session = opened(server.port, tls=tls, ca_file=ca_file, **as_user())
    assert session.sendmail("digest@example.org", ["ann@example.org"], b"Subject: hello\r\n\r\nHello\r\n") == {}
    assert len(server.accepted) == 1


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@both
def test_a_wrong_password_stops_the_run(serving, opened, ca_file, tls, mechanism):
    server = serving(tls, auth=mechanism)
    with pytest.raises(TransportRefused, match="refuses the credentials: 535") as refusal:
        opened(server.port, tls=tls, ca_file=ca_file, **as_user(ANOTHER))
    assert refusal.value.code == 69
    assert ANOTHER not in everything(refusal.value)


@pytest.mark.parametrize("host", ["mail.example.org", "192.0.2.1", "2001:db8::1", "localhost.example.org", "8.127.0.0"])
def test_a_password_goes_to_no_other_machine_without_tls(opened, host):
    with pytest.raises(ConfigError, match="a password goes over TLS only"):
        opened(9, host=host, tls="none", **as_user())


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_password_goes_to_this_machine_without_tls(scripted, opened, host):
    server = scripted(offers=["AUTH LOGIN PLAIN"])
    opened(server.port, host=host, tls="none", **as_user())
    assert server.said[1] == "AUTH PLAIN " + base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()


def everything(error: MailerError) -> str:
    """What could be printed of an error: its words, its hint, and all that Python shows of it and of what led to it."""
    told = [error, error.__context__, error.__cause__]
    return "\n".join([error.hint, *map(repr, told), *map(str, told), *traceback.format_exception(error)])


@pytest.mark.parametrize("secret", [PASSWORD, "7q", 'quote " and \\ and %s {key}', "ya29.A0ARrdaM-" + "x" * 200])
@pytest.mark.parametrize("way", ["PLAIN", "LOGIN", "XOAUTH2"])
@pytest.mark.parametrize("decoded", [False, True])
def test_a_server_that_repeats_what_it_heard_does_not_make_us_print_the_secret(scripted, opened, way, secret, decoded):
    def repeated() -> str:
        *_, heard = server.said[-1].split()
        if way == "LOGIN" and len(server.said) < 4:
            return "334 go on"
        return f"535 5.7.8 no: {base64.b64decode(heard).decode() if decoded else server.said[-1]}"

    server = scripted(offers=[f"AUTH {way}"], AUTH=repeated)
    named = {"token_env": "SECRET"} if way == "XOAUTH2" else {"password_env": "SECRET"}
    with pytest.raises(TransportRefused) as refusal:
        opened(server.port, {"SECRET": secret}, tls="none", user=USER, auth=way.lower(), **named)
    printed = everything(refusal.value)
    assert "535 5.7.8 no" in str(refusal.value)
    for form in (secret, base64.b64encode(secret.encode()).decode(), server.said[-1].split()[-1]):
        assert form not in printed.replace("(secret)", "")
