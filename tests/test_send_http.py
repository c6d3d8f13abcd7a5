"""`mailer send` and `mailer test` through a mail API: kill -9, resume, what a person reads before anything is sent."""

import json
import signal

import pytest

from conftest import change, start
from provider import Provider
from transports.web import Reply

LIVE = ("send", "--issue", "2.6", "--transport", "api", "--yes", "--allow", "L001=a test")
SECRET = "marked-secret-0123456789"


@pytest.fixture
def provider(project, monkeypatch):
    """Chooses one, and writes it into mailer.toml."""
    made = []

    def provider(use, **options):
        server = Provider(use)
        made.append(server)
        key = {"postmark": "token_env", "resend": "api_key_env"}[use]
        lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in options.items())
        with (project / "mailer.toml").open("a") as config:
            config.write(f'\n[transports.api]\nuse = "{use}"\n{key} = "KEY"\nbase_url = "{server.url}"\n{lines}')
        change(project / "mailer.toml", "[newsletter]\n", '[newsletter]\nassets_url = "https://example.org/p/"\n')
        monkeypatch.setenv("KEY", SECRET)
        return server

    yield provider
    for server in made:
        server.ended.set()
        server.stop()


def audience(project, count):
    rows = "".join(f"reader{n}@example.org,Reader {n}\n" for n in range(count))
    (project / "contacts" / "subscribers.csv").write_text(f"email,name\n{rows}")


def killed(provider, *, after, takes=True):
    """A run that ends with kill -9 when so many requests have been answered, and one more has come."""
    provider.silent_after, provider.takes = len(provider.taken) + after, takes
    provider.silent.clear()
    run = start(*LIVE)
    assert provider.silent.wait(30), run.communicate()
    run.send_signal(signal.SIGKILL)
    run.communicate()
    provider.silent_after, provider.takes = 10**9, True


def status(mailer):
    return json.loads(mailer("status", "--issue", "2.6", "--json").out)


def test_kill_9_over_http_nobody_twice_and_no_more_unknown_than_was_claimed(provider, project, mailer):
    server = provider("postmark", connections=1)
    audience(project, 2600)
    kills = 2
    for _ in range(kills):
        killed(server, after=1)
    result = mailer(*LIVE)
    assert result.code == 1
    tally = status(mailer)
    assert tally["planned"] == 2600 == tally["accepted"] + tally["unknown"]
    assert 0 < tally["unknown"] <= 2 * 500 * 1 * kills
    assert len(server.mailboxes) == len(set(server.mailboxes)) <= 2600


@pytest.mark.parametrize("takes", [True, False], ids=["taken", "lost on the way"])
def test_kill_9_with_a_key_nobody_twice_and_nobody_unknown(provider, project, mailer, takes):
    server = provider("resend", connections=2)
    audience(project, 450)
    for _ in range(2):
        killed(server, after=1, takes=takes)
    result = mailer(*LIVE)
    assert result.code == 0, result
    assert "in doubt: Resend is asked once more, with the same key" in result.out
    tally = status(mailer)
    assert (tally["planned"], tally["accepted"], tally["unknown"]) == (450, 450, 0)
    assert sorted(server.mailboxes) == sorted(f"reader{n}@example.org" for n in range(450))
    assert mailer(*LIVE).code == 0


def test_with_another_issue_in_hand_what_is_in_doubt_stays_unknown(provider, project, mailer):
    server = provider("resend")
    killed(server, after=0)
    change(project / "issues" / "2.6.md", "title: US-Japan", "title: US–Japan")
    result = mailer(*LIVE)
    assert result.code == 1
    assert status(mailer)["unknown"] == 24
    assert len(server.asked) == 1


def test_what_a_person_reads_first(provider, mailer):
    provider("resend")
    result = mailer(*LIVE, "--dry-run")
    assert result.code == 0
    assert "through  resend localhost:" in result.out
    assert "note     Message-ID and Date will be replaced by Resend" in result.out
    assert "note     Resend composes the message itself" in result.out


def test_a_transport_without_inline_pictures_refuses_before_the_first_message(provider, project, mailer):
    server = provider("resend")
    change(project / "mailer.toml", 'assets_url = "https://example.org/p/"\n', "")
    for command in (LIVE, ("test", "--issue", "2.6", "--to", "me@example.org", "--transport", "api")):
        result = mailer(*command)
        assert result.code == 78
        assert "Resend carries no pictures inside a mail, and this issue has 1" in result.err
        assert "assets_url" in result.err
    assert server.asked == []


def test_a_key_that_the_provider_does_not_know_ends_with_69_and_refuses_nobody(provider, mailer):
    server = provider("postmark")
    server.script.append(Reply(401, {"ErrorCode": 10, "Message": f"Bad or missing token {SECRET}"}))
    result = mailer(*LIVE)
    assert result.code == 69
    assert "Postmark refuses us, not the person: 401 10 Bad or missing token …" in result.err
    assert SECRET not in result.err + result.out
    tally = status(mailer)
    assert (tally["refused"], tally["accepted"], tally["waiting"]) == (0, 0, 24)


def test_a_sandbox_delivers_nothing_and_says_so(provider, mailer):
    server = provider("postmark")
    result = mailer("test", "--issue", "2.6", "--to", "me@example.org", "--transport", "api", "--sandbox")
    assert result.code == 0
    assert "sandbox: the token POSTMARK_API_TEST; nothing is delivered" in result.out
    assert server.asked[0].headers["x-postmark-server-token"] == "POSTMARK_API_TEST"


def test_a_transport_without_a_sandbox_says_which_have_one(live, mailer):
    result = mailer("test", "--issue", "2.6", "--to", "me@example.org", "--transport", "live", "--sandbox")
    assert result.code == 2
    assert "these have one: brevo, mailgun, postmark, resend, sendgrid, ses" in result.err
    assert live.accepted == []


def test_a_secret_in_the_file_is_an_error_that_does_not_show_it(provider, project, mailer):
    provider("postmark")
    change(project / "mailer.toml", 'token_env = "KEY"', f'token = "{SECRET}"')
    result = mailer(*LIVE)
    assert result.code == 78
    assert "transports.api.token is a secret" in result.err
    assert SECRET not in result.err


def test_a_limit_leaves_everybody_for_the_time_that_it_names_and_gives_nobody_up(provider, mailer):
    server = provider("postmark", connections=1)
    server.script.append(Reply(429, {"ErrorCode": 429, "Message": "daily limit"}, {"Retry-After": "36000"}))
    first = mailer(*LIVE)
    assert first.code == 69
    assert "a limit of the account is used up" in first.err
    second = mailer(*LIVE)
    assert second.code == 75
    assert "24 people left (they are to be tried again later): run the same command again after" in second.out
    assert len(server.asked) == 1
    assert status(mailer)["deferred"] == 24


def test_a_doctor_connects_and_says_how_the_key_is_tried(provider, mailer):
    server = provider("postmark")
    result = mailer("doctor")
    said = "without TLS; mailer test --transport api --sandbox tries the key; nothing was sent"
    assert f"postmark localhost:{server.port} (LIVE): connected, {said}" in result.out
    server.stop()
    assert "cannot connect to localhost" in mailer("doctor").out
    assert server.asked == []
