"""The example, word for word: whatever changes in it is looked at. `make golden` writes it anew; the diff is the review."""

import os
from pathlib import Path

import pytest

from alliance_mailer.build import build_files
from alliance_mailer.edition import Edition
from alliance_mailer.issue import load_issue

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", ["message.html", "message.txt", "message.eml"])
def test_the_example_is_what_it_was(name: str, project: Path, edition: Edition) -> None:
    files, _ = build_files(load_issue(project, "2.6"), edition)
    golden = GOLDEN / name
    if os.environ.get("GOLDEN") == "write":
        golden.parent.mkdir(exist_ok=True)
        golden.write_bytes(files[name])
    assert files[name] == golden.read_bytes(), (
        f"{name} has changed; if that is meant: make golden, and look at the diff"
    )
