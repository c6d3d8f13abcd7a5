"""A publication on several machines: each worker has the settings and the secret, and nothing else of it."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from alliance_mailer.example import copy_example
from faults import Took, entries, took

SECRET = {"MAILER_SECRET": "the same on every machine"}


@dataclass
class Machines:
    """`at_home` is the repository; `worker()` starts a process on another machine."""

    folder: Path
    url: str
    settings: str  # of [transports.live]
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.at_home = self.folder / "home"
        copy_example(self.at_home)
        text = (
            (self.at_home / "mailer.toml")
            .read_text()
            .replace("[newsletter]", '[newsletter]\nsecret_env = "MAILER_SECRET"')
        )
        text += (
            f'\n[ledger]\nurl = "{self.url}"\n\n[transports.live]\nuse = "smtp"\nhost = "127.0.0.1"\n{self.settings}\n'
        )
        (self.at_home / "mailer.toml").write_text(text)

    def people(self, count: int) -> None:
        rows = "".join(f"reader{n}@example.org,Reader {n}\n" for n in range(count))
        (self.at_home / "contacts" / "subscribers.csv").write_text(f"email,name\n{rows}")

    def start(self, *argv: str, at: Path | None = None, program: Path | None = None) -> subprocess.Popen[str]:
        """`program`: a folder with another version of it (versions.py)."""
        environ = os.environ | SECRET | ({"PYTHONPATH": str(program)} if program else {})
        process = subprocess.Popen(
            [sys.executable, "-m", "alliance_mailer", *argv], cwd=at or self.at_home, env=environ, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def worker(self, *options: str, program: Path | None = None) -> subprocess.Popen[str]:
        """Its first line was read: it is there."""
        machine = self.folder / f"machine{len(self.processes)}"
        machine.mkdir()
        shutil.copy(self.at_home / "mailer.toml", machine)
        process = self.start("worker", *options, at=machine, program=program)
        assert "worker " in process.stdout.readline()
        return process

    def send(self, *options: str) -> subprocess.Popen[str]:
        return self.start("send", "--issue", "2.6", "--transport", "live", "--yes", *options)

    def run(self, *argv: str, program: Path | None = None) -> tuple[int, str]:
        process = self.start(*argv, program=program)
        out, _ = process.communicate()
        return process.returncode, out

    def status(self) -> dict:
        return self.document("status", "--issue", "2.6")

    def document(self, *argv: str) -> dict:
        return json.loads(self.run("--json", *argv)[1].splitlines()[-1])

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
            process.stdout.close()


@dataclass
class Sink:
    """The fault-injecting server in a process of its own."""

    book: Path
    options: dict

    def __post_init__(self) -> None:
        options = json.dumps({"book": str(self.book), **self.options})
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).parent / "faults.py", options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = int(self._process.stdout.readline())

    @property
    def took(self) -> list[Took]:
        return took(entries(self.book))

    def close(self) -> None:
        self._process.communicate()


def until(holds: Callable[[], object], seconds: float = 30.0) -> None:
    """What another process does is waited for, not slept for."""
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, "it never came"
        time.sleep(0.02)


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Sink]:
    running = Sink(tmp_path / "book.jsonl", {})
    yield running
    running.close()


@pytest.fixture
def machines(tmp_path: Path, server, sink: Sink) -> Iterator[Machines]:
    running = Machines(tmp_path, server.new_database("machines"), f'port = {sink.port}\ntls = "none"\nconnections = 3')
    yield running
    running.close()
