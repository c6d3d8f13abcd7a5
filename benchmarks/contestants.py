"""Who runs in benchmarks/smtp.py, and what they all send: one digest of about 45 KB, personal in both of its parts."""

import csv
import functools
import json
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from far_side import Failed, program

PEERS = Path(__file__).parent / "peers"
SENDER = "digest@example.org"
_FIRST = [
    "Amelia",
    "Kenji",
    "Misaki",
    "Daniel",
    "Jürgen",
    "Hanako",
    "Ingrid",
    "Chidi",
    "Robert",
    "Siobhán",
    "Wei",
    "María",
]
_LAST = [
    "Hartwell",
    "Sato",
    "Yamamoto",
    "Reyes",
    "Vogel",
    "Suzuki",
    "Halvorsen",
    "Okafor",
    "Lindqvist",
    "O'Brien",
    "Chen",
]


@dataclass(frozen=True)
class Job:
    """What a contestant is asked for: so many messages, to that port, over so many connections."""

    port: int
    connections: int
    messages: int
    ca_file: str = ""
    window: int = 0  # BDAT commands in flight a connection, where the contestant can


class Digest:
    """The example publication, its pictures linked and not carried, so that the message is text and HTML alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = folder / "publication"
        mailer("init", str(self.project))
        _change(self.project / "mailer.toml", "# assets_url", 'assets_url = "https://assets.example.org/digest/"\n#')
        mailer("--project", str(self.project), "build", "--issue", "2.6")
        built = self.project / "build" / "2.6"
        self.size = (built / "message.eml").stat().st_size
        self.text, self.html = (_template((built / f"message.{kind}").read_text()) for kind in ("txt", "html"))
        self.edition = json.loads((built / "manifest.json").read_text())["edition_sha256"]

    @functools.cache  # noqa: B019 (there is one digest a run)
    def people(self, count: int) -> Path:
        """A list of so many people, for the peers; the unsubscribe token, which we compute, is a column here."""
        path = self.folder / f"people-{count}.csv"
        with path.open("w", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["email", "name", "first_name", "last_name", "token"])
            rows.writerows(_people(count))
        return path

    def publication(self, folder: Path, job: Job) -> Path:
        """A fresh copy to send from: no ledger, no key, nothing cached."""
        shutil.copytree(self.project, folder, ignore=shutil.ignore_patterns("build", ".mailer"))
        with (folder / "contacts/subscribers.csv").open("w", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["email", "name", "first_name", "last_name"])
            rows.writerows(row[:4] for row in _people(job.messages))
        keys = {"use": "smtp", "host": "127.0.0.1", "port": job.port, "connections": job.connections}
        keys |= {"tls": "implicit", "ca_file": job.ca_file} if job.ca_file else {"tls": "none"}
        keys |= {"chunking_window": job.window} if job.window else {}
        with (folder / "mailer.toml").open("a") as file:
            file.write("\n[transports.live]\n" + "".join(f"{key} = {json.dumps(keys[key])}\n" for key in keys))
        return folder


def mailer(*arguments: str) -> None:
    """Run the program, in silence. Raises CalledProcessError."""
    subprocess.run([sys.executable, "-m", "alliance_mailer", *arguments], check=True, stdout=subprocess.DEVNULL)


def _people(count: int) -> Iterator[tuple[str, str, str, str, str]]:
    chance = random.Random(26)
    for number in range(count):
        first, last = chance.choice(_FIRST), chance.choice(_LAST)
        token = "".join(chance.choices("abcdefghijklmnopqrstuvwxyz234567", k=32))
        yield f"person{number}@domain{number % 97}.example.org", f"{first} {last}", first, last, token


def _change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path.name} holds no {old!r}"
    path.write_text(text.replace(old, new, 1))


def _template(built: str) -> str:
    """What `mailer build` made for a neutral reader, as a template: its personal places are known by their values."""
    built = built.replace(f"unsubscribe%20{'0' * 32}", "unsubscribe%20{{ token }}")
    return built.replace("reading, friend", "reading, {{ first_name }}").replace("reader@example.org", "{{ email }}")


# Contestants ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tools:
    """The peers' programs, installed into a folder of the run."""

    folder: Path

    @functools.cached_property
    def python(self) -> Path:
        """A Python with mailmerge, aiosmtplib and Jinja."""
        print("installing mailmerge and aiosmtplib into a temporary venv …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(self.folder / "venv")], check=True)
        python = self.folder / "venv" / "bin" / "python"
        quiet = ["--quiet", "--quiet", "--disable-pip-version-check"]
        subprocess.run([python, "-m", "pip", "install", *quiet, "mailmerge==2.3.*", "aiosmtplib==5.*"], check=True)
        return python

    @functools.cached_property
    def node_modules(self) -> Path:
        """The folder that holds nodemailer."""
        print("installing nodemailer into a temporary folder …", file=sys.stderr)
        npm = program("npm", "npm")
        quiet = ["--silent", "--no-audit", "--no-fund"]
        subprocess.run([npm, "install", *quiet, "--prefix", str(self.folder), "nodemailer@10"], check=True)
        return self.folder / "node_modules"


def ours(digest: Digest, _tools: Tools, job: Job, folder: Path) -> list[str]:
    project = digest.publication(folder / "publication", job)
    options = ["--issue", "2.6", "--transport", "live", "--yes"]
    return [sys.executable, "-m", "alliance_mailer", "--project", str(project), "send", *options]


def smtp_source(digest: Digest, _tools: Tools, job: Job, _folder: Path) -> list[str]:
    counts = ["-s", str(job.connections), "-m", str(job.messages), "-l", str(digest.size)]
    route = ["-f", SENDER, "-t", "person@domain.example.org", f"127.0.0.1:{job.port}"]
    return [program("smtp-source", "postfix"), "-d", *counts, *route]


def _job_file(digest: Digest, job: Job, folder: Path) -> str:
    path = folder / "job.json"
    said = {"port": job.port, "connections": job.connections, "ca_file": job.ca_file, "sender": SENDER}
    said |= {"people": str(digest.people(job.messages)), "subject": "US-Japan Alliance Digest 2.6"}
    path.write_text(json.dumps(said | {"text": digest.text, "html": digest.html}))
    return str(path)


def smtplib_loop(digest: Digest, tools: Tools, job: Job, folder: Path) -> list[str]:
    return [str(tools.python), str(PEERS / "smtplib_loop.py"), _job_file(digest, job, folder)]


def aiosmtplib_pool(digest: Digest, tools: Tools, job: Job, folder: Path) -> list[str]:
    return [str(tools.python), str(PEERS / "aiosmtplib_pool.py"), _job_file(digest, job, folder)]


def nodemailer_pool(digest: Digest, tools: Tools, job: Job, folder: Path) -> list[str]:
    script = [str(PEERS / "nodemailer_pool.mjs"), _job_file(digest, job, folder)]
    return [program("node", "nodejs"), *script, str(tools.node_modules)]


def mailmerge(digest: Digest, tools: Tools, job: Job, folder: Path) -> list[str]:
    head = f"TO: {{{{ name }}}} <{{{{ email }}}}>\nFROM: Digest <{SENDER}>\nSUBJECT: US-Japan Alliance Digest 2.6\n"
    head += "List-Unsubscribe: <mailto:unsubscribe@example.org?subject=unsubscribe%20{{ token }}>\n"
    parts = [("plain", digest.text), ("html", digest.html)]
    body = "".join(f"--part\nContent-Type: text/{kind}; charset=utf-8\n\n{text}\n" for kind, text in parts)
    whole = f'{head}MIME-Version: 1.0\nContent-Type: multipart/alternative; boundary="part"\n\n{body}--part--\n'
    (folder / "template.txt").write_text(whole)
    (folder / "server.conf").write_text(f"[smtp_server]\nhost = 127.0.0.1\nport = {job.port}\n")
    files = ["--template", str(folder / "template.txt"), "--config", str(folder / "server.conf")]
    files += ["--database", str(digest.people(job.messages))]
    return [str(tools.python.with_name("mailmerge")), *files, "--no-dry-run", "--no-limit"]


Prepare = Callable[[Digest, Tools, Job, Path], list[str]]
CONTESTANTS: dict[str, Prepare] = {
    "ours": ours,
    "smtp-source": smtp_source,
    "nodemailer": nodemailer_pool,
    "aiosmtplib": aiosmtplib_pool,
    "smtplib": smtplib_loop,
    "mailmerge": mailmerge,
}
ONE_CONNECTION = {"smtplib", "mailmerge"}
NO_TLS = {"smtp-source", "mailmerge"}  # mailmerge's TLS wants a password, and a certificate that the system trusts


def look(name: str, count: int, messages: list[bytes]) -> int:
    """Whether each person got a message of theirs; the median size in bytes. Raises Failed where not."""
    import email
    import email.policy

    people = list(_people(count))
    by_address = {}
    for raw in messages:
        head, _, wire = raw.partition(b"\r\n")
        by_address[head.decode().rpartition("<")[2].rstrip(">")] = wire
    for address, _, first, _, _ in people:
        if address not in by_address:
            raise Failed(f"{name} did not write to {address}")
        message = email.message_from_bytes(by_address[address], policy=email.policy.default)
        for kind in ("plain", "html"):
            part = message.get_body((kind,))
            text = part.get_content() if part else ""
            for said in (f"reading, {first}", f"at {re.escape(address)}", r"subject=unsubscribe%20[a-z2-7]{32}\b"):
                if not re.search(said, text):
                    raise Failed(f"{name}: the {kind} part for {address} does not say {said}")
    return sorted(map(len, by_address.values()))[len(people) // 2]
