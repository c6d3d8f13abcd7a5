"""The message as text to read: its source, its text part, its raw lines, as HTML of ours."""

import re

from markupsafe import Markup, escape

_BLOCK = re.compile(
    r"(?<=>)(?=</?(?:html|head|body|meta|title|style|table|tbody|tr|td|div|p|h[1-6]|ul|ol|li|hr|!--)\b)"
)
_TAG = re.compile(r"(<!--.*?-->|<!DOCTYPE[^>]*>)|(</?)([\w:-]+)((?:[^>\"']|\"[^\"]*\"|'[^']*')*)(/?>)", re.DOTALL)
_ATTRIBUTE = re.compile(r"([\w:-]+)(=)(\"[^\"]*\"|'[^']*')")
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/=]{60,76}\r?\n){6,}[A-Za-z0-9+/=]*")


def source(html: str) -> list[Markup]:
    """The HTML in lines, its tags in colours. Each block stands on a line of its own; nothing else is changed."""
    return [_coloured(line) for line in _BLOCK.sub("\n", html).split("\n")]


def _coloured(line: str) -> Markup:
    pieces, at = [], 0
    for tag in _TAG.finditer(line):
        pieces.append(escape(line[at : tag.start()]))
        at = tag.end()
        if tag[1]:
            pieces.append(Markup("<i>{}</i>").format(tag[1]))
            continue
        pieces.append(Markup("{}<b>{}</b>").format(tag[2], tag[3]))
        rest, done = tag[4], 0
        for attribute in _ATTRIBUTE.finditer(rest):
            pieces.append(escape(rest[done : attribute.start()]))
            pieces.append(Markup("<u>{}</u>{}<s>{}</s>").format(attribute[1], attribute[2], attribute[3]))
            done = attribute.end()
        pieces += (escape(rest[done:]), escape(tag[5]))
    pieces.append(escape(line[at:]))
    return Markup().join(pieces)


def raw(message: bytes) -> Markup:
    """The message as it goes over the wire; a long run of base64 is folded to its first lines."""
    text = message.decode("utf-8", "replace").replace("\r\n", "\n")
    pieces, at = [], 0
    for run in _BASE64.finditer(text):
        lines = run[0].splitlines()
        note = f"… {len(lines) - 2:,} more lines, {len(run[0]):,} bytes of base64 …"
        pieces.append(escape(text[at : run.start()] + "\n".join(lines[:2]) + "\n"))
        pieces.append(Markup("<em>{}</em>\n").format(note))
        at = run.end()
    pieces.append(escape(text[at:]))
    return Markup().join(pieces)
