"""The front matter of an issue: a few YAML keys between two `---` lines, each with its line number.

Read from YAML's node tree, not its values: there `issue: 2.10` is still 2.10 and not 2.1, and every key knows its line.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, tzinfo

import yaml

from .errors import Problem, did_you_mean
from .slots import MARKER
from .walltime import read_wall


@dataclass(frozen=True, slots=True)
class Image:
    """A picture as the author placed it."""

    src: str
    alt: str
    line: int
    credit: str = ""
    href: str | None = None  # where the credit links to


@dataclass(slots=True)
class FrontMatter:
    """What the keys say."""

    number: str = ""
    title: str = ""
    date: date = date.min
    subject: str = ""
    preheader: str = ""
    image: Image | None = None
    audience: tuple[str, ...] = ("subscribers",)
    template: str = "digest"
    send_at: datetime | None = None
    lines: dict[str, int] = field(default_factory=dict)  # where each key stands


# Invisible in an editor. C1 controls, a Windows quote pasted as U+0092 for instance, make Gmail clip even a tiny mail.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_BRACE = "\ue000"  # stands for an author's "\\{" while YAML is read, which knows no such escape

_EXAMPLE = '---\nissue: "2.6"\ntitle: My Digest\ndate: 2023-03-31\n---'


def read_front_matter(
    text: str, file: str, number: str, problems: list[Problem], zone: tzinfo = UTC
) -> tuple[FrontMatter, str, int]:
    """The front matter, the text below it, and the line on which that text begins. Mistakes go into `problems`.

    `number` is what the file's name says; in `zone` send_at is wall time.
    """
    lines = text.split("\n")
    start = next((n for n, line in enumerate(lines) if line.strip()), 0)
    rules = [n for n, line in enumerate(lines) if line.rstrip() == "---"][:2]
    if rules[:1] != [start] or len(rules) < 2:
        found = "the closing --- is missing" if rules[:1] == [start] else f"found {lines[start][:40]!r}"
        message = f"the file begins with front matter between two --- lines; {found}"
        problems.append(Problem(file, start + 1, message, f"begin it with\n{_EXAMPLE}"))
        return FrontMatter(), "\n".join(lines[start:]).removeprefix("---"), start + 1
    end = rules[1]
    reader = _Reader(file, number, problems, zone)
    reader.read("\n" * (start + 1) + re.sub(r"\\+\{", _BRACE, "\n".join(lines[start + 1 : end])))
    return reader.meta, "\n".join(lines[end + 1 :]), end + 2


class _Reader:
    def __init__(self, file: str, number: str, problems: list[Problem], zone: tzinfo) -> None:
        self._file, self._number, self._problems, self._zone = file, number, problems, zone
        self.meta = FrontMatter()

    def _problem(self, node: yaml.Node | int, message: str, hint: str = "") -> None:
        line = node if isinstance(node, int) else node.start_mark.line + 1
        self._problems.append(Problem(self._file, line, message, hint))

    def read(self, text: str) -> None:
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            # An unclosed quote is a mistake where it opens, not at the end, where it shows.
            opened = None if "block" in str(error.context) else error.context_mark
            mark = opened or error.problem_mark
            line = mark.line + 1 if mark else 1
            self._problem(line, f"this is no YAML: {error.problem}", 'put the value in quotes: key: "…"')
            return
        except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:  # the last two: "\UFFFFFFFF"
            self._problem(1, f"this is no YAML: {error}")
            return
        if root is not None and not isinstance(root, yaml.MappingNode):
            self._problem(root, "expected lines of the form  key: value")
            return
        keys: dict[str, Callable[[yaml.Node], None]] = {
            "issue": self._issue, "title": self._title, "date": self._date, "subject": self._subject,
            "preheader": self._preheader, "image": self._image, "audience": self._audience,
            "template": self._template, "send_at": self._send_at,
        }  # fmt: skip
        seen = self._pairs(root, keys) if root else {}
        for key, node in seen.items():
            keys[key](node)
        for key, example in (("issue", f'"{self._number}"'), ("title", "My Digest"), ("date", "2023-03-31")):
            if key not in seen:
                self._problem(1, f"the key {key!r} is missing", f"add the line  {key}: {example}")

    def _pairs(self, node: yaml.MappingNode, known: object) -> dict[str, yaml.Node]:
        seen: dict[str, yaml.Node] = {}
        for key_node, value in node.value:
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else ""
            if key not in known:  # type: ignore[operator]
                self._problem(key_node, f"unknown key {key!r}{did_you_mean(key, known)}")  # type: ignore[arg-type]
            elif key in seen:
                self._problem(key_node, f"the key {key!r} stands here a second time")
            else:
                seen[key] = value
                self.meta.lines[key] = key_node.start_mark.line + 1
        return seen

    def _text(self, key: str, node: yaml.Node, *, empty: bool = False) -> str:
        if not isinstance(node, yaml.ScalarNode):
            self._problem(node, f"{key}: found a {_kind(node)}, expected text", f'{key}: "…"')
            return ""
        value = re.sub(r"[ \t\n]+", " ", str(node.value)).replace(_BRACE, "{").strip()
        if bad := CONTROL.search(value):  # from an escape, such as "\x00"
            self._problem(node, f"{key}: control character U+{ord(bad[0]):04X}; type what is meant there")
            return ""
        if not empty and (not value or node.tag.endswith(":null")):
            self._problem(node, f"{key} is empty")
        return "" if node.tag.endswith(":null") else value

    def _issue(self, node: yaml.Node) -> None:
        value = self._text("issue", node)
        if isinstance(node, yaml.ScalarNode) and node.tag.endswith((":float", ":int", ":bool", ":timestamp")):
            self._problem(node, f"issue: found the bare value {value}, expected it quoted (2.10 would become 2.1)",
                          f'issue: "{value}"')  # fmt: skip
        elif value and value != self._number:
            self._problem(node, f'issue: found "{value}", but the file is named for {self._number!r}',
                          f'issue: "{self._number}", or rename the file')  # fmt: skip
        self.meta.number = value

    def _title(self, node: yaml.Node) -> None:
        self.meta.title = self._text("title", node)

    def _subject(self, node: yaml.Node) -> None:
        self.meta.subject = self._text("subject", node)

    def _preheader(self, node: yaml.Node) -> None:
        self.meta.preheader = self._text("preheader", node, empty=True)

    def _date(self, node: yaml.Node) -> None:
        value = self._text("date", node)
        try:
            self.meta.date = datetime.strptime(value, "%Y-%m-%d").date()
        except ValueError:
            if value:
                self._problem(node, f"date: found {value!r}, expected a day as YYYY-MM-DD", "date: 2023-03-31")

    def _send_at(self, node: yaml.Node) -> None:
        value = self._text("send_at", node)
        try:
            self.meta.send_at = read_wall(value, self._zone)
        except ValueError as error:
            if value:
                candidate = re.search(r"expected (\d{4}-\d\d-\d\d \d\d:\d\d(?: [+-]\d\d:\d\d)?)", str(error))
                example = candidate[1] if candidate else "2023-04-03 09:00"
                self._problem(node, f"send_at: found {value!r}, {error}", f"send_at: {example}")

    def _template(self, node: yaml.Node) -> None:
        self.meta.template = self._text("template", node)
        if self.meta.template and not _is_name(self.meta.template):
            self._problem(node, f"template: found {self.meta.template!r}, expected the name of a folder in templates/")

    def _audience(self, node: yaml.Node) -> None:
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        names = [self._text("audience", each) for each in nodes]
        for name, each in zip(names, nodes, strict=True):
            if name and (not _is_name(name) or name == "suppressed"):
                self._problem(each, f"audience: found {name!r}, expected the name of a list in contacts/")
        if not names:
            self._problem(node, "audience is empty", "audience: [subscribers]")
        self.meta.audience = tuple(dict.fromkeys(names))

    def _image(self, node: yaml.Node) -> None:
        if not isinstance(node, yaml.MappingNode):
            self._problem(node, f"image: found a {_kind(node)}, expected src, alt, credit, href",
                          'image: {src: hero.jpg, alt: "…"}')  # fmt: skip
            return
        pairs = self._pairs(node, ("src", "alt", "credit", "href"))
        values = {key: self._text(f"image.{key}", each, empty=key != "src") for key, each in pairs.items()}
        if "src" not in values:
            self._problem(node, "image.src is missing", 'image: {src: hero.jpg, alt: "…"}')
        line = pairs.get("src", node).start_mark.line + 1
        if src := values.get("src"):
            self.meta.image = Image(src, values.get("alt", ""), line, values.get("credit", ""), values.get("href"))


def _is_name(value: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", value)) and not MARKER.search(value)


def _kind(node: yaml.Node) -> str:
    return (
        "list" if isinstance(node, yaml.SequenceNode) else "mapping" if isinstance(node, yaml.MappingNode) else "text"
    )
