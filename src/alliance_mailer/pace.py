"""Pace: how many messages may go now, when the next may, and whether to go on at all.

Rates hold across runs: what was spent is remembered in the ledger, second by second.
"""

import math
import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from .ledger import Delivery, Ledger, Sending, Spent, Tally
from .message import Outcome, Verdict

DAY = 86400  # seconds; no rate reaches further back

_ENOUGH = 10  # answers of a kind before a brake is a brake: three typos in a list of twenty are none
_IN_A_ROW = 20
_POLICY = re.compile(r"4\d\d 4\.7\.")  # RFC 3463: security or policy, for now
_DOMAINS = 10_000  # kept in memory; the idle ones go first


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` messages in any `period` seconds, such as 50 in 1 or 2000 in 86400."""

    count: int
    period: int

    def __str__(self) -> str:
        return f"{self.count}/{ {1: 's', 60: 'min', 3600: 'h', DAY: 'd'}[self.period] }"


def at_least(count: int, rates: Sequence[Rate]) -> float:
    """The seconds that so many messages take at the least, where nothing was spent of the rates before."""
    return max((count / rate.count if rate.period == 1 else (count - 1) // rate.count * rate.period for rate in rates),
               default=0)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Policy:
    """[delivery] of mailer.toml: when a deferred message is tried again, and when a run stops."""

    retry: tuple[float, ...] = (60, 300, 1800, 7200)  # seconds after the first, second … and every further deferral
    max_attempts: int = 10
    give_up_after: float = DAY  # seconds since the first attempt
    wait: float = 120  # seconds that a run waits for people who are due again, or for a rate; longer: exit 75
    brake: float = 0.05  # stop when more than this part of the answers are refusals; 1: never
    reconnect: tuple[float, ...] = (1, 2, 4, 8, 16)  # seconds before a lost connection is made again, each time

    def after(self, delivery: Delivery, outcome: Outcome, now: datetime) -> tuple[Outcome, int]:
        """What is to be written down, and when a deferred one is due again (seconds since 1970).

        It is given up, refused with the last words, after `max_attempts` or `give_up_after`.
        """
        if outcome.verdict is not Verdict.DEFERRED:
            return outcome, 0
        if outcome.about_us:  # as soon as that is settled
            return outcome, int(now.timestamp() + math.ceil(outcome.retry_after or 0))
        wait = outcome.retry_after or self.retry[min(delivery.attempts, len(self.retry)) - 1]
        due = math.ceil(now.timestamp() + wait)
        last = now.timestamp() if outcome.retry_after else due  # a server that names a time is to be asked then
        late = delivery.tried_at is not None and last - delivery.tried_at.timestamp() > self.give_up_after
        if late or delivery.attempts >= self.max_attempts:
            attempts = "1 attempt" if delivery.attempts == 1 else f"{delivery.attempts} attempts"
            return Outcome(Verdict.REFUSED, f"given up after {attempts}: {outcome.reply}"), 0
        return outcome, due


class _Window:
    """What was spent of a rate. A second is spaced out; longer periods may be used up at once, then roll on."""

    def __init__(self, rate: Rate, *, by_the_clock: bool = False) -> None:
        """`by_the_clock`: a second may be used up at once, too, and ends when the clock's does."""
        self._rate, self._is_spaced = rate, rate.period == 1 and not by_the_clock
        self._width = max(1, rate.period // 600)  # seconds; of a day 144, so 600 numbers remember it
        self._memory = 0 if rate.period == 1 else rate.period  # seconds behind a bucket's end
        self._buckets, self._total, self._free_at = deque[tuple[int, int]](), 0, 0.0

    def spend(self, second: float, count: int) -> None:
        if self._is_spaced:
            self._free_at = max(self._free_at, second) + count / self._rate.count
            return
        bucket = int(second) // self._width
        if self._buckets and self._buckets[-1][0] == bucket:
            count_before = self._buckets.pop()[1]
            self._buckets.append((bucket, count_before + count))
        else:
            self._buckets.append((bucket, count))
        self._total += count

    def room(self, now: float) -> int:
        """How many may go now."""
        if self._is_spaced:
            ahead = max(1.0, self._rate.count / 10)  # a tenth of a second at once: timers are not exact
            return max(0, int(ahead - max(0.0, self._free_at - now) * self._rate.count))
        while self._buckets and self._end(self._buckets[0][0]) <= now:
            self._total -= self._buckets.popleft()[1]
        return max(0, self._rate.count - self._total)

    def next(self, now: float) -> float:
        """When one may go (seconds since 1970)."""
        if self.room(now):
            return now
        if self._is_spaced:
            return self._free_at - max(1.0, self._rate.count / 10) / self._rate.count + 1 / self._rate.count
        return float(self._end(self._buckets[0][0]))

    def _end(self, bucket: int) -> int:
        return (bucket + 1) * self._width + self._memory

    def is_idle(self, now: float) -> bool:
        return self._free_at <= now if self._is_spaced else self.room(now) >= self._rate.count


class Pace:
    """The rates of a transport, and what was spent of them."""

    def __init__(
        self, transport: str, rates: Sequence[Rate], domain_rates: Sequence[Rate], remembered: Iterable[Spent] = ()
    ) -> None:
        """`remembered`: what the ledger knows of the last `DAY`."""
        self._transport, self.rates, self._domain_rates = transport, rates, domain_rates
        self._windows = [_Window(rate) for rate in rates]
        self._domains: dict[str, list[_Window]] = {}
        self._tail: dict[str, float] = {}  # by domain: when the last one put off may go
        self.spent: list[Spent] = []  # counted since the ledger last heard of it
        for each in remembered:
            for window in self._of(each.domain, each.second) if each.domain else self._windows:
                window.spend(each.second, each.count)

    @property
    def is_free(self) -> bool:
        """Whether there are no rates at all."""
        return not self.rates and not self._domain_rates

    def room(self, now: float) -> int | None:
        """How many may go now, whoever they are; None: any number."""
        return min((window.room(now) for window in self._windows), default=None)

    def room_beside(self, others: Iterable[Spent], now: float) -> int | None:
        """The same, once it is known what other runs have just spent: as late in their second as can be."""
        for each in others:
            for window in self._of(each.domain, now) if each.domain else self._windows:
                window.spend(min(each.second + 1, now), each.count)
        return self.room(now)

    def next(self, now: float) -> float:
        """When the next may go (seconds since 1970)."""
        return max((window.next(now) for window in self._windows), default=now)

    def admit(self, delivery: Delivery, now: float) -> int:
        """0 when it goes now, and is counted; else the second before which its domain takes no more.

        Who is put off for the first time queues up behind the others of the domain, so that a list of one domain is
        gone through once, not once a second.
        """
        domain = delivery.contact.address.rpartition("@")[2] if self._domain_rates else ""
        windows = self._of(domain, now) if domain else []
        if any(not window.room(now) for window in windows):
            free = max(window.next(now) for window in windows)
            if delivery.due == 0:  # nobody has put it off before
                slowest = max(rate.period / rate.count for rate in self._domain_rates)
                self._tail[domain] = free = max(free, self._tail.get(domain, 0.0)) + slowest
            return max(math.ceil(free), int(now) + 1)
        for window in (*windows, *self._windows):
            window.spend(now, 1)
        self.spent += [Spent(self._transport, name, int(now), 1) for name in dict.fromkeys(("", domain))]
        return 0

    def _of(self, domain: str, now: float) -> list[_Window]:
        if domain not in self._domains:
            if len(self._domains) >= _DOMAINS:
                busy = {name: each for name, each in self._domains.items() if not all(w.is_idle(now) for w in each)}
                self._domains = busy
            # Who is put off comes again with a whole second: spaced out, a tenth of the rate would go in each.
            self._domains[domain] = [_Window(rate, by_the_clock=True) for rate in self._domain_rates]
        return self._domains[domain]


def heard_before(ledger: Ledger, sending: Sending, tally: Tally) -> Tally:
    """What the server said in earlier runs, of the ledger's `tally`: an invalid address never went to it."""
    refused = sum(delivery.attempts > 0 for delivery in ledger.deliveries(sending, ["refused"]))
    return replace(tally, refused=refused)


class Brake:
    """Stops a run before a reputation is ruined: too many refusals, policy replies, or nothing taken at all."""

    def __init__(self, part: float, tally: Tally) -> None:
        """`tally`: what earlier runs of this sending heard; its refusals are the server's (`heard_before`)."""
        self._part, self._answers, self._refused = part, tally.accepted + tally.refused, tally.refused
        self._policy, self._in_a_row, self._last = 0, 0, ""

    def after(self, outcome: Outcome) -> str:
        """Why to stop; empty to go on."""
        deferred = outcome.verdict is Verdict.DEFERRED and outcome.retry_after is None and not outcome.about_us
        self._in_a_row = self._in_a_row + 1 if deferred else 0
        if outcome.verdict in (Verdict.ACCEPTED, Verdict.REFUSED):
            self._answers += 1
            self._refused += outcome.verdict is Verdict.REFUSED
        self._last = outcome.reply if deferred or outcome.verdict is Verdict.REFUSED else self._last
        self._policy += deferred and bool(_POLICY.match(outcome.reply))
        if self._part >= 1:
            return ""
        for count, kind in ((self._refused, "refusals"), (self._policy, "deferred for policy (4.7.x)")):
            if count >= _ENOUGH and count > self._part * (self._answers + self._policy):
                share = f"{count} of {self._answers + self._policy} answers are {kind}"
                last = f"; the last: {self._last}" if self._last else ""
                return f"{share}, more than brake = {self._part:.0%} allows{last}"
        if self._in_a_row >= _IN_A_ROW:
            return f"{self._in_a_row} messages in a row were deferred; the last: {outcome.reply}"
        return ""
