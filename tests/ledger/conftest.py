"""What the tests of the ledgers share."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from alliance_mailer.ledger.sqlite import SqliteLedger, open_ledger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".mailer" / "ledger.db"


@pytest.fixture
def opened() -> Iterator[Callable[..., SqliteLedger]]:
    with ExitStack() as stack:

        def opened(path: Path, **options: bool) -> SqliteLedger:
            ledger = open_ledger(path, **options)
            stack.callback(ledger.close)
            return ledger

        yield opened
