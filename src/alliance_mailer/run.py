"""One run of a sending: over the transport's connections, at its pace, until nobody is left or something stops it."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from .config import Config, TransportConfig
from .deliver import Later, deliver
from .edition import Edition
from .errors import MailerError, TransportRefused, TryLater
from .handover import Writer
from .ledger import Delivery, Ledger, Sending, Tally
from .message import Message, Outcome, address
from .pace import DAY, Brake, Pace
from .signing import signing_key
from .suppressed import write_back
from .transports import Transport, connect, transport_module


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended. All may be empty: everybody who could be tried was."""

    stopped: MailerError | None = None  # by the transport, the brake or the ledger
    interrupted: bool = False
    later: Later | None = None


def now() -> datetime:
    """UTC."""
    return datetime.now(UTC)


def banner(chosen: TransportConfig, issue: str) -> str:
    """The loud name of a transport: smtp mail.example.org:587 (LIVE)."""
    described: str = transport_module(chosen.use).describe(chosen.options, issue)
    return described


def run_sending(
    project: Path,
    config: Config,
    chosen: TransportConfig,
    ledger: Ledger,
    sending: Sending,
    edition: Edition,
    *,
    tally: Tally,
    people: int,
    fresh: bool,
    plan: Callable[[], None],
    settled: Callable[[Outcome], None],
    waits: Callable[[datetime], None],
    limit: int | None = None,
    clock: Callable[[], datetime] = now,
) -> Ending:
    """Send to whom `plan` planned and who is left of earlier plans: about so many `people`. `tally`: before `plan`.

    Raises ConfigError, TransportRefused or TryLater where there is no way out at all; nothing is planned then.
    And SentElsewhere or TryLater where there can be no receipt; people are planned then, and nothing is sent.
    """
    key = signing_key(project, config.secret_env, os.environ)
    zone, name = config.publication.timezone, banner(chosen, sending.issue)

    def opened() -> Transport:
        return connect(chosen.use, chosen.options, project=project, issue=sending.issue, environ=os.environ)

    def addressed(delivery: Delivery) -> Message:
        if receipt:
            receipt.touch(delivery.contact.address)
        return address(edition, delivery.contact, date=delivery.planned_at.astimezone(zone), key=key)

    first = connect(
        chosen.use, chosen.options, project=project, issue=sending.issue, environ=os.environ, fresh=fresh
    )  # fmt: skip
    ready = [first]  # whoever comes first takes it
    with _interruptible() as interrupted, contextlib.ExitStack() as unused:
        unused.callback(_close, ready)
        plan()
        receipt = None if sending.rehearsal else Writer(project, ledger, sending, key)
        if receipt:
            receipt.begin()
        hard_bounces = 0

        def heard(outcome: Outcome) -> None:
            nonlocal hard_bounces
            hard_bounces += outcome.hard
            settled(outcome)
            if receipt:
                receipt.now_and_then()

        remembered = [] if sending.rehearsal else ledger.spent_since(name, int(clock().timestamp()) - DAY)
        stopped: MailerError | None = None
        later = None
        try:
            later = deliver(
                ledger, sending, lambda: ready.pop() if ready else opened(), addressed,
                connections=min(chosen.connections, max(1, people)),
                # A disk that is full is not emptied by waiting half a minute.
                policy=replace(config.delivery, reconnect=()) if sending.rehearsal else config.delivery,
                pace=Pace(name, chosen.rate, chosen.domain_rate, remembered),
                brake=Brake(config.delivery.brake, tally),
                now=clock, stopped=interrupted, settled=heard, waits=waits, limit=limit,
            )  # fmt: skip
        except (TransportRefused, TryLater) as error:
            stopped = error
        try:
            if receipt:
                receipt.write(finished=True)
            if receipt and hard_bounces:
                write_back(project, ledger)
        except MailerError as error:  # the ledger has it all; what stopped the run comes first
            stopped = stopped or error
        return Ending(stopped=stopped, interrupted=interrupted(), later=later)


def _close(transports: Iterable[Transport]) -> None:
    for transport in transports:
        transport.close()


@contextlib.contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C or SIGTERM lets what is on the wires finish; the second aborts."""
    asked = threading.Event()

    def stop(number: int, _: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        with contextlib.suppress(OSError):  # print() in a handler could fail amid the server's answer
            os.write(2, b"\nfinishing what is on the wire; once more aborts at once\n")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
