"""What a probe and Prometheus are told of the workers, over a real GET to a real worker."""

import re
import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.request import urlopen

import psycopg
import pytest

from alliance_mailer.ledger import Sending
from alliance_mailer.ledger.leased import TERM
from alliance_mailer.ledger.postgres import open_ledger
from machines import Machines, Sink, until

SENDING, PEOPLE = Sending("2.6", rehearsal=False), 60
SCRIPT = {
    "reader0@example.org": ["rcpt 550 5.1.1 nobody here"],
    "reader1@example.org": ["rcpt 450 4.2.0 later"],
    "reader2@example.org": ["rcpt 450 4.2.0 later"],
    "reader3@example.org": ["dot taken drop"],
}


@pytest.fixture
def slow(tmp_path) -> Iterator[Sink]:
    """It takes a moment over each message."""
    running = Sink(tmp_path / "slow.jsonl", {"script": SCRIPT, "delay": 0.15})
    yield running
    running.close()


@pytest.fixture
def machines(tmp_path, server, slow) -> Iterator[Machines]:
    settings = f'port = {slow.port}\ntls = "none"\nconnections = 1\n\n[delivery]\nretry = ["1h"]'
    running = Machines(tmp_path, server.new_database("health"), settings)
    running.people(PEOPLE)
    yield running
    running.close()


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def figures(port: int) -> dict[str, float]:
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        text = answer.read().decode()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r'[a-z_]+(\{([a-z]+="[^"]*",?)+\})? [0-9.e+-]+', line) for line in lines), text
    names = {line.partition("{")[0].partition(" ")[0] for line in lines}
    assert names <= set(re.findall(r"^# TYPE (\w+) (?:gauge|counter)$", text, re.MULTILINE))
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def states(found: dict[str, float]) -> dict[str, float]:
    return {state: found[f'mailer_deliveries{{issue="2.6",state="{state}"}}']
            for state in ("accepted", "refused", "deferred", "unknown", "waiting")}  # fmt: skip


def outcomes(found: dict[str, float]) -> dict[str, float]:
    return {verdict: found[f'mailer_outcomes_total{{verdict="{verdict}"}}']
            for verdict in ("accepted", "refused", "deferred", "unknown")}  # fmt: skip


def test_metrics_and_health_say_how_it_goes_from_nobody_at_it_to_the_end(machines, slow, port):
    send = machines.send()
    with closing(open_ledger(machines.url)) as ledger:
        until(lambda: ledger.planned(SENDING))
        send.send_signal(signal.SIGINT)
        send.wait()
        health = machines.document("worker", "--health")
        assert (health["well"], health["workers"]) == (True, [])
        ledger.connection.execute("update delivery set planned_at = planned_at - 100")
    code, out = machines.run("worker", "--health")
    assert (code, bool(re.search(r"0 at work; the first in the queue has waited 1\d\d s", out))) == (1, True), out

    worker = machines.worker("--metrics", str(port))
    until(lambda: outcomes(figures(port))["accepted"] > 3)
    found = figures(port)
    assert found["mailer_workers"] == 1
    assert 100 <= found["mailer_lag_seconds"] < 200
    (age,) = (value for name, value in found.items() if name.startswith("mailer_lease_age_seconds"))
    assert 0 <= age < TERM
    before, at = found, len(slow.took)
    until(lambda: len(slow.took) > at + 5)
    until(lambda: sum(outcomes(figures(port)).values()) >= sum(outcomes(before).values()) + 5)  # its rate is theirs
    (line,) = [line for line in machines.run("worker", "--health")[1].splitlines() if "issue 2.6 over" in line]
    assert re.search(r":\d+: issue 2.6 over 1 connections; its lease lives \d+ s more", line)

    until(lambda: not states(figures(port))["waiting"], 60)
    found = figures(port)
    became = {"accepted": PEOPLE - 4, "refused": 1, "deferred": 2, "unknown": 1}
    assert states(found) == {**became, "waiting": 0}
    assert outcomes(found) == became
    assert found["mailer_lag_seconds"] == 0  # who is deferred is not due
    until(lambda: figures(port)["mailer_workers"] == 0)
    with urlopen(f"http://127.0.0.1:{port}/health") as answer:
        assert (answer.status, answer.read()) == (200, b"well: 0 at work; nobody waits\n")
    worker.terminate()
    assert worker.wait() == 0


def test_nobody_but_this_machine_is_answered_and_whoever_asks_badly_does_no_harm(machines, slow, port, server):
    worker = machines.worker("--metrics", str(port))

    def asked(method: str, path: str, **headers: str) -> tuple[int, str]:
        with closing(HTTPConnection("127.0.0.1", port, timeout=20)) as client:
            client.request(method, path, headers=headers)
            answer = client.getresponse()
            return answer.status, answer.read().decode(errors="replace")

    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    listening = [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")]
    assert listening == [f"0100007F:{port:04X}"]  # 127.0.0.1
    assert asked("GET", "/")[0] == 404
    assert asked("GET", "/metrics/../../etc/passwd")[0] == 404
    assert asked("GET", "/metrics?issue=%27;drop%20table%20delivery")[0] == 200
    assert asked("POST", "/metrics")[0] == 501
    assert asked("GET", f"/{'a' * 70_000}")[0] == 414
    assert asked("GET", "/metrics", **{"X-Long": "a" * 70_000})[0] == 431
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(30)]  # they say nothing
    idle[0].sendall(b"\0\xff\r\n\r\n")
    with psycopg.connect(server.url, autocommit=True) as db:
        count = "select count(*) from pg_stat_activity where datname = 'health'"
        before = db.execute(count).fetchone()[0]
        for each in idle[1:]:
            each.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        most = max(db.execute(count).fetchone()[0] for _ in range(300))
    assert most <= before + 3  # one of them asks, or the worker itself
    assert all(each.recv(15) == b"HTTP/1.0 200 OK" for each in idle[1:])
    for each in idle:
        each.close()
    code, out = machines.run("send", "--issue", "2.6", "--transport", "live", "--yes", "--limit", "1")
    assert code in (1, 75), out
    server.stop("immediate")  # the database is away: said, and nothing else
    assert asked("GET", "/health")[0] == 503
    server.start()
    until(lambda: asked("GET", "/health")[0] == 200)
    worker.terminate()
    out, _ = worker.communicate()
    assert worker.returncode == 0
    assert "Traceback" not in out, out


def test_a_port_that_is_taken_is_said(machines, port):
    with socket.create_server(("127.0.0.1", port)):
        code, out = machines.run("worker", "--metrics", str(port))
    assert (code, f"--metrics {port}: Address already in use" in out) == (2, True), out
