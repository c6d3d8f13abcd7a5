"""How the workers are: `mailer worker --health` for a person or a probe, and Prometheus text on loopback."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from .errors import MailerError, UsageError
from .ledger.leased import TERM
from .ledger.orders import Orders
from .ledger.postgres import PostgresLedger, open_ledger
from .report import Report

_LATE = 60.0  # seconds that somebody who is due may wait, before that is no health


def show_health(url: str, report: Report) -> int:
    """Who is at it, and how long the first in the queue has been waiting. 1 where nobody is, and somebody waits."""
    with contextlib.closing(open_ledger(url)) as ledger:
        orders = Orders(ledger)
        workers, lag = orders.workers(), orders.lag()
    for name, issue, connections, seconds in workers:
        report.say(f"{name}: issue {issue} over {connections} connections; its lease lives {seconds:.0f} s more")
    living = [name for name, _, _, seconds in workers if seconds > 0]
    well = bool(living) or lag < _LATE
    waits = f"the first in the queue has waited {lag:.0f} s" if lag else "nobody waits"
    report.say(f"{len(living)} at work; {waits}")
    document = {"well": well, "lag": lag, "workers": [dict(zip(_KEYS, row, strict=True)) for row in workers]}
    report.document(document)
    return 0 if well else 1


_KEYS = ("worker", "issue", "connections", "lease_seconds")


def metrics(ledger: PostgresLedger, outcomes: Mapping[str, int]) -> str:
    """Prometheus' text. The sendings are everybody's; `outcomes` are this process's."""
    orders, lines = Orders(ledger), list[str]()

    def add(name: str, kind: str, meaning: str, values: Iterator[tuple[str, float]]) -> None:
        lines.extend((f"# HELP mailer_{name} {meaning}", f"# TYPE mailer_{name} {kind}"))
        lines.extend(f"mailer_{name}{labels} {value:g}" for labels, value in values)

    def states() -> Iterator[tuple[str, float]]:
        for sending in ledger.sendings():
            if not sending.rehearsal:
                for state, count in asdict(ledger.tally(sending)).items():
                    yield f'{{issue="{_escaped(sending.issue)}",state="{state}"}}', count

    def ages() -> Iterator[tuple[str, float]]:
        for name, issue, _, left in workers:
            yield f'{{worker="{_escaped(name)}",issue="{_escaped(issue)}"}}', TERM - left

    workers = orders.workers()
    add("deliveries", "gauge", "People of each issue, by state.", states())
    add("outcomes_total", "counter", "What this worker heard since it began; its rate is messages a second.",
        ((f'{{verdict="{verdict}"}}', count) for verdict, count in outcomes.items()))  # fmt: skip
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

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                with contextlib.closing(open_ledger(url)) as ledger:
                    text, code = metrics(ledger, outcomes), 200
            except MailerError as error:
                text, code = f"# {error}\n", 503
            if self.path not in ("/metrics", "/health"):
                text, code = "/metrics, /health\n", 404
            elif self.path == "/health":
                text = "well\n" if code == 200 else text
            self.send_response(code)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Answer)
    except OSError as error:
        raise UsageError(f"--metrics {port}: {error.strerror}", hint="another port") from None
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
