"""The documentation says what the program does, and its links lead somewhere."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def _generator():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["commands.md", "settings.md", "transports.md", "exit-codes.md", "checks.md"])
def test_reference_page_is_what_the_program_says(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    generator = _generator()
    assert (ROOT / "docs" / "reference" / name).read_text() == generator.PAGES[name](), "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_between_pages_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\((?!https?://|mailto:)([^)#\s]*)(#[^)]*)?\)", re.sub(r"`[^`\n]*`", "", text))
    broken = [target for target, _ in links if target and not (page.parent / target).exists()]
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_and_option_named_is_one(page):
    help_text = (ROOT / "docs" / "reference" / "commands.md").read_text()
    for line in re.findall(r"(?:^|`)(?:mailer) ([a-z]+)([^\n`]*)", page.read_text(), flags=re.MULTILINE):
        command, rest = line
        if command in ("digest", "has"):  # prose
            continue
        longer = f"{command} {rest.split()[0]}" if rest.split() else command
        command = longer if f"## mailer {longer}\n" in help_text else command
        assert f"## mailer {command}\n" in help_text, f"there is no mailer {command}"
        section = help_text.split(f"## mailer {command}\n")[1].split("\n## ")[0] + help_text.split("\n## ")[1]
        for option in re.findall(r"(?<!\S)--[a-z-]+", rest.split("#")[0]):
            assert option in section, f"mailer {command} has no {option}"
