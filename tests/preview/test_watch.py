"""Saves are noticed, however an editor saves; what is nobody's business is not."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from alliance_mailer.preview.watch import changes, is_ours


@pytest.mark.parametrize(
    "path",
    [
        "issues/2.6.md",
        "issues/2.7/hero.jpg",
        "templates/digest/part/x.mjml.j2",
        "contacts/a.csv",
        "mailer.toml",
        "sends/2.6.json",
    ],
)
def test_what_can_be_seen_is_ours(path):
    assert is_ours(Path("/p"), f"/p/{path}")


@pytest.mark.parametrize(
    "path", ["issues/.2.6.md.swp", "issues/2.6.md~", "issues/4913", "issues/.#2.6.md", "issues/#2.6.md#", "templates/x___jb_tmp___",
             "outbox/1.eml", ".mailer/ledger.db", "README.md", "issues/.0123.part", ""]
)  # fmt: skip
def test_what_cannot_is_not(path):
    assert not is_ours(Path("/p"), f"/p/{path}".rstrip("/"))


def rewrite(path: Path) -> None:
    path.write_text(path.read_text() + "\n")


def rename_over(path: Path) -> None:
    fresh = path.with_name(f".{path.name}.tmp")
    fresh.write_text(path.read_text() + "\n")
    fresh.replace(path)


def move_away_and_write_anew(path: Path) -> None:
    text = path.read_text()
    path.rename(path.with_name(path.name + "~"))
    path.write_text(text + "\n")


async def noticed(project: Path, *saves: Callable[[], None]) -> list[int]:
    """Saves one after the other, each once the one before is noticed. How often each had to be saved for that."""
    stop, seen = asyncio.Event(), asyncio.Event()

    async def watch() -> None:
        async for _ in changes(project, stop):
            seen.set()

    watching, times = asyncio.create_task(watch()), [0] * len(saves)
    await asyncio.sleep(0.2)  # the watcher takes a moment to begin; a save that it misses is repeated
    for place, save in enumerate(saves):
        while not seen.is_set():
            save()
            times[place] += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(seen.wait(), 2)
        while seen.is_set():  # a save can be several changes
            seen.clear()
            await asyncio.sleep(0.1)
    stop.set()
    await asyncio.wait_for(watching, 10)
    return times


@pytest.mark.parametrize(
    "file", ["issues/2.6.md", "templates/digest/inline.css", "contacts/subscribers.csv", "mailer.toml"]
)
def test_every_way_of_saving_is_noticed_again_and_again(project, file):
    ways = (rewrite, rename_over, move_away_and_write_anew, rename_over, rewrite)
    saves = [lambda way=way: way(project / file) for way in ways]
    assert asyncio.run(asyncio.wait_for(noticed(project, *saves), 30))[1:] == [1, 1, 1, 1]


def test_a_folder_that_is_made_later_is_watched_from_then_on(project):
    def make() -> None:
        (project / "sends").mkdir(exist_ok=True)
        (project / "sends" / "2.6.json").write_text("{}")

    saves = make, lambda: rename_over(project / "sends" / "2.6.json")
    made, later = asyncio.run(asyncio.wait_for(noticed(project, *saves), 30))
    assert made == 1
    assert later <= 2  # the first may fall between two watchers
