"""The example before judges that nobody here wrote: SpamAssassin, axe-core in Chromium, caniemail's own linter."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from alliance_mailer.preview.chromium import Chromium

JUDGES = Path(__file__).with_name("judges")
PACKAGES = JUDGES / "node_modules"
INSTALL = f"npm install --prefix {JUDGES}"

# What caniemail's linter names, and why nobody misses it. All of it refines: a mail program that knows it does a little
# better, and one that does not shows the whole letter.
EXPLAINED = {
    "Descendant combinator": "client.css: phone, dark",
    "Chaining selectors": "client.css: phone, dark",
    "Class selector": "client.css: phone, dark",
    "Type selector": "client.css: phone, dark",
    "ID selector": "MJML's own reset",
    "Attribute selector": "client.css: Outlook's dark mode",
    ":hover": "client.css: a line below a headline",
    "@media": "client.css: phone, dark; the letter itself is inline",
    "text-wrap": "client.css: a balanced title",
    "text-underline-offset": "client.css: a little air",
    "outline": "MJML's own reset of pictures",
    "word-spacing": "MJML's own; normal is what it would be",
    "word-break": "MJML's own; only a word longer than the column",
    "overflow": "of the preheader, which Outlook hides by mso-hide",
    "opacity": "of the preheader",
    "display:none": "of the preheader; Gmail in a phone's browser may show it",
    "aria-hidden attribute": "of the preheader's run of blanks",
    "aria-label attribute": "MJML's own; the title is there, too",
    "role attribute": "a screen reader of Windows Mail counts the tables",
    "<body> element": "becomes a <div>; the colour stands on one of our own, too",
    "Local anchors": "the headlines read as a list on their own",
}


@pytest.fixture(scope="module")
def message(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the example as `mailer build` writes it."""
    folder = tmp_path_factory.mktemp("judged") / "digest"
    for argv in (["init", str(folder)], ["--project", str(folder), "build", "--issue", "2.6"]):
        subprocess.run([sys.executable, "-m", "alliance_mailer", *argv], check=True, stdout=subprocess.DEVNULL)
    return folder / "build" / "2.6"


def test_spamassassin_has_next_to_nothing_against_it(message: Path) -> None:
    program = shutil.which("spamassassin")
    assert program, "there is no SpamAssassin here: apt-get install spamassassin"
    judged = subprocess.run(
        [program, "--local", "--test-mode"],
        input=(message / "message.eml").read_bytes(),
        capture_output=True,
        check=True,
    ).stdout.decode()
    score = re.search(r"score=(-?[0-9.]+)", judged)
    assert score, judged[:2000]
    assert float(score[1]) <= 1.0, re.sub(r"(?s)\n\n.*", "", judged)


@pytest.mark.parametrize("width", [900, 375])
@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_no_serious_violation(message: Path, tmp_path: Path, width: int, dark: bool) -> None:
    axe = PACKAGES / "axe-core" / "axe.min.js"
    assert axe.is_file(), f"there is no axe-core here: {INSTALL}"
    with Chromium(tmp_path / "profile") as browser:
        browser.show(message / "message.html", width=width, dark=dark)
        browser.run(axe.read_text() + "; 0")
        found = browser.run("axe.run(document).then(found => JSON.stringify([found.violations, found.passes.length]))")
    violations, passes = json.loads(found)
    assert passes > 20
    serious = [
        (each["id"], each["nodes"][0]["html"]) for each in violations if each["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_caniemail_s_own_linter_names_nothing_that_is_not_explained(message: Path) -> None:
    assert (PACKAGES / "@jsx-email").is_dir(), f"there is no doiuse-email here: {INSTALL}"
    node = shutil.which("node")
    assert node, "there is no node here: apt-get install nodejs npm"
    judged = subprocess.run(
        [node, "doiuse.mjs", str(message / "message.html")], cwd=JUDGES, capture_output=True, check=True
    ).stdout
    named = {re.match(r"`(.*?)` is not supported", error)[1] for error in json.loads(judged)["errors"]}
    assert named - EXPLAINED.keys() == set()
    assert EXPLAINED.keys() - named == set(), "explained, and no longer named"
