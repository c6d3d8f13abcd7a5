"""The structure of the page: what every mail program and screen reader expects of it."""

import re
from collections import Counter
from collections.abc import Iterator

from ._proof import Proof
from ._rule import Flaw, rule

_RTL = {"ar", "he", "fa", "ur", "yi", "dv", "ps"}
_BARRED = ("script", "iframe", "form", "object", "embed", "applet", "base", "frame", "frameset")


@rule("A001", "error", fix="report it: the program writes the doctype itself", source="HTML, 13.1.1")
def doctype_comes_first(proof: Proof) -> Iterator[Flaw]:
    """The page begins with the HTML doctype.

    Without it, web mail shows the page in quirks mode: other boxes, other line heights.
    """
    if not re.match(r"(?i)\s*<!doctype html>", proof.html):
        yield Flaw("the page does not begin with <!DOCTYPE html>", proof.whole)


@rule(
    "A002",
    "error",
    fix='<mjml lang="{{ publication.language }}" dir="ltr">',
    source="WCAG 2.2, 3.1.1; axe: html-has-lang",
)
def language_is_named(proof: Proof) -> Iterator[Flaw]:
    """The page and its outermost element say their language, and the direction of its script.

    A screen reader reads English with a French voice otherwise. Web mail drops <html>, hence the element.
    """
    language = proof.tree.get("lang") or ""
    body = proof.tree.find("body")
    inner = [each.get("lang") for each in (body if body is not None else ()) if isinstance(each.tag, str)]
    place = proof.at(f"templates/{proof.issue.template}/message.mjml.j2", _line(proof, "<mjml"), "<mjml")
    if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", language) or language == "und":
        yield Flaw(f"the page's language is {language!r}", place)
    elif language not in inner and (body is None or body.get("lang") != language):
        yield Flaw("the language is not repeated inside the body", place)
    if language.split("-")[0] in _RTL and proof.tree.get("dir") != "rtl":
        yield Flaw(f"{language} is written from right to left, and the page does not say so", place, 'dir="rtl"')


@rule("A003", "error", fix="<mj-title>{{ issue.subject }}</mj-title>", source="WCAG 2.2, 2.4.2; axe: document-title")
def page_has_a_title(proof: Proof) -> Iterator[Flaw]:
    """The page has a title.

    It is what a screen reader says first, and what the tab shows of an issue in the browser.
    """
    if not (proof.tree.findtext("head/title") or "").strip():
        yield Flaw("the page has no title", proof.template)


@rule("A012", "error", fix="give each id once, and jump only to what is there", source="HTML, 3.2.3; Nu HTML checker")
def anchors_lead_somewhere(proof: Proof) -> Iterator[Flaw]:
    """No id is given twice, and every jump inside the page has its target.

    The second of two is never reached; a jump without a target does nothing, or opens a browser.
    """
    ids = Counter(each.get("id") for each in proof.elements if each.get("id"))
    names = {each.get("name") for each in proof.elements if each.tag == "a"}
    for each in proof.elements:
        identity, href = each.get("id"), each.get("href", "")
        if identity and ids[identity] > 1:
            ids[identity] = 0
            yield Flaw(f'the id "{identity}" is given twice', proof.of(each, identity))
        if len(href) > 1 and href.startswith("#") and href[1:] not in ids and href[1:] not in names:
            yield Flaw(f"nothing in the page is called {href}", proof.of(each, href))
        elif len(href) > 1 and href.startswith("#") and href[1:] not in names:
            fix = f'<a name="{href[1:]}" id="{href[1:]}"></a>, empty, before it'
            yield Flaw(
                f"Gmail, Yahoo and Outlook do not find {href} by its id alone", proof.of(each, href), fix, "warning"
            )


@rule(
    "A014",
    "error",
    fix="leave it out; link to a page that does it",
    source="every mail program strips it; spam filters count it",
)
def page_only_shows(proof: Proof) -> Iterator[Flaw]:
    """The page holds nothing that runs, asks or fetches: script, form, frame, refresh.

    Mail programs remove it, and filters take the mail for an attack.
    """
    for each in proof.elements:
        if each.tag in _BARRED:
            yield Flaw(f"<{each.tag}> in a mail", proof.of(each))
        if each.tag == "meta" and each.get("http-equiv", "").lower() == "refresh":
            yield Flaw("a refresh in a mail", proof.of(each))
        for name, value in each.attrib.items():
            target = re.sub(r"[\s\x00-\x1f]", "", str(value)).lower()
            if str(name).startswith("on"):
                yield Flaw(f"{name} in a mail", proof.of(each, f"{name}="))
            elif name in ("href", "src", "action") and re.match(r"javascript:|vbscript:|data:(?!image/)", target):
                yield Flaw(f"a {target.split(':')[0]}: address in a mail", proof.of(each))


def _line(proof: Proof, needle: str) -> int | None:
    lines = proof.lines(f"templates/{proof.issue.template}/message.mjml.j2")
    return next((number for number, line in enumerate(lines, 1) if needle in line), None)
