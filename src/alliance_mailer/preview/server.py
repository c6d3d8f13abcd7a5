"""The server of the page, on this machine: one page, its frames and pictures, a stream of changes, a test to send."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qsl, quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from ..errors import MailerError
from .desk import Desk
from .frame import POLICY
from .page import frame, render_page, render_people, subject_of
from .view import View, read_view
from .watch import changes

_FILES = {name: Path(__file__).with_name(name) for name in
          ("page.css", "page.js", "frames.js", "dialogs.js", "icon.svg")}  # fmt: skip
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

# A mistake is told when nothing has followed for so long (seconds): an editor that empties a file before it writes it,
# or moves it away before it puts the new one in place, is no reason to be alarmed.
_PATIENCE = 0.08

# And the checks begin when the page has had the time (seconds) to show the message.
_BREATH = 0.15


@dataclass(frozen=True, slots=True)
class Tests:
    """How a test goes out: what it goes through (a name and its banner, by issue), and the sending itself."""

    banners: Callable[[str], Mapping[str, str]]
    send: Callable[[View, str, str], tuple[bool, str]]  # view, to, transport: whether it went, and the words


class Preview:
    """The application. Everything below it is a function of the desk and the view."""

    def __init__(self, desk: Desk, tests: Tests | None) -> None:
        """Without `tests`, somebody on the network looks, and can send nothing."""
        self._desk, self._tests = desk, tests
        self._changed = asyncio.Condition()
        self.stop = asyncio.Event()

    def app(self) -> Starlette:
        """The routes."""
        routes = [
            Route("/", self._page),
            Route("/frame", self._frame),
            Route("/picture", self._picture),
            Route("/part", self._part),
            Route("/people", self._people),
            Route("/events", self._events),
            Route("/rebuild", self._rebuild, methods=["POST"]),
            Route("/send", self._send, methods=["POST"]),
            *(Route(f"/{name}", self._file) for name in _FILES),
        ]
        return Starlette(routes=routes, lifespan=self._lifespan, exception_handlers={MailerError: self._wrong})

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        watching = asyncio.create_task(self._watch())
        yield
        await self.end()
        await watching

    async def end(self) -> None:
        """Let go of everybody who waits."""
        self.stop.set()
        async with self._changed:
            self._changed.notify_all()

    async def _watch(self) -> None:
        following: asyncio.Task[None] | None = None
        try:
            async for _ in changes(self._desk.project, self.stop):
                if following:
                    following.cancel()
                good = await run_in_threadpool(self._desk.refresh)
                following = asyncio.create_task(self._follow(0 if good else _PATIENCE))
        except (OSError, RuntimeError) as error:  # the system's limit of watched files, mostly
            print(f"warning: the files cannot be watched ({error}); press R on the page after a save", file=sys.stderr)

    async def _follow(self, delay: float = 0) -> None:
        """Show what has changed; and when that is on the page, what the checks say of it."""
        await asyncio.sleep(delay)
        await self._publish()
        await asyncio.sleep(_BREATH)
        if await run_in_threadpool(self._desk.check):
            await self._publish()

    async def _publish(self) -> None:
        async with self._changed:
            self._desk.publish()
            self._changed.notify_all()

    def _view(self, request: Request) -> View:
        view = read_view(request.query_params)
        return view if view.issue else replace(view, issue=self._desk.newest())

    async def _page(self, request: Request) -> Response:
        def none(_: str) -> Mapping[str, str]:
            return {}

        banners = self._tests.banners if self._tests else none
        page = await run_in_threadpool(render_page, self._desk, self._view(request), banners)
        return Response(page, media_type="text/html")

    async def _wrong(self, _: Request, error: Exception) -> Response:
        """There is no issue at all, for instance."""
        assert isinstance(error, MailerError)
        return PlainTextResponse(f"{error}\n\nTry: {error.hint}" if error.hint else str(error), 404)

    async def _frame(self, request: Request) -> Response:
        view = self._view(request)
        subject, *_ = await run_in_threadpool(subject_of, self._desk, view)
        if subject is None:
            return PlainTextResponse("this issue cannot be shown", 404)
        page = await run_in_threadpool(frame, subject, view)
        policy = POLICY.format(remote=" https: http:" if view.img == "remote" else "")
        return Response(page.html, media_type="text/html", headers={"Content-Security-Policy": policy})

    async def _picture(self, request: Request) -> Response:
        """A picture of an issue, by the name that derives from its content: no path is ever made from a request."""
        look = await run_in_threadpool(self._desk.look, request.query_params.get("issue", ""))
        pictures = look.loaded.issue.pictures.values() if look.loaded else ()
        found = next((each for each in pictures if each.name == request.query_params.get("name")), None)
        if found is None:
            return PlainTextResponse("no such picture", 404)
        forever = {"Cache-Control": "private, max-age=31536000, immutable"}
        return Response(found.data, media_type=f"image/{found.subtype}", headers=forever)

    async def _part(self, request: Request) -> Response:
        """The message's parts as text, to copy; or the whole as a file."""
        view = self._view(request)
        subject, *_ = await run_in_threadpool(subject_of, self._desk, view)
        if subject is None:
            return PlainTextResponse("this issue cannot be shown", 404)
        mail = subject.mail
        if request.query_params.get("part") == "eml":
            name = quote(f"{view.issue}.eml")
            headers = {"Content-Disposition": f"attachment; filename*=utf-8''{name}"}
            return Response(mail.raw, media_type="message/rfc822", headers=headers)
        parts = {"html": mail.html, "text": mail.text}
        return PlainTextResponse(parts.get(request.query_params.get("part", ""), mail.raw.decode("utf-8", "replace")))

    async def _people(self, request: Request) -> Response:
        words = request.query_params.get("q", "")[:100]
        found = await run_in_threadpool(render_people, self._desk, self._view(request), words)
        return Response(found, media_type="text/html")

    async def _events(self, request: Request) -> Response:
        """Server-sent events, at once and after each change: its number, and what is looked at, of which edition."""

        async def stream() -> AsyncIterator[str]:
            sent = -1
            yield "retry: 500\n\n"
            while not self.stop.is_set():
                if sent != self._desk.version:
                    sent = self._desk.version
                    yield f"data: {sent} {self._desk.looked_at()}\n\n"
                async with self._changed:
                    if sent == self._desk.version and not self.stop.is_set():
                        await self._changed.wait()

        return StreamingResponse(stream(), media_type="text/event-stream")

    async def _rebuild(self, _: Request) -> Response:
        await run_in_threadpool(self._desk.refresh)
        await self._publish()
        if await run_in_threadpool(self._desk.check):
            await self._publish()
        return Response(status_code=204)

    async def _send(self, request: Request) -> Response:
        if not self._tests:
            return JSONResponse({"good": False, "words": "only on the machine itself"}, 403)
        said = dict(parse_qsl((await request.body())[:4096].decode("utf-8", "replace")))
        view = read_view({"issue": said.get("issue", ""), "to": said.get("as", "")})
        try:
            good, words = await run_in_threadpool(self._tests.send, view, said.get("to", ""), said.get("transport", ""))
        except MailerError as error:
            good, words = False, " ".join(filter(None, (str(error), error.hint and f"Try: {error.hint}")))
        return JSONResponse({"good": good, "words": words})

    async def _file(self, request: Request) -> Response:
        file = _FILES[request.url.path.rpartition("/")[2]]
        return Response(file.read_bytes(), media_type=_TYPES[file.suffix])
