"""What `mailer worker` does: work on sendings together with any number of other machines, until it is told to stop.

It needs mailer.toml and the secrets, not the repository: people, suppressions and compiled editions are in the ledger.
"""

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import psycopg
from procrastinate.exceptions import ConnectorException

from .config import Config
from .deliver import Later, deliver
from .edition import Edition
from .errors import ConfigError, MailerError, TransportRefused, TryLater
from .interrupt import stop_signals
from .jobs import DISPATCH, ENOUGH, SHARES, Queue, end_dead_leases
from .ledger import KeyedRequest, Ledger, Sending
from .ledger.database import check_queue
from .ledger.leased import LeasedLedger, worker_name
from .ledger.orders import SHARE, Order, Orders
from .ledger.postgres import open_ledger
from .message import Outcome
from .pace import DAY, Brake, Pace, heard_before
from .report import Report
from .run import addressed_by, banner, in_doubt, keyed_by, now
from .signing import fingerprint, signing_key
from .stored import read_edition
from .transports import Transport, connect

_TEND = 2.0  # seconds between looks for dead leases, and for people without a job
_WAIT = 10.0  # seconds that a job waits for a rate; longer, and others have their turn
_AGAIN = 1.0  # seconds between attempts to reach the database


class Worker:
    """One process: one job at a time, over so many connections."""

    def __init__(
        self, project: Path, config: Config, report: Report, url: str, connections: int | None, *, dispatch: bool
    ) -> None:
        """`dispatch`: once a minute one of the workers that have it runs `mailer dispatch`, with the repository."""
        self._project, self._config, self._report, self._url = project, config, report, url
        self._connections = connections
        self._dispatch = dispatch
        self._dispatching: subprocess.Popen[bytes] | None = None
        self._editions: dict[str, Edition] = {}
        self._stopping = False
        self._failed: MailerError | None = None
        self.outcomes: Counter[str] = Counter()  # since it began, by verdict
        self.began = time.monotonic()

    def run(self) -> int:
        """Until it is told to stop: what is on the wires is finished. Raises ConfigError where it cannot work here."""
        for name in ("procrastinate", "psycopg"):  # what concerns a person is said below
            logging.getLogger(name).setLevel(logging.CRITICAL)
        with contextlib.closing(open_ledger(self._url)) as ledger:
            check_queue(ledger.connection)
        self._report.say(f"worker {worker_name()} at {self._url}; Ctrl-C finishes what is on the wires")
        asyncio.run(self._work())
        if self._failed:
            raise self._failed
        return 0

    # The process -----------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._loop = loop
        for number in stop_signals():
            loop.add_signal_handler(number, self._ask_to_stop, number)
        while not self._stopping:
            queue = Queue(self._url, self._share, self._dispatched if self._dispatch else None)
            try:
                async with queue.app.open_async():
                    await self._until_stopped(queue)
            except (ConnectorException, psycopg.OperationalError, TryLater) as error:
                self._report.warn(f"the database cannot be reached: {error.__cause__ or error}; trying again")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), _AGAIN)

    def _ask_to_stop(self, number: int) -> None:
        if self._stopping and number == signal.SIGHUP:  # of a closed terminal kernel and shell both tell
            return
        if self._stopping:
            os._exit(130)
        self._stopping = True
        self._stop.set()
        if self._dispatching:
            self._dispatching.terminate()  # it only follows what the workers do
        self._report.say("finishing what is on the wires; once more aborts at once")

    def _give_up(self, error: MailerError) -> None:
        """It cannot work on this machine: said once, with its exit code."""
        self._failed = self._failed or error
        self._stopping = True
        self._loop.call_soon_threadsafe(self._stop.set)

    async def _until_stopped(self, queue: Queue) -> None:
        """Raises what ends one of the tasks."""
        queues = [SHARES, *([DISPATCH] if self._dispatch else [])]
        tasks = [asyncio.create_task(queue.run(name)) for name in queues]
        tasks += [asyncio.create_task(self._tend(queue)), asyncio.create_task(self._stop.wait())]  # type: ignore[arg-type]
        done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for task in done:
            task.result()

    async def _tend(self, queue: Queue) -> None:
        """End dead leases, and see to it that there is a job for whom is due. Every worker does; twice is as good."""
        while True:
            await queue.top_up(await asyncio.to_thread(self._look))
            await asyncio.sleep(_TEND)

    def _look(self) -> dict[Sending, int]:
        with contextlib.closing(open_ledger(self._url)) as ledger:
            if doubt := end_dead_leases(ledger):
                self._report.warn(f"a worker is gone; {doubt} messages that it had claimed are unknown now")
            return dict(Orders(ledger).open(enough=ENOUGH))

    def _dispatched(self) -> None:
        """In a process of its own, as cron does; it says what there is to say."""
        self._dispatching = subprocess.Popen(  # noqa: S603 (ourselves)
            [sys.executable, "-m", "alliance_mailer", "--project", self._project, "dispatch"], stdin=subprocess.DEVNULL
        )
        if self._stopping:
            self._dispatching.terminate()
        self._dispatching.wait()

    # A job -----------------------------------------------------------------------------------------------------------

    def _share(self, sending: Sending) -> None:
        """Work on a sending. Nothing that goes wrong is the job's: the ledger has it all, and there are more jobs."""
        try:
            if not self._stopping:
                self._take_part(sending)
        except ConfigError as error:
            self._give_up(error)
        except TryLater as error:
            self._report.warn(f"issue {sending.issue}: {error}")
        except Exception as error:  # noqa: BLE001 (a mistake of ours; what was claimed is in doubt once the lease ends)
            self._give_up(MailerError(f"a mistake of the program itself: {type(error).__name__}: {error}"))

    def _take_part(self, sending: Sending) -> None:
        with contextlib.closing(open_ledger(self._url)) as ledger:
            orders = Orders(ledger)
            order, due = orders.of(sending), ledger.next_due(sending)
            if order is None or order.stopped:
                return
            chosen = self._config.transport(None if order.transport == "default" else order.transport)
            key, edition = self._key(order), self._edition(orders, order)

            def doubts(book: Ledger) -> list[KeyedRequest]:
                return in_doubt(self._project, self._config, chosen, book, sending, edition, now())

            if (due is None or due > now()) and not doubts(ledger):
                return
            name = banner(chosen, sending.issue)
            connections = self._connections or chosen.connections

            def opened() -> Transport:
                return connect(
                    chosen.use, chosen.options, project=self._project, issue=sending.issue, environ=os.environ
                )

            leased = LeasedLedger(self._url, sending, connections)
            with contextlib.closing(leased):
                pace = Pace(
                    name, chosen.rate, chosen.domain_rate, leased.spent_since(name, int(now().timestamp()) - DAY)
                )
                if not pace.is_free:
                    leased.share_rate(pace.room_beside)
                self._say(sending, "begins")
                before = heard_before(ledger, sending, ledger.tally(sending))
                try:
                    later = deliver(
                        leased, sending, opened, addressed_by(self._config, edition, key), connections=connections,
                        policy=replace(self._config.delivery, wait=_WAIT), pace=pace,
                        brake=Brake(self._config.delivery.brake, before), now=now,
                        stopped=lambda: self._stopping or bool(leased.stopped) or not leased.is_ours,
                        settled=self._count, limit=SHARE, is_ours=lambda: leased.is_ours,
                        keyed=keyed_by(self._config, chosen, sending, edition, key), repeats=doubts(leased),
                    )  # fmt: skip
                except TransportRefused as refusal:
                    if orders.stop(sending, f"{refusal} ({worker_name()})"):
                        self._report.error(refusal)
                    return
            self._wait(orders, sending, later)
            self._say(sending, "has nothing left to do" if not self._stopping else "goes on elsewhere")

    def _wait(self, orders: Orders, sending: Sending, later: Later | None) -> None:
        if later and later.at.timestamp() - now().timestamp() > _WAIT and "rate" in later.reason:
            orders.wait_until(sending, later.at.timestamp())

    def _count(self, outcome: Outcome) -> None:
        self.outcomes[outcome.verdict] += 1

    def _say(self, sending: Sending, what: str) -> None:
        counts = ", ".join(f"{count} {verdict}" for verdict, count in self.outcomes.items()) or "nothing yet"
        self._report.say(f"{now():%H:%M:%S} issue {sending.issue} {what}; here since the start: {counts}")

    def _key(self, order: Order) -> bytes:
        secret_env, file = self._config.secret_env, self._project / ".mailer" / "key"
        if not secret_env and not file.exists():
            hint = '[newsletter] secret_env = "MAILER_SECRET", the same on every machine; or copy .mailer/key'
            raise ConfigError("this machine has no key to sign unsubscribe links with", hint=hint)
        key = signing_key(self._project, secret_env, os.environ)
        if fingerprint(key) != order.signer:
            hint = f"the same {secret_env or '.mailer/key'} on every machine: links and Message-IDs come from it"
            raise ConfigError(f"issue {order.issue} was planned with another key than this machine has", hint=hint)
        return key

    def _edition(self, orders: Orders, order: Order) -> Edition:
        if order.content not in self._editions:
            try:
                edition = read_edition(orders.content(order.content))
            except ValueError as error:
                raise ConfigError(str(error), hint="upgrade this machine's mailer") from None
            self._editions = {order.content: edition}
        return self._editions[order.content]
