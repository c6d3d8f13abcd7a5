"""How the workers are: `mailer worker --health` for a person or a probe, and Prometheus text on loopback."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from urllib.parse import urlsplit

from .errors import MailerError, UsageError
from .ledger.leased import TERM
from .ledger.orders import Orders
from .ledger.postgres import PostgresLedger, open_ledger
from .message import Verdict
from .report import Report

_PATIENCE = 5.0  # seconds that somebody may take to say what is wanted
_LATE = 60.0  # seconds that somebody who is due may wait, before that is no health


def show_health(url: str, report: Report) -> int:
    """Who is at it, and how long the first in the queue has been waiting. 1 where nobody is, and somebody waits."""
    with contextlib.closing(open_ledger(url)) as ledger:
        well, words, lag, workers = _health(ledger)
    for name, issue, connections, seconds in workers:
        report.say(f"{name}: issue {issue} over {connections} connections; its lease lives {seconds:.0f} s more")
    report.say(words)
    document = {"well": well, "lag": lag, "workers": [dict(zip(_KEYS, row, strict=True)) for row in workers]}
    report.document(document)
    return 0 if well else 1


def _health(ledger: PostgresLedger) -> tuple[bool, str, float, list[tuple[str, str, int, float]]]:
    """Whether all is well, that in words, the lag, the workers."""
    orders = Orders(ledger)
    workers, lag = orders.workers(), orders.lag()
    living = sum(seconds > 0 for _, _, _, seconds in workers)
    waits = f"the first in the queue has waited {lag:.0f} s" if lag else "nobody waits"
    return bool(living) or lag < _LATE, f"{living} at work; {waits}", lag, workers


_KEYS = ("worker", "issue", "connections", "lease_seconds")


def metrics(ledger: PostgresLedger, outcomes: Mapping[str, int]) -> str:
    """Prometheus' text. The sendings are everybody's; `outcomes` are this process's."""
    orders, lines = Orders(ledger), list[str]()

    def add(name: str, kind: str, meaning: str, values: Iterator[tuple[str, float]]) -> None:
        lines.extend((f"# HELP mailer_{name} {meaning}", f"# TYPE mailer_{name} {kind}"))
        lines.extend(f"mailer_{name}{labels} {value:g}" for labels, value in values)

    def states() -> Iterator[tuple[str, float]]:
        for sending in orders.current():
            for state, count in asdict(ledger.tally(sending)).items():
                yield f'{{issue="{_escaped(sending.issue)}",state="{state}"}}', count

    def ages() -> Iterator[tuple[str, float]]:
        for name, issue, _, left in workers:
            yield f'{{worker="{_escaped(name)}",issue="{_escaped(issue)}"}}', TERM - left

    workers = orders.workers()
    add("deliveries", "gauge", "People of each issue that is under way and of the last one, by state.", states())
    add("outcomes_total", "counter", "What this worker heard since it began; its rate is messages a second.",
        ((f'{{verdict="{verdict}"}}', outcomes.get(verdict, 0)) for verdict in Verdict))  # fmt: skip
    add("lag_seconds", "gauge", "How long the first in the queue has been due.", iter([("", orders.lag())]))
    add("lease_age_seconds", "gauge", "Since each worker's lease was renewed.", ages())
    add("workers", "gauge", "Workers with a living lease.", iter([("", sum(row[3] > 0 for row in workers))]))
    return "\n".join(lines) + "\n"


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@contextlib.contextmanager
def serving(port: int | None, url: str, outcomes: Mapping[str, int]) -> Iterator[int | None]:
    """Answer GET /metrics and /health on 127.0.0.1. Raises UsageError where the port is taken."""
    if port is None:
        yield None
        return

    one_at_a_time = Lock()  # who asks a hundred times at once gets one connection to the database

    def answer(path: str) -> tuple[int, str]:
        if path not in ("/metrics", "/health"):
            return 404, "/metrics, /health\n"
        try:
            with one_at_a_time, contextlib.closing(open_ledger(url)) as ledger:
                if path == "/metrics":
                    return 200, metrics(ledger, outcomes)
                well, words, _, _ = _health(ledger)
                return (200 if well else 503), f"{'well' if well else 'not well'}: {words}\n"
        except MailerError as error:
            return 503, f"# {error}\n"

    class Answer(BaseHTTPRequestHandler):
        timeout = _PATIENCE
        server_version, sys_version = "mailer", ""

        def do_GET(self) -> None:
            code, text = answer(urlsplit(self.path).path)
            data = text.encode()
            self.send_response(code)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Whoever asked has gone."""

    try:
        server = Server(("127.0.0.1", port), Answer)
    except OSError as error:
        raise UsageError(f"--metrics {port}: {error.strerror}", hint="another port") from None
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
