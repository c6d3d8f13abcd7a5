"""A real browser, driven over its DevTools pipe: no driver to install, no port to open, nothing fetched."""

import base64
import fcntl
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from ..errors import TryLater, UsageError

FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--font-render-hinting=none",
    "--force-color-profile=srgb",
    "--remote-debugging-pipe",
    "about:blank",
)

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


class Chromium:
    """One browser with one page: `show` a file, then ask it or photograph it."""

    def __init__(self, profile: Path, environ: Mapping[str, str] | None = None) -> None:
        """Start with an empty profile. Raises UsageError, which says what to install, where there is no Chromium."""
        binary = next(filter(None, map(shutil.which, _NAMES)), None)
        if binary is None:
            hint = "apt-get install chromium, or what your system calls it"
            raise UsageError("a picture needs Chromium or Chrome, and there is none here", hint=hint)
        alone = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses root a sandbox
        # It reads commands from descriptor 3 and answers on 4; the copies above 10 keep dup2 from crossing them.
        theirs, ours = os.pipe()
        self._commands = os.fdopen(ours, "wb", buffering=0)
        answers, replies = os.pipe()
        self._answers = os.fdopen(answers, "rb")
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (theirs, replies)]
        quiet = os.open(os.devnull, os.O_RDWR)
        self._pid = os.posix_spawn(
            binary,
            [binary, f"--user-data-dir={profile}", *alone, *FLAGS],
            {**os.environ, **(environ or {})},
            file_actions=[
                *((os.POSIX_SPAWN_DUP2, quiet, stream) for stream in (0, 1, 2)),
                (os.POSIX_SPAWN_DUP2, ends[0], 3),
                (os.POSIX_SPAWN_DUP2, ends[1], 4),
            ],
            setpgroup=0,
        )
        for descriptor in (theirs, replies, *ends, quiet):
            os.close(descriptor)
        self._asked = 0
        self._session: str | None = None
        page = next(t for t in self.ask("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self._session = self.ask("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        self.ask("Page.enable")
        self.ask("Network.enable")
        self.ask("Network.setBlockedURLs", urls=["http://*", "https://*"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session = None
        self.ask("Browser.close")  # asked, it puts its folder in the system's temporary one away; killed, it does not
        os.waitpid(self._pid, 0)
        self._commands.close()
        self._answers.close()

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command of the DevTools protocol and return its result."""
        self._asked += 1
        command = {"id": self._asked, "method": method, "params": params}
        if self._session:
            command["sessionId"] = self._session
        self._commands.write(json.dumps(command).encode() + b"\0")
        while (answer := self._read()).get("id") != self._asked:
            pass
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def _read(self) -> dict[str, Any]:
        data = bytearray()
        while (byte := self._answers.read(1)) != b"\0":
            if not byte:
                raise TryLater("Chromium has ended before it was done")
            data += byte
        answer: dict[str, Any] = json.loads(data)
        return answer

    def show(self, file: Path, *, width: int = 900, dark: bool = False, scale: float = 1) -> None:
        """Open a file in a window of that width, in the light or the dark scheme, and wait until it is loaded."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=scale, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.ask("Page.navigate", url=file.resolve().as_uri())
        while self._read().get("method") != "Page.loadEventFired":
            pass

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def photograph(self, *, height: int | None = None) -> bytes:
        """The page as PNG: all of it, or its top."""
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": height or size["height"], "scale": 1}
        answer = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(answer["data"])
