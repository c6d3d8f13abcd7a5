"""Photographs the preview for the README and docs/howto/preview.md. Needs what screenshots.py needs, and playwright.

python docs/pictures/preview.py --fonts DIR
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from screenshots import FONTS, MOST_BYTES, MOST_BYTES_OF_README, beside, write

from alliance_mailer.example import copy_example

_STILL = 1200  # ms until nothing moves any more: the dot of “live” beats for 700
BEFORE = {"2.5": "2023-03-17", "2.4": "2023-03-03", "2.3": "2023-02-17"}
ACCENTS = ("#a6282d", "#855a00", "#2b6a4a", "#23457e", "#f2938a", "#e2b457", "#7fc8a0", "#9dc0f5")  # of page.css


def publication(folder: Path) -> Path:
    """The example with three issues before it, one of them not sent yet, and two things to mend."""
    copy_example(folder)
    issue = folder / "issues" / "2.6.md"
    text = issue.read_text()
    for number, day in BEFORE.items():
        front = text.split("---\n")[1].replace('"2.6"', f'"{number}"').replace("2023-03-31", day)
        body = f"## Headlines\n\n- What issue {number} had to say\n\n## Details\n\n- It said it at length."
        (folder / "issues" / f"{number}.md").write_text(f"---\n{front}---\n\n{body}\n\n---\n\nThank you.\n")
    (folder / "sends").mkdir()
    for number in ("2.4", "2.3"):
        (folder / "sends" / f"{number}.json").write_text("{}")
    approve = [sys.executable, "-m", "alliance_mailer", "approve", "--issue", "2.5", "--by", "Ann <ann@example.org>"]
    subprocess.run(approve, cwd=folder, check=True, capture_output=True)  # noqa: S603 (ours)
    text = text.replace("[lays out](https://www.meti.go.jp/english/)", "[lays out](#)")
    issue.write_text(text.replace("contact.first_name", "contact.frist_name"))
    return issue


def photograph(page: Page, address: str, query: str, *, dark: bool = False) -> bytes:
    page.emulate_media(color_scheme="dark" if dark else "light")
    page.goto(address + query)
    page.wait_for_timeout(_STILL)
    return page.screenshot()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--fonts", type=Path, help="a folder with Gelasio's TrueType files")
    fonts = options.parse_args().fonts
    binary = shutil.which("chromium") or sys.exit("there is no Chromium here: apt-get install chromium")
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        folder = Path(scratch)
        issue = publication(folder / "digest")
        environ = dict(os.environ)
        if fonts:
            (folder / "fonts.conf").write_text(FONTS.format(fonts=fonts.resolve(), cache=folder / "fonts"))
            environ["FONTCONFIG_FILE"] = str(folder / "fonts.conf")
        command = [sys.executable, "-m", "alliance_mailer", "--json", "preview"]
        server = subprocess.Popen(command, cwd=folder / "digest", stdout=subprocess.PIPE, text=True)  # noqa: S603 (ours)
        browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"], env=environ)
        try:
            address = json.loads(server.stdout.readline())["url"]
            page = browser.new_page(viewport={"width": 1440, "height": 860}, device_scale_factor=1.25)
            write(
                "preview.png",
                beside(photograph(page, address, "?issue=2.6&beside=width")),
                MOST_BYTES_OF_README,
                ACCENTS,
            )
            text = issue.read_text()
            page.goto(f"{address}?issue=2.6")
            issue.write_text(text.replace("preheader:", "prehaeder:"))
            page.get_by_role("alert").wait_for()
            page.wait_for_timeout(_STILL)
            write("preview-mistake.png", beside(page.screenshot()), MOST_BYTES, ACCENTS)
            issue.write_text(text)
            page.get_by_role("alert").wait_for(state="detached")
            dark = photograph(page, address, "?issue=2.6&theme=dark&w=375&beside=theme&panel=size", dark=True)
            write("preview-dark.png", beside(dark), MOST_BYTES, ACCENTS)
            page.set_viewport_size({"width": 390, "height": 844})
            narrow = [photograph(page, address, "?issue=2.6", dark=dark) for dark in (False, True)]
            write("preview-phone.png", beside(*narrow), MOST_BYTES, ACCENTS)
        finally:
            browser.close()
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
