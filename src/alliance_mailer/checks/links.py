"""Links that lead nowhere."""

import re
from collections.abc import Iterator

from ..issue import Issue
from ..slots import MARKER
from . import Finding

_KNOWN = ("https", "http", "mailto", "tel")
_LEADS = re.compile(rf"(?i)https?://(?=[^/?#]*(\.|{MARKER.pattern}))[^/?#.]|(mailto|tel):[^/?]")


def check(issue: Issue) -> Iterator[Finding]:
    """L001: a link has an address that a reader's mail program can open."""
    for link in issue.links:
        mistake = _mistake(link.href)
        if mistake:
            fix = "write the address: [words](https://…)"
            message = issue.markers().shown(f"the link “{link.text}” {mistake}")
            yield Finding("L001", "error", issue.file, link.line, message, fix)


def _mistake(href: str) -> str:
    if not href:
        return "is empty"
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", href)
    if scheme and scheme[1].lower() not in _KNOWN:
        return f"has the scheme {scheme[1]}:, which mail programs do not open"
    if href == "#" or (scheme and not _LEADS.match(href)):
        return f"leads nowhere ({href})"
    if not scheme and not href.startswith("#") and not MARKER.match(href):  # an anchor, or a person's own link
        return f"is relative ({href}); a mail has no base"
    return ""
