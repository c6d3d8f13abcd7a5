"""How long `mailer check` takes once the program has started: the example, and an issue of 60 stories.

Prints medians: of compiling the issue, of pulling its proof, of all rules. `python benchmarks/check.py [ROUNDS]`
"""

import re
import statistics
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from alliance_mailer.checks import RULES, pull, run_checks
from alliance_mailer.config import load_config
from alliance_mailer.edition import compile_edition
from alliance_mailer.example import copy_example
from alliance_mailer.issue import load_issue
from alliance_mailer.render import render

STORIES = 60


def main(rounds: int = 15) -> None:
    with tempfile.TemporaryDirectory() as folder:
        example, long = Path(folder) / "example", Path(folder) / "long"
        copy_example(example)
        copy_example(long)
        lengthen(long / "issues" / "2.6.md")
        for name, project in (("the example, 5 stories", example), (f"{STORIES} stories", long)):
            times = [measured(project) for _ in range(rounds)]
            compiled, pulled, ruled = (statistics.median(each) * 1000 for each in zip(*times, strict=True))
            whole = statistics.median(map(sum, times)) * 1000
            parts = f"compile {compiled:.0f}, proof {pulled:.0f}, {len(RULES)} rules {ruled:.0f}"
            print(f"  {name:24} {whole:5.0f} ms  ({parts})")


def measured(project: Path) -> tuple[float, float, float]:
    """Seconds for each of the three steps."""
    config = load_config(project)
    began = time.perf_counter()
    issue = load_issue(project, "2.6")
    rendered = render(issue, config.publication, project / "templates")
    edition = compile_edition(rendered, config.publication, issue.number, issue.file)
    compiled = time.perf_counter()
    proof = pull(project, issue, edition, preferences=config.checks, key_lines=config.lines)
    pulled = time.perf_counter()
    run_checks(proof, date(2023, 3, 31))
    return compiled - began, pulled - compiled, time.perf_counter() - pulled


def lengthen(path: Path) -> None:
    """Repeat the example's stories, and the headlines, which pair with them."""
    text = path.read_text()
    head, headlines, details, foot = re.fullmatch(
        r"(.*## Headlines\n\n)(.*?)(\n## Details\n\n.*?)(\n---\n.*)", text, re.DOTALL
    ).groups()  # type: ignore[union-attr]
    title, stories = details.split("\n\n", 1)[0] + "\n\n", details.split("\n\n", 1)[1]
    times = STORIES // 5
    path.write_text(head + headlines * times + title + stories * times + foot)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
