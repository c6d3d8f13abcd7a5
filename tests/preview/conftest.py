"""A publication looked at, and the page served by a real server."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from alliance_mailer.example import copy_example
from alliance_mailer.preview.desk import Desk
from conftest import start

from .served import Served


@pytest.fixture
def desk(project: Path) -> Desk:
    desk = Desk(project, {})
    desk.turn_to("2.6")
    return desk


@pytest.fixture(scope="package")
def served_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served") / "digest"
    copy_example(folder)
    return folder


@pytest.fixture(scope="package")
def served(served_project: Path) -> Iterator[Served]:
    with start("--json", "preview", cwd=served_project) as process:
        yield Served(json.loads(process.stdout.readline())["url"])
        process.terminate()
        process.communicate(timeout=10)
