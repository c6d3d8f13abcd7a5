"""`kill -9` at random moments, over a server that fails as well, and a power cut at random commits; then to the end.

The server's own book is the judge: nobody got it twice, nobody was said to have it who has not, nobody is forgotten.
"""

import csv
import io
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from conftest import change, start
from faults import entries, took

PEOPLE, KILLS, CONNECTIONS = 2000, 25, 5
LIVE = ("send", "--issue", "2.6", "--transport", "live", "--yes")

# Of a hundred messages about five meet one of these; of the last five nobody can know whether they went.
CHANCES = {
    "rcpt 450 4.2.0 not now": 0.005,
    "rcpt 550 5.2.1 mailbox disabled": 0.002,
    "mail 421 4.3.2 shutting down": 0.002,
    "rcpt 421 4.3.2 shutting down": 0.002,
    "mail drop": 0.003,
    "rcpt drop": 0.003,
    "data end": 0.003,
    "data half": 0.002,
    "data garbage": 0.002,
    "text drop": 0.003,
    "dot 451 4.3.0 not now": 0.005,
    "dot 554 5.6.0 not this": 0.002,
    "dot late": 0.002,
    "dot slow": 0.002,
    "dot long": 0.002,
    "dot extra": 0.002,
    "dot drop": 0.003,
    "dot taken drop": 0.004,
    "dot taken half": 0.002,
    "dot taken garbage": 0.002,
    "dot taken end": 0.003,
}
IN_DOUBT = ("drop", "half", "garbage", "end")


@contextmanager
def server(book: Path, **options: object) -> Iterator[int]:
    """The faulty server, in a process of its own: it outlives every run. Its port."""
    said = json.dumps({"book": str(book), "chances": CHANCES, "delay": 0.004, **options})
    program = [sys.executable, str(Path(__file__).parents[1] / "faults.py"), said]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield int(running.stdout.readline())
        finally:
            running.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                running.wait(10)
            running.kill()


@pytest.fixture
def publish(project: Path):
    def publish(port: int, more: str = "") -> None:
        people = "".join(f"reader{n}@domain{n % 50}.example.org,Reader {n}\n" for n in range(PEOPLE))
        (project / "contacts" / "subscribers.csv").write_text(f"email,first_name\n{people}")
        change(project / "mailer.toml", "# assets_url", 'assets_url = "https://assets.example.org/"\n#')
        with (project / "mailer.toml").open("a") as config:
            config.write(f"""
[delivery]
retry = ["1s"]
wait = "10s"
max_attempts = 1000
brake = "100%"
[transports.live]
use = "smtp"
host = "127.0.0.1"
port = {port}
tls = "none"
timeout = 5
connections = {CONNECTIONS}
{more}
""")

    return publish


def taken(book: Path) -> int:
    """How many, without reading each entry: a run does hundreds a second."""
    return book.read_bytes().count(b'{"what": "took"') if book.exists() else 0


def kill_in_the_middle(chance: random.Random, book: Path) -> bool:
    """Start a run and kill it after some messages and a moment more. Whether it was still running."""
    after = taken(book) + chance.randrange(2, 50)
    with start(*LIVE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        while run.poll() is None and taken(book) < after:
            time.sleep(0.002)
        time.sleep(chance.random() * 0.02)
        run.send_signal(signal.SIGKILL)
        return run.wait() == -signal.SIGKILL


def to_the_end() -> int:
    for _ in range(50):
        with start(*LIVE, stdout=subprocess.DEVNULL) as run:
            said = run.stderr.read()
        if run.returncode in (0, 1):
            return run.returncode
        assert run.returncode == 75, said
    raise AssertionError("it never ends")


def rows(mailer, state: str) -> set[str]:
    table = csv.DictReader(io.StringIO(mailer("status", "--issue", "2.6", "--csv").out))
    return {row["email"] for row in table if row["state"] == state and row["rehearsal"] == "no"}


@pytest.mark.parametrize(
    ("offers", "more", "window"),
    [
        ({"pipelining": True}, "", 1),
        ({"pipelining": False}, "", 1),
        ({"pipelining": True, "chunking": True}, "chunking_window = 4", 4),
    ],
    ids=["pipelining", "one by one", "windows"],
)
def test_kill_9_at_random_moments(project, mailer, publish, tmp_path, offers, more, window):
    book, seed = tmp_path / "book.jsonl", random.randrange(10**6)
    chance = random.Random(seed)
    with server(book, seed=seed, **offers) as port:
        publish(port, more)
        kills = 0
        while kills < KILLS:
            killed = kill_in_the_middle(chance, book)
            kills += killed
            assert killed or kills >= KILLS, f"the list was too short for {KILLS} kills (seed {seed})"
        to_the_end()
    heard = entries(book)
    got = Counter(each.to for each in took(heard))
    tally = json.loads(mailer("status", "--issue", "2.6", "--json").out)
    refused, unknown = rows(mailer, "refused"), rows(mailer, "unknown")
    lost = sum(each["what"] == "fault" and each["fault"].startswith("dot") and each["fault"].endswith(IN_DOUBT)
               for each in heard)  # fmt: skip
    print(f"seed {seed}: {kills} kills, {sum(got.values())} taken, {len(unknown)} unknown, {lost} answers lost")

    assert [each for each in heard if each["what"] == "breach"] == []
    assert {to: count for to, count in got.items() if count > 1} == {}
    assert tally["waiting"] == tally["deferred"] == 0
    assert tally["planned"] == PEOPLE == tally["accepted"] + tally["refused"] + tally["unknown"]
    assert tally["refused"] == len(refused)
    assert tally["unknown"] == len(unknown)
    accepted = {f"reader{n}@domain{n % 50}.example.org" for n in range(PEOPLE)} - refused - unknown
    assert accepted <= set(got)  # nobody is said to have it who has not
    assert refused & set(got) == set()
    assert len(unknown) <= 2 * window * (CONNECTIONS * kills + lost)


def test_power_cuts_at_random_commits(project, mailer, publish, tmp_path):
    """What a disk holds after a power cut: the ledger and its WAL as they were at some moment, and no later.

    From each such disk the next run goes on, and in the end nobody has got it twice. And whatever part of the WAL is
    left (a disk that lied about what it had written), the ledger opens and its equation holds.
    """
    book, seed = tmp_path / "book.jsonl", random.randrange(10**6)
    chance = random.Random(seed)
    with server(book, seed=seed) as port:
        publish(port)
        change(project / "mailer.toml", "[delivery]\n", '[delivery]\ndurability = "power"\n')
        cuts = 0
        while cuts < 10:
            after = taken(book) + chance.randrange(2, 100)
            with start(*LIVE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
                while run.poll() is None and taken(book) < after:
                    time.sleep(0.002)
                time.sleep(chance.random() * 0.02)
                assert run.poll() is None, f"the list was too short (seed {seed})"
                run.send_signal(signal.SIGSTOP)
                disk = files_of(project)
                run.kill()
            put_back(project, disk)
            cuts += 1
            torn = {name: data[: chance.randrange(len(data))] if name.endswith("-wal") else data
                    for name, data in disk.items()}  # fmt: skip
            put_back(project, torn)
            assert equation_holds(mailer)
            put_back(project, disk)
        to_the_end()
    got = Counter(each.to for each in took(entries(book)))
    unknown = rows(mailer, "unknown")
    print(f"seed {seed}: {cuts} power cuts, {sum(got.values())} taken, {len(unknown)} unknown")
    assert {to: count for to, count in got.items() if count > 1} == {}
    assert equation_holds(mailer)
    everybody = {f"reader{n}@domain{n % 50}.example.org" for n in range(PEOPLE)}
    assert everybody - rows(mailer, "refused") - unknown <= set(got)


def files_of(project: Path) -> dict[str, bytes]:
    return {name: (project / ".mailer" / name).read_bytes() for name in ("ledger.db", "ledger.db-wal")}


def put_back(project: Path, files: dict[str, bytes]) -> None:
    for old in (project / ".mailer").glob("ledger.db*"):
        old.unlink()
    for name, data in files.items():
        (project / ".mailer" / name).write_bytes(data)


def equation_holds(mailer) -> bool:
    tally = json.loads(mailer("status", "--issue", "2.6", "--json").out)
    states = ("accepted", "refused", "suppressed", "waiting", "deferred", "unknown")
    return tally["planned"] in (0, PEOPLE) and tally["planned"] == sum(tally[state] for state in states)
