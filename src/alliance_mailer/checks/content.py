"""What the message says, and how it looks in an inbox: the inbox line, pictures against words, phrases of spam."""

import re
from collections.abc import Iterator

from ..slots import MARKER
from ._proof import Proof
from ._rule import Flaw, rule
from ._styles import declared, own_text

_SPAM = re.compile(
    r"(?i)\b(act now|100% free|risk[- ]free|click (here )?now|limited time offer|order now|buy now|double your|earn \$|"
    r"extra income|free money|make money (fast|now)|no obligation|once in a lifetime|satisfaction guaranteed|winner!|"
    r"you have been selected|this is not spam|weight loss|work from home|cash bonus|lowest price|viagra|casino bonus)\b"
)


@rule(
    "L006",
    "warning",
    fix="say in words what the pictures show",
    source="SpamAssassin: HTML_IMAGE_ONLY; rspamd: R_EMPTY_IMAGE",
)
def words_outweigh_pictures(proof: Proof) -> Iterator[Flaw]:
    """For each picture there are 400 characters of text or more.

    A mail of pictures is how spam hides its words; and half of the readers see no picture at first.
    """
    pictures = sum(element.tag == "img" for element in proof.elements)
    letters = len(re.sub(r"\s+", " ", proof.tree.body.text_content()))
    if pictures and letters < 400 * pictures:
        yield Flaw(
            f"{letters} characters of text beside {pictures} {'picture' if pictures == 1 else 'pictures'}", proof.whole
        )


@rule("L007", "warning", fix="say it in your own words", source="SpamAssassin: 20_phrases.cf")
def text_is_no_advertisement(proof: Proof) -> Iterator[Flaw]:
    """The text has none of the phrases that spam is known by.

    One is forgiven; three of them outweigh a good reputation.
    """
    for match, place in proof.found(_SPAM):
        yield Flaw(f"“{match[0]}” is a phrase of spam", place)


@rule("L008", "warning", fix='archive_url = "https://…"', source="custom; clipped and broken mails")
def page_can_be_read_in_a_browser(proof: Proof) -> Iterator[Flaw]:
    """Where there is an archive, the page links to it, over https.

    It is the way out for whoever sees a broken mail.
    """
    url = proof.publication.archive_url
    if url is None:
        return
    if url.startswith("http:"):
        yield Flaw(
            "the archive is linked over http", proof.setting("newsletter.archive_url"), 'archive_url = "https://…"'
        )
    if not any(element.tag == "a" and element.get("href") == url for element in proof.elements):
        fix = 'put <a href="{{ publication.archive_url }}">View in browser</a> into the template'
        yield Flaw("the page does not link to the archive", proof.template, fix)


@rule(
    "L011",
    "warning",
    fix='preheader: "…", 40 to 110 characters that go on from the subject',
    source="inbox widths; SpamAssassin: FONT_INVIS_MSGID",
)
def preheader_goes_on(proof: Proof) -> Iterator[Flaw]:
    """The preheader is there, goes on from the subject, and is hidden well.

    It is the second line in the inbox. Without one that line says “View in browser”; hidden with a font of 1 px, it
    costs a point with SpamAssassin.
    """
    words = MARKER.sub("x" * 6, proof.issue.preheader).strip()
    if not words:
        yield Flaw("there is no preheader", proof.key("title"))
        return
    place = proof.key("preheader")
    if not 40 <= len(words) <= 140:
        yield Flaw(f"the preheader has {len(words)} characters; 40 to 110 are shown", place)
    if re.sub(r"\W+", " ", words).lower() in re.sub(r"\W+", " ", proof.issue.subject).lower():
        yield Flaw("the preheader repeats the subject", place)
    shown = re.sub(r"\s+", " ", MARKER.sub("", proof.issue.preheader)).strip()
    hidden = next(
        (
            each
            for each in proof.elements
            if shown and shown[:30] in own_text(each) and each.tag not in ("title", "style")
        ),
        None,
    )
    if hidden is None:
        where = proof.template
        yield Flaw(
            "the template does not show the preheader",
            where,
            "begin mj-body with {{ issue.preheader }} in a hidden <div>",
        )
        return
    style = declared(hidden)
    if style.get("display") == "none" and style.get("mso-hide") != "all":
        yield Flaw("Outlook for Windows shows the hidden preheader", proof.of(hidden), "mso-hide: all")
    if re.fullmatch(r"[01](px)?", style.get("font-size", "")) or re.fullmatch(
        r"(?i)#f{3}(f{3})?|white", style.get("color", "")
    ):
        yield Flaw(
            "the preheader is hidden by its size or colour, as spam does it",
            proof.of(hidden),
            "display: none; overflow: hidden; mso-hide: all",
        )
