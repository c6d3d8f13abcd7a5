"""The other side of the wire for benchmarks/smtp.py: servers that live for one scene, each in processes of its own."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).parent
MISSING = "{} is missing. On Debian and Ubuntu: apt-get install {}"


class Missing(Exception):
    """Something that a scene or a contestant needs is not on this machine; says how to install it."""


class Failed(Exception):
    """A server or a contestant did not do what it should."""


def program(name: str, package: str) -> str:
    """The path of a program, in /usr/sbin too. Raises Missing."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if not found:
        raise Missing(MISSING.format(name, package))
    return found


@contextlib.contextmanager
def process(command: Sequence[str], **options: object) -> Iterator[subprocess.Popen[str]]:
    """A process and all that it starts, ended with the block."""
    started = subprocess.Popen(command, start_new_session=True, text=True, **options)  # type: ignore[call-overload]
    try:
        yield started
    finally:
        end(started)


def end(started: subprocess.Popen[str]) -> None:
    """End a process with its group: first asked, after three seconds made to."""
    for number, seconds in ((signal.SIGTERM, 3), (signal.SIGKILL, 30)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            started.wait(seconds)
            return


def cpu_beneath() -> float:
    """Seconds of CPU that the processes beneath this one have used, with those of theirs that have ended. Linux."""
    children: dict[str, list[str]] = {}
    used = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            fields = path.read_text().rpartition(")")[2].split()
            children.setdefault(fields[1], []).append(path.parent.name)
            used[path.parent.name] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    found, total = children.get(str(os.getpid()), []), 0.0
    while found:
        number = found.pop()
        total += used[number]
        found += children.get(number, [])
    return total


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _wait_for(port: int, seconds: float = 20, *, greeting: bool = True) -> None:
    give_up = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as client:
            if not greeting or client.recv(3) == b"220":
                client.sendall(b"QUIT\r\n")
                return
        if time.monotonic() > give_up:
            raise Failed(f"nothing answers on port {port}")
        time.sleep(0.05)


@contextlib.contextmanager
def smtp_sink() -> Iterator[int]:
    """Postfix's smtp-sink."""
    port = free_port()
    # Root must name somebody else for it to be.
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    with process([program("smtp-sink", "postfix"), *user, f"127.0.0.1:{port}", "100"], stderr=subprocess.DEVNULL):
        _wait_for(port)
        yield port


@contextlib.contextmanager
def _python(script: str, *arguments: str) -> Iterator[int]:
    """A script of this folder that prints its port."""
    with process([sys.executable, str(HERE / script), *arguments], stdout=subprocess.PIPE) as started:
        assert started.stdout
        yield int(started.stdout.readline())


@contextlib.contextmanager
def own_sink(folder: Path | None = None) -> Iterator[int]:
    """sink.py, which speaks BDAT; keeps the messages where there is a folder."""
    with _python("sink.py", *([str(folder)] if folder else [])) as port:
        yield port


@contextlib.contextmanager
def api_sink(milliseconds: int) -> Iterator[int]:
    """api_sink.py, which answers after so many milliseconds."""
    with _python("api_sink.py", str(milliseconds)) as port:
        yield port


@contextlib.contextmanager
def delayed(port: int, milliseconds: int) -> Iterator[int]:
    """A way to a port with a round trip of so many milliseconds."""
    with _python("delay_proxy.py", str(port), str(milliseconds)) as near:
        yield near


@contextlib.contextmanager
def tls(port: int, folder: Path) -> Iterator[tuple[int, str]]:
    """Implicit TLS in front of a port: stunnel, with a certificate for 127.0.0.1. The port, and the file to trust."""
    near, quiet = free_port(), {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    made = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "ca.pem"), "-days", "2", "-nodes"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-addext", "subjectAltName=IP:127.0.0.1"]
    subject = ["-subj", "/CN=benchmark"]
    openssl = program("openssl", "openssl")
    subprocess.run([openssl, "req", "-x509", *kind, *subject, *made], check=True, **quiet)  # type: ignore[call-overload]
    # Nagle off on both sides, as in a mail server; stunnel's own default leaves it on.
    (folder / "stunnel.conf").write_text(
        f"foreground = quiet\npid =\nsocket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n"
        f"[smtps]\naccept = 127.0.0.1:{near}\nconnect = 127.0.0.1:{port}\ncert = {folder / 'ca.pem'}\n"
        f"key = {folder / 'key.pem'}\n"
    )
    with process([program("stunnel4", "stunnel4"), str(folder / "stunnel.conf")], stderr=subprocess.DEVNULL):
        _wait_for(near, greeting=False)
        yield near, str(folder / "ca.pem")


# Without name service, limits for strangers, or a delivery: what is left is accepting mail and keeping it safe.
_MAIN_CF = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = relay.example.org
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
local_recipient_maps =
default_transport = discard:
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_client_connection_count_limit = 0
"""
_SERVICES = ("rewrite trivial-rewrite", "bounce bounce", "defer bounce", "trace bounce", "error error",
             "discard discard", "anvil anvil", "proxymap proxymap", "scache scache", "retry error")  # fmt: skip


@contextlib.contextmanager
def postfix(folder: Path) -> Iterator[int]:
    """A Postfix of our own, with its queue in a folder: it keeps each message safely on disk, then discards it."""
    command = program("postfix", "postfix")
    if os.geteuid() != 0:
        raise Missing("Postfix only starts for root: run this scene as root")
    port, master = free_port(), ["#name type private unpriv chroot wakeup maxproc command"]
    master.append(f"127.0.0.1:{port} inet n - n - 100 smtpd")
    master += ["cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr", "flush unix n - n 1000? 0 flush"]
    master += [f"{service.split()[0]} unix - - n - - {service.split()[1]}" for service in _SERVICES]
    master += ["postlog unix-dgram n - n - 1 postlogd"]
    for name in ("queue", "data", "etc"):
        (folder / name).mkdir(parents=True)
    owner = pwd.getpwnam("postfix")
    os.chown(folder / "data", owner.pw_uid, owner.pw_gid)
    for parent in (folder, *folder.parents[: len(folder.parts) - 2]):
        parent.chmod(parent.stat().st_mode | 0o111)  # its processes are not root
    (folder / "etc" / "main.cf").write_text(_MAIN_CF.format(folder=folder))
    (folder / "etc" / "master.cf").write_text("\n".join(master) + "\n")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with process([command, "-c", str(folder / "etc"), "start-fg"], **quiet):
        try:
            _wait_for(port)
            yield port
        finally:
            subprocess.run([command, "-c", str(folder / "etc"), "stop"], check=False, **quiet)  # type: ignore[call-overload]
