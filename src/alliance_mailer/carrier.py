"""A carrier: one connection, and the strand that it belongs to. It asks the clerk (deliver.py) for what to carry."""

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from queue import Empty

from .errors import ConfigError, TransportRefused, TryLater
from .hub import Hub, Mailbox, apart
from .ledger import Delivery
from .message import Message, Outcome
from .transports import Transport

REQUESTS = 2  # claimed a connection: one on its wire, and the next


@dataclass(frozen=True, slots=True)
class Note:
    """What a carrier tells the clerk."""

    carrier: "Carrier"
    settled: tuple[Delivery, Outcome] | None = None
    released: Sequence[Delivery] = ()  # claimed, and surely not sent
    asks: bool = False  # for a request; each is answered once, in `given`
    patient: bool = False  # nothing is on its wire: it can wait for the answer
    withdraws: bool = False  # what it asked for before is to be answered at once, with nothing if need be
    ended: bool = False
    error: BaseException | None = None


class Carrier:
    """Carries what it is given until that is None, or until the transport takes nothing more."""

    def __init__(
        self,
        connect: Callable[[], Transport],
        address: Callable[[Delivery], Message],
        desk: Mailbox[Note],
        hub: Hub,
        reconnect: Sequence[float],
        is_ours: Callable[[], bool],
    ) -> None:
        """`reconnect`: the seconds between attempts to connect again; then the connection is given up.

        `is_ours` is asked before each request whether what was claimed may still be begun with.
        """
        self._connect, self._address, self._desk, self._reconnect = connect, address, desk, reconnect
        self._is_ours = is_ours
        self.given = Mailbox[Sequence[Delivery] | None](hub)  # the clerk's answers; None: that was all
        self.batch_size = 1
        self._asked = False
        self._held = deque[deque[Delivery]]()  # requests, each with the deliveries that have no outcome yet
        self._told = 0  # outcomes

    def run(self) -> None:
        """Until there is nothing more to carry, and say so."""
        error: BaseException | None = None
        try:
            error = self._carry_on()
        except (TransportRefused, ConfigError) as refusal:  # as it connects; so nothing is in doubt
            self._let_go()
            error = refusal
        except Exception as mistake:  # noqa: BLE001 (ours; told by the clerk. The claims stay: they are in doubt)
            error = mistake
        self._desk.put(Note(self, ended=True, error=error))

    def _carry_on(self) -> TryLater | None:
        """Over one connection after the other. Returns why it gave up."""
        failures, told = 0, 0
        while True:
            try:
                self._carry()
            except TryLater as trouble:
                self._let_go()
                failures, told = 0 if self._told > told else failures, self._told
                if failures == len(self._reconnect) or self._is_closed_within(self._reconnect[failures]):
                    return trouble
                failures += 1
            else:
                return None

    def _is_closed_within(self, seconds: float) -> bool:
        """Whether there is no point in connecting again. It has asked for nothing, so nothing else can come."""
        try:
            self.given.get(seconds)
        except Empty:
            return False
        return True

    def _carry(self) -> None:
        with contextlib.closing(apart(self._connect)) as transport:  # name server, TLS, login
            self.batch_size = transport.batch_size
            for outcome in transport.carry(self._batches()):
                delivery = self._held[0].popleft()
                if not self._held[0]:
                    self._held.popleft()
                self._told += 1
                self._tell((delivery, outcome))
            if self._held:
                raise RuntimeError("a transport told no outcome of what it was given")

    def _batches(self) -> Iterator[Sequence[Message]]:
        while True:
            batch = self._next()
            if batch is None:
                return
            if batch and not self._is_ours():  # this process may have been stopped since it was claimed
                self._desk.put(Note(self, released=batch))
                return
            if batch:
                self._held.append(deque(batch))
                self._tell()
            told = self._told
            yield [self._address(delivery) for delivery in batch]
            if not batch and self._held and told == self._told:
                raise RuntimeError("a transport told no outcome of what it was given")

    def _next(self) -> Sequence[Delivery] | None:
        self._tell()
        if not self._asked:  # all requests are out
            return ()
        batch = self.given.get()
        self._asked = False
        return batch

    def _tell(self, settled: tuple[Delivery, Outcome] | None = None) -> None:
        """An outcome, and in the same breath a wish for the next request, where one may be claimed."""
        asks = not self._asked and len(self._held) < REQUESTS
        self._asked = self._asked or asks
        if settled or asks:
            self._desk.put(Note(self, settled, asks=asks, patient=not self._held))

    def _let_go(self) -> None:
        """Give back what was claimed and has no outcome."""
        if self._asked:
            self._desk.put(Note(self, withdraws=True))
            self._held.append(deque(self.given.get() or ()))
            self._asked = False
        released = [delivery for request in self._held for delivery in request]
        self._held.clear()
        if released:
            self._desk.put(Note(self, released=released))
