"""What a ledger does with its tables, whichever database they lie in: the queries by name, their values by name.

sqlite.py and postgres.py say how a query is asked there, and do themselves what each does in its own way: opening,
holding an issue, reading a list of a million.
"""

import itertools
import operator
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, cast

from ..contact import Suppression
from . import STATES, Delivery, Keyed, KeyedRequest, Planned, Sending, Settled, Spent, Tally
from .rows import claimed_of, delivery_of

Row = tuple[Any, ...]
Values = Mapping[str, Any]

_LOOKS = 2000  # rows passed over in one transaction, 10 ms: then other connections' outcomes are written down


class Tables:
    """See the protocol. One connection, one call at a time."""

    waits: bool
    lease: int | None = None  # whose claims are ours; none: those of the one run that holds the issue
    _room_of: Callable[[list[Spent], float], int | None] | None = None  # of the rate that is shared
    _transport = ""  # whose rate that is
    _read_up_to = 0  # of what is spent

    # What a database has to say ---------------------------------------------------------------------------------------

    def _transaction(self, *, at_once: bool = False) -> AbstractContextManager[None]:
        """`at_once`: nobody asks how many rows were changed, so that changes need not be waited for."""
        raise NotImplementedError

    def _rows(self, query: str, values: Values | None = None) -> list[Row]:
        raise NotImplementedError

    def _stream(self, query: str, values: Values | None = None) -> Iterator[Row]:
        """Rows as they come; this connection may be used meanwhile."""
        raise NotImplementedError

    def _change(self, query: str, values: Values) -> int:
        """Returns how many rows."""
        raise NotImplementedError

    def _change_each(self, query: str, values: Iterable[Values]) -> int:
        """Once for each. Returns how many rows."""
        raise NotImplementedError

    def _claim(self, ids: Sequence[int], second: int) -> None:
        raise NotImplementedError

    def _settle_all(self, query: str, rows: Sequence[Values]) -> None:
        raise NotImplementedError

    @staticmethod
    def _list(values: Iterable[Any]) -> Any:
        """Many values as one."""
        raise NotImplementedError

    def _lock(self, what: str) -> None:
        """Until the transaction ends nobody else has that; where one transaction writes at a time, nobody anyway."""

    def _planned_many(self, count: int) -> None:
        """So many rows are new."""

    # The plan ---------------------------------------------------------------------------------------------------------

    def suppress(self, suppressions: Iterable[Suppression]) -> None:
        """See the protocol."""
        with self._transaction():
            self._change_each("suppress", map(asdict, suppressions))

    def suppressions(self) -> Iterator[Suppression]:
        """See the protocol."""
        yield from itertools.starmap(Suppression, self._stream("suppressions"))

    def plan(self, sending: Sending, planned: Planned, now: datetime) -> int:
        """See the protocol."""
        with self._transaction():
            self._lock(f"plan {sending.issue}")
            edition = self._rows("plan_edition", {**asdict(sending), **asdict(planned)})[0][0]
            count = self._change("plan", {**asdict(sending), "edition": edition, "now": int(now.timestamp())})
            if count:
                self._change("plan_last", {"edition": edition})
                self._planned_many(count)
            return count

    def planned(self, sending: Sending) -> Planned | None:
        """See the protocol."""
        rows = self._rows("planned", asdict(sending))
        return Planned(*rows[0]) if rows else None

    def forget(self, sending: Sending) -> None:
        """See the protocol."""
        with self._transaction():
            self._change("forget", asdict(sending))
            self._change("forget_editions", asdict(sending))

    # A run ------------------------------------------------------------------------------------------------------------

    def claimed(self, sending: Sending) -> int:
        """See the protocol."""
        return int(self._rows("claimed", asdict(sending))[0][0])

    def recover(self, sending: Sending, *, repeat: bool) -> int:
        """See the protocol. What a living worker has claimed stays its own."""
        state, reply = ("waiting", "") if repeat else ("unknown", "the run ended before the server's answer was read")
        return self._change("recover", {**asdict(sending), "state": state, "reply": reply})

    def exchange(
        self,
        sending: Sending,
        settled: Sequence[Settled],
        limit: int,
        now: datetime,
        *,
        put_off: Callable[[Delivery], int] | None = None,
        spent: Sequence[Spent] = (),
        keyed: Keyed | None = None,
    ) -> list[Delivery]:
        """See the protocol."""
        second = int(now.timestamp())
        with self._transaction(at_once=True):
            self._settle(sending, settled, second, now)
            limit = self._room(limit, now.timestamp())
            claimed, looked_at = list[Delivery](), 0
            # What is suppressed or put off is looked at once, then it is no longer due; `_LOOKS` bounds a transaction.
            while len(claimed) < limit and looked_at < _LOOKS:
                which = {"issue": sending.issue, "rehearsal": sending.rehearsal, "second": second, "lease": self.lease}
                rows = self._rows("due", {**which, "limit": limit - len(claimed)})
                if not rows:
                    break
                looked_at += len(rows)
                taken = [claimed_of(row) for row in rows if not self._is_suppressed(row)]
                if put_off:
                    taken = [delivery for delivery in taken if not self._is_put_off(delivery, put_off)]
                if taken:
                    self._claim([delivery.id for delivery in taken], second)
                claimed += taken
            number = self._spend(spent)
            if keyed:
                for start in range(0, len(claimed), keyed.size):
                    self._remember(keyed, claimed[start : start + keyed.size], second)
        # Not before: of a transaction that failed, the numbers are given to others.
        self._read_up_to = max(self._read_up_to, number)
        return claimed

    def _remember(self, keyed: Keyed, rows: Sequence[Delivery], second: int) -> None:
        about = {"key": keyed.key(rows), "transport": keyed.transport, "second": second, "size": len(rows)}
        request = self._rows("add_request", about)[0][0]
        self._change("add_to_request", {"request": request, "ids": self._list(row.id for row in rows)})

    def _settle(self, sending: Sending, settled: Sequence[Settled], second: int, now: datetime) -> None:
        for query, state in (("settle", "sending"), ("settle_repeated", "unknown")):
            rows = [
                {
                    "id": each.delivery.id,
                    "state": str(each.outcome.verdict),
                    "due": each.due,
                    "reply": _clean(each.outcome.reply),
                    "provider_id": _clean(each.outcome.provider_id),
                    "about_us": each.outcome.about_us,
                    "second": second,
                    "lease": self.lease,
                }
                for each in settled
                if each.delivery.state == state
            ]
            if rows:
                self._settle_all(query, rows)
        for each in settled:
            if each.outcome.hard and not sending.rehearsal:
                reason, source = f"hard bounce: {_clean(each.outcome.reply)}", f"issue {sending.issue}"
                who = Suppression(each.delivery.contact.address, reason, now.date().isoformat(), source)
                self._change("suppress", asdict(who))

    def _is_suppressed(self, row: Row) -> bool:
        """Since the plan."""
        reason = row[-1]
        if reason is not None:
            self._change("suppress_claimed", {"reply": reason, "id": row[0]})
        return reason is not None

    def _is_put_off(self, delivery: Delivery, put_off: Callable[[Delivery], int]) -> bool:
        """Its domain has had enough for now."""
        due = put_off(delivery)
        if due:
            self._change("put_off", {"due": due, "id": delivery.id})
        return bool(due)

    def release(self, deliveries: Iterable[Delivery]) -> None:
        """See the protocol."""
        self._change("release", {"ids": self._list(each.id for each in deliveries), "lease": self.lease})

    def repeatable(self, sending: Sending, transport: str, since: datetime) -> list[KeyedRequest]:
        """See the protocol."""
        which = {**asdict(sending), "transport": transport, "since": int(since.timestamp())}
        return [
            KeyedRequest(key, tuple(delivery_of(row[1:]) for row in group))
            for key, group in itertools.groupby(self._rows("repeatable", which), key=operator.itemgetter(0))
        ]

    # Its rate, which others spend of, too -----------------------------------------------------------------------------

    def spent_since(self, transport: str, second: int) -> list[Spent]:
        """See the protocol. What others spend from now on, `share_rate` tells."""
        self._transport, which = transport, {"transport": transport, "second": second}
        with self._transaction():
            self._lock(f"pace {transport}")
            self._read_up_to = self._rows("last_spent")[0][0]
            self._change("forget_spent", which)
            return list(itertools.starmap(Spent, self._rows("spent_since", which)))

    def share_rate(self, room: Callable[[list[Spent], float], int | None]) -> None:
        """See the protocol."""
        self._room_of = room

    def _room(self, limit: int, now: float) -> int:
        """How many of them may go, now that it is known what others have spent."""
        if self._room_of is None or not limit:
            return limit
        self._lock(f"pace {self._transport}")
        rows = self._rows("spent_by_others", {"transport": self._transport, "number": self._read_up_to})
        if rows:
            self._read_up_to = rows[-1][0]
        room = self._room_of([Spent(self._transport, *row[1:]) for row in rows], now)
        return limit if room is None else min(limit, room)

    def _spend(self, spent: Sequence[Spent]) -> int:
        """One row a domain and second. Returns the number of the last one."""
        counts, number = Counter[tuple[str, str, int]](), 0
        for each in spent:
            counts[each.transport, each.domain, each.second] += each.count
        for (transport, domain, second), count in counts.items():
            self._lock(f"pace {transport}")  # numbers and commits are in one order, so that nobody overlooks one
            about = {"transport": transport, "domain": domain, "second": second, "count": count}
            number = self._rows("spend", about)[0][0]
        return number

    # Afterwards -------------------------------------------------------------------------------------------------------

    def tally(self, sending: Sending) -> Tally:
        """See the protocol. A living run's claims count as waiting."""
        counts: dict[str, int] = dict(self._rows("tally", asdict(sending)))
        counts["waiting"] = counts.get("waiting", 0) + counts.pop("sending", 0)
        return Tally(**{state: counts.get(state, 0) for state in STATES})

    def next_due(self, sending: Sending) -> datetime | None:
        """See the protocol."""
        due = self._rows("next_due", {"issue": sending.issue, "rehearsal": sending.rehearsal})[0][0]
        return None if due is None else datetime.fromtimestamp(due, UTC)

    def sendings(self) -> list[Sending]:
        """See the protocol."""
        return [Sending(issue, bool(rehearsal)) for issue, rehearsal in self._rows("sendings")]

    def deliveries(self, sending: Sending, states: Sequence[str]) -> Iterator[Delivery]:
        """See the protocol."""
        yield from map(delivery_of, self._stream("deliveries", {**asdict(sending), "states": self._list(states)}))

    def story(self, address: str) -> list[tuple[Sending, Delivery]]:
        """See the protocol."""
        rows = self._rows("story", {"address": address})
        return [(Sending(issue, bool(rehearsal)), delivery_of(row)) for issue, rehearsal, *row in rows]

    def people(self, sending: Sending, prefix: str = "") -> Iterator[tuple[str, str, str]]:
        """See the protocol."""
        span = {"first": prefix, "last": f"{prefix}\U0010ffff"}
        rows = self._stream("people_named" if prefix else "people", {**asdict(sending), **span})
        return cast("Iterator[tuple[str, str, str]]", rows)

    def resolve(self, sending: Sending, *, resend: bool, addresses: Iterable[str] | None = None) -> int:
        """See the protocol."""
        chosen = None if addresses is None else self._list(addresses)
        return self._change("resolve_resend" if resend else "resolve_leave", {**asdict(sending), "chosen": chosen})

    def left(self, sending: Sending) -> int:
        """See the protocol."""
        return int(self._rows("left", asdict(sending))[0][0])

    def rename(self, address: str, pseudonym: str) -> int:
        """See the protocol."""
        who = {"address": address, "pseudonym": pseudonym}
        with self._transaction():
            self._change("rename_suppression", who)
            return self._change("rename", who)

    def overwrite(self, sending: Sending, rows: Iterable[tuple[str, str, str]]) -> int:
        """See the protocol."""
        which = asdict(sending)
        values = ({**which, "address": address, "state": state, "reply": reply} for address, state, reply in rows)
        with self._transaction():
            return self._change_each("overwrite", values)

    def add_serial(self, issue: str, serial: str) -> None:
        """See the protocol."""
        self._change("add_serial", {"issue": issue, "serial": serial})

    def has_serial(self, issue: str, serial: str) -> bool:
        """See the protocol."""
        return bool(self._rows("has_serial", {"issue": issue, "serial": serial})[0][0])

    def damage(self) -> list[str]:
        """See the protocol."""
        return [str(row[0]) for row in self._rows("damage")]


def _clean(text: str) -> str:
    """A server's words; PostgreSQL keeps no NUL."""
    return text[:1000].replace("\0", "")
