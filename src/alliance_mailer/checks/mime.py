"""The parts of the message: their order, encoding and size, and the text part."""

import re
from collections.abc import Iterator
from urllib.parse import unquote

from ._budget import CLIP, budget
from ._proof import Proof
from ._rule import Flaw, Place, rule

_MEGABYTE = 2**20
_LARGEST = 25 * _MEGABYTE  # Gmail, Microsoft 365
_DANGEROUS = re.compile(r"(?i)\.(exe|js|jse|vbs|bat|cmd|com|scr|ps1|iso|img|jar|msi|lnk|hta|wsf|docm|xlsm)$")
_SLIPPED = re.compile("[\u00ad\u200b\u2060\u202a-\u202e\u2066-\u2069\ufeff]")
_NAMES = {
    "\u00ad": "a soft hyphen",
    "\u200b": "a zero-width space",
    "\u2060": "a word joiner",
    "\ufeff": "a byte order mark",
}
_MIXED = re.compile(r"\b(?=\w*[A-Za-z])(?=\w*[\u0370-\u03ff\u0400-\u04ff])[A-Za-z\u0370-\u03ff\u0400-\u04ff]+\b")


@rule(
    "M001",
    "error",
    fix="report it: the program orders the parts itself",
    source="RFC 2046, 5.1.4; SpamAssassin: MIME_HTML_ONLY",
)
def text_comes_first(proof: Proof) -> Iterator[Flaw]:
    """The message is multipart/alternative: the text first, the page last.

    A mail program shows the last one that it can; filters count a page without a text against the sender.
    """
    kinds = [part.get_content_type() for part in proof.message.iter_parts()] if proof.message.is_multipart() else []
    if proof.message.get_content_type() != "multipart/alternative" or kinds[:1] != ["text/plain"] or len(kinds) != 2:
        yield Flaw(
            f"the message is {proof.message.get_content_type()} of {', '.join(kinds) or 'one part'}", proof.whole
        )


@rule("M002", "error", fix="report it: the program encodes the parts itself", source="RFC 2045, 6")
def text_is_utf_8(proof: Proof) -> Iterator[Flaw]:
    """Text is declared as UTF-8 and travels as 7-bit.

    Servers without 8BITMIME, Amazon's too, damage anything else, and a signature with it.
    """
    for part in proof.message.walk():
        if part.get_content_maintype() == "text":
            encoding = str(part.get("Content-Transfer-Encoding", "7bit")).lower()
            if str(part.get_content_charset()) != "utf-8" or encoding not in ("quoted-printable", "base64", "7bit"):
                yield Flaw(f"{part.get_content_type()} is {part.get_content_charset()} as {encoding}", proof.whole)
            elif "\ufffd" in str(part.get_content()):
                yield Flaw(f"{part.get_content_type()} holds a character that was damaged: U+FFFD", proof.whole)


@rule(
    "M003",
    "warning",
    fix="let the text part come from the issue: delete message.txt.j2",
    source="SpamAssassin: MPART_ALT_DIFF",
)
def text_says_what_the_page_says(proof: Proof) -> Iterator[Flaw]:
    """The text part says what the page says.

    Some read only it; filters compare the two, and a stub (“view in your browser”) costs 2 points.
    """
    place = proof.text_template
    words, shown = len(proof.text.split()), len(proof.tree.body.text_content().split())
    if words < shown / 5:
        yield Flaw(f"the text part has {words} words, the page {shown}", place)
    if rest := re.search(r"</?(?:p|div|td|table|a|br|span|style)\b[^>]*>|\{\{|\{%|\bfont-(?:size|family):", proof.text):
        yield Flaw(f"the text part holds {rest[0][:40]}", place)


@rule(
    "M004",
    "error",
    fix="split the issue, or shorten the longest stories; put stories into one mj-section",
    source="hteumeuleu/email-bugs#41",
)
def gmail_does_not_clip(proof: Proof) -> Iterator[Flaw]:
    """The page stays below the size at which Gmail cuts it.

    About 102 KB. What follows is hidden behind “View entire message”, with it the link to unsubscribe.
    """
    spent = budget(proof)
    if spent.bytes <= 0.8 * CLIP:
        return
    longest = ", ".join(f"“{story.words}” ({story.bytes / 1000:.1f} KB)" for story in spent.largest(3))
    message = f"the page has {spent.bytes / 1000:.0f} KB; Gmail cuts at {CLIP / 1000:.0f}. The longest: {longest}"
    if spent.bytes <= CLIP:
        yield Flaw(message, proof.whole, severity="warning")
        return
    where = f"Gmail cuts the page here, after “…{spent.cut_words}”" if spent.cut_words else message
    yield Flaw(
        f"{where}: it has {spent.bytes / 1000:.0f} KB of {CLIP / 1000:.0f}. The longest: {longest}",
        spent.cut_at or proof.whole,
    )


@rule(
    "M005",
    "error",
    fix="save pictures at most 1280 pixels wide, as JPEG; or set assets_url, so that they are linked",
    source="Gmail, Microsoft 365: 25 MB",
)
def message_is_light(proof: Proof) -> Iterator[Flaw]:
    """A message stays below 1 MB, and far below what servers take.

    Each reader gets every picture; above 25 MB the large providers refuse the message.
    """
    heavy = False
    for image in proof.issue.images:
        picture = proof.issue.pictures.get(image.src)
        if picture and not proof.publication.assets_url and len(picture.data) > _MEGABYTE:
            heavy = True
            message = f"the picture {image.src} weighs {len(picture.data) / _MEGABYTE:.1f} MB, in every single message"
            yield Flaw(message, proof.picture(image), severity="warning")
    if len(proof.raw) > _LARGEST:
        yield Flaw(f"the message has {len(proof.raw) / _MEGABYTE:.0f} MB; the large providers take 25", proof.whole)
    elif len(proof.raw) > _MEGABYTE and not heavy:
        yield Flaw(f"the message has {len(proof.raw) / _MEGABYTE:.1f} MB", proof.whole, severity="warning")


@rule("M006", "warning", fix="link to it instead", source="Amazon SES: unsupported attachment types")
def nothing_is_attached(proof: Proof) -> Iterator[Flaw]:
    """Nothing is attached.

    Filters hold back a newsletter with an attachment; a program in it is refused everywhere.
    """
    for part in proof.message.walk():
        if part.get_content_disposition() == "attachment":
            name = part.get_filename() or part.get_content_type()
            yield Flaw(f"{name} is attached", proof.whole, severity="error" if _DANGEROUS.search(name) else None)


@rule(
    "M007", "warning", fix="report it: the program puts pictures and their addresses together itself", source="RFC 2392"
)
def inline_pictures_are_there(proof: Proof) -> Iterator[Flaw]:
    """Each picture that the page shows from inside the message travels in it, and no other.

    One that is missing is a broken frame; one too many is listed as an attachment.
    """
    wanted = {unquote(each.get("src", "")[4:]) for each in proof.elements if each.get("src", "").startswith("cid:")}
    there = {str(part["Content-ID"]).strip("<>") for part in proof.message.walk() if part["Content-ID"]}
    for identity in sorted(wanted - there):
        yield Flaw(f"the page shows cid:{identity}, which is not in the message", proof.whole, severity="error")
    for identity in sorted(there - wanted):
        yield Flaw(f"{identity} is in the message, and the page does not show it", proof.whole)


@rule("M008", "error", fix="report it: the program makes the boundaries itself", source="RFC 2046, 5.1.1")
def boundaries_hold(proof: Proof) -> Iterator[Flaw]:
    """A boundary has at most 70 characters and occurs in no part.

    Otherwise a reader sees half a message, and the rest as an attachment.
    """
    for part in proof.message.walk():
        limit = part.get_boundary()
        if limit is None:
            continue
        count = proof.raw.count(b"\r\n--" + limit.encode())
        if len(limit) > 70 or count != len(list(part.iter_parts())) + 1:
            yield Flaw(f"the boundary {limit[:40]} has {len(limit)} characters and occurs {count} times", proof.whole)


@rule("M009", "warning", fix="wrap the lines of message.txt.j2 at 72 columns", source="RFC 3676, 4.2")
def text_is_wrapped(proof: Proof) -> Iterator[Flaw]:
    """No line of the text part is longer than 78 characters, but for addresses that must stay whole.

    Mail programs for the terminal, and screen readers by line, go by it.
    """
    whole = re.compile(r" {4}|.*\S{50}")  # code, and an address or a word that no line holds
    long = [line for line in proof.text.split("\n") if len(line) > 78 and not whole.match(line)]
    if long:
        place = proof.text_template
        yield Flaw(f"{len(long)} lines of the text part are longer than 78 characters: {long[0][:50]}…", place)


@rule("M011", "warning", fix="type the word anew", source="rspamd: R_MIXED_CHARSET; Unicode, TR 39")
def text_holds_no_trick(proof: Proof) -> Iterator[Flaw]:
    """No invisible character, and no letter of another alphabet that looks like ours, stands in a word.

    They come with text from a web page; a filter takes them for what spammers do with them.
    """
    for match, place in proof.found(_SLIPPED):
        yield Flaw(f"{_NAMES.get(match[0], 'a direction mark')} (U+{ord(match[0]):04X}) in the text", place)
    for match, place in proof.found(_MIXED):
        yield Flaw(f"“{match[0]}” mixes Latin letters with Greek or Cyrillic ones", place)


@rule(
    "M012",
    "error",
    fix="type what is meant there: an apostrophe, a dash, quotation marks",
    source="hteumeuleu/email-bugs#41",
)
def page_holds_no_control(proof: Proof) -> Iterator[Flaw]:
    """No control character stands in the page.

    Word's quotation marks become such (U+0092) in a wrong encoding; Gmail then cuts even a short mail.
    """
    for match in dict.fromkeys(re.findall("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", proof.html)):
        yield Flaw(f"a control character in the page: U+{ord(match):04X}", _written(proof, match))


def _written(proof: Proof, words: str) -> Place:
    """Where something stands in the template or the settings."""
    for file in (proof.template.file, "mailer.toml"):
        for number, line in enumerate(proof.lines(file), 1):
            if words in line:
                return proof.at(file, number, words)
    return proof.template
