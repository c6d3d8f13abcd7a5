"""The SQLite ledger once a run is over."""

from .contract_later import LaterContract
from .test_sqlite import folder_with_a_ledger


class TestLater(LaterContract):
    store = staticmethod(folder_with_a_ledger)
