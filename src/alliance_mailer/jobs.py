"""The task queue: procrastinate's jobs, in the ledger's database.

A job names a sending, the ledger knows whom to send it to. A job is harmless to repeat and harmless to lose: it claims
what is due, and where people are due without a job, there are new ones within seconds (worker.py).
"""

import math
from collections.abc import Callable
from typing import Any

from procrastinate import App, PsycopgConnector, SyncPsycopgConnector
from procrastinate.jobs import Status

from .ledger import Sending
from .ledger.database import translated
from .ledger.orders import Orders
from .ledger.postgres import PostgresLedger

SHARES, DISPATCH = "mailer", "mailer-dispatch"  # queues
_PEOPLE = 500  # fewer are not worth another machine's connections
_MOST = 64  # jobs of a sending at once; so many workers can take part in it


ENOUGH = _PEOPLE * _MOST  # people; more make no more jobs


def wanted(people: int) -> int:
    """How many jobs so many people are worth."""
    return min(math.ceil(people / _PEOPLE), _MOST)


def defer_shares(connection: Any, sending: Sending, people: int) -> None:
    """Put a sending's jobs into the queue, in the transaction that the connection is in."""
    task = App(connector=SyncPsycopgConnector()).configure_task("share", queue=SHARES, connection=connection)
    if people:
        task.batch_defer(*[_arguments(sending)] * wanted(people))


def end_dead_leases(ledger: PostgresLedger) -> int:
    """What dead workers had claimed becomes unknown; a job asks about what had an idempotency key. How many rows."""
    with translated("ledger"), ledger.connection.transaction():
        doubts = Orders(ledger).end_dead_leases()
        for sending in doubts:
            defer_shares(ledger.connection, sending, 1)
    return doubts.total()


def _arguments(sending: Sending) -> dict[str, Any]:
    return {"issue": sending.issue, "rehearsal": sending.rehearsal}


class Queue:
    """A worker's side of the queue."""

    def __init__(self, url: str, share: Callable[[Sending], None], dispatch: Callable[[], None] | None) -> None:
        """`share` works on a sending, `dispatch` is called once a minute, on one machine; both in threads."""
        connector = PsycopgConnector(conninfo=url, kwargs={"options": "-c search_path=mailer"}, min_size=1, max_size=4)
        self.app = App(connector=connector, periodic_defaults={"max_delay": 60})

        @self.app.task(name="share", queue=SHARES)
        def _share(issue: str, rehearsal: bool, **_: object) -> None:  # a later version may have more to say
            share(Sending(issue, rehearsal))

        if dispatch:

            @self.app.periodic(cron="* * * * *")
            @self.app.task(name="dispatch", queue=DISPATCH, queueing_lock="dispatch", lock="dispatch")
            def _dispatch(timestamp: int) -> None:
                dispatch()

    async def run(self, queue: str) -> None:
        """Take jobs, one at a time, until this is cancelled: then the one in hand is finished."""
        await self.app.run_worker_async(
            queues=[queue], concurrency=1, delete_jobs="always", install_signal_handlers=False,
            update_heartbeat_interval=5, stalled_worker_timeout=20, fetch_job_polling_interval=1,
        )  # fmt: skip

    async def top_up(self, due: dict[Sending, int]) -> None:
        """See to it that there are jobs for whom is due; forget those of workers that are no more."""
        manager = self.app.job_manager
        for job in await manager.get_stalled_jobs(seconds_since_heartbeat=20):
            await manager.finish_job(job, Status.FAILED, delete_job=True)
        jobs = [job for job in await manager.list_jobs_async(queue=SHARES, task="share") if job.status in _OPEN]
        for sending, people in due.items():
            there = sum(_arguments(sending).items() <= job.task_kwargs.items() for job in jobs)
            missing = wanted(people) - there
            if missing > 0:
                task = self.app.configure_task("share", queue=SHARES)
                await task.batch_defer_async(*[_arguments(sending)] * missing)


_OPEN = (Status.TODO.value, Status.DOING.value)
