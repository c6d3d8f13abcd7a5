"""The heart: claim, address, carry, settle, until nothing is left to claim.

Each connection is a thread that carries messages; the thread that calls `deliver` is the clerk. It alone speaks with the
ledger, and writes down in one transaction what all connections have heard and which rows they get next. So a claim is
durable before a connection hears of it, and durability costs little. A connection has two requests claimed at most, one
on its wire and the next: what a run that dies leaves in doubt is that much and no more.
"""

import math
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from queue import Empty, SimpleQueue

from .errors import MailerError, TransportRefused, TryLater
from .ledger import Delivery, Ledger, Sending, Settled
from .message import Message, Outcome
from .pace import Brake, Pace, Policy
from .transports import Transport

_BACKOFF = (1, 2, 4, 8, 16)  # seconds between attempts to connect again; then the connection is given up
_IDLE = 15.0  # seconds without work after which a connection may be closed; servers allow 300, some proxies 20
_LOOK = 0.5  # seconds; so late at most a Ctrl-C is noticed


@dataclass(frozen=True, slots=True)
class Later:
    """Why people are left who could not be waited for."""

    reason: str
    at: datetime | None = None  # UTC; when it is worth trying again


def deliver(
    ledger: Ledger,
    sending: Sending,
    connect: Callable[[], Transport],
    address: Callable[[Delivery], Message],
    *,
    connections: int,
    policy: Policy,
    pace: Pace,
    brake: Brake,
    now: Callable[[], datetime],
    stopped: Callable[[], bool],
    settled: Callable[[Outcome], None],
    limit: int | None = None,
) -> Later | None:
    """Send what is due, at most `limit` messages. The issue is held (`Ledger.hold`) and recovered by the caller.

    `settled` hears of every outcome once it is written down, `stopped` is asked before every claim: what is on a wire
    is finished. Returns why people are left, None when nobody is or `limit` or `stopped` ended it. Raises
    TransportRefused and TryLater where the transport, the brake or the ledger stops the run: what was claimed and not
    sent is put back first, and nobody is marked refused for it.
    """
    clerk = _Clerk(ledger, sending, policy, pace, brake, now, stopped, settled, limit)
    carriers = [_Carrier(connect, address, clerk.desk, clerk.closing) for _ in range(connections)]
    threads = [threading.Thread(target=carrier.run, daemon=True) for carrier in carriers]
    for thread in threads:
        thread.start()
    try:
        return clerk.run(set(carriers))
    finally:
        clerk.closing.set()
        for carrier in carriers:
            carrier.given.put(None)


@dataclass(frozen=True, slots=True)
class _Note:
    """What a carrier tells the clerk."""

    carrier: "_Carrier"
    settled: tuple[Delivery, Outcome] | None = None
    released: tuple[Delivery, ...] = ()  # surely not sent
    asks: bool = False  # for a batch
    patient: bool = False  # nothing is on its wire: it can wait for the answer
    ended: bool = False
    error: BaseException | None = None


class _Carrier:
    """One connection, and the thread that it belongs to."""

    def __init__(
        self,
        connect: Callable[[], Transport],
        address: Callable[[Delivery], Message],
        desk: "SimpleQueue[_Note]",
        closing: threading.Event,
    ) -> None:
        self._connect, self._address, self._desk, self._closing = connect, address, desk, closing
        self.given = SimpleQueue[Sequence[Delivery] | None]()  # the clerk's answers; None: that was all
        self.batch_size = 1
        self._asked = False
        self._held = deque[deque[Delivery]]()  # requests, each with the deliveries that have no outcome yet
        self._heard = False  # an outcome, since the last trouble

    def run(self) -> None:
        """Until the clerk has nothing more, or the transport takes nothing more."""
        error: BaseException | None = None
        failures = 0
        try:
            while True:
                try:
                    self._carry()
                    break
                except TryLater as trouble:
                    self._let_go()
                    failures, self._heard = 0 if self._heard else failures, False
                    if failures == len(_BACKOFF) or self._closing.wait(_BACKOFF[failures]):
                        error = trouble
                        break
                    failures += 1
        except TransportRefused as refusal:
            self._let_go()
            error = refusal
        except BaseException as mistake:  # of ours; the clerk's thread tells it, and the claims stay: they are in doubt
            error = mistake
        self._desk.put(_Note(self, ended=True, error=error))

    def _carry(self) -> None:
        with contextlib.closing(self._connect()) as transport:
            self.batch_size = transport.batch_size
            for outcome in transport.carry(self._batches()):
                request = self._held[0]
                delivery = request.popleft()
                if not request:
                    self._held.popleft()
                self._heard = True
                self._tell(settled=(delivery, outcome))

    def _batches(self) -> Iterator[Sequence[Message]]:
        while True:
            if not self._asked:
                self._tell()
            if not self._asked:  # two requests are out
                yield ()
                continue
            batch = self.given.get()
            self._asked = False
            if batch is None:
                return
            if batch:
                self._held.append(deque(batch))
                self._tell()
            yield [self._address(delivery) for delivery in batch]

    def _tell(self, settled: tuple[Delivery, Outcome] | None = None) -> None:
        """Ask for the next request as soon as it may be claimed, in one breath with an outcome."""
        asks = not self._asked and len(self._held) < _REQUESTS
        self._asked = self._asked or asks
        if settled or asks:
            self._desk.put(_Note(self, settled, asks=asks, patient=not self._held))

    def _let_go(self) -> None:
        """Give back what was claimed and has no outcome."""
        if self._asked:
            self._desk.put(_Note(self))  # an answer, please, if only an empty one
            self._held.append(deque(self.given.get() or ()))
            self._asked = False
        released = tuple(delivery for request in self._held for delivery in request)
        self._held.clear()
        self._desk.put(_Note(self, released=released))


class _Clerk:
    """The ledger's only voice."""

    def __init__(
        self,
        ledger: Ledger,
        sending: Sending,
        policy: Policy,
        pace: Pace,
        brake: Brake,
        now: Callable[[], datetime],
        stopped: Callable[[], bool],
        settled: Callable[[Outcome], None],
        limit: int | None,
    ) -> None:
        self._ledger, self._sending, self._policy, self._pace, self._brake = ledger, sending, policy, pace, brake
        self._now, self._stopped, self._settled, self._left = now, stopped, settled, limit
        self.desk, self.closing = SimpleQueue[_Note](), threading.Event()
        self._out = 0  # claimed, and not settled
        self._next = 0.0  # seconds since 1970; before that nothing can be claimed
        self._parked: dict[_Carrier, float] = {}  # who waits for an answer, since when (monotonic)
        self._finished, self._later = False, None  # nothing more is claimed
        self._error: BaseException | None = None
        self._unwritten: list[Settled] = []  # the ledger could not take them yet
        self._unreleased: list[Delivery] = []

    def run(self, carriers: set[_Carrier]) -> Later | None:
        """Until every carrier has ended."""
        while carriers:
            asking = self._read(self._collect(), carriers)
            self._finished = self._finished or self._error is not None or self._stopped()
            self._serve(asking)
            if self._is_done():
                self._finished = True
                self.closing.set()
                self._answer_parked()
        if self._unwritten or self._unreleased:
            self._exchange(0)
        if self._error and (self._is_worse_than_trouble() or self._out_of_reach()):
            raise self._error
        return self._later
