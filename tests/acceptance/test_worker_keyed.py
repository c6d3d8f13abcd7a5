"""Workers, a real PostgreSQL and a provider with idempotency keys: what a dead worker leaves in doubt is asked about."""

import re
import signal
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from alliance_mailer.ledger import Sending, Tally
from alliance_mailer.ledger.orders import Orders
from alliance_mailer.ledger.postgres import open_ledger
from conftest import change
from machines import Machines, until
from provider import Provider
from transports.web import Reply

SENDING, PEOPLE = Sending("2.6", rehearsal=False), 1650
SEND = ("send", "--issue", "2.6", "--transport", "api", "--yes", "--allow", "L001=no archive yet")


@pytest.fixture
def provider(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    """[transports.api] of every machine leads to it."""
    server = Provider("resend")
    monkeypatch.setenv("KEY", "marked-secret-0123456789")
    settings = machines.at_home / "mailer.toml"
    with settings.open("a") as config:
        config.write(f'\n[transports.api]\nuse = "resend"\napi_key_env = "KEY"\nbase_url = "{server.url}"\n')
    change(settings, "[newsletter]\n", '[newsletter]\nassets_url = "https://example.org/p/"\n')
    machines.people(PEOPLE)
    yield server
    server.ended.set()
    server.stop()


def killed(machines: Machines, server: Provider, *, takes: bool, after: int = 1) -> None:
    """A worker that ends with kill -9 between a POST and its answer, after so many others."""
    server.silent_after, server.takes = len(server.taken) + after, takes
    server.silent.clear()
    worker = machines.worker()
    assert server.silent.wait(60)
    worker.send_signal(signal.SIGKILL)
    server.silent_after, server.takes = 10**9, True


def everybody_once(server: Provider, people: int = PEOPLE) -> None:
    assert sorted(server.mailboxes) == sorted(f"reader{n}@example.org" for n in range(people))


def requests(server: Provider) -> dict[str, list[bytes]]:
    """The bodies that came with each key; one may have been cut off in the middle by the kill."""
    found = dict[str, list[bytes]]()
    for asked in server.asked:
        if len(asked.body) == int(asked.headers["content-length"]):
            found.setdefault(asked.headers["idempotency-key"], []).append(asked.body)
    return found


@pytest.mark.parametrize("takes", [True, False], ids=["taken", "lost on the way"])
def test_what_a_killed_worker_leaves_in_doubt_the_next_one_repeats_unchanged(machines, provider, takes):
    send = machines.start(*SEND)
    for _ in range(2):
        killed(machines, provider, takes=takes)
    machines.worker()
    out, _ = send.communicate(timeout=90)
    assert send.returncode == 0, out
    assert f"{PEOPLE} accepted; nobody is left." in out
    everybody_once(provider)
    bodies = requests(provider)
    assert sum(len(each) > 1 for each in bodies.values()) >= 2  # the repeated ones
    assert all(len(set(each)) == 1 for each in bodies.values())
    assert machines.run("audit", "--issue", "2.6")[0] == 0


def test_where_the_provider_does_not_tell_they_stay_unknown_and_the_same_command_asks_again(machines, provider):
    send = machines.start(*SEND)
    killed(machines, provider, takes=True)
    asked, answer = set(requests(provider)), provider.answer

    def busy(request):
        if request.headers["idempotency-key"] in asked:
            words = {"name": "concurrent_idempotent_requests", "message": "another is on its way"}
            return Reply(409, words)
        return answer(request)

    provider.answer = busy
    machines.worker()
    out, _ = send.communicate(timeout=90)
    assert send.returncode == 75, out
    assert "in doubt: run the same command again soon, and Resend tells." in out
    unknown = machines.status()["unknown"]
    assert 0 < unknown <= 2 * 100 * 2
    assert machines.status()["accepted"] == PEOPLE - unknown
    provider.answer = answer
    code, out = machines.run(*SEND)
    assert code == 0, out
    everybody_once(provider)


def test_dispatch_asks_where_no_worker_is_left(machines, provider):
    machines.people(100)
    issue = machines.at_home / "issues" / "2.6.md"
    now = datetime.now(ZoneInfo("America/New_York"))
    issue.write_text(re.sub(r"(?m)^title:", f"send_at: {now:%Y-%m-%d %H:%M}\ntitle:", issue.read_text(), count=1))
    approve = ("--transport", "api", "--allow", "L001=no archive", "--by", "Ann Example <ann@example.org>")
    code, out = machines.run("approve", "--issue", "2.6", *approve)
    assert code == 0, out
    first = machines.start("dispatch")
    killed(machines, provider, takes=True, after=0)
    first.send_signal(signal.SIGINT)  # nobody follows it
    assert first.wait() == 130
    with closing(open_ledger(machines.url)) as ledger:
        until(lambda: Orders(ledger).end_dead_leases())  # as a worker that died right after that: there is no job
        assert ledger.tally(SENDING) == Tally(unknown=100)
        assert machines.run("dispatch")[0] == 0
        assert ledger.tally(SENDING) == Tally(accepted=100)
    everybody_once(provider, 100)
    asked = len(provider.asked)
    assert machines.run("dispatch") == (0, "")
    assert len(provider.asked) == asked
