"""One run of a sending: over the transport's connections, at its pace, until nobody is left or something stops it."""

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from .config import Config, TransportConfig
from .deliver import Later, deliver
from .edition import Edition
from .errors import IssueHeld, MailerError
from .handover import Writer, find_receipt
from .interrupt import interruptible
from .ledger import Delivery, Keyed, KeyedRequest, Ledger, Sending, Tally
from .message import Message, Outcome, address, request_key
from .pace import DAY, Brake, Pace, heard_before
from .receipt import is_open
from .signing import existing_key, signing_key
from .suppressed import write_back
from .transports import Traits, Transport, connect, transport_module

_MARGIN = 300.0  # seconds of a provider's window that are not counted on: it may be busy, and clocks differ


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


def in_doubt(
    project: Path,
    config: Config,
    chosen: TransportConfig,
    ledger: Ledger,
    sending: Sending,
    edition: Edition,
    at: datetime,
) -> list[KeyedRequest]:
    """The requests that this transport may be sent once more, with their idempotency key, to learn what became of them.

    Not those whose key would be another now: the edition, a person or the secret has changed.
    """
    secret = existing_key(project, config.secret_env, os.environ)
    if secret is None:
        return []
    keyed = keyed_by(config, chosen, sending, edition, secret)
    found = repeatable(chosen, ledger, sending, at)
    return [request for request in found if keyed and keyed.key(request.deliveries) == request.key]


def repeatable(chosen: TransportConfig, ledger: Ledger, sending: Sending, at: datetime) -> list[KeyedRequest]:
    """The requests in doubt whose keys the provider still remembers, `in_doubt` or changed since."""
    traits: Traits = transport_module(chosen.use).TRAITS
    if not traits.window or sending.rehearsal:
        return []
    since = at - timedelta(seconds=traits.window - _MARGIN)
    return ledger.repeatable(sending, banner(chosen, sending.issue), since)


def keyed_by(
    config: Config, chosen: TransportConfig, sending: Sending, edition: Edition, secret: bytes
) -> Keyed | None:
    """How this transport's requests have keys; None where it has none."""
    traits: Traits = transport_module(chosen.use).TRAITS
    if not traits.window:
        return None
    addressed = addressed_by(config, edition, secret)

    def key(deliveries: Sequence[Delivery]) -> str:
        return request_key([addressed(delivery) for delivery in deliveries])

    return Keyed(banner(chosen, sending.issue), traits.batch, key)


def addressed_by(config: Config, edition: Edition, secret: bytes) -> Callable[[Delivery], Message]:
    """A row's message."""
    zone = config.publication.timezone

    def addressed(delivery: Delivery) -> Message:
        return address(edition, delivery.contact, date=delivery.planned_at.astimezone(zone), key=secret)

    return addressed


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
    repeats: Sequence[KeyedRequest] = (),
    allowed: Mapping[str, str] | None = None,
) -> Ending:
    """Send to whom `plan` planned and who is left of earlier plans: about so many `people`. First, what is `in_doubt`.

    `tally`: before `plan`. `allowed`: the rules that were passed over, and why, for the receipt.

    Raises ConfigError, TransportRefused or TryLater where there is no way out at all; nothing is planned then.
    And SentElsewhere or TryLater where there can be no receipt; people are planned then, and nothing is sent.
    """
    name = banner(chosen, sending.issue)
    key = signing_key(project, config.secret_env, os.environ)
    keyed = keyed_by(config, chosen, sending, edition, key)
    written = addressed_by(config, edition, key)

    def opened() -> Transport:
        with contextlib.suppress(IndexError):  # asked and taken in one: connections are opened in threads
            return ready.pop()
        return connect(chosen.use, chosen.options, project=project, issue=sending.issue, environ=os.environ)

    def addressed(delivery: Delivery) -> Message:
        if receipt:
            receipt.touch(delivery.contact.address)
        return written(delivery)

    first = connect(
        chosen.use, chosen.options, project=project, issue=sending.issue, environ=os.environ, fresh=fresh
    )  # fmt: skip
    ready = deque([first])  # whoever comes first takes it
    with interruptible() as interrupted, contextlib.ExitStack() as unused:
        unused.callback(_close, ready)
        plan()
        receipt = None if sending.rehearsal else Writer(project, ledger, sending, key, allowed)
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
        pace = Pace(name, chosen.rate, chosen.domain_rate, remembered)
        if not (pace.is_free or sending.rehearsal):
            ledger.share_rate(pace.room_beside)
        before = heard_before(ledger, sending, tally)
        stopped: MailerError | None = None
        later = None
        try:
            later = deliver(
                ledger, sending, opened, addressed,
                connections=min(chosen.connections, max(1, people)),
                # A disk that is full is not emptied by waiting half a minute.
                policy=replace(config.delivery, reconnect=()) if sending.rehearsal else config.delivery,
                pace=pace,
                brake=Brake(config.delivery.brake, before),
                now=clock, stopped=interrupted, settled=heard, waits=waits, limit=limit,
                keyed=keyed, repeats=repeats,
            )  # fmt: skip
        except MailerError as error:
            stopped = error
        try:
            if receipt:
                receipt.write(finished=True)
            if receipt and hard_bounces:
                write_back(project, ledger)
        except MailerError as error:  # the ledger has it all; what stopped the run comes first
            stopped = stopped or error
        return Ending(stopped=stopped, interrupted=interrupted(), later=later)


def finish_receipt(project: Path, config: Config, ledger: Ledger, sending: Sending) -> bool:
    """Close the receipt, and the list of the suppressed, of a sending whose end nobody here saw. Whether it was open.

    Workers have no repository, and a run may be killed. Where somebody is left or is at it, it stays open: who waits in
    it may have got it. Raises SentElsewhere where it cannot be understood, TryLater where it cannot be written.
    """
    key = existing_key(project, config.secret_env, os.environ)
    if sending.rehearsal or key is None or not is_open(project, sending.issue):
        return False
    try:
        with ledger.hold(sending.issue):
            receipt = find_receipt(project, ledger, sending.issue, key)
            if receipt is None or not ledger.has_serial(sending.issue, receipt.serial):
                return False
            if ledger.claimed(sending) or ledger.next_due(sending):
                return False
            Writer(project, ledger, sending, key).write(finished=True)
    except IssueHeld:
        return False
    write_back(project, ledger)
    return True


def _close(transports: Iterable[Transport]) -> None:
    for transport in transports:
        transport.close()
