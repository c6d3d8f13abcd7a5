"""Many machines: what a second and a third worker add, what PostgreSQL costs a message, beside the SQLite engine.

Everything is on one machine, so the workers share its cores with the database and the mail server; they wait for a mail
server 20 ms away, which is what more machines are for. `python benchmarks/cluster.py [--quick] [--json FILE]`
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import far_side
import psycopg

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from alliance_mailer.contact import Contact
from alliance_mailer.ledger import Ledger, Settled, open_ledger
from alliance_mailer.ledger.postgres import PostgresLedger
from alliance_mailer.message import Outcome, Verdict
from database import Server
from ledger.rows import NOW, PLAN, SENDING, nobody_lacks_anything
from machines import Machines

CONNECTIONS, ROUND_TRIP, GROUP = 2, 20, 10
TARGETS = {2: 1.9, 4: 3.6}
PLAN_SECONDS = 20


def cpu(processes: Sequence[int]) -> float:
    """Seconds that they have used."""
    used = [Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[11:13] for each in processes]
    return sum(int(ticks) for each in used for ticks in each) / os.sysconf("SC_CLK_TCK")


def rate(store: Path | str, total: int, processes: Sequence[int]) -> tuple[float, float]:
    """Messages a second, and what the processes use for each, in µs, between a tenth and nine tenths of a sending.

    So starting does not count.
    """
    marks: dict[int, tuple[float, float]] = {}
    while isinstance(store, Path) and not store.exists():
        time.sleep(0.02)
    with closing(open_ledger(store)) as ledger:
        while len(marks) < 2:
            accepted = ledger.tally(SENDING).accepted
            if accepted >= total // 10 * (1 if not marks else 9):
                marks[accepted] = time.monotonic(), cpu(processes)
            time.sleep(0.02)
    (first, (began, before)), (last, (ended, after)) = marks.items()
    return (last - first) / (ended - began), (after - before) / (last - first) * 1e6


@contextmanager
def publication(server: Server, folder: Path, people: int, *, shared: bool) -> Iterator[tuple[Machines, Path | str]]:
    """The example, its list long, a mail server 20 ms away."""
    with far_side.own_sink() as sink, far_side.delayed(sink, ROUND_TRIP) as port:
        url = server.new_database("cluster") if shared else "sqlite:///.mailer/ledger.db"
        machines = Machines(folder, url, f'port = {port}\ntls = "none"\nconnections = {CONNECTIONS}')
        machines.people(people)
        try:
            yield machines, url if shared else machines.at_home / ".mailer" / "ledger.db"
        finally:
            machines.close()


def workers(server: Server, count: int, people: int) -> tuple[float, float]:
    """So many workers, each a process: messages a second, and their CPU a message in µs."""
    with (
        tempfile.TemporaryDirectory() as folder,
        publication(server, Path(folder), people, shared=True) as (machines, store),
    ):
        started = [machines.worker("--connections", str(CONNECTIONS)) for _ in range(count)]
        machines.send()
        return rate(store, people, [worker.pid for worker in started])


def alone(server: Server, people: int) -> tuple[float, float]:
    """One `mailer send`, its ledger in SQLite."""
    with (
        tempfile.TemporaryDirectory() as folder,
        publication(server, Path(folder), people, shared=False) as (machines, store),
    ):
        return rate(store, people, [machines.send().pid])


def contacts(people: int) -> Iterator[Contact]:
    """In no order, as lists are."""
    for n in range(people):
        name = f"reader{n * 7919 % people}"
        yield Contact(f"{name}@domain{n % 50}.example.org", {"name": name}, source=f"contacts/subscribers.csv:{n}")


def ledger(opened: Callable[[], Ledger], people: int) -> dict[str, float]:
    """Planning, and then claiming and settling in groups of ten, as a worker with five connections does."""
    with closing(opened()) as book:
        server = [book.connection.info.backend_pid] if isinstance(book, PostgresLedger) else []
        began, here, there = time.monotonic(), time.process_time(), cpu(server)
        book.stage(SENDING, contacts(people), ["name"], nobody_lacks_anything)
        book.plan(SENDING, PLAN, NOW)
        planned = time.monotonic() - began
        here, there = time.process_time() - here, cpu(server) - there
        book.exchange(SENDING, [], 1, NOW)
        times, used = [], time.process_time()
        rows = book.exchange(SENDING, [], GROUP, NOW)
        for _ in range(1000):
            started = time.perf_counter()
            rows = book.exchange(
                SENDING, [Settled(row, Outcome(Verdict.ACCEPTED, "250 2.0.0 OK")) for row in rows], GROUP, NOW
            )
            times.append(time.perf_counter() - started)
        used = time.process_time() - used
    return {
        "plan_s": planned,
        "plan_client_cpu_s": here,
        "plan_server_cpu_s": there,
        "exchange_ms": statistics.median(times) * 1e3,
        "exchange_p99_ms": statistics.quantiles(times, n=100)[98] * 1e3,
        "message_us": statistics.mean(times) / GROUP * 1e6,
        "client_cpu_us": used / len(times) / GROUP * 1e6,
    }


def size(store: Path | str) -> int:
    """Of the rows and their indexes, bytes."""
    if isinstance(store, Path):
        return store.stat().st_size
    with psycopg.connect(store) as db:
        return int((db.execute("select pg_total_relation_size('mailer.delivery')").fetchone() or (0,))[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="a fifth of the work")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    people, many = (1500, 100_000) if options.quick else (6000, 1_000_000)
    machine = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "python": platform.python_version()}
    record: dict[str, Any] = {"began": f"{datetime.now(UTC):%F %T}", **machine, "people": people, "many": many}
    server = Server(durable=True)
    try:
        print(f"{people} people, {CONNECTIONS} connections a worker, {ROUND_TRIP} ms away; {os.cpu_count()} cores")
        record["sqlite"], record["sqlite_cpu_us"] = found, spent = alone(server, people)
        print(f"  one machine, SQLite  {found:7.0f} messages/s; {spent:.0f} µs CPU a message")
        for count in (1, 2, 4):
            found, spent = workers(server, count, people)
            record[f"workers_{count}"], record[f"workers_{count}_cpu_us"] = found, spent
            times = found / record["workers_1"]
            target = f" (aim: {TARGETS[count]})" if count in TARGETS else ""
            print(
                f"  {count} worker{'s' * (count > 1):1}            {found:7.0f} messages/s  {times:5.2f} times{target}"
            )
        print(f"{many:,} people in the ledger alone; commits on disk in PostgreSQL, in the file in SQLite")
        with tempfile.TemporaryDirectory() as folder:
            kinds: dict[str, Path | str] = {
                "PostgreSQL": server.new_database("many"),
                "SQLite": Path(folder) / "ledger.db",
            }
            for name, store in kinds.items():
                record[name] = found = ledger(lambda store=store: open_ledger(store), many)
                found["bytes"] = size(store) / many
                plan = f"{found['plan_s']:5.1f} s, CPU {found['plan_client_cpu_s']:.1f} here"
                plan += f" and {found['plan_server_cpu_s']:.1f} in the server" if name == "PostgreSQL" else ""
                print(f"  {name:10} plan {plan}; {found['bytes']:.0f} bytes a row")
                exchange = f"{found['exchange_ms']:.2f} ms (99 %: {found['exchange_p99_ms']:.2f})"
                cost = f"{found['message_us']:.0f} µs a message, {found['client_cpu_us']:.0f} of them CPU here"
                print(f"             10 settled and 10 claimed in {exchange}: {cost}")
    finally:
        server.close()
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
