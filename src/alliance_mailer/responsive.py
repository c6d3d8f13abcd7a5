"""MJML to HTML that mail clients show: normalised, compiled, its CSS inlined. Nothing is fetched, no file is read.

The order, the settings and the traps were measured; each has a regression test in tests/test_responsive.py.
"""

import html
import logging
import re
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from lxml import etree

from .errors import InputError, Problem

_TAG = re.compile(
    r"""<!--(?!\[if|<!|>).*?-->"""  # not Outlook's conditional comments: their content is compiled like any other
    r"""|(?P<gap>(?<=>)[ \t]*\n\s*)?<(?P<name>/?[A-Za-z][^\s/>]*)"""
    r"""(?P<attributes>(?:\s+[\w:.-]+\s*=\s*(?:"[^"]*"|'[^']*'))*)(?P<end>\s*/?>)""",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r"""\s+([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")

_TITLE = re.compile(r"<mj-title>([^<]*)</mj-title>")  # the compiler copies it into an attribute

_FORBIDDEN = re.compile(r"<(!DOCTYPE|mj-include|mj-font|link|script|mj-style[^>]*\binline=)", re.IGNORECASE)
_STYLE = re.compile(r"<(?:mj-)?style\b.*?(?:</(?:mj-)?style|\Z)", re.IGNORECASE | re.DOTALL)
# In any spelling: to CSS, @import, @\69mport and @\i\mport are the same.
_LETTER = r"(?:\\?{}|\\0{{0,4}}(?:{:x}|{:x})(?:\r\n|\s)?)"
AT_IMPORT = "(?i:@" + "".join(_LETTER.format(c, ord(c), ord(c.upper())) for c in "import") + ")"


def compile_mjml(source: str, origin: Callable[[int], tuple[str, int]]) -> str:
    """HTML from MJML. `origin` knows the template's file and line of a line of it. Raises InputError."""
    text = well_formed(source)

    def error(line: int, message: str) -> InputError:
        return InputError(Problem(*origin(line), message))

    if found := _forbidden(text):
        at, what = found
        hint = "styles go into inline.css and client.css, parts into {% include %}"
        raise error(text.count("\n", 0, at) + 1, f"{what} is not available: {hint}")
    # The compiler names no position for most mistakes, and mends others in silence: so a strict look first.
    try:
        etree.fromstring(text.encode())
    except etree.XMLSyntaxError as mistake:
        # The parser's words name lines of the text before us; an author knows the template's.
        words = re.sub(r", line \d+, column \d+$", "", mistake.msg)
        words = re.sub(r" line (\d+)", lambda found: " ({}:{})".format(*origin(int(found[1]))), words)
        raise error(mistake.position[0] or 1, f"not well-formed: {words}") from None
    import mjml

    try:
        return str(mjml.mjml2html(text, fonts={}))
    except ValueError as mistake:
        words, _, position = str(mistake).partition(" in root template")
        start, end = map(int, re.findall(r"\d+", position) or (0, 0))  # in bytes
        what = text.encode()[start:end].decode(errors="replace")
        line = text.encode()[:start].count(b"\n") + 1
        raise error(line, f"MJML: {words}{what and f': {what!r}'}") from None
    except BaseException as panic:  # pyo3's PanicException is no Exception
        if type(panic).__name__ != "PanicException":
            raise
        raise error(1, f"the MJML compiler cannot take this template: {panic}") from None


def well_formed(source: str) -> str:
    """MJML as it goes to the compiler: XML without named entities, each thing on the line where it was."""
    return normalised(_numeric_entities(source))


def _forbidden(text: str) -> tuple[int, str] | None:
    """Where something would be fetched or read, by us or by the reader's client, and what."""
    if found := _FORBIDDEN.search(text):
        return found.start(), found[1]
    for style in _STYLE.finditer(text):
        if found := re.search(AT_IMPORT, style[0]):
            return style.start() + found.start(), "@import"
    return None


def normalised(mjml: str) -> str:
    """MJML that mrml 6.0.1 compiles as it is meant; every tag stays on its line.

    mrml prints attribute values as Rust strings (a line feed becomes a backslash and an n), counts nothing for a
    padding with a bare 0 (Outlook's tables come out 80 px too wide), and drops white space with a line feed in it
    (mrml-core#117), gluing words, unless it holds anything else, such as a blank by its number.
    """
    return _TITLE.sub(_title, _TAG.sub(_tag, mjml))


def _tag(match: re.Match[str]) -> str:
    if match["name"] is None:
        return match[0]
    attributes = "".join(
        f' {name}="{_attribute(name, a or b)}"' for name, a, b in _ATTRIBUTE.findall(match["attributes"])
    )
    gap = match["gap"] or ""
    line_feeds = "\n" * (match[0].count("\n") - gap.count("\n"))
    if gap and not match["name"].startswith(("mj", "/mj")):
        gap = "&#32;" + "\n" * gap.count("\n")
    return f"{gap}<{match['name']}{attributes}{line_feeds}{match['end'].strip()}"


def _title(match: re.Match[str]) -> str:
    return f"<mj-title>{_attribute('title', match[1])}</mj-title>" + "\n" * match[1].count("\n")


def _attribute(name: str, value: str) -> str:
    value = re.sub(r"[ \t\r\n]+", " ", value).strip(" ") if re.search(r"[\t\r\n]", value) else value
    if name.startswith(("padding", "inner-padding")):
        value = re.sub(r"(?<![\w.])0(?![\w.%])", "0px", value)
    value = value.replace("\\", "&#92;").replace('"', "&quot;")
    return value.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _numeric_entities(text: str) -> str:
    # XML knows five names; numbers mean the same to every stage.
    def number(match: re.Match[str]) -> str:
        meaning = html.unescape(match[0])
        return match[0] if meaning == match[0] else "".join(f"&#{ord(character)};" for character in meaning)

    return re.sub(r"&[A-Za-z][A-Za-z0-9]*;", number, text)


# CSS ---------------------------------------------------------------------------------------------------------------


def _fetch_nothing(_url: str) -> tuple[None, bytes]:
    return None, b""


def _premailer() -> Any:
    """Premailer without requests, which it has to fetch with: 40 ms to import, and nothing is ever to be fetched."""
    absent = {} if "requests" in sys.modules else {"requests": ModuleType("requests")}
    sys.modules.update(absent)
    try:
        from premailer import Premailer
    finally:
        for name in absent:
            del sys.modules[name]
    return Premailer


def inline_css(page: str, inline: str, client: str) -> str:
    """Write the rules of `inline` into style attributes; keep `client` as a style sheet for those who read one."""
    import cssutils

    # A belt to the braces above: cssutils fetches @import (http and file) whatever premailer was told.
    cssutils.util._defaultFetcher = _fetch_nothing  # noqa: SLF001 (it offers no other way)
    cssutils.ser.prefs.minimizeColorHash = False  # Outlook misreads #fff in places
    # lxml's spelling; premailer deletes any other doctype, and the client falls into quirks mode.
    page = page.replace("<!doctype html>", "<!DOCTYPE html>", 1)
    page = page.replace("</head>", f"<style>{client.strip()}</style></head>", 1) if client.strip() else page
    # Rules in a sheet must stay as they are: premailer would strip !important and drop [data-ogsc].
    keep = r"(<!--.*?-->)|<style(?![^>]*\bmedia=)"
    page = re.sub(keep, lambda m: m[1] or '<style data-premailer="ignore"', page, flags=re.DOTALL)
    page = _premailer()(
        page,
        css_text=inline,
        keep_style_tags=False,
        strip_important=False,
        allow_network=False,
        disable_validation=True,
        # Outlook reads width="640"; premailer would overwrite it with the rule's 100%.
        disable_basic_attributes=["width", "height", "align", "valign", "bgcolor"],
        align_floating_images=False,
        remove_classes=False,
        method="html",
        cssutils_logging_level=logging.CRITICAL,
        cache_css_parsing=True,
    ).transform(pretty_print=False)
    # No such value; MJML writes it on every picture without a height.
    return re.sub(r'(<img\b[^<>]*?) height="auto"', r"\1", page)
