"""The heart: claim, address, send, settle, until nothing is left to claim.

A claim is durable before the first byte that could deliver, and settled as soon as the reply is read. So a run may die
at any moment: what was on its wire is known by its claim, and everything else is as the ledger says.
"""

from collections.abc import Callable
from datetime import datetime

from .errors import TransportRefused, TryLater
from .ledger import Delivery, Ledger, Sending
from .message import Message, Outcome, Verdict
from .transports import Transport


def deliver(
    ledger: Ledger,
    sending: Sending,
    transport: Transport,
    address: Callable[[Delivery], Message],
    *,
    now: Callable[[], datetime],
    stopped: Callable[[], bool],
    settled: Callable[[Outcome], None],
    limit: int | None = None,
) -> None:
    """Send what is due, at most `limit` messages. The issue is held (`Ledger.hold`) and recovered by the caller.

    `settled` hears of every outcome, `stopped` is asked before every request. Raises TransportRefused and TryLater when
    the transport stops the run; what was claimed is put back first, and nobody is marked refused for it.
    """
    left = limit
    while not stopped() and (left is None or left > 0):
        claimed = ledger.claim(sending, min(transport.batch_size, left or transport.batch_size), now())
        if not claimed:
            return
        try:
            outcomes = transport.send([address(delivery) for delivery in claimed])
        except TransportRefused as refusal:
            outcome = Outcome(Verdict.DEFERRED, str(refusal))
            ledger.settle([(delivery, outcome) for delivery in claimed], now())
            raise
        except TryLater:
            ledger.release(claimed)
            raise
        ledger.settle(zip(claimed, outcomes, strict=True), now())
        for outcome in outcomes:
            settled(outcome)
        if left is not None:
            left -= len(claimed)
