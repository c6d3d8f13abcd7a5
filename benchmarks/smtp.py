"""How fast `mailer send` is, as a whole process, beside the programs that people use today, in one run on one machine.

Ours reads the list, plans, compiles the issue, keeps its ledger and sends; each peer builds and sends messages of the
same size, personal in both parts; smtp-source sends one and the same message, and is the limit. Contestants take turns
(A B C, C B A), figures are medians, and the ratios are what counts: docs/performance.md says how to read them.

`python benchmarks/smtp.py [--quick | --full] [--only NAME …] [--connections N …] [--json FILE]`
`python benchmarks/smtp.py --markdown FILE` writes the tables of such a file into docs/performance.md.
"""

import argparse
import contextlib
import itertools
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import far_side
import figures
from contestants import CONTESTANTS, ONE_CONNECTION, Digest, Job, Tools, look
from far_side import Failed, Missing
from scenes import SCENES, Scene

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


class Runner:
    """Runs contestants in a folder that is gone afterwards."""

    def __init__(self, folder: Path) -> None:
        (folder / "tools").mkdir()
        self.folder, self.digest, self.tools = folder, Digest(folder), Tools(folder / "tools")
        self.looked: set[str] = set()
        self.failed = False

    def leave_out(self, what: str, why: Exception) -> None:
        """Say that something is not measured. What is not installed is no failure."""
        print(f"{what} is left out: {why}", file=sys.stderr, flush=True)
        self.failed |= isinstance(why, Failed)

    def run(self, name: str, job: Job) -> dict[str, Any]:
        """One contestant's process from start to end. Raises Failed where it fails."""
        work = Path(tempfile.mkdtemp(dir=self.folder))
        command = CONTESTANTS[name](self.digest, self.tools, job, work)
        try:
            return {"messages": job.messages} | measured(command, work, job.messages)
        finally:
            shutil.rmtree(work)

    def look_at(self, name: str) -> None:
        """Once a run: that a contestant sends what it is asked to, before anybody measures how fast."""
        if name in self.looked or name == "smtp-source":
            return
        kept = Path(tempfile.mkdtemp(dir=self.folder))
        with far_side.own_sink(kept) as port:
            self.run(name, Job(port, 1, 20))
        size = look(name, 20, [path.read_bytes() for path in kept.glob("*.eml")])
        self.looked.add(name)
        print(f"  {name} sends what it should, {size:,} bytes a message")


def measured(command: Sequence[str], work: Path, messages: int, *codes: int) -> dict[str, Any]:
    """Seconds, CPU and memory of a process and what it starts. Raises Failed for an exit code but 0 and `codes`."""
    with (work / "output").open("w+") as output:
        began = time.perf_counter()
        with far_side.process(command, cwd=work, stdout=output, stderr=output, stdin=subprocess.DEVNULL) as started:
            _, status, used = os.wait4(started.pid, 0)
            seconds = time.perf_counter() - began
            started.returncode = code = os.waitstatus_to_exitcode(status)
        output.seek(0)
        if code and code not in codes:
            raise Failed(f"{' '.join(map(str, command))} ended with {code}: {output.read()[-800:]}")
    cpu = used.ru_utime + used.ru_stime
    # ru_maxrss of a child is at least what this process has now: which is why nothing large is imported here.
    return {
        "seconds": seconds,
        "rate": messages / seconds,
        "cpu_us": cpu / messages * 1e6,
        "rss_mb": used.ru_maxrss / 1024,
    }


def play(scene: str, runner: Runner, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """All runs of a scene: for each number of connections, the contestants in turn, there and back."""
    about = SCENES[scene]
    folder = Path(tempfile.mkdtemp(dir=runner.folder))
    names = [name for name in about.contestants if not options.contestants or name in options.contestants]
    with about.serve(folder) as job:
        print(f"{scene}: {about.words}")
        for name in tuple(names):
            try:
                runner.look_at(name)
            except (Missing, Failed) as error:
                runner.leave_out(f"{scene}, {name}", error)
                names.remove(name)
        numbers = options.connections or about.connections
        for connections, turn in itertools.product(numbers, range(options.rounds)):
            for name in names[:: -1 if turn % 2 else 1]:
                if name in ONE_CONNECTION and connections != min(numbers):
                    continue
                messages = _messages(about, name, connections, options)
                own = 1 if name in ONE_CONNECTION else connections
                _rest(folder)
                result = {"scene": scene, "contestant": name, "connections": own, "round": turn}
                before = far_side.cpu_beneath()
                try:
                    result |= runner.run(name, Job(job.port, own, messages, job.ca_file, job.window))
                except Failed as error:
                    runner.leave_out(f"{scene}, {name} × {own}", error)
                    continue
                result["server_us"] = (far_side.cpu_beneath() - before) / messages * 1e6
                print(figures.line(result), flush=True)
                yield result


def _messages(about: Scene, name: str, connections: int, options: argparse.Namespace) -> int:
    rate = about.rough[name] * (connections if about.a_connection and name not in ONE_CONNECTION else 1)
    # Ours has a start-up of its own, which should weigh as little as in a real sending.
    seconds = options.seconds * (3 if name == "ours" else 1)
    if name in ("ours", "smtp-source") and not about.a_connection and not options.quick:
        return about.messages
    return max(20, min(about.messages, round(rate * seconds)))


def _rest(folder: Path) -> None:
    """Let a Postfix finish with what it has accepted, so that nobody pays for the one before."""
    give_up = time.monotonic() + 60
    queues = [folder / "queue" / name for name in ("maildrop", "incoming", "active")]
    while any(path.is_file() for queue in queues for path in queue.rglob("*")) and time.monotonic() < give_up:
        time.sleep(0.1)


def memory(runner: Runner, *, full: bool) -> Iterator[dict[str, Any]]:
    """`mailer send` to 10,000 people, and to a million: planned, sent but for one, then that one."""
    print("memory: mailer send, smtp-sink, loopback, 10 connections")
    with far_side.smtp_sink() as port:
        for people in (10_000, 1_000_000) if full else (10_000,):
            work = Path(tempfile.mkdtemp(dir=runner.folder))
            command = CONTESTANTS["ours"](runner.digest, runner.tools, Job(port, 10, people), work)
            # A limit leaves people waiting: 75.
            steps = {"plan": ["--limit", "1"], "send": ["--limit", str(people - 2)], "resume": []}
            for step, limit in steps.items():
                messages = {"plan": 1, "send": people - 2, "resume": 1}[step]
                result = {"people": people, "step": step} | measured([*command, *limit], work, messages, 75)
                print(
                    f"  {people:>9,} people, {step:6} {result['seconds']:8.2f} s  {result['rss_mb']:6.1f} MB",
                    flush=True,
                )
                yield result
            shutil.rmtree(work)


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    if options.markdown:
        figures.write(json.loads(options.markdown.read_text()), PAGE)
        return 0
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the blocks below end what they started
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    command = ["python benchmarks/smtp.py", *(Path(word).name for word in arguments)]
    record: dict[str, Any] = {"command": " ".join(command), "machine": _machine()}
    record |= {
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": options.quick,
        "runs": [],
        "memory": [],
    }
    with tempfile.TemporaryDirectory(prefix="mailer-bench-") as name:
        runner = Runner(Path(name))
        record["message_bytes"] = runner.digest.size
        for scene in options.scenes:
            try:
                if scene == "memory":
                    for result in memory(runner, full=options.full):
                        record["memory"].append(result)
                else:
                    for result in play(scene, runner, options):
                        record["runs"].append(result)
            except (Missing, Failed) as error:
                runner.leave_out(scene, error)
            if options.json:
                options.json.write_text(json.dumps(record, indent=1))
    print(figures.text(record))
    return int(runner.failed)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="one round, 10 connections, few messages: some minutes")
    size.add_argument("--full", action="store_true", help="memory with a million people, too")
    names = [*SCENES, "memory", *CONTESTANTS]
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", default=[], help=", ".join(names))
    parser.add_argument("--connections", action="append", type=int, metavar="N", default=[])
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="how long a slow contestant sends")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every run there")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write such a file's tables into docs/performance.md"
    )
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.seconds = options.seconds or (3 if options.quick else 12)
    options.connections = options.connections or ([10] if options.quick else [])
    options.contestants = [name for name in options.only if name in CONTESTANTS]
    options.scenes = [name for name in options.only if name not in CONTESTANTS] or [*SCENES, "memory"]
    return options


def _machine() -> dict[str, str]:
    def first_line(*command: str) -> str:
        with contextlib.suppress(OSError):
            return (
                subprocess.run(command, capture_output=True, text=True, check=False).stdout.partition("\n")[0].strip()
            )
        return ""

    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    return {
        "cpus": str(os.cpu_count()),
        "cores": f"{os.cpu_count()} × {model[0].partition(': ')[2] if model else platform.machine()}",
        "memory": f"{memory:.0f} GiB",
        "system": f"{system}, Linux {platform.release()}",
        "python": platform.python_version(),
        "node": first_line("node", "--version"),
        "postfix": first_line("postconf", "-dh", "mail_version")
        or first_line("/usr/sbin/postconf", "-dh", "mail_version"),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
