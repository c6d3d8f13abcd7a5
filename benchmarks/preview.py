"""Save to reloaded view: how long after a file is on the disk the new message is painted, in real Chromium.

    python benchmarks/preview.py [--rounds 40]

The example is edited as an editor saves it, by renaming; the page says when the new frame has taken the old one's place
and was painted. Both clocks are this machine's. Needs Chromium and playwright's Python package.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from alliance_mailer.example import copy_example

LIMIT = 150  # ms

# When the new frame is there: the moment after the paint that shows it, which is a task behind the next frame.
NEXT = """() => { window.painted = new Promise((resolve) => {
  document.addEventListener("shown", () => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => resolve(performance.timeOrigin + performance.now());
    channel.port2.postMessage(0);
  }), { once: true });
}); }"""


def save(path: Path, text: str) -> float:
    """Save by renaming; returns when it was done, in ms since 1970."""
    fresh = path.with_name(f".{path.name}.tmp")
    fresh.write_text(text)
    fresh.replace(path)
    return time.time() * 1000


def measure(page: Page, path: Path, rounds: int) -> list[float]:
    """Milliseconds from each save to the paint."""
    text, taken = path.read_text(), []
    for number in range(rounds + 3):
        page.evaluate(NEXT)
        saved = save(
            path, text.replace("On March 28", f"On March {number + 1}").replace("#16181d", f"#1618{number:02x}")
        )
        taken.append(page.evaluate("() => window.painted") - saved)
        page.wait_for_timeout(150)
    page.evaluate(NEXT)
    save(path, text)
    page.evaluate("() => window.painted")
    return taken[3:]  # the first ones warm up


def main() -> None:
    """Measure, print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=40)
    rounds = options.parse_args().rounds
    binary = shutil.which("chromium") or sys.exit("there is no Chromium here: apt-get install chromium")
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        project = Path(scratch) / "digest"
        copy_example(project)
        command = [sys.executable, "-m", "alliance_mailer", "--json", "preview"]
        server = subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert server.stdout
        try:
            address = json.loads(server.stdout.readline())["url"]
            browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(address)
            for file in ("issues/2.6.md", "templates/digest/inline.css"):
                taken = sorted(measure(page, project / file, rounds))
                middle, late = statistics.median(taken), taken[int(len(taken) * 0.95)]
                print(f"{file:28} save to painted: median {middle:.0f} ms, fastest {taken[0]:.0f}, "
                      f"19 of 20 within {late:.0f}  ({middle / LIMIT:.2f} of {LIMIT} ms, {rounds} rounds)")  # fmt: skip
            browser.close()
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
