"""A publication in order, pulled once for the whole run."""

import pytest

from alliance_mailer.checks import Proof

from .proofs import publication, pulled


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Proof:
    """Its proof. Rules only read."""
    return pulled(publication(tmp_path_factory.mktemp("checks") / "digest"))
