"""Many connections in one thread. Each has a strand, which gives way to the others while it waits.

A strand is a greenlet: a call stack of its own, left where it waits and gone on with when it need not any more. So a
transport is written as if it were alone, once. Ten threads spent as much time on handing Python's lock to each other as
on their work: 47 system calls for that a message, where five carry and record it (strace; docs/decisions/0021).
"""

import math
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from greenlet import GreenletExit, getcurrent, greenlet

T = TypeVar("T")


class _Strand(greenlet):
    """A line of work beside others in its thread."""

    hub: "Hub"
    calls: "SimpleQueue[Callable[[], None] | None] | None" = None  # to be made in its thread, once it has one


def ready(sock: socket.socket, events: int, deadline: float) -> int:
    """Wait for a socket: which of the events (select.POLL…) it is ready for; 0 where the deadline (monotonic) passed.

    Meanwhile the other strands go on, where there are any.
    """
    strand = getcurrent()
    if isinstance(strand, _Strand):
        return strand.hub._ready(strand, sock, events, deadline)  # noqa: SLF001
    poll = select.poll()
    poll.register(sock, events)
    found = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
    return found[0][1] if found else 0


def apart(call: Callable[[], T], *, whole: bool = False) -> T:
    """Make a call that waits in its own way: in a thread, while the other strands go on, where there are any.

    Where all is over meanwhile, the call goes on by itself; a `whole` one is waited for, as nothing may come into it.
    """
    strand = getcurrent()
    return strand.hub._apart(strand, call, whole) if isinstance(strand, _Strand) else call()  # noqa: SLF001


class Hub:
    """The strands of a thread, and what each waits for."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._sockets: dict[int, _Strand] = {}  # who waits for a file number
        self._deadlines: dict[_Strand, float] = {}  # of all who wait
        self._next = math.inf  # none of them is earlier
        self._able: deque[tuple[_Strand, int]] = deque()  # who can go on, and with what
        self._last: deque[tuple[_Strand, int]] = deque()  # who can, too, once nobody else can
        self._back = SimpleQueue[_Strand]()  # from its thread
        self._bell, self._ringer = socket.socketpair()  # rung for that
        self._poll.register(self._bell, select.POLLIN)
        self._home = getcurrent()
        self._is_over = False

    def run(self, first: Callable[[], T]) -> T:
        """Do it, and what it spawns, until it has ended. What is not done by then is left, as by an exception."""
        results = list[T]()
        self.spawn(lambda: results.append(first()))
        try:
            while not results:
                self._turn()
        finally:
            self._is_over = True
            for strand in [*self._deadlines, *(strand for strand, _ in (*self._able, *self._last))]:
                with suppress(Exception):  # whose farewell fails keeps nobody from theirs
                    strand.throw(GreenletExit)
            self._bell.close()
            self._ringer.close()
        return results[0]

    def spawn(self, run: Callable[[], object]) -> None:
        """A strand more. It begins when this one waits."""

        def live(_: int) -> None:
            try:
                run()
            finally:
                if strand.calls:
                    strand.calls.put(None)

        strand = _Strand(live, self._home)
        strand.hub = self
        self._able.append((strand, 0))

    def _turn(self) -> None:
        """Let those go on who can; wait for the first. Who is answered comes before who is late.

        So that what has come while a strand kept us busy, with a receipt of a million people for 4 s, is no silence.
        """
        patience = 0.0 if self._able or self._last else max(0.0, self._next - time.monotonic()) * 1000
        for number, events in self._poll.poll(None if math.isinf(patience) else patience):
            if number in self._sockets:
                self._wake(self._sockets[number], events)
            else:
                self._bell.recv(1)
                self._wake(self._back.get(), 1)
        now = time.monotonic()
        if self._next <= now:
            for strand in [strand for strand, deadline in self._deadlines.items() if deadline <= now]:
                self._wake(strand, 0)
            self._next = min(self._deadlines.values(), default=math.inf)
        if not self._able:
            self._able, self._last = self._last, self._able
        for _ in range(len(self._able)):
            strand, value = self._able.popleft()
            strand.switch(value)

    def _pause(self, strand: _Strand, deadline: float) -> int:
        """Give way until `_wake`; 0 where that came with the deadline (monotonic), or all is over."""
        if self._is_over:
            return 0
        self._deadlines[strand] = deadline
        self._next = min(self._next, deadline)
        value: int = self._home.switch()
        return value

    def _wake(self, strand: _Strand, value: int, *, last: bool = False) -> None:
        if self._deadlines.pop(strand, None) is not None:  # once
            (self._last if last else self._able).append((strand, value))

    def _ready(self, strand: _Strand, sock: socket.socket, events: int, deadline: float) -> int:
        number = sock.fileno()
        self._sockets[number] = strand
        self._poll.register(number, events)
        try:
            return self._pause(strand, deadline)
        finally:
            self._poll.unregister(number)
            del self._sockets[number]

    def _apart(self, strand: _Strand, call: Callable[[], T], whole: bool) -> T:
        results, errors = list[T](), list[BaseException]()

        def run() -> None:
            try:
                results.append(call())
            except BaseException as error:  # noqa: BLE001 (raised where it was called)
                errors.append(error)
            self._back.put(strand)
            with suppress(OSError):  # it is over, and nobody waits for this
                self._ringer.send(b"!")

        if self._is_over:
            raise GreenletExit
        if strand.calls is None:  # a thread a call would cost a mail API a sixth of its speed
            strand.calls = SimpleQueue()
            threading.Thread(target=_make_all, args=(strand.calls,), daemon=True).start()  # a second Ctrl-C leaves it
        strand.calls.put(run)
        try:
            self._pause(strand, math.inf)
        finally:
            while whole and not (results or errors):  # it is over, so that nobody else reads who is back
                self._back.get()
        for error in errors:
            raise error
        return results[0]


def _make_all(calls: "SimpleQueue[Callable[[], None] | None]") -> None:
    while call := calls.get():
        call()


class Mailbox(Generic[T]):
    """What others have for a strand, in order."""

    def __init__(self, hub: Hub, *, last: bool = False) -> None:
        """`last`: its reader lets all others go on first, so that much is in it at once."""
        self._hub, self._items, self._is_last = hub, deque[T](), last
        self._reader: Any = None

    def put(self, item: T) -> None:
        """Add it; who waits for it goes on soon."""
        self._items.append(item)
        if self._reader:
            self._hub._wake(self._reader, 1, last=self._is_last)  # noqa: SLF001

    def get(self, seconds: float = math.inf) -> T:
        """The oldest. Raises queue.Empty where none came in time."""
        if not self._items:
            self._reader = getcurrent()
            self._hub._pause(self._reader, time.monotonic() + seconds)  # noqa: SLF001
            self._reader = None
        if not self._items:
            raise Empty
        return self._items.popleft()

    def rest(self) -> list[T]:
        """What is there by now."""
        found = list(self._items)
        self._items.clear()
        return found
