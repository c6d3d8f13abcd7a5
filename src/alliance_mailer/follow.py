"""What `mailer send` does where workers send: hand over what was planned, then follow them."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from .config import Config, TransportConfig
from .deliver import Later
from .edition import Edition
from .errors import MailerError, TransportRefused, TryLater
from .handover import Writer
from .interrupt import interruptible
from .jobs import defer_shares, end_dead_leases
from .ledger import Sending, Tally
from .ledger.database import check_queue, translated
from .ledger.orders import Order, Orders
from .ledger.postgres import PostgresLedger
from .message import Outcome, Verdict
from .report import Report
from .run import Ending, now
from .signing import fingerprint, signing_key
from .stored import write_edition

BY_A_PERSON = "by a person: mailer send --stop"
_LOOK = 0.5  # seconds between looks, or ten times as long as one takes
_ALONE = 10.0  # seconds without any worker before that is said
_ASKED = 5.0  # seconds in which a worker begins to ask about what is in doubt


def hand_over(
    project: Path, config: Config, chosen: TransportConfig, ledger: PostgresLedger, sending: Sending, edition: Edition,
    plan: Callable[[], None], allowed: Mapping[str, str],
) -> None:  # fmt: skip
    """Plan, and put the jobs into the queue, in one transaction: both are there, or none.

    The receipt is written before it ends: no worker sends a message that no receipt speaks of.
    """
    check_queue(ledger.connection)
    key = signing_key(project, config.secret_env, os.environ)
    digest, data = write_edition(edition)
    order = Order(sending.issue, sending.rehearsal, edition.sha256, digest, chosen.name, fingerprint(key))
    with translated("ledger"), ledger.connection.transaction():
        plan()
        Orders(ledger).give(order, data)
        tally = ledger.tally(sending)
        defer_shares(ledger.connection, sending, tally.waiting + tally.deferred)
        Writer(project, ledger, sending, key, allowed).begin()


def stop(ledger: PostgresLedger, sending: Sending) -> bool:
    """Halt a sending on all machines, within seconds. Whether there was one to halt."""
    return Orders(ledger).stop(sending, BY_A_PERSON)


def follow(
    ledger: PostgresLedger, sending: Sending, report: Report, settled: Callable[[Outcome], None],
    doubtful: Callable[[], bool], wait: float,
) -> Ending:  # fmt: skip
    """Until nobody is left, or nobody whom it is worth waiting for; or until Ctrl-C, which only ends the following.

    `doubtful`: whether a provider may be asked about somebody; then the workers have a moment for that.
    """
    orders, seen, alone = Orders(ledger), ledger.tally(sending), time.monotonic()
    busy_at = alone
    with interruptible("the workers go on; once more aborts this command at once") as interrupted:
        while True:
            began = time.monotonic()
            end_dead_leases(ledger)
            order, tally, workers = orders.of(sending), ledger.tally(sending), orders.workers()
            for outcome in _news(seen, tally):
                settled(outcome)
            seen = tally
            at = _next(ledger, sending, order)
            alone = began if workers or at > now().timestamp() else alone
            busy_at = began if any(issue == sending.issue for _, issue, _, _ in workers) else busy_at
            ending = _ending(order, tally, ledger.claimed(sending), at, wait, busy=bool(workers))
            if ending and (ending.stopped or began - busy_at > _ASKED or not doubtful()):
                return ending
            if began - alone > _ALONE:
                report.warn("no worker is at it; on any machine with the settings and secrets: mailer worker")
                alone = began + 3600
            _pause(interrupted, max(_LOOK, 10 * (time.monotonic() - began)))
            if interrupted():
                return Ending(interrupted=True)


def _next(ledger: PostgresLedger, sending: Sending, order: Order | None) -> float:
    """When somebody may go on with it, seconds since 1970."""
    due = ledger.next_due(sending)
    return max(due.timestamp() if due else 0.0, order.not_before if order else 0.0)


def _ending(order: Order | None, tally: Tally, claimed: int, at: float, wait: float, *, busy: bool) -> Ending | None:
    if order and order.stopped and not claimed:
        kind: type[MailerError] = TryLater if order.stopped == BY_A_PERSON else TransportRefused
        hint = "the same command goes on" if kind is TryLater else "see why before it goes on"
        words = order.stopped if order.stopped.startswith("stopped") else f"stopped {order.stopped}"
        return Ending(stopped=kind(words, hint=hint))
    if not tally.waiting + tally.deferred:
        return Ending()
    if not claimed and not busy and at - now().timestamp() > wait:
        reason = (
            "the rate is used up for now" if order and at == order.not_before else "they are to be tried again later"
        )
        return Ending(later=Later(f"{reason}; the workers go on by themselves", datetime.fromtimestamp(at, UTC)))
    return None


def _news(before: Tally, after: Tally) -> Iterator[Outcome]:
    for verdict in (Verdict.ACCEPTED, Verdict.REFUSED, Verdict.UNKNOWN):
        for _ in range(getattr(after, verdict) - getattr(before, verdict)):
            yield Outcome(verdict)


def _pause(interrupted: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    waiting = threading.Event()
    while time.monotonic() < until and not interrupted():
        waiting.wait(min(0.1, seconds))
