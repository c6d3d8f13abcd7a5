"""The HTML of a message for the frame on the page: the message's own, but for what a browser cannot do by itself.

A mail program shows the pictures inside the message, a scheme, pictures or none; here the page's address says so, and
the HTML is changed in these places and in no other. It is shown without scripts, and fetches nothing.
"""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..slots import Place, Segments
from .forced_dark import forced_dark

# What a message's frame may do: show its own styles, and pictures from here. No script, no form, no address of another
# base, and nothing from elsewhere, unless a person asked for the pictures.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:{remote}; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox allow-same-origin"
)

_SCHEME = re.compile(r"(?i)\(\s*prefers-color-scheme\s*:\s*(dark|light)\s*\)")
_STYLE = re.compile(r"(?is)(<style\b)([^>]*>)(.*?)(</style>)")
_IMAGE = re.compile(r"""(?is)(<img\b(?:[^>"']|"[^"]*"|'[^']*')*?\bsrc=)("[^"]*"|'[^']*'|[^\s>]+)""")
_BACKGROUND = re.compile(r"""(?i)url\(\s*(['"]?|&quot;)\s*((?:https?:)?//[^'")\s]*)\1\s*\)""")
_ACTIVE = re.compile(r"""(?i)<meta\b[^>]*http-equiv\s*=\s*["']?refresh[^>]*>|<base\b[^>]*>""")
_NOTHING = "data:,"  # a picture that does not come: the browser shows the words instead


@dataclass(frozen=True, slots=True)
class Shown:
    """What the frame gets, and what it was spared."""

    html: str
    blocked: tuple[str, ...]  # addresses of pictures elsewhere


def shown(page: str, *, theme: str, img: str, pictures: Mapping[str, str]) -> Shown:
    """The page for the frame. `pictures` says where each picture's src is to be had here."""
    blocked: dict[str, None] = {}

    def image(found: re.Match[str]) -> str:
        src = html.unescape(found[2].strip("\"'"))
        if img == "off":
            return f'{found[1]}"{_NOTHING}"'
        if src in pictures:
            return f'{found[1]}"{html.escape(pictures[src])}"'
        if not re.match(r"(?i)\s*(https?:)?//", src) or img == "remote":
            return found[0]
        blocked[src] = None
        return f'{found[1]}"{_NOTHING}"'

    def background(found: re.Match[str]) -> str:
        if img == "remote":
            return found[0]
        blocked[html.unescape(found[2])] = None
        return "none"

    page = _ACTIVE.sub("", page)  # the policy forbids both; so the console stays clean
    page = _BACKGROUND.sub(background, _IMAGE.sub(image, page))
    dark = theme == "dark"

    def style(found: re.Match[str]) -> str:
        def scheme(asked: re.Match[str]) -> str:  # a width always holds, or never
            return "(min-width:0px)" if (asked[1].lower() == "dark") == dark else "(max-width:0px)"

        return found[1] + _SCHEME.sub(scheme, found[2]) + _SCHEME.sub(scheme, found[3]) + found[4]

    page = _STYLE.sub(style, page)
    # The ground, too, follows the scheme that is shown, not the one of the person who looks.
    page = _in_head(page, f"<style>:root{{color-scheme:{'dark' if dark else 'only light'} !important}}</style>")
    if theme == "forced":
        page = forced_dark(page)
    return Shown(page, tuple(blocked))


def _in_head(page: str, what: str) -> str:
    return page.replace("</head>", f"{what}</head>", 1) if "</head>" in page else page + what


def as_outlook(page: str) -> str:
    """The page as Word reads it: what is marked [if mso] shown, what is marked [if !mso] dropped."""
    page = re.sub(r"<!--\[if !mso\]><!-->.*?<!--<!\[endif\]-->", "", page, flags=re.DOTALL)
    page = re.sub(r"<!--\[if [^\]]*mso[^\]]*\]>(.*?)<!\[endif\]-->", r"\1", page, flags=re.DOTALL)
    # Settings of Word's, which a browser would print.
    return re.sub(r"<noscript>\s*<xml>.*?</xml>\s*</noscript>", "", page, flags=re.DOTALL)


MARKS = (
    "<style>mark[data-field]{background:#ffe9a8;color:#16181d;border-radius:2px;box-shadow:0 0 0 2px #ffe9a8}</style>"
)


def marked(segments: Segments, values: Mapping[str, str]) -> str:
    """The HTML with the reader's own words in marks, where they are words. Raises as `slots.Gap.write` does."""
    pieces = [segments.literals[0]]
    for gap, literal in zip(segments.gaps, segments.literals[1:], strict=True):
        written = gap.write(values)
        if gap.place is Place.TEXT:
            written = f'<mark data-field="{html.escape(gap.field.name)}">{written}</mark>'
        pieces += (written, literal)
    return _in_head("".join(pieces), MARKS)
