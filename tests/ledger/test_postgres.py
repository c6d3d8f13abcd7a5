"""The ledger in PostgreSQL: the contract, and what only a server can suffer."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import current_thread, main_thread
from typing import ClassVar

import pytest

from alliance_mailer.ledger.postgres import PostgresLedger, open_ledger
from database import emptied

from .contract import LedgerContract, Open
from .machine import LedgerMachine

URL: ClassVar[str]


@pytest.fixture(scope="module", autouse=True)
def database(shared_url: str) -> None:
    global URL  # noqa: PLW0603 (hypothesis' machines take no fixtures)
    URL = shared_url


@contextmanager
def empty_database() -> Iterator[Open]:
    emptied(URL)
    with ExitStack() as opened:

        def connect() -> PostgresLedger:
            ledger = open_ledger(URL)
            if current_thread() is main_thread():  # another closes its own
                opened.callback(ledger.close)
            return ledger

        yield connect


class TestContract(LedgerContract):
    store = staticmethod(empty_database)


class Machine(LedgerMachine):
    store = staticmethod(empty_database)


TestMachine = Machine.TestCase
TestMachine.settings = LedgerMachine.TestCase.settings
