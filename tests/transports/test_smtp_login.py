"""SMTP's AUTH (RFC 4954): by password and by token, from the environment and from a command; and over TLS to the end."""

import os
import select
import sys
from contextlib import closing

import pytest

from alliance_mailer.errors import ConfigError, TransportRefused, TryLater
from alliance_mailer.message import Verdict
from alliance_mailer.transports.smtp import Options, connect
from faults import FaultyServer

from .letters import letter, send, small
from .test_smtp_security import everything

USER, TOKEN, WRONG = "digest@example.org", "ya29.A0ARrdaM-1234567890_~+/==", "wrong-secret"


@pytest.fixture
def pem(authority, tmp_path):
    """A server's key and certificate."""
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    return str(tmp_path / "server.pem")


@pytest.fixture
def carried(edition, tmp_path, ca_file):
    """What becomes of two messages over a server that asks for a login."""

    def carried(server: FaultyServer, environ=None, **options) -> list[Verdict]:
        options = {
            "host": "localhost",
            "port": server.port,
            "ca_file": ca_file,
            "user": USER,
            "timeout": 2.0,
            **options,
        }
        options = Options(**options)
        with closing(connect(options, project=tmp_path, issue="2.6", environ=environ or {})) as transport:
            messages = [letter(small(edition), f"{name}@example.org") for name in ("ann", "bob")]
            return [outcome.verdict for outcome in send(transport, *[[message] for message in messages])]

    return carried


def logins(server: FaultyServer) -> list[str]:
    said = [entry["line"] for entry in server.entries if entry["what"] == "said"]
    return [line.partition(" ")[2].partition(" ")[0] for line in said if line.startswith("AUTH")]


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
@pytest.mark.parametrize("auth", ["", "plain", "login", "xoauth2"])
@pytest.mark.parametrize("pipelining", [True, False])
def test_who_logs_in_over_tls_may_send(carried, pem, tls, auth, pipelining):
    named = {"token_env": "SECRET"} if auth == "xoauth2" else {"password_env": "SECRET"}
    with FaultyServer(users={USER: TOKEN}, tls=tls, certificate=pem, pipelining=pipelining) as server:
        assert carried(server, {"SECRET": TOKEN}, tls=tls, auth=auth, **named) == [Verdict.ACCEPTED] * 2
    assert logins(server) == [(auth or "plain").upper()]
    assert [each.to for each in server.took] == ["ann@example.org", "bob@example.org"]
    assert not [entry for entry in server.entries if entry["what"] == "breach"]


@pytest.mark.parametrize("fault", ["dot taken drop", "dot drop", "rcpt end", "text drop"])
def test_over_tls_a_lost_connection_has_its_verdict_too(edition, tmp_path, ca_file, pem, fault):
    text = b"x" * 70 + b"\r\n"
    message, following = letter(small(edition, text * 10_000)), letter(small(edition), "next@example.org")
    with FaultyServer(tls="starttls", certificate=pem, script={"ann@example.org": [fault]}) as server:
        options = Options("localhost", server.port, ca_file=ca_file, timeout=2.0)
        with closing(connect(options, project=tmp_path, issue="2.6", environ={})) as transport:
            outcome, after = send(transport, [message], [following])
    assert outcome.verdict in ([Verdict.DEFERRED] + [Verdict.UNKNOWN] * (not fault.startswith("rcpt")))
    assert after.verdict is Verdict.ACCEPTED
    taken = [each.to for each in server.took]
    assert taken == ["ann@example.org"] * ("taken" in fault) + ["next@example.org"]
    if "taken" in fault:
        assert outcome.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("auth", ["plain", "login", "xoauth2"])
def test_a_login_that_fails_stops_the_run_before_anything_is_sent(carried, pem, auth):
    named = {"token_env": "SECRET"} if auth == "xoauth2" else {"password_env": "SECRET"}
    server = FaultyServer(users={USER: TOKEN}, tls="starttls", certificate=pem)
    with server, pytest.raises(TransportRefused, match=r"refuses the credentials: 535 5\.7\.8") as refusal:
        carried(server, {"SECRET": WRONG}, auth=auth, **named)
    assert refusal.value.hint.startswith("User and password (or token) do not fit")
    assert WRONG not in everything(refusal.value)
    assert logins(server) == [auth.upper()]
    assert server.took == []


@pytest.mark.parametrize(
    ("reply", "raised", "hint"),
    [
        ("454 4.7.0 temporary authentication failure", TryLater, "cannot do it now"),
        ("421 4.7.0 too many attempts", TryLater, "cannot do it now"),
        ("530 5.7.0 must issue a STARTTLS command first", TransportRefused, "The server wants TLS"),
        ("534 5.7.9 application-specific password required", TransportRefused, "two-step"),
        (
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled",
            TransportRefused,
            "switched off",
        ),
        ("550 5.7.30 Basic authentication is not supported", TransportRefused, "log in with a token"),
    ],
)
def test_what_a_servers_no_to_a_login_means(carried, pem, reply, raised, hint):
    script = {"*": [f"auth {reply}"]}
    server = FaultyServer(users={USER: TOKEN}, tls="starttls", certificate=pem, script=script)
    with server, pytest.raises(raised) as refusal:
        carried(server, {"SECRET": TOKEN}, password_env="SECRET")
    assert reply in str(refusal.value)
    assert hint in refusal.value.hint
    assert server.took == []


# A command that prints the token --------------------------------------------------------------------------------------


def python(*lines: str) -> tuple[str, ...]:
    return (sys.executable, "-c", "\n".join(lines))


@pytest.fixture
def by_command(carried, pem):
    def by_command(*lines: str, users=None, environ=None, **options) -> FaultyServer:
        with FaultyServer(users={USER: TOKEN} if users is None else users, tls="starttls", certificate=pem) as server:
            options = {"auth": "xoauth2", "token_command": python(*lines), **options}
            assert carried(server, environ, **options) == [Verdict.ACCEPTED] * 2
        return server

    return by_command


def test_a_command_prints_the_token_for_each_connection(by_command, tmp_path):
    # In the publication's folder, with our environment, and asked anew.
    (tmp_path / "token.txt").write_text(TOKEN)
    server = by_command(
        "import os; open('asked', 'a').write(os.environ['WHO'])",
        "print(open('token.txt').read())",
        environ={"WHO": "me "},
        messages_per_connection=1,
    )
    assert (tmp_path / "asked").read_text() == "me me "
    assert logins(server) == ["XOAUTH2"] * 2


def test_a_token_that_has_run_out_is_asked_for_once_more(by_command, tmp_path):
    server = by_command(
        "import os",
        f"print({TOKEN!r} if os.path.exists('asked') else 'an-old-token')",
        "open('asked', 'w')",
    )
    assert logins(server) == ["XOAUTH2"] * 2


def test_a_token_that_is_wrong_twice_stops_the_run(by_command):
    with pytest.raises(TransportRefused, match="refuses the credentials"):
        by_command("print('an-old-token')")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["import sys; print('no such account', file=sys.stderr); sys.exit(3)"], r"exit code 3\): no such account"),
        (["pass"], "it printed nothing"),
        (["print('Your token:', 'abc')"], "more than a token"),
        (["print('abc'); print('def')"], "more than a token"),
        (["import sys; print('tökén')"], "more than a token"),
    ],
)
def test_a_command_that_prints_no_token_stops_the_run(by_command, lines, said):
    with pytest.raises(TransportRefused, match=said) as refusal:
        by_command(*lines)
    assert "try it in the publication's folder" in refusal.value.hint


def test_a_command_that_hangs_is_ended_with_what_it_has_started(by_command, tmp_path):
    os.mkfifo(tmp_path / "alive")
    reading = os.open(tmp_path / "alive", os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(reading, "rb", buffering=0) as alive:
        with pytest.raises(TryLater, match=r"no token within 0\.5 seconds"):
            by_command(token_command=("sh", "-c", "exec 3> alive; echo born >&3; sleep 60 & wait"), timeout=0.5)
        assert alive.read() == b"born\n"
        # Its end comes when nobody holds it any more.
        assert select.select([alive], [], [], 10)[0]
        assert alive.read() == b""


def test_a_command_that_cannot_be_run_is_a_mistake_in_the_settings(by_command):
    with pytest.raises(ConfigError, match=r'token_command: "\./no-such\.sh" cannot be run'):
        by_command(token_command=("./no-such.sh",))


def test_what_a_command_complains_of_shows_no_token(by_command):
    lines = [  # not in the call, which a traceback shows
        "import sys; print('part-of-it-12345'); print('more')",
        f"print('cannot use part-of-it-12345 or {'x' * 50}', file=sys.stderr)",
    ]
    with pytest.raises(TransportRefused) as refusal:
        by_command(*lines)
    printed = everything(refusal.value)
    assert "cannot use (secret) or (secret)" in str(refusal.value)
    assert "part-of-it" not in printed
    assert "x" * 40 not in printed


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"auth": "xoauth2"}, "no token_env or token_command"),
        ({"auth": "xoauth2", "token_env": "MISSING"}, "the environment variable MISSING is not set"),
        ({"auth": "xoauth2", "password_env": "SECRET"}, "password_env is for a password"),
        ({"auth": "plain", "token_env": "SECRET"}, "token_env is for a token"),
        ({"token_command": ("x",)}, "token_command is for a token"),
        ({"auth": "xoauth2", "token_env": "A", "token_command": ("x",)}, "both token_env and token_command"),
        ({"user": "", "password_env": "SECRET"}, "user is missing"),
        ({"password_env": ""}, "no password_env"),
    ],
)
def test_settings_that_no_login_can_be_made_with_are_mistakes(carried, options, said):
    with FaultyServer() as server, pytest.raises(ConfigError, match=said):
        carried(server, {"SECRET": TOKEN}, **options)
    assert server.entries == []
