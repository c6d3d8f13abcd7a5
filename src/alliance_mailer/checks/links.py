"""Links that lead nowhere."""

import re
from collections.abc import Iterator

from ..issue import Issue
from . import Finding

_KNOWN = ("https", "http", "mailto", "tel")


def check(issue: Issue) -> Iterator[Finding]:
    """L001: a link has an address that a reader's mail program can open."""
    for link in issue.links:
        message = _mistake(link.href)
        if message:
            fix = "write the address: [words](https://…)"
            yield Finding("L001", "error", issue.file, link.line, f"the link “{link.text}” {message}", fix)


def _mistake(href: str) -> str:
    if href in ("", "#"):
        return "is empty" if not href else "leads nowhere (#)"
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", href)
    if scheme is None:
        # An anchor within the message, or a marker in whose place a person's own link will stand.
        return (
            ""
            if href.startswith("#") or re.match(r"MF[0-9a-f]{8}x", href)
            else f"is relative ({href}); a mail has no base"
        )
    return "" if scheme[1].lower() in _KNOWN else f"has the scheme {scheme[1]}:, which mail programs do not open"
