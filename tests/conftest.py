"""What the tests share: a publication in a folder of its own, the command line, a mail server that records."""

import asyncio
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

import hypothesis
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from alliance_mailer import cli
from alliance_mailer.edition import Edition, compile_edition
from alliance_mailer.example import copy_example
from alliance_mailer.issue import load_issue
from alliance_mailer.publication import Publication
from alliance_mailer.render import render

pytest_plugins = ["database", "machines"]

hypothesis.settings.register_profile("ci", max_examples=200, deadline=None, derandomize=True)
hypothesis.settings.register_profile("dev", max_examples=50, deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The example publication in a folder of its own, which is the current one."""
    folder = tmp_path / "digest"
    copy_example(folder)
    monkeypatch.chdir(folder)
    return folder


@dataclass(frozen=True)
class Result:
    """What a command left."""

    code: int
    out: str
    err: str


@pytest.fixture
def mailer(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run a command line in this process: mailer("send", "--issue", "2.6")."""

    def run(*argv: str) -> Result:
        capsys.readouterr()
        code = cli.run(list(argv))
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


def start(*argv: str, **options: object) -> subprocess.Popen[str]:
    """Run a command line in a process of its own, which can be killed."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-m", "alliance_mailer", *argv], text=True, **{**pipes, **options})


def change(path: Path, old: str, new: str) -> None:
    """Edit a file, as a person does."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.fixture
def small_disk() -> Callable[[int], AbstractContextManager[None]]:
    """Within it no file can grow above so many bytes: a full disk that needs no root."""

    @contextmanager
    def small_disk(size: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return small_disk


PUBLICATION = Publication(
    name="US-Japan Alliance Digest",
    sender_name="US-Japan Alliance Digest",
    sender="digest@example.org",
    organisation="Alliance Studies Institute",
    postal_address="1000 Example Street NW, Suite 300, Washington, DC 20036",
    unsubscribe_mailto="unsubscribe@example.org",
    list_id="us-japan-alliance-digest.example.org",
    timezone=ZoneInfo("America/New_York"),
)


@pytest.fixture
def publication() -> Publication:
    """The example's publication."""
    return PUBLICATION


@pytest.fixture(scope="session")
def edition(tmp_path_factory: pytest.TempPathFactory) -> Edition:
    """The example's issue 2.6, compiled once for the whole run."""
    folder = tmp_path_factory.mktemp("edition")
    copy_example(folder)
    issue = load_issue(folder, "2.6")
    rendered = render(issue, PUBLICATION, folder / "templates")
    shutil.rmtree(folder)
    return compile_edition(rendered, PUBLICATION, issue.number, issue.file)


@dataclass
class Recorder:
    """An SMTP server's handler: keeps what it accepted, and answers as `replies` tells it."""

    accepted: list[tuple[str, str, bytes]] = field(default_factory=list)  # from, to, as received
    rcpt_replies: dict[str, str] = field(default_factory=dict)  # by address
    data_replies: dict[str, str] = field(default_factory=dict)
    port: int = 0
    silent_after: int | None = None  # so many messages: it takes that one, and says nothing until this is None again

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        reply = self.rcpt_replies.get(address, "250 OK")
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        reply = self.data_replies.get(envelope.rcpt_tos[0], "250 OK queued")
        if reply.startswith("250"):
            self.accepted.append(
                (str(envelope.mail_from), envelope.rcpt_tos[0], bytes(envelope.original_content or b""))
            )
        while self.silent_after is not None and len(self.accepted) >= self.silent_after:  # noqa: ASYNC110 (set by another thread)
            await asyncio.sleep(0.01)
        return reply


class FreePort(Controller):
    """A controller on a port that the system chooses."""

    def _trigger_server(self) -> None:
        # The base class greets the server once to have it built; with port 0 it would knock at the wrong door.
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture
def smtp_server() -> Iterator[Recorder]:
    """A real SMTP server on a port of its own, without TLS."""
    recorder = Recorder()
    controller = FreePort(recorder, hostname="127.0.0.1", port=0, enable_SMTPUTF8=True)
    controller.start()
    recorder.port = controller.port
    yield recorder
    controller.stop()


@pytest.fixture
def live(project: Path, smtp_server: Recorder) -> Recorder:
    """The example publication with a [transports.live] that leads to the server."""
    with (project / "mailer.toml").open("a") as config:
        config.write(
            f'\n[transports.live]\nuse = "smtp"\nhost = "127.0.0.1"\nport = {smtp_server.port}\ntls = "none"\n'
        )
    return smtp_server
