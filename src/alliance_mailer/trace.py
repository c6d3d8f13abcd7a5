"""Marks that carry an author's file and line through the compiler: in, each tag of MJML; out, each element of HTML.

HTML travels with an attribute, data-at="file:line". An mj-* tag has no room for one, but its css-class arrives on what
it becomes, so there the mark is a class. Compiling once more costs 30 ms; the compiler itself keeps no such map.
"""

import html
import re
from bisect import bisect_right
from collections.abc import Sequence

from .theme import Origins

_TAG = re.compile(r"""<([A-Za-z][\w:-]*)((?:\s+[\w:.-]+\s*=\s*(?:"[^"]*"|'[^']*'))*)(?=\s*/?>)""")
_CLASS = re.compile(r"""(\scss-class\s*=\s*)(["'])(.*?)\2""", re.DOTALL)
_DEFAULTS = re.compile(r"<mj-attributes\b.*?</mj-attributes>", re.DOTALL)
_VISIBLE = {"mj-section", "mj-wrapper", "mj-column", "mj-group", "mj-hero", "mj-text", "mj-image", "mj-button",
            "mj-divider", "mj-table", "mj-spacer", "mj-social", "mj-navbar", "mj-accordion", "mj-carousel"}  # fmt: skip


def marked(mjml: str, origins: Sequence[Origins]) -> str:
    """MJML whose tags carry their place; nothing else changes, and every tag stays on its line."""
    # A class given here would win over one that comes from mj-attributes, and change the page.
    has_defaults = any("css-class" in block for block in _DEFAULTS.findall(mjml))
    starts = [0, *(found.end() for found in re.finditer("\n", mjml))]
    files = _files(origins)

    def mark(tag: re.Match[str]) -> str:
        line = bisect_right(starts, tag.start()) - 1
        before = [each for each in origins[line] if each[0] <= tag.start() - starts[line]]
        _, file, at = (before or origins[line])[-1 if before else 0]
        name, attributes = tag[1], tag[2]
        if not name.startswith("mj"):
            return tag[0] if "data-at=" in attributes else f'{tag[0]} data-at="{html.escape(file)}:{at}"'
        mark = f"at-{files.index(file)}-{at}"
        if name in _VISIBLE and _CLASS.search(attributes):
            return f"<{name}" + _CLASS.sub(rf"\1\2\3 {mark}\2", attributes, count=1)
        return f'{tag[0]} css-class="{mark}"' if name in _VISIBLE and not has_defaults else tag[0]

    return _TAG.sub(mark, mjml)


_MARKED = re.compile(r'\sclass="([^"]*?) ?\bat-([0-9]+)-([0-9]+)((?:-outlook)?)"')


def resolved(page: str, origins: Sequence[Origins]) -> str:
    """The compiled page, its classes of `marked` as data-at="file:line"."""
    files = _files(origins)

    def place(mark: re.Match[str]) -> str:
        left = f' class="{mark[1]}{mark[4]}"' if mark[1] else ""
        return f'{left} data-at="{html.escape(files[int(mark[2])])}:{mark[3]}"'

    return _MARKED.sub(place, page)


def _files(origins: Sequence[Origins]) -> list[str]:
    return list(dict.fromkeys(file for line in origins for _, file, _ in line))
