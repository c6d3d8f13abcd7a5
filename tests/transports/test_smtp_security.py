"""SMTP's TLS and AUTH: whom we trust, and that a password goes to nobody else and into no output."""

import base64
import ssl
from contextlib import ExitStack

import pytest
import trustme
from aiosmtpd.smtp import AuthResult, LoginPassword

from alliance_mailer.errors import ConfigError, MailerError, TransportRefused, TryLater
from alliance_mailer.message import Verdict
from alliance_mailer.transports.smtp import Options, connect, describe
from conftest import FreePort, Recorder

from .letters import letter
from .scripted import HANG

USER, PASSWORD = "digest@example.org", "corréct horse"


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture
def ca_file(authority, tmp_path):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return "ca.pem"


@pytest.fixture
def serving(authority):
    """A mail server with TLS, whose certificate is for a name, and which knows one user where AUTH is asked for."""
    with ExitStack() as stack:

        def serving(tls: str, name: str = "localhost", auth: str = "") -> Recorder:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            authority.issue_cert(name).configure_cert(context)
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


@pytest.fixture
def opened(tmp_path):
    with ExitStack() as stack:

        def opened(port, password="", **options):
            options = Options(**{"host": "localhost", "port": port, "timeout": 2.0, **options})
            transport = connect(options, project=tmp_path, issue="2.6", environ={"SMTP_PASSWORD": password})
            stack.callback(transport.close)
            return transport

        yield opened


def as_user(**options):
    return {"user": USER, "password_env": "SMTP_PASSWORD", "password": PASSWORD, **options}


# TLS ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_message_goes_over_tls_to_a_server_that_we_trust(scripted, serving, opened, edition, ca_file, tls):
    server = serving(tls)
    message = letter(edition)
    assert opened(server.port, tls=tls, ca_file=ca_file).send([message])[0].verdict is Verdict.ACCEPTED
    assert [data for _, _, data in server.accepted] == [message.as_bytes()]


def test_no_tls_older_than_1_2_is_spoken(serving, opened, ca_file):
    transport = opened(serving("implicit").port, tls="implicit", ca_file=ca_file)
    assert transport._smtp.context.minimum_version >= ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_certificate_that_nobody_vouches_for_is_refused(serving, opened, tls):
    with pytest.raises(
        TransportRefused, match="the certificate is not to be trusted: unable to get local issuer"
    ) as refusal:
        opened(serving(tls).port, tls=tls)
    assert "ca_file" in refusal.value.hint


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_certificate_of_another_name_is_refused(serving, opened, ca_file, tls):
    server = serving(tls, "mail.example.org")
    with pytest.raises(TransportRefused, match="Hostname mismatch"):
        opened(server.port, tls=tls, ca_file=ca_file)
    assert server.accepted == []


def test_a_server_without_starttls_gets_nothing(scripted, opened):
    server = scripted()
    with pytest.raises(TransportRefused, match="STARTTLS extension not supported") as refusal:
        opened(server.port)
    assert 'tls = "implicit"' in refusal.value.hint
    assert server.verbs() == ["EHLO"]


def test_a_server_whose_tls_is_not_ready_is_a_reason_to_try_later(scripted, opened):
    server = scripted(offers=["STARTTLS"], STARTTLS="454 4.7.0 TLS not available")
    with pytest.raises(TryLater, match="454"):
        opened(server.port)


def test_implicit_tls_to_a_server_that_speaks_plainly_says_so(scripted, opened):
    server = scripted()
    with pytest.raises(TransportRefused, match="TLS failed") as refusal:
        opened(server.port, tls="implicit")
    assert 'tls = "starttls"' in refusal.value.hint


def test_a_handshake_that_never_ends_is_a_reason_to_try_later(scripted, opened):
    server = scripted(BANNER=HANG)
    with pytest.raises(TryLater, match="timed out"):
        opened(server.port, tls="implicit", timeout=0.2)


@pytest.mark.parametrize(("content", "said"), [(None, "No such file"), ("no certificate", "holds no certificate")])
def test_a_ca_file_that_is_none_is_a_mistake_in_the_settings(scripted, opened, tmp_path, content, said):
    if content:
        (tmp_path / "mine.pem").write_text(content)
    with pytest.raises(ConfigError, match=rf'transport\.ca_file: found "mine\.pem": .*{said}'):
        opened(9, ca_file="mine.pem")


# AUTH -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_who_knows_the_password_may_send(serving, opened, edition, ca_file, tls, mechanism):
    server = serving(tls, auth=mechanism)
    transport = opened(server.port, tls=tls, ca_file=ca_file, **as_user())
    assert transport.send([letter(edition)])[0].verdict is Verdict.ACCEPTED
    assert len(server.accepted) == 1


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_wrong_password_stops_the_run(serving, opened, ca_file, tls, mechanism):
    server = serving(tls, auth=mechanism)
    with pytest.raises(TransportRefused, match="refuses the credentials: 535") as refusal:
        opened(server.port, tls=tls, ca_file=ca_file, **as_user(password="wrong horse"))
    assert refusal.value.code == 69
    assert "wrong horse" not in str(refusal.value)


def test_a_server_that_cannot_ask_for_the_password_now_is_a_reason_to_try_later(scripted, opened):
    server = scripted(offers=["AUTH PLAIN"], AUTH="454 4.7.0 the directory is down")
    with pytest.raises(TryLater, match="the directory is down"):
        opened(server.port, tls="none", **as_user())


@pytest.mark.parametrize("offers", [[], ["AUTH CRAM-MD5 GSSAPI"]])
def test_a_server_that_offers_no_way_of_ours_gets_no_password(scripted, opened, offers):
    server = scripted(offers=offers)
    with pytest.raises(TransportRefused, match="AUTH PLAIN or LOGIN is not offered"):
        opened(server.port, tls="none", **as_user())
    assert server.verbs() == ["EHLO"]


def test_a_password_that_is_not_set_is_a_mistake_in_the_settings(scripted, opened):
    with pytest.raises(ConfigError, match="the environment variable SMTP_PASSWORD is not set") as mistake:
        opened(9, **as_user(password=""))
    assert mistake.value.hint == "export SMTP_PASSWORD=…"
    with pytest.raises(ConfigError, match="no password_env"):
        opened(9, user=USER)


@pytest.mark.parametrize("host", ["mail.example.org", "192.0.2.1", "2001:db8::1", "localhost.example.org"])
def test_a_password_goes_to_no_other_machine_without_tls(opened, host):
    with pytest.raises(ConfigError, match="a password goes over TLS only"):
        opened(9, host=host, tls="none", **as_user())


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_password_goes_to_this_machine_without_tls(scripted, opened, host):
    server = scripted(offers=["AUTH LOGIN PLAIN"])
    opened(server.port, host=host, tls="none", **as_user()).close()
    assert server.said[1] == "AUTH PLAIN " + base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_a_server_that_repeats_what_it_heard_does_not_make_us_print_the_password(scripted, opened, mechanism):
    server = scripted(offers=[f"AUTH {mechanism}"])
    server._script["AUTH"] = lambda: (
        "334 go on"
        if mechanism == "LOGIN" and len(server.said) < 4
        else f"500 5.5.1 unknown command: {server.said[-1]}"
    )
    with pytest.raises(MailerError) as refusal:
        opened(server.port, tls="none", **as_user())
    assert "unknown command" in str(refusal.value)
    for secret in (PASSWORD, base64.b64encode(PASSWORD.encode()).decode(), server.said[-1].split()[-1]):
        assert secret not in str(refusal.value)


# Settings -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"host": ""},
        {"port": 65536},
        {"port": -1},
        {"timeout": 0.0},
        {"timeout": -1.0},
        {"bounce_address": "jörg@example.org"},
    ],
)
def test_settings_that_no_connection_can_be_made_with_are_mistakes(opened, options):
    with pytest.raises(ConfigError, match="transport"):
        opened(**{"port": 9, "tls": "none", **options})


def test_a_host_that_is_no_name_is_a_mistake(opened):
    with pytest.raises(ConfigError, match=r"transport\.host"):
        opened(9, host="mail..example.org", tls="none")


@pytest.mark.parametrize(("tls", "port"), [("starttls", 587), ("implicit", 465), ("none", 25)])
def test_the_port_follows_from_the_security(tls, port):
    assert describe(Options("mail.example.org", tls=tls), "2.6") == f"smtp mail.example.org:{port} (LIVE)"
