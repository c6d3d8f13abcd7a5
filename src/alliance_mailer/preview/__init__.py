"""The local page that shows an issue as readers get it, and follows its files. `mailer preview`.

view      what the page's address asks for         desk     the publication in memory, compiled when a file changes
people    whom a message can be shown to           mail     a message's bytes, taken apart as a mail program does
frame     the message's HTML for the frame         page     everything around it (page.html.j2, page.css, page.js)
server    the routes                               guard    who may ask
watch     notices what is saved                    sheet    the same as files, and as pictures
"""

import asyncio
import contextlib
import secrets
import signal
import socket
import sys
import webbrowser
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from ..config import load_config
from ..errors import TryLater, UsageError
from ..load import load
from ..message import Verdict
from ..report import Report
from ..send_test import banner, try_out
from .desk import Desk
from .guard import Guard
from .people import find
from .server import Preview, Tests
from .view import View

if TYPE_CHECKING:
    from starlette.applications import Starlette

_PORTS = range(8480, 8580)  # not 8025 or 1025, where another well-known tool for mail listens
_LOOPBACK = "127.0.0.1"


def show(
    project: Path,
    report: Report,
    number: str | None,
    *,
    host: str | None,
    browse: bool,
    environ: Mapping[str, str],
    ask: Callable[[str], bool],
) -> None:
    """Serve the page until somebody says that it is enough (Ctrl-C).

    Raises InputError for an issue that is not there, UsageError for a `host` that is not wanted or not ours, TryLater
    where no port is free.
    """
    desk = Desk(project, environ)
    desk.file(number or desk.newest())
    desk.turn_to(number or desk.newest())
    desk.refresh()  # what this imports takes half a second, once
    desk.refresh()
    desk.check()
    if host and not ask(f"Whoever is on the network of {host} and has the address can read the issues and the lists."):
        raise UsageError("not opened to the network", hint="mailer preview, for this machine alone")
    listener = _listen(host or _LOOPBACK)
    port = listener.getsockname()[1]
    named = _own_address() if host in ("0.0.0.0", "::") else host or _LOOPBACK  # noqa: S104 (asked above)
    named = f"[{named}]" if ":" in named else named
    names = [named, *(() if host else ("localhost",))]
    token = secrets.token_urlsafe(16)
    preview = Preview(desk, None if host else _tests(project))
    url = f"http://{named}:{port}/{token}/{View(issue=number).url() if number else ''}"

    def ready() -> None:
        report.say(f"{url}\n\n  The page follows the files as they are saved. Ctrl-C ends it.")
        if host:
            _print_code(report, url)
        report.document({"url": url})
        if browse:
            webbrowser.open(url)

    app = Guard(preview.app(), token, [f"{name}:{port}" for name in names])
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(app, preview, listener, ready))


async def _serve(
    app: "Guard | Starlette", preview: Preview, listener: socket.socket, ready: Callable[[], None]
) -> None:
    loop = asyncio.get_running_loop()

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            # Pages that wait for a change would be waited for.
            loop.call_soon_threadsafe(lambda: loop.create_task(preview.end()))
            super().handle_exit(signal.SIGINT if sig == signal.SIGTERM else sig, frame)

    settings = uvicorn.Config(app, log_level="error", access_log=False, lifespan="on", timeout_graceful_shutdown=1,
                              server_header=False, date_header=False)  # fmt: skip
    await Server(settings).serve([listener])


def _listen(host: str) -> socket.socket:
    """A socket on the next free port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in _PORTS:
        # The protocol is named: asyncio asks for it before it sets TCP_NODELAY; without that, a frame is 40 ms late.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen()
        except OSError as error:
            listener.close()
            if error.errno not in (98, 48):  # in use, on Linux and on macOS
                hint = "an address of this machine, or 0.0.0.0"
                raise UsageError(f"--host {host}: {error.strerror}", hint=hint) from None
        else:
            return listener
    raise TryLater(f"no port is free between {_PORTS[0]} and {_PORTS[-1]}", hint="end a preview that you need no more")


def _own_address() -> str:
    """The address by which the network knows this machine: where a packet to elsewhere would leave. None is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # RFC 5737: nobody's
        except OSError:
            return _LOOPBACK
        return str(probe.getsockname()[0])


def _print_code(report: Report, url: str) -> None:
    import segno

    code = segno.make(url, error="l", micro=False)
    if not report.as_json and sys.stdout.isatty():
        code.terminal(compact=True)


def _tests(project: Path) -> Tests:
    """How the page sends a test: as `mailer test` does."""

    def banners(number: str) -> dict[str, str]:
        config = load_config(project)
        return {name: banner(config, number, name) for name in config.transports}

    def send(view: View, to: str, transport: str) -> tuple[bool, str]:
        config = load_config(project)
        loaded = load(project, config, view.issue, mark="[TEST] ")
        reader = find(view.to, loaded.edition, project / "contacts", loaded.issue.audience)[0].contact
        tested = try_out(project, config, loaded.edition, to, reader, transport or None)
        return tested.outcome.verdict is Verdict.ACCEPTED, str(tested)

    return Tests(banners, send)
