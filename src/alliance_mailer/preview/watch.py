"""Notices what is saved: issues with their pictures, templates, lists, settings, receipts. By renaming, too."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

from watchfiles import Change, awatch

from ..config import FILE

FOLDERS = ("issues", "templates", "contacts", "sends")

# The watcher looks this often for what the system has told it (ms): its own 50 would be a third of the whole way.
_STEP = 10
_MOST = 200  # ms; a file that is written all the time is shown that often

# An editor's own: swap files, locks, vim's trial file, our unfinished ones.
_OTHERS = re.compile(r"(^\.|~$|\.sw.$|\.part$|^4913$|___jb_|^#.*#$)")


def is_ours(project: Path, path: str) -> bool:
    """Whether a change of this file can be seen in a message or on the page."""
    name = Path(path).name
    if _OTHERS.search(name):
        return False
    inside = Path(path).relative_to(project).parts
    return bool(inside) and (inside[0] in FOLDERS or inside == (FILE,))


async def changes(project: Path, stop: asyncio.Event) -> AsyncIterator[None]:
    """Comes up after each change, until `stop`. Raises what the system raises, for instance when it watches no more.

    The project's own folder is watched without what is below (a repository, an outbox of thousands of files), and each
    of `FOLDERS` with all; one that is made later is watched from then on.
    """
    queue: asyncio.Queue[Literal["change", "end"]] = asyncio.Queue()

    async def watch(*paths: Path, recursive: bool, until: asyncio.Event) -> None:
        def ours(_: Change, path: str) -> bool:
            return is_ours(project, path)

        try:
            async for _ in awatch(
                *paths, watch_filter=ours, step=_STEP, debounce=_MOST, recursive=recursive, stop_event=until
            ):
                await queue.put("change")
        finally:
            await queue.put("end")

    def there() -> set[Path]:
        return {project / name for name in FOLDERS if (project / name).is_dir()}

    while not stop.is_set():
        folders, until = there(), asyncio.Event()
        watchers = [asyncio.create_task(watch(project, recursive=False, until=until))]
        if folders:
            watchers.append(asyncio.create_task(watch(*folders, recursive=True, until=until)))
        stopping = asyncio.create_task(_pass_on(stop, until))
        try:
            while await queue.get() == "change":
                yield
                if folders != there():
                    break
        finally:
            until.set()
            stopping.cancel()
            ends = await asyncio.gather(*watchers, return_exceptions=True)
            queue = asyncio.Queue()
        for end in ends:
            if isinstance(end, Exception):
                raise end


async def _pass_on(stop: asyncio.Event, until: asyncio.Event) -> None:
    await stop.wait()
    until.set()
