"""Photographs what `mailer check` says of an example with mistakes in it. Needs Chromium, and the project set up.

.venv/bin/python docs/pictures/check.py
"""

import io
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from alliance_mailer import cli
from alliance_mailer.example import copy_example
from alliance_mailer.preview.chromium import Chromium

HERE = Path(__file__).parent

MISTAKES = (
    ("issues/2.6.md", "(https://www.mda.mil/)", "(#)"),
    ("issues/2.6.md", "Thank you for reading", "Thank you you for reading"),
    (
        "templates/digest/inline.css",
        "line-height: 20px; color: #5a5e66 }\n.pipe",
        "line-height: 20px; color: #b0b0b0 }\n.pipe",
    ),
    ("templates/digest/message.mjml.j2", 'padding="38px 40px 30px 72px"', 'padding="38px 40px 30px 72"'),
)
# Ink on paper, as in the other pictures: black, red, green, yellow, blue, magenta, cyan, white.
COLOURS = [
    (22, 24, 29),
    (168, 40, 43),
    (47, 107, 60),
    (154, 98, 0),
    (35, 69, 126),
    (120, 60, 110),
    (20, 105, 120),
    (222, 218, 210),
]
THEME = TerminalTheme((250, 248, 244), (22, 24, 29), COLOURS, COLOURS)


class Terminal(io.StringIO):
    """What is printed, as for a terminal."""

    def isatty(self) -> bool:
        return True


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "digest"
        copy_example(project)
        for name, old, new in MISTAKES:
            text = (project / name).read_text()
            assert old in text
            (project / name).write_text(text.replace(old, new, 1))
        sys.stdout, before = Terminal(), sys.stdout
        cli.run(["--project", str(project), "check", "--issue", "2.6", "--skip", "H002"])
        said, sys.stdout = sys.stdout.getvalue(), before
        console = Console(record=True, width=124, file=io.StringIO())
        console.print(Text.from_ansi(f"$ mailer check --issue 2.6\n\n{said}".rstrip()))
        page = Path(folder) / "check.html"
        page.write_text(
            console.export_html(theme=THEME, inline_styles=True).replace(
                "<body>", '<body style="background:#faf8f4;font-size:14px;line-height:1.35;padding:8px 20px">'
            )
        )
        with Chromium(Path(folder) / "profile") as browser:
            browser.show(page, width=1090, scale=1.2)
            height = browser.run("Math.ceil(document.querySelector('pre').getBoundingClientRect().bottom) + 16")
            (HERE / "check.png").write_bytes(browser.photograph(height=height))
    print(f"docs/pictures/check.png  {(HERE / 'check.png').stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
