"""An issue as its author wrote it: front matter and Markdown, with the lines where everything stands."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, tzinfo
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote

from markdown_it.token import Token

from .body import Body, Link, Section, plain
from .disk import read_text
from .errors import InputError, Problem
from .frontmatter import CONTROL, FrontMatter, Image, read_front_matter
from .picture import Picture, load_picture
from .slots import Field, Markers

NUMBER = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z._-]{0,62}[0-9A-Za-z])?")

_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


@dataclass(frozen=True, slots=True)
class Issue:
    """One number of the publication. Its texts hold markers where the author wrote merge fields."""

    file: str
    number: str
    title: str
    date: date
    subject: str
    preheader: str
    image: Image | None
    audience: tuple[str, ...]
    template: str
    send_at: datetime | None  # wall time in the publication's zone; its fold tells which of two
    lead: Sequence[Token]
    sections: tuple[Section, ...]
    colophon: Sequence[Token]
    links: tuple[Link, ...]
    images: tuple[Image, ...]  # all of them, the front matter's first
    pictures: Mapping[str, Picture] = field(default_factory=dict)  # the local ones by src
    nonce: str = ""
    fields: tuple[Field, ...] = ()
    source: str = ""  # the file's text
    lines: Mapping[str, int] = field(default_factory=dict)  # where each key of the front matter stands

    @property
    def dateline(self) -> str:
        """The date as a masthead shows it; English, whatever the machine's locale."""
        return f"{_MONTHS[self.date.month - 1]} {self.date.day}, {self.date.year}"

    def markers(self) -> Markers:
        """The markers that its texts hold, to which a template adds its own."""
        return Markers(self.nonce, self.fields)


def issue_file(project: Path, number: str) -> Path:
    """Where issue `number` stands. Raises InputError, naming the issues there are, when it does not."""
    candidates = [project / "issues" / f"{number}.md", project / "issues" / number / "index.md"]
    found = [path for path in candidates if NUMBER.fullmatch(number) and path.is_file()]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"issue {number} is there twice: issues/{number}.md and issues/{number}/index.md")
    known = issue_numbers(project)
    there = f"there are: {', '.join(known)}" if known else "there is none yet in issues/"
    hint = f"mailer build --issue {known[-1]}" if known else "mailer import MANUSCRIPT.md"
    raise InputError(f"there is no issue {number!r}; {there}", hint=hint)


def issue_numbers(project: Path) -> list[str]:
    """The numbers of all issues, 2.9 before 2.10."""
    folder = project / "issues"
    names = {path.stem for path in folder.glob("*.md")} | {path.parent.name for path in folder.glob("*/index.md")}
    return sorted(names, key=number_order)


def number_order(number: str) -> list[tuple[bool, str]]:
    """What numbers are sorted by: 2.9 before 2.10."""
    return [(part.isdigit(), part.zfill(12)) for part in re.split(r"[._-]", number)]


def load_issue(project: Path, number: str, zone: tzinfo = UTC) -> Issue:
    """Read issue `number` and its pictures. Raises InputError with every mistake in the file.

    In `zone` its send_at is wall time: what the clocks there skip, or show twice, is a mistake.
    """
    path = issue_file(project, number)
    file = path.relative_to(project).as_posix()
    text = read_text(path, file)
    return parse_issue(text, file=file, number=number, folder=path.parent, project=project, zone=zone)


def load_front_matter(project: Path, number: str, zone: tzinfo) -> FrontMatter:
    """Only the keys of issue `number`, at a tenth of the price. Raises InputError with every mistake in them."""
    path = issue_file(project, number)
    file = path.relative_to(project).as_posix()
    problems: list[Problem] = []
    text = read_text(path, file).replace("\r\n", "\n").replace("\r", "\n")
    marked = _mark_fields(_blank_comments(text, file, []), Markers(sha256(text.encode()).hexdigest()), file, [])
    meta, _, _ = read_front_matter(marked, file, number, problems, zone)
    if problems:
        raise InputError(problems)
    return meta


def parse_issue(text: str, *, file: str, number: str, folder: Path, project: Path, zone: tzinfo = UTC) -> Issue:
    """The issue that `text` defines. Raises InputError with every mistake in it."""
    problems: list[Problem] = []
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    for index, line in enumerate(text.split("\n"), 1):
        if bad := CONTROL.search(line):
            problems.append(Problem(file, index, f"control character U+{ord(bad[0]):04X}; type what is meant there"))
    source = text = CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
    nonce = sha256(text.encode()).hexdigest()
    markers = Markers(nonce)
    marked = _mark_fields(_blank_comments(text, file, problems), markers, file, problems)
    meta, body, first_line = read_front_matter(marked, file, number, problems, zone)
    content = Body(body, first_line, file, problems)
    images = ((meta.image,) if meta.image else ()) + tuple(content.images)
    pictures = dict(_load_pictures(images, file, folder, project, problems))
    links = tuple(content.links)
    if meta.image and meta.image.href is not None:
        links = (Link(meta.image.href, meta.image.credit or meta.image.alt, meta.image.line), *links)
    _check_links(links, markers, file, problems)
    if problems:
        found = dict.fromkeys(replace(problem, message=markers.shown(problem.message)) for problem in problems)
        raise InputError(sorted(found, key=lambda problem: problem.line or 0))
    return Issue(
        file=file,
        number=meta.number,
        title=meta.title,
        date=meta.date,
        subject=meta.subject or _default_subject(meta.title, meta.number, content.sections),
        preheader=meta.preheader,
        image=meta.image,
        audience=meta.audience,
        template=meta.template,
        send_at=meta.send_at,
        lead=tuple(content.lead),
        sections=tuple(content.sections),
        colophon=tuple(content.colophon),
        links=links,
        images=images,
        pictures=pictures,
        nonce=nonce,
        fields=markers.fields,
        source=source,
        lines=meta.lines,
    )


# Merge fields ------------------------------------------------------------------------------------------------------

_EXPRESSION = re.compile(r"(?<!\\)\{\{(.*?)\}\}|(?<!\\)(\{%|\{\{)")
_FIELD = re.compile(r"""\s*contact\.([A-Za-z_]\w*)\s*(?:\|\s*default\(\s*(?:"([^"{}]*)"|'([^'{}]*)')\s*\)\s*)?""")


def _mark_fields(text: str, markers: Markers, file: str, problems: list[Problem]) -> str:
    """Put a marker for each merge field: an issue knows fields, and no other logic."""

    def mark(match: re.Match[str], line: int) -> str:
        if found := _FIELD.fullmatch(match[1] or ""):
            fallback = found[2] if found[2] is not None else found[3]
            return markers.mark(Field(found[1].lower(), fallback))
        message = f'found {match[0]!r}, expected {{{{ contact.first_name | default("reader") }}}}'
        problems.append(Problem(file, line, message, "put a backslash before braces that are meant as text"))
        return "…"

    lines = enumerate(text.split("\n"), 1)
    return "\n".join(_EXPRESSION.sub(lambda match, n=n: mark(match, n), line) for n, line in lines)  # type: ignore[misc]


def _blank_comments(text: str, file: str, problems: list[Problem]) -> str:
    # <!-- for the editors --> is no part of the mail; its line ends stay, so that all lines keep their numbers.
    def blank(comment: re.Match[str]) -> str:
        if not comment[1]:
            line = text.count("\n", 0, comment.start()) + 1
            problems.append(Problem(file, line, "a comment begins here and does not end", "close it with -->"))
        return "\n" * comment[0].count("\n")

    return re.sub(r"(?<!\\)<!--.*?(-->|\Z)", blank, text, flags=re.DOTALL)


def _check_links(links: Sequence[Link], markers: Markers, file: str, problems: list[Problem]) -> None:
    """A field must not choose a link's scheme, and a fallback that is a whole link must be one."""
    for link in links:
        try:
            for gap in markers.gaps_in_url(link.href):
                if gap.field.fallback is not None:
                    gap.write({})
        except ValueError as error:
            problems.append(Problem(file, link.line, f"the link “{link.text}”: {error}"))


def _default_subject(title: str, number: str, sections: Sequence[Section]) -> str:
    first = next((s.entries[0] for s in sections if s.kind == "headlines" and s.entries), None)
    headline = plain(first.blocks[1].children or []) if first else ""
    return f"{title} {number}: {headline}" if headline else f"{title} {number}"


# Pictures ----------------------------------------------------------------------------------------------------------


def _load_pictures(
    images: Sequence[Image], file: str, folder: Path, project: Path, problems: list[Problem]
) -> Iterator[tuple[str, Picture]]:
    for image in images:
        scheme = re.match(r"(?i)([a-z][a-z0-9+.-]*):", image.src)
        if scheme and scheme[1].lower() in ("http", "https"):
            continue  # linked as it stands; nothing is fetched
        if scheme:
            problems.append(
                Problem(file, image.line, f"picture {image.src[:60]!r}: expected a file or an https:// link")
            )
            continue
        path = folder / unquote(image.src)  # Markdown writes a blank as %20
        try:
            if not image.src:
                raise ValueError("no file is named")
            if not Path(os.path.realpath(path)).is_relative_to(project.resolve()):
                raise ValueError("outside the publication's folder")
            yield image.src, load_picture(path)
        except (ValueError, OSError) as error:
            problems.append(Problem(file, image.line, f"picture {image.src!r}: {error}"))
