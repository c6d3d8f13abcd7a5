"""How fast `mailer send` is through the mail APIs, beside bare httpx clients and one call a message, in one run.

Ours is the whole process: list, plan, compiling, ledger, requests. The server (api_sink.py) is on this machine, answers
at once or after 50 ms, and takes everything. Contestants take turns; figures are medians; the ratios are what counts.
To reach: a batch provider 20 times one call a message at 50 ms, a single-message provider 0.8 of as many bare clients.

One round of about 3 seconds each takes two to four minutes; `--full`, three of 10 seconds, for a table that is kept,
about twenty.

`python benchmarks/mail_apis.py [--full] [--rounds N] [--seconds S] [--only USE …] [--json FILE]`
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import far_side
from contestants import PEERS, SENDER, Digest, Job

SINGLE, BATCH = ("ses", "mailgun", "postal", "graph"), ("postmark", "resend", "brevo", "sendgrid")
KEYS: dict[str, dict[str, object]] = {
    "ses": {"region": "eu-west-1"},
    "mailgun": {"api_key_env": "KEY", "domain": "example.org"},
    "postal": {"api_key_env": "KEY"},
    "graph": {"tenant": "t", "client_id": "c", "client_secret_env": "KEY", "mailbox": SENDER},
    "postmark": {"token_env": "KEY"},
    "resend": {"api_key_env": "KEY"},
    "brevo": {"api_key_env": "KEY"},
    "sendgrid": {"api_key_env": "KEY"},
}
CONNECTIONS = 5
DELAYS = (0, 50)  # milliseconds
# Messages a second, only to choose how many each sends.
ROUGH = {("single", 0): 2000, ("single", 50): 90, ("batch", 0): 5000, ("batch", 50): 4000,
         ("bare", 0): 2500, ("bare", 50): 95, ("one by one", 0): 800, ("one by one", 50): 16}  # fmt: skip
ENVIRONMENT = {"KEY": "k", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "k", "AWS_EC2_METADATA_DISABLED": "true"}


def ours(digest: Digest, use: str, url: str, messages: int, folder: Path) -> list[str]:
    """`mailer send` in a fresh copy of the publication."""
    project = digest.publication(folder / "publication", Job(0, CONNECTIONS, messages))
    keys = {"use": use, **KEYS[use], "base_url": url, "connections": CONNECTIONS}
    keys |= {"login_url": url} if use == "graph" else {}
    with (project / "mailer.toml").open("a") as file:
        file.write("\n[transports.api]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items()))
    options = ["--issue", "2.6", "--transport", "api", "--yes"]
    return [sys.executable, "-m", "alliance_mailer", "--project", str(project), "send", *options]


def peer(digest: Digest, who: str, url: str, messages: int, folder: Path) -> list[str]:
    """peers/httpx_posts.py."""
    job = {"who": who, "url": f"{url}/bare", "connections": CONNECTIONS, "messages": messages, "sender": SENDER}
    job |= {"size": digest.size * 4 // 3, "text": digest.text, "html": digest.html, "subject": "Digest 2.6"}
    (folder / "job.json").write_text(json.dumps(job | {"people": str(digest.people(messages))}))
    return [sys.executable, str(PEERS / "httpx_posts.py"), str(folder / "job.json")]


def run(digest: Digest, who: str, delay: int, url: str, options: argparse.Namespace) -> dict[str, Any]:
    """One contestant's process, from start to end. Raises Failed."""
    kind = "single" if who in SINGLE else "batch" if who in BATCH else who
    # Ours has a start-up of its own, which should weigh as little as in a real sending.
    messages = max(20, round(ROUGH[kind, delay] * options.seconds * (3 if who in SINGLE else 1)))
    folder = Path(tempfile.mkdtemp(dir=digest.folder))
    command = (ours if who in KEYS else peer)(digest, who, url, messages, folder)
    began = time.perf_counter()
    done = subprocess.run(command, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    shutil.rmtree(folder)
    if done.returncode or (who in KEYS and f"{messages} accepted" not in done.stdout):
        raise far_side.Failed(f"{who} ended with {done.returncode}: {(done.stderr or done.stdout)[-600:]}")
    print(f"  {delay:3} ms  {who:10} {messages:>7,} in {seconds:5.1f} s  {messages / seconds:8,.0f} /s", flush=True)
    return {"who": who, "delay": delay, "messages": messages, "seconds": seconds, "rate": messages / seconds}


def table(runs: Sequence[dict[str, Any]]) -> str:
    """Markdown: medians, and the ratios that are to be reached."""

    def rate(who: str, delay: int) -> float:
        return statistics.median([each["rate"] for each in runs if (each["who"], each["delay"]) == (who, delay)] or [0])

    names = list(dict.fromkeys(each["who"] for each in runs))
    lines = ["| | /s at 0 ms | /s at 50 ms | against | at 0 ms | at 50 ms | to reach |", "| --- " * 7 + "|"]
    for who in names:
        if who not in KEYS:
            lines.append(f"| {who} | {rate(who, 0):,.0f} | {rate(who, 50):,.0f} | | | | |")
            continue
        against, goal = ("bare", 0.8) if who in SINGLE else ("one by one", 20)
        ratios = [rate(who, delay) / (rate(against, delay) or 1) for delay in DELAYS]
        met = "yes" if ratios[1] >= goal and (who in BATCH or ratios[0] >= goal) else "no"
        cells = " | ".join(f"{ratio:.2f}" for ratio in ratios)
        lines.append(f"| {who} | {rate(who, 0):,.0f} | {rate(who, 50):,.0f} | {against} | {cells} | {goal}: {met} |")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="three rounds of about 10 seconds: twenty minutes")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="how long a contestant sends, about")
    parser.add_argument("--only", action="append", choices=KEYS, metavar="USE", help=", ".join(KEYS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every run there")
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (3 if options.full else 1)
    options.seconds = options.seconds or (10 if options.full else 3)
    contestants = [*(options.only or KEYS), "bare", "one by one"]
    runs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="mailer-bench-") as name:
        digest = Digest(Path(name))
        print(f"{digest.size:,} bytes a message, {CONNECTIONS} connections")
        for turn in range(options.rounds):
            for delay in DELAYS:
                with far_side.api_sink(delay) as port:
                    for who in contestants[:: -1 if turn % 2 else 1]:
                        runs.append(run(digest, who, delay, f"http://127.0.0.1:{port}", options))
                        if options.json:
                            options.json.write_text(json.dumps(runs, indent=1))
    print(table(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
