"""MJML to HTML that mail clients show: normalised, compiled, its CSS inlined. Nothing is fetched, no file is read.

The order, the settings and the traps were measured; each has a regression test in tests/test_responsive.py.
"""

import html
import logging
import re
from collections.abc import Sequence

from lxml import etree

from .errors import InputError, Problem

_TAG = re.compile(
    r"""<!--.*?-->"""
    r"""|(?P<gap>(?<=>)[ \t]*\n\s*)?<(?P<name>[A-Za-z][^\s/>]*)"""
    r"""(?P<attributes>(?:\s+[\w:.-]+\s*=\s*(?:"[^"]*"|'[^']*'))*)(?P<end>\s*/?>)""",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r"""\s+([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_FORBIDDEN = re.compile(r"<(mj-include|link|script|mj-style[^>]*\binline=)|@import", re.IGNORECASE)


def compile_mjml(source: str, lines: Sequence[tuple[str, int]]) -> str:
    """HTML from MJML. `lines` names the template's file and line of each line. Raises InputError."""
    blank = len(source) - len(source.lstrip())
    lines = lines[source.count("\n", 0, blank) :]
    text = normalised(_numeric_entities(source.strip()))

    def error(line: int, message: str) -> InputError:
        return InputError(Problem(*lines[min(line, len(lines)) - 1], message))

    if match := _FORBIDDEN.search(text):
        hint = "styles go into inline.css and client.css, parts into {% include %}"
        raise error(text.count("\n", 0, match.start()) + 1, f"{match[0].lstrip('<')} is not available: {hint}")
    # The compiler names no position for most mistakes, and mends others in silence: so a strict look first.
    try:
        etree.fromstring(text.encode(), etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False))
    except etree.XMLSyntaxError as mistake:
        raise error(mistake.position[0] or 1, f"not well-formed: {mistake.msg}") from None
    import mjml

    try:
        return str(mjml.mjml2html(text, fonts={}))
    except ValueError as mistake:
        position = re.search(r"position (\d+)", str(mistake))
        before = text.encode()[: int(position[1])] if position else b""
        raise error(before.count(b"\n") + 1, f"MJML: {mistake}") from None
    except BaseException as panic:  # pyo3's PanicException is no Exception
        if type(panic).__name__ != "PanicException":
            raise
        raise error(1, f"the MJML compiler cannot take this template: {panic}") from None


def normalised(mjml: str) -> str:
    """MJML that mrml 6.0.1 compiles as it is meant; every tag stays on its line.

    mrml prints attribute values as Rust strings (a line feed becomes a backslash and an n), counts nothing for a
    padding with a bare 0 (Outlook's tables come out 80 px too wide), and drops white space with a line feed in it.
    """
    return _TAG.sub(_tag, mjml)


def _tag(match: re.Match[str]) -> str:
    if match["name"] is None:
        return match[0]  # a comment: Outlook's conditional HTML stays byte for byte
    attributes = "".join(
        f' {name}="{_attribute(name, a or b)}"' for name, a, b in _ATTRIBUTE.findall(match["attributes"])
    )
    # Between mj- elements the line feeds may stay; elsewhere they move into the tag, and a blank takes their place.
    gap = match["gap"] or ""
    if gap and not match["name"].startswith("mj"):
        gap = " "
    moved = "\n" * (match[0].count("\n") - gap.count("\n"))
    return f"{gap}<{match['name']}{attributes}{moved}{match['end'].strip()}"


def _attribute(name: str, value: str) -> str:
    value = re.sub(r"\s+", " ", value).strip() if re.search(r"[\n\t]", value) else value
    if name.endswith("padding"):
        value = re.sub(r"(?<![\w.])0(?![\w.%])", "0px", value)
    value = value.replace("\\", "&#92;").replace('"', "&quot;")
    return value.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _numeric_entities(text: str) -> str:
    # XML knows five names; numbers mean the same to every stage.
    def number(match: re.Match[str]) -> str:
        if match[1] in ("amp", "lt", "gt", "quot", "apos"):
            return match[0]
        meaning = html.unescape(match[0])
        return match[0] if meaning == match[0] else "".join(f"&#{ord(character)};" for character in meaning)

    return re.sub(r"&([A-Za-z][A-Za-z0-9]*);", number, text)


# CSS ---------------------------------------------------------------------------------------------------------------


def inline_css(page: str, inline: str, client: str) -> str:
    """Write the rules of `inline` into style attributes; keep `client` as a style sheet for those who read one."""
    import cssutils
    from premailer import Premailer

    # A belt to the braces above: cssutils fetches @import (http and file) whatever premailer was told.
    cssutils.util._defaultFetcher = lambda _url: (None, b"")  # noqa: SLF001 (it offers no other way)
    # lxml's spelling; premailer deletes any other doctype, and the client falls into quirks mode.
    page = page.replace("<!doctype html>", "<!DOCTYPE html>", 1)
    page = page.replace("</head>", f"<style>{client.strip()}</style></head>", 1) if client.strip() else page
    # Rules in a sheet must stay as they are: premailer would strip !important and drop [data-ogsc].
    keep = r"(<!--.*?-->)|<style(?![^>]*\bmedia=)"
    page = re.sub(keep, lambda m: m[1] or '<style data-premailer="ignore"', page, flags=re.DOTALL)
    page = Premailer(
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
    return page.replace(' height="auto"', "")  # no such value; MJML writes it on every picture without a height
