"""An issue rendered: Markdown → Jinja2 → MJML → inlined CSS, once for everybody, with markers where fields are."""

import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup

from .body import MARKDOWN, Section
from .errors import InputError, Problem, did_you_mean
from .issue import Issue
from .picture import Picture
from .plaintext import plain_text
from .publication import Publication
from .responsive import compile_mjml, inline_css
from .slots import Field, MarkerError, Markers
from .theme import ContactFields, MergeField, Origins, Theme
from .trace import marked, resolved

WIDTH = 640  # px, of the message
_TEXT_WIDTH = 528  # px, of a picture inside the text


@dataclass(frozen=True, slots=True)
class Rendered:
    """Subject, HTML and text with markers in them, and the pictures that travel along."""

    subject: str
    html: str
    text: str
    markers: Markers
    pictures: tuple[Picture, ...]  # in order of first use; none where `assets_url` is set


def render(issue: Issue, publication: Publication, templates: Path) -> Rendered:
    """Render `issue` with its template, one of the folders in `templates`.

    Raises InputError with file:line of the template. Nothing is fetched and no file outside the template's folder read.
    """
    markers = issue.markers()
    theme = _theme(issue, templates, markers)
    context = _context(issue, publication, markers)
    mjml = theme.render(_MESSAGE, context)
    compiled = compile_mjml(mjml, lambda line: theme.origin(_MESSAGE, context, line))
    page = inline_css(compiled, theme.css("inline.css"), theme.css("client.css"))
    _check_fields(markers, page, mjml, lambda line: theme.origin(_MESSAGE, context, line))
    text = plain_text(issue, publication, markers)
    if (templates / issue.template / "message.txt.j2").is_file():
        context["text"] = text
        text = theme.render("message.txt.j2", context)
        _check_fields(markers, text, text, lambda line: theme.origin("message.txt.j2", context, line))
        text = text.strip("\n") + "\n"
    used = {picture.name: picture for picture in issue.pictures.values()}
    travelling = () if publication.assets_url else tuple(used.values())
    return Rendered(issue.subject, page, text, markers, travelling)


def _check_fields(markers: Markers, text: str, source: str, origin: Callable[[int], tuple[str, int]]) -> None:
    """Raise InputError, with the template's line, for a field where no value can be written. `source` became `text`."""
    try:
        markers.split(text) if text is source else markers.split_html(text)
    except MarkerError as error:
        # The same field may stand well elsewhere; what is wrong with it is mostly that it stands in a tag.
        found = re.search(f"<[^<>]*{error.mark}", source) or re.search(error.mark, source)
        line = source.count("\n", 0, found.end()) + 1 if found else 1
        raise InputError(Problem(*origin(line), markers.shown(str(error)))) from None


@dataclass(frozen=True, slots=True)
class Traced:
    """Where everything in a rendered issue was written, for the checks."""

    mjml: str  # what the template made
    origins: Sequence[Origins]  # for each line of it
    html: str  # as `Rendered.html`, each element with data-at="file:line", or a comment <!--at file:line--> in it
    markers: Markers


def trace(issue: Issue, publication: Publication, templates: Path) -> Traced:
    """Render `issue` once more, marking each element with its author's file and line. Raises as `render` does."""
    markers = issue.markers()
    theme = _theme(issue, templates, markers)
    context = _context(issue, publication, markers, file=issue.file)
    mjml, origins = theme.render(_MESSAGE, context), theme.origins(_MESSAGE, context)
    compiled = compile_mjml(marked(mjml, origins), lambda line: origins[line - 1][0][1:])
    page = inline_css(compiled, theme.css("inline.css"), theme.css("client.css"))
    return Traced(mjml, origins, resolved(page, origins), markers)


_MESSAGE = "message.mjml.j2"


def _theme(issue: Issue, templates: Path, markers: Markers) -> Theme:
    folder = templates / issue.template
    if not (folder / _MESSAGE).is_file():
        known = [path.parent.name for path in templates.glob(f"*/{_MESSAGE}")]
        message = f'there is no template "{issue.template}"{did_you_mean(issue.template, known)}'
        line = issue.lines.get("template")
        raise InputError(Problem(issue.file, line, message, f"make {templates.name}/{issue.template}/{_MESSAGE}"))
    return Theme(folder, f"{templates.name}/{issue.template}", markers)


# What a template sees ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _IssueView:
    number: str
    title: str
    date: date
    dateline: str
    subject: str
    preheader: str


@dataclass(frozen=True)
class _Hero:
    src: str
    alt: str
    width: int
    height: int | None  # of a picture elsewhere it is not known, and Outlook would squash it to what it is told
    credit: str
    href: str | None


@dataclass(frozen=True)
class _EntryView:
    number: int
    anchor: str
    headline: Markup
    html: Markup


@dataclass(frozen=True)
class _SectionView:
    title: str
    kind: str
    html: Markup
    entries: Sequence[_EntryView]


def _context(issue: Issue, publication: Publication, markers: Markers, file: str = "") -> dict[str, Any]:
    """`file`: mark what stands in the issue with it, and its line."""
    sources = {src: _source(picture, publication) for src, picture in issue.pictures.items()}
    body = _BodyHtml(issue.pictures, sources, file)
    headlines = next((s.entries for s in issue.sections if s.kind == "headlines"), ())
    titles = [body.inline(entry.blocks[1]) for entry in headlines]
    hero = None
    if issue.image:
        picture = issue.pictures.get(issue.image.src)
        width, height = _fit(picture, WIDTH) if picture else (WIDTH, None)
        src = sources.get(issue.image.src, issue.image.src)
        hero = _Hero(src, issue.image.alt, width, height, issue.image.credit, issue.image.href)
    return {
        "publication": publication,
        "issue": _IssueView(issue.number, issue.title, issue.date, issue.dateline, issue.subject, issue.preheader),
        "hero": hero,
        "lead": body.blocks(issue.lead),
        "sections": [_section(section, titles, body) for section in issue.sections],
        "colophon": body.blocks(issue.colophon),
        "contact": ContactFields(markers),
        "unsubscribe_url": MergeField(markers, Field("unsubscribe_url")),
    }


def _section(section: Section, titles: Sequence[Markup], body: "_BodyHtml") -> _SectionView:
    paired = section.kind in ("headlines", "details")
    entries = [
        _EntryView(
            n,
            f"item-{n}",
            titles[n - 1] if paired and n <= len(titles) else Markup(),
            Markup() if section.kind == "headlines" else body.blocks(entry.blocks),
        )
        for n, entry in enumerate(section.entries, 1)
    ]
    return _SectionView(section.title, section.kind, body.blocks(section.blocks), entries)


def _source(picture: Picture, publication: Publication) -> str:
    """Where a picture is: at `assets_url`, or inside the message (RFC 2392)."""
    if publication.assets_url:
        return f"{publication.assets_url.rstrip('/')}/{picture.name}"
    return f"cid:{content_id(picture, publication)}"


def content_id(picture: Picture, publication: Publication) -> str:
    """The Content-ID of an inline picture (RFC 2392), without its angle brackets."""
    return f"{picture.name}@{publication.domain}"


def _fit(picture: Picture, width: int) -> tuple[int, int]:
    width = min(width, picture.width)
    return width, max(1, round(picture.height * width / picture.width))


class _BodyHtml:
    """Markdown's tokens as HTML that survives the chain."""

    def __init__(self, pictures: Mapping[str, Picture], sources: Mapping[str, str], file: str) -> None:
        self._pictures, self._sources, self._file = pictures, sources, file
        self._renderer = RendererHTML(MARKDOWN)
        rules: dict[str, Any] = self._renderer.rules
        rules["image"] = self._image

    def blocks(self, tokens: Sequence[Token]) -> Markup:
        tokens = self._marked(tokens)
        return Markup(self._renderer.render(tokens, MARKDOWN.options, {}).rstrip("\n"))  # noqa: S704 (escaped by it)

    def inline(self, token: Token) -> Markup:
        children = self._marked(token.children or [])
        return Markup(self._renderer.renderInline(children, MARKDOWN.options, {}))  # noqa: S704

    def _marked(self, tokens: Sequence[Token]) -> Sequence[Token]:
        if not self._file:
            return tokens
        copies: list[Token] = []
        for token in tokens:
            line = token.meta.get("line") or (token.map[0] if token.map else None)
            attrs = {**token.attrs, "data-at": f"{self._file}:{line}"} if line and token.nesting >= 0 else token.attrs
            if token.hidden and token.nesting > 0:  # a paragraph of a tight list has no element
                copies.append(Token("html_block", "", 0, content=f"<!--at {html.escape(self._file)}:{line}-->"))
            children = token.children if token.type == "image" else list(self._marked(token.children or []))
            copies.append(replace(token, attrs=attrs, children=children))
        return copies

    def _image(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        token = tokens[index]
        src = str(token.attrs["src"])
        alt = self._renderer.renderInlineAsText(token.children, options, env)
        size = ""
        if picture := self._pictures.get(src):
            size = ' width="{}" height="{}"'.format(*_fit(picture, _TEXT_WIDTH))
        source = self._sources.get(src, src)
        size += f' data-at="{html.escape(str(token.attrs["data-at"]))}"' if "data-at" in token.attrs else ""
        return f'<img src="{html.escape(source)}" alt="{html.escape(alt)}"{size} />'
