"""Another process that has the ledger open, and may be killed."""

import signal
import subprocess
import sys
from pathlib import Path


def elsewhere(path: Path, lines: str, **options: object) -> subprocess.Popen[str]:
    """Another process, which has the ledger open."""
    start = f"""
import resource, sys, time
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from alliance_mailer.errors import MailerError
from alliance_mailer.ledger.sqlite import open_ledger
from ledger.rows import *
path = Path({str(path)!r})
"""
    return subprocess.Popen([sys.executable, "-c", start + lines], stdout=subprocess.PIPE, text=True, **options)


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(each.relative_to(folder)): each.read_bytes() for each in sorted(folder.rglob("*")) if each.is_file()}


def killed_between_claim_and_settle(path: Path) -> None:
    lines = """
ledger = open_ledger(path)
plan(ledger)
settle(ledger, claim(ledger), Verdict.ACCEPTED)
claim(ledger)
print("claimed", flush=True)
time.sleep(60)
"""
    with elsewhere(path, lines) as run:
        assert run.stdout.readline() == "claimed\n"
        run.send_signal(signal.SIGKILL)
