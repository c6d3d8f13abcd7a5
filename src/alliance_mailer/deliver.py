"""The heart: claim, address, carry, settle, until nothing is left to claim.

Each connection is a strand (hub.py) that carries messages (carrier.py); one more is the clerk. It alone speaks with the
ledger, and writes down in one transaction what all connections have heard and which rows they get next.
So a claim is durable before a connection hears of it, and durability costs little. A connection has two requests
claimed at most, one on its wire and the next: what a run that dies leaves in doubt is that much and no more.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from queue import Empty
from typing import Any, TypeVar

from .carrier import Carrier, Note
from .errors import TransportRefused, TryLater
from .hub import Hub, Mailbox, apart
from .ledger import Delivery, Keyed, KeyedRequest, Ledger, Sending, Settled
from .message import Message, Outcome, Verdict
from .pace import Brake, Pace, Policy
from .transports import Transport

_IDLE = 15.0  # seconds without work after which a connection may be closed; servers allow 300, some proxies 20
_WORTH_A_WORD = 5.0  # seconds of waiting
_LOOK = 0.5  # seconds; so late at most a Ctrl-C is noticed

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Later:
    """Why people are left who could not be waited for."""

    reason: str
    at: datetime  # UTC; when it is worth trying again


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
    waits: Callable[[datetime], None] = lambda _: None,
    limit: int | None = None,
    keyed: Keyed | None = None,
    repeats: Sequence[KeyedRequest] = (),
    is_ours: Callable[[], bool] = lambda: True,
) -> Later | None:
    """Send what is due, at most `limit` messages. The issue is held (`Ledger.hold`) and recovered by the caller.

    Or the claims are a lease's: then `is_ours` says whether it lives, and what was claimed may be begun with.

    Where requests are `keyed`, the ledger keeps them. `repeats`, those in doubt, go first, unchanged, beyond `limit`.

    `settled` hears of every outcome once it is written down, `waits` until when nothing can be done; `stopped` is asked
    before every claim: what is on a wire is finished. Returns why people are left, None when nobody is or `limit` or
    `stopped` ended it. Raises TransportRefused and TryLater where the transport, the brake or the ledger stops the run:
    what was claimed and not sent is put back first, and nobody is marked refused for it.
    """
    hub = Hub()
    desk = Mailbox[Note](hub, last=True)
    clerk = _Clerk(ledger, sending, policy, pace, brake, now, stopped, settled, waits, limit, keyed, repeats, desk)
    carriers = {Carrier(connect, address, desk, hub, policy.reconnect, is_ours) for _ in range(connections)}
    for carrier in carriers:
        hub.spawn(carrier.run)
    return hub.run(lambda: clerk.run(carriers))


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
        waits: Callable[[datetime], None],
        limit: int | None,
        keyed: Keyed | None,
        repeats: Sequence[KeyedRequest],
        desk: Mailbox[Note],
    ) -> None:
        self._ledger, self._sending, self._policy, self._pace, self._brake = ledger, sending, policy, pace, brake
        self._now, self._stopped, self._settled, self._waits = now, stopped, settled, waits
        self._desk = desk
        self._left = math.inf if limit is None else limit  # what may still be claimed
        self._out = 0  # claimed, without an outcome
        self._next = 0.0  # seconds since 1970; before that no row is due
        self._asking: dict[Carrier, tuple[bool, float]] = {}  # whether it is patient, since when (monotonic)
        self._unwritten: list[Settled] = []
        self._released: list[Delivery] = []
        self._keyed = keyed
        self._repeats = deque(repeats)
        self._again: dict[int, KeyedRequest] = {}  # by row: those of them that are out
        self._told = 0.0  # until when it waits, as it last said
        self._finished = False  # nothing more is claimed
        self._later: Later | None = None
        self._error: BaseException | None = None

    def run(self, carriers: set[Carrier]) -> Later | None:
        """Until every carrier has ended."""
        living, told, trouble = set(carriers), False, None
        while living:
            notes, now = self._collect(), self._now()
            for note in notes:
                self._read(note, now)
                if note.ended:
                    living.discard(note.carrier)
                    trouble = note.error if isinstance(note.error, TryLater) else trouble
            if self._error or self._stopped():
                self._finished = True
            self._serve(now)
            if self._finished and not told:
                told = True
                for carrier in living:
                    carrier.given.put(None)
        if trouble and not self._finished:  # all have given up
            self._error = trouble
        self._write_the_rest()
        if self._error:
            raise self._error
        return self._later

    def _collect(self) -> list[Note]:
        """What the carriers have to say; none where it is time to look again."""
        try:
            return [self._desk.get(self._patience()), *self._desk.rest()]
        except Empty:
            return []

    def _patience(self) -> float:
        if not self._asking or self._left <= 0:
            return _LOOK
        seconds = self._now().timestamp()
        return min(max(self._next - seconds, self._pace.next(seconds) - seconds, 0.0), _LOOK)

    def _read(self, note: Note, now: datetime) -> None:
        if note.settled:
            delivery, outcome = note.settled
            due = 0
            if self._again.pop(delivery.id, None):
                if outcome.verdict is Verdict.DEFERRED:  # this time; the time before stays in doubt
                    outcome = replace(outcome, verdict=Verdict.UNKNOWN)
            else:
                outcome, due = self._policy.after(delivery, outcome, now)
            self._unwritten.append(Settled(delivery, outcome, due))
            self._out -= 1
            if due:
                self._next = min(self._next, due)
            if reason := self._brake.after(outcome):
                hint = 'see who, and why: mailer status --failed. [delivery] brake = "100%" releases it for good'
                self._fail(TransportRefused(f"stopped: {reason}", hint=hint))
        if note.released:
            again = {id(found): found for each in note.released if (found := self._again.pop(each.id, None))}
            fresh = [each for each in note.released if each.state == "sending"]
            self._repeats.extend(again.values())
            self._released += fresh
            self._out -= len(note.released)
            self._left += len(fresh)
            self._next = 0.0
        if note.asks:
            self._asking[note.carrier] = note.patient, time.monotonic()
        if note.withdraws and note.carrier in self._asking:
            self._answer(note.carrier, ())
        if note.error and not isinstance(note.error, TryLater):
            self._fail(note.error)

    def _fail(self, error: BaseException) -> None:
        """The first error is told; but that we are refused is told before all."""
        if self._error is None or (isinstance(error, TransportRefused) and isinstance(self._error, TryLater)):
            self._error = error
        self._finished = True

    def _answer(self, carrier: Carrier, batch: "tuple[()] | list[Delivery] | None") -> None:
        del self._asking[carrier]
        carrier.given.put(batch)

    def _serve(self, now: datetime) -> None:
        """Write down what was heard, claim what was asked for, answer who cannot wait."""
        self._repeat()
        wanted = self._wanted(now.timestamp())
        # A ledger that could not write is tried once more, at the end.
        if (wanted or self._unwritten or self._released) and not isinstance(self._error, TryLater):
            try:
                rows = self._exchange(wanted, now)
            except TryLater as error:
                rows = []
                self._fail(error)
            self._deal(rows)
        if not self._finished and not self._out and not self._unwritten and not self._repeats:
            self._finish_or_wait(now.timestamp())
        for carrier, (patient, since) in list(self._asking.items()):
            if self._finished:
                self._answer(carrier, None)
            elif not patient or time.monotonic() - since > _IDLE:
                self._answer(carrier, ())

    def _repeat(self) -> None:
        """Give out the requests in doubt. Their rows stay unknown until they are settled, whatever becomes of us."""
        for carrier in list(self._asking):
            if self._repeats and not self._finished:
                request = self._repeats.popleft()
                self._again |= {each.id: request for each in request.deliveries}
                self._out += len(request.deliveries)
                self._answer(carrier, list(request.deliveries))

    def _wanted(self, seconds: float) -> int:
        """How many rows may be claimed now."""
        if self._finished or seconds < self._next:
            return 0
        room = self._pace.room(seconds)
        wanted = min(self._left, sum(carrier.batch_size for carrier in self._asking))
        return int(wanted if room is None else min(wanted, room))

    def _exchange(self, wanted: int, now: datetime) -> list[Delivery]:
        if self._released:
            self._ask(lambda: self._ledger.release(self._released))
            self._released = []
        settled, seconds = self._unwritten, now.timestamp()
        paced: dict[str, Any] = {}
        if not self._pace.is_free:
            paced = {"put_off": lambda delivery: self._pace.admit(delivery, seconds), "spent": self._pace.spent}
        rows = self._ask(lambda: self._ledger.exchange(self._sending, settled, wanted, now, keyed=self._keyed, **paced))
        self._pace.spent.clear()
        self._unwritten = []
        self._out += len(rows)
        self._left -= len(rows)
        for each in settled:
            if each.delivery.state in ("sending", "unknown"):  # of a repeated request, some had been settled
                self._settled(each.outcome)
        if len(rows) < wanted:
            due = self._ask(lambda: self._ledger.next_due(self._sending))
            self._next = math.inf if due is None else due.timestamp()
        return rows

    def _ask(self, call: Callable[[], T]) -> T:
        # An abort waits for it: what is asked of the ledger then (who is in doubt) would come into the transaction.
        return apart(call, whole=True) if self._ledger.waits else call()

    def _deal(self, rows: list[Delivery]) -> None:
        """To each what it can carry, who asked first first."""
        for carrier in list(self._asking):
            if not rows:
                break
            self._answer(carrier, rows[: carrier.batch_size])
            rows = rows[carrier.batch_size :]

    def _finish_or_wait(self, seconds: float) -> None:
        """Nothing is on any wire. Finish where nothing is left, or nothing that is worth waiting for."""
        paced = self._pace.next(seconds)
        at = max(self._next, paced)
        if self._left <= 0 or math.isinf(at):
            self._finished = True
        elif at - seconds > self._policy.wait:
            reason = "the rate is used up for now" if paced >= self._next else "they are to be tried again later"
            self._finished, self._later = True, Later(reason, datetime.fromtimestamp(at, UTC))
        elif at - seconds > _WORTH_A_WORD and at != self._told:
            self._told = at
            self._waits(datetime.fromtimestamp(at, UTC))

    def _write_the_rest(self) -> None:
        if self._unwritten or self._released:
            try:
                self._exchange(0, self._now())
            except TryLater as error:
                self._fail(error)
