"""The scenes of benchmarks/smtp.py: where the mail goes, and who sends it there."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import far_side
from contestants import CONTESTANTS, NO_TLS, Job

ALL = tuple(CONTESTANTS)


@dataclass(frozen=True)
class Scene:
    """Where the mail goes, and who sends it there."""

    words: str
    serve: Callable[[Path], contextlib.AbstractContextManager[Job]]
    contestants: tuple[str, ...]
    connections: tuple[int, ...]
    rough: dict[str, float]  # messages a second, only to choose how many each sends
    a_connection: bool = False  # whether `rough` is of one connection
    messages: int = 20_000  # at most


@contextlib.contextmanager
def _loopback(_: Path) -> Iterator[Job]:
    with far_side.smtp_sink() as port:
        yield Job(port, 0, 0)


@contextlib.contextmanager
def _far_away(_: Path) -> Iterator[Job]:
    with far_side.smtp_sink() as port, far_side.delayed(port, 20) as near:
        yield Job(near, 0, 0)


@contextlib.contextmanager
def _relay(folder: Path) -> Iterator[Job]:
    with far_side.postfix(folder) as port:
        yield Job(port, 0, 0)


@contextlib.contextmanager
def _tls(folder: Path) -> Iterator[Job]:
    with far_side.smtp_sink() as port, far_side.tls(port, folder) as (near, ca_file):
        yield Job(near, 0, 0, ca_file)


@contextlib.contextmanager
def _window(_: Path) -> Iterator[Job]:
    with far_side.own_sink() as port, far_side.delayed(port, 20) as near:
        yield Job(near, 0, 0, window=8)


SCENES = {
    "loopback": Scene(
        "smtp-sink, loopback",
        _loopback,
        ALL,
        (1, 5, 10),
        {"ours": 3000, "smtp-source": 3000, "nodemailer": 350, "aiosmtplib": 150, "smtplib": 130, "mailmerge": 60},
    ),
    "delay": Scene(
        "smtp-sink, round trip of 20 ms",
        _far_away,
        ALL,
        (1, 5, 10),
        {"ours": 46, "smtp-source": 12, "nodemailer": 20, "aiosmtplib": 10, "smtplib": 11, "mailmerge": 5},
        a_connection=True,
    ),
    "window": Scene(
        "a sink with CHUNKING, round trip of 20 ms; ours with a BDAT window of 8",
        _window,
        ("ours", "smtp-source"),
        (1, 10),
        {"ours": 330, "smtp-source": 12},
        a_connection=True,
    ),
    "postfix": Scene(
        "a Postfix relay that keeps its queue on disk",
        _relay,
        ("ours", "smtp-source", "nodemailer"),
        (1, 5, 10),
        {"ours": 700, "smtp-source": 700, "nodemailer": 220},
        messages=10_000,
    ),
    "tls": Scene(
        "smtp-sink behind stunnel, implicit TLS",
        _tls,
        tuple(name for name in ALL if name not in NO_TLS),
        (1, 10),
        {"ours": 2000, "nodemailer": 300, "aiosmtplib": 120, "smtplib": 20},
        messages=10_000,
    ),
}
