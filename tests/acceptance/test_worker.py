"""Sending on several machines: the same words, the same promises."""

import asyncio
import re
import shutil
import signal
import time
from contextlib import AsyncExitStack, closing
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from alliance_mailer.contact import Suppression
from alliance_mailer.jobs import DISPATCH, SHARES, Queue
from alliance_mailer.ledger import Sending, Tally
from alliance_mailer.ledger.postgres import open_ledger
from alliance_mailer.receipt import read_receipt
from conftest import change
from machines import until

SENDING = Sending("2.6", rehearsal=False)


def test_send_plans_and_two_workers_send_each_message_once(machines, sink):
    machines.worker()
    machines.worker()
    code, out = machines.run("send", "--issue", "2.6", "--transport", "live", "--yes")
    assert code == 0, out
    assert "24 accepted, 1 suppressed; nobody is left." in out
    assert len({each.to for each in sink.took}) == len(sink.took) == 24
    status = machines.status()
    assert (status["planned"], status["accepted"], status["suppressed"], status["unknown"]) == (25, 24, 1, 0)
    assert "Everyone has it" in machines.run("send", "--issue", "2.6", "--transport", "live", "--yes")[1]
    assert (machines.at_home / "sends" / "2.6.json").exists()
    code, audited = machines.run("audit", "--issue", "2.6")
    assert code == 0, audited
    assert "accepted" in machines.run("explain", "--issue", "2.6", sink.took[0].to)[1]
    assert machines.run("resolve", "--issue", "2.6")[0] == 0
    assert machines.run("doctor")[0] in (0, 1)


def test_what_workers_send_is_what_one_machine_would_have_sent(machines, sink):
    machines.worker()
    machines.run("send", "--issue", "2.6", "--transport", "live", "--yes", "--limit", "5")  # this machine alone
    alone = {each.to for each in sink.took}
    assert len(alone) == 5
    machines.run("send", "--issue", "2.6", "--transport", "live", "--yes")
    ids = [each.message_id for each in sink.took]
    assert len(set(ids)) == 24
    assert {len(each) for each in ids} == {len(ids[0])}


def test_ctrl_c_ends_the_following_and_the_next_send_follows_again(machines, sink):
    send = machines.send()
    with closing(open_ledger(machines.url)) as ledger:
        until(lambda: ledger.planned(SENDING))
        time.sleep(1.0)  # it follows now, or Ctrl-C comes before: then it is as good
        send.send_signal(signal.SIGINT)
        out, _ = send.communicate()
        assert (send.returncode, "The workers go on." in out) == (130, True), out
        assert ledger.tally(SENDING).waiting == 24
        machines.worker()
        until(lambda: ledger.tally(SENDING).accepted == 24)
    assert len(sink.took) == 24


@pytest.mark.parametrize("command", ["status", "audit", "send"])
def test_what_workers_did_alone_comes_into_the_repository_with_the_next_command(machines, sink, command):
    send = machines.send()
    with closing(open_ledger(machines.url)) as ledger:
        until(lambda: ledger.planned(SENDING) and (machines.at_home / "sends" / "2.6.json").exists())
        send.send_signal(signal.SIGINT)  # nobody follows
        send.wait()
        machines.worker()
        until(lambda: not ledger.next_due(SENDING) and not ledger.claimed(SENDING))
        ledger.suppress([Suppression("gone@example.org", "hard bounce: 550 5.1.1", "2023-04-03", "issue 2.6")])
    receipt = read_receipt(machines.at_home, "2.6")
    assert (receipt.finished, receipt.tally.waiting) == (False, 24)
    options = ("--transport", "live", "--yes") if command == "send" else ()
    code, out = machines.run(command, "--issue", "2.6", *options)
    assert code == 0, out
    receipt = read_receipt(machines.at_home, "2.6")
    assert (receipt.finished, receipt.tally) == (True, Tally(accepted=24, suppressed=1))
    assert "gone@example.org,hard bounce" in (machines.at_home / "contacts" / "suppressed.csv").read_text()
    assert "and sends/2.6.json says the same" in machines.run("audit", "--issue", "2.6")[1]


def test_the_receipt_stays_open_while_the_workers_have_somebody_left(machines, sink, tmp_path):
    from machines import Sink

    deferring = Sink(tmp_path / "deferring.jsonl", {"script": {"ann@example.org": ["rcpt 450 4.2.0 in an hour"]}})
    change(machines.at_home / "mailer.toml", f"port = {sink.port}", f"port = {deferring.port}")
    with (machines.at_home / "mailer.toml").open("a") as settings:
        settings.write('\n[delivery]\nretry = ["1h"]\n')
    machines.people(30)
    with (machines.at_home / "contacts" / "subscribers.csv").open("a") as people:
        people.write("ann@example.org,Ann\n")
    machines.worker()
    code, out = machines.run("send", "--issue", "2.6", "--transport", "live", "--yes")
    assert (code, "the workers go on by themselves" in out) == (75, True), out
    machines.status()
    receipt = read_receipt(machines.at_home, "2.6")
    assert (receipt.finished, receipt.tally) == (False, Tally(accepted=30, deferred=1))
    with closing(open_ledger(machines.url)) as ledger:
        ledger.connection.execute("update delivery set due = 0")
        until(lambda: ledger.tally(SENDING) == Tally(accepted=31))
    until(lambda: machines.status() and read_receipt(machines.at_home, "2.6").finished)
    deferring.close()


def test_stop_halts_the_workers_and_send_goes_on(machines, sink):
    machines.people(1500)
    machines.worker()
    send = machines.send()
    until(lambda: len(sink.took) > 20)
    assert "Issue 2.6 is stopped" in machines.run("send", "--issue", "2.6", "--stop")[1]
    out, _ = send.communicate()
    assert (send.returncode, "stopped by a person" in out) == (75, True), out
    halted = len(sink.took)
    assert halted < 1500
    assert machines.status()["unknown"] == 0
    code, out = machines.run("send", "--issue", "2.6", "--transport", "live", "--yes")
    assert code == 0, out
    assert len({each.to for each in sink.took}) == len(sink.took) == 1500


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_worker_that_is_told_to_stop_finishes_what_is_on_its_wires(machines, sink, number):
    machines.people(1500)
    worker = machines.worker()
    machines.send()
    until(lambda: len(sink.took) > 20)
    worker.send_signal(number)
    out, _ = worker.communicate()
    assert (worker.returncode, "finishing what is on the wires" in out) == (0, True), out
    status = machines.status()
    assert status["unknown"] == 0
    assert status["accepted"] == len(sink.took)


def test_a_daily_quota_holds_over_all_workers(machines, sink):
    settings = (machines.at_home / "mailer.toml").read_text()
    (machines.at_home / "mailer.toml").write_text(settings + 'rate = ["200/d"]\n')
    machines.people(1000)
    for _ in range(3):
        machines.worker()
    code, out = machines.run("send", "--issue", "2.6", "--transport", "live", "--yes")
    assert code == 75, out
    assert len(sink.took) == 200
    assert machines.status()["accepted"] == 200


def test_the_brake_of_one_stops_all(machines, tmp_path, server):
    from machines import Machines, Sink

    refusing = Sink(tmp_path / "refusing.jsonl", {"chances": {"rcpt 550 5.1.1 nobody here": 1.0}})
    several = Machines(tmp_path / "b", server.new_database("brake"), f'port = {refusing.port}\ntls = "none"')
    several.people(2000)
    for _ in range(2):
        several.worker()
    code, out = several.run("send", "--issue", "2.6", "--transport", "live", "--yes")
    assert (code, "more than brake = 5% allows" in out) == (69, True), out
    assert several.status()["refused"] < 200
    several.close()
    refusing.close()


def test_a_machine_with_another_secret_says_so_and_sends_nothing(machines, sink, monkeypatch):
    machines.send()
    with closing(open_ledger(machines.url)) as ledger:
        until(lambda: ledger.planned(SENDING))
    monkeypatch.setitem(__import__("machines").SECRET, "MAILER_SECRET", "another, of sixteen and more")
    worker = machines.worker()
    out, _ = worker.communicate()
    assert (worker.returncode, "planned with another key than this machine has" in out) == (78, True), out
    assert sink.took == []


def test_a_worker_needs_a_ledger_that_machines_can_share(project, mailer):
    result = mailer("worker")
    assert (result.code, "workers share a ledger in PostgreSQL" in result.err) == (78, True)
    assert mailer("send", "--issue", "2.6", "--stop").code == 2


def test_of_all_workers_one_dispatches(machines, server):
    url, calls, began = server.new_database("dispatch"), [], int(time.time() // 60)
    open_ledger(url).close()

    async def several() -> None:
        queues = [Queue(url, share=lambda _: None, dispatch=lambda: calls.append(1)) for _ in range(3)]
        async with AsyncExitStack() as opened:
            for queue in queues:
                await opened.enter_async_context(queue.app.open_async())
            running = [asyncio.create_task(queue.run(DISPATCH)) for queue in queues]
            while not calls:  # noqa: ASYNC110 (set by a thread)
                await asyncio.sleep(0.02)
            await asyncio.sleep(1)  # another would come now
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    asyncio.run(several())
    assert 1 <= len(calls) <= 1 + int(time.time() // 60) - began  # one a minute


def test_a_job_of_a_later_version_with_more_to_say_is_taken_and_counted(server):
    url, taken = server.new_database("later_job"), []
    open_ledger(url).close()
    queue = Queue(url, share=taken.append, dispatch=None)

    async def one() -> None:
        async with queue.app.open_async():
            later = queue.app.configure_task("share", queue=SHARES)
            await later.defer_async(issue="2.6", rehearsal=False, mood="fair")
            await queue.top_up({SENDING: 1})
            running = asyncio.create_task(queue.run(SHARES))
            async with asyncio.timeout(20):
                while not taken:  # noqa: ASYNC110 (set by a thread)
                    await asyncio.sleep(0.02)
            await asyncio.sleep(0.5)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(one())
    assert taken == [SENDING]


def test_jobs_that_are_lost_are_made_again(machines, sink):
    send = machines.send()
    with closing(open_ledger(machines.url)) as ledger:
        until(lambda: ledger.connection.execute("select 1 from procrastinate_jobs").fetchall())
        ledger.connection.execute("delete from procrastinate_jobs")
    machines.worker()
    assert send.wait() == 0
    assert len(sink.took) == 24


def test_dispatches_on_two_machines_and_a_workers_own_at_once_are_one_sending(machines, sink):
    issue = machines.at_home / "issues" / "2.6.md"
    now = datetime.now(ZoneInfo("America/New_York"))
    issue.write_text(
        re.sub(r"(?m)^(send_at: .*\n|)title:", f"send_at: {now:%Y-%m-%d %H:%M}\ntitle:", issue.read_text())
    )
    code, out = machines.run(
        "approve", "--issue", "2.6", "--transport", "live", "--by", "Ann Example <ann@example.org>"
    )
    assert code == 0, out
    homes = [
        machines.at_home,
        *(shutil.copytree(machines.at_home, machines.folder / name) for name in ("two", "three")),
    ]
    workers = [machines.worker(), machines.start("worker", "--dispatch", at=homes[2])]
    runs = [machines.start("dispatch", at=home) for home in homes for _ in range(2)]
    assert {run.wait() for run in runs} == {0}
    with closing(open_ledger(machines.url)) as ledger:
        until(lambda: ledger.planned(SENDING) and not ledger.tally(SENDING).waiting, 90)
        assert ledger.tally(SENDING).accepted == 24
    assert len({each.to for each in sink.took}) == len(sink.took) == 24
    for worker in workers:
        worker.terminate()
        assert worker.wait() == 0
