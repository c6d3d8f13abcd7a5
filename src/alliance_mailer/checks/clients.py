"""Mail programs: what those of our readers cannot show, by caniemail's data and by what Outlook was seen to do."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

from ._proof import Proof
from ._rule import Flaw, Place, rule
from ._styles import Element, declared, is_hidden, sheets, where

# What is missed by nobody: without it corners are square, a shadow is not there, words break elsewhere, a width comes
# from the attribute beside it. Everything else changes where things stand, or what they say.
_REFINEMENTS = re.compile(
    r"property:(border-radius|(box|text)-shadow|outline.*|cursor|transition|animation|text-(wrap|underline|decoration)-?.*"
    r"|text-(justify|align-last|overflow)|hyphen.*|word-.*|white-space.*|overflow.*|tab-size|orphans|widows|font-(kerning|stretch)"
    r"|letter-spacing|opacity|user-select|resize|accent-color|scroll-snap|(min|max)-(width|height)|list-style-position"
    r"|background-(position|repeat|size|clip|origin)|box-sizing|border-spacing|table-layout|caption-side|empty-cells|filter)"
    r"|element:(abbr|acronym|article|aside|header|footer|main|nav|section|figure|figcaption|bdi|wbr|style|body|link|base|form)"
    r"|attribute:.*|unit:(ch|ex|rem)|value:display: none"
)  # fmt: skip
_DATA = Path(__file__).with_name("_caniemail.json")


@dataclass(frozen=True, slots=True)
class Support:
    """caniemail's data: the date, the clients, and for each feature its page there and a letter a client."""

    date: str
    clients: Mapping[str, str]  # gmail.ios: Gmail iOS
    features: Mapping[str, tuple[str, str]]

    def without(self, feature: str, wanted: tuple[str, ...]) -> list[str]:
        """The clients among the wanted ones (gmail.*) that do not show a feature."""
        letters = self.features[feature][1]
        return [client for client, letter in zip(self.clients, letters, strict=True)
                if letter == "n" and any(fnmatch(client, pattern) for pattern in wanted)]  # fmt: skip


@cache
def support() -> Support:
    """The snapshot that came with this version; `make refresh-caniemail` renews it."""
    data = json.loads(_DATA.read_text())
    return Support(data["date"], data["clients"], data["features"])


def _used(element: Element) -> Iterator[tuple[str, str]]:
    """The features that an element uses, each with what to point at."""
    yield f"element:{element.tag}", f"<{element.tag}"
    for name, value in declared(element).items():
        yield f"property:{name}", name
        yield f"value:{name}: {value}", name
        for function in re.findall(r"([a-z-]+)\(", value):
            yield f"function:{function}", function
        for unit in re.findall(r"(?<![\w#])[0-9.]+([a-z]+|%)", value):
            yield f"unit:{unit}", value
    if element.tag == "img":
        ending = re.search(r"\.([a-z0-9]{3,5})(?:[?#]|$)", element.get("src", "").lower())
        kind = "base64" if element.get("src", "").startswith("data:") else ending[1] if ending else ""
        yield f"image:{ {'jpeg': 'jpg', 'heic': 'heif', 'tif': 'tiff'}.get(kind, kind) }", "src"


def _not_for_word(proof: Proof) -> set[Element]:
    """What stands between <!--[if !mso]><!--> and <!--<![endif]-->: Outlook for Windows does not see it."""
    hidden, found = False, set()
    for node in proof.tree.iter():
        if isinstance(node.tag, str):
            if hidden:
                found.add(node)
        elif "[if !mso" in (node.text or ""):
            hidden = True
        elif "endif" in (node.text or ""):
            hidden = False
    return found


@rule(
    "C008",
    "warning",
    fix="use a table, a width, a colour instead; or a fallback in <!--[if mso]>",
    source="caniemail.com, the snapshot of this version",
)
def clients_can_show_it(proof: Proof) -> Iterator[Flaw]:
    """What the page is built of can be shown by the mail programs of [check] clients.

    Only what stands in the page itself counts: a style sheet refines, and who cannot read it loses nothing. Neither do
    round corners, shadows and the like count, which nobody misses.
    """
    data, seen, apart = support(), set(), _not_for_word(proof)
    for element in proof.elements:
        if is_hidden(element):
            continue
        for feature, needle in _used(element):
            if feature in seen or feature not in data.features or _REFINEMENTS.fullmatch(feature):
                continue
            clients = data.without(feature, proof.preferences.clients)
            if element in apart or _has_background(feature, element, proof):
                clients = [client for client in clients if not client.startswith("outlook.windows")]
            if clients:
                seen.add(feature)
                names = ", ".join(data.clients[client] for client in clients[:4])
                more = f" and {len(clients) - 4} more" if len(clients) > 4 else ""
                shown = feature.partition(":")[2]
                page = f"https://www.caniemail.com/features/{data.features[feature][0]}/"
                styled = feature.startswith(("property:", "value:"))
                place = where(proof, element, needle) if styled else proof.of(element, needle)
                yield Flaw(f"{shown} is not shown by {names}{more}: {page}", place)


def _has_background(feature: str, element: Element, proof: Proof) -> bool:
    return feature == "property:background-image" and (
        "background-color" in declared(element) or "<v:fill" in proof.page
    )


@rule(
    "C009",
    "warning",
    fix="give the outer table a width, and Outlook one of its own: <!--[if mso]><table width=…>",
    source="caniemail: css-max-width",
)
def layout_holds_in_word(proof: Proof) -> Iterator[Flaw]:
    """The layout does not rest on a max-width alone.

    Outlook for Windows knows none: the letter runs over the whole window.
    """
    if not any(fnmatch("outlook.windows", each) for each in proof.preferences.clients):
        return
    page = "".join(re.findall(r"<!--\[if mso[^>]*>(.*?)<!\[endif\]-->", proof.page, re.DOTALL))
    if wide := max(map(int, re.findall(r'<table\b[^>]*\bwidth="([0-9]+)', page)), default=0):
        if wide > 700:
            yield Flaw(f"Outlook's own table is {wide} pixels wide", proof.template, "give <mj-body> 600 to 700 pixels")
        return
    for element in proof.elements:
        if "max-width" in declared(element) and element.tag in ("div", "table") and not is_hidden(element):
            held = any(
                re.fullmatch("[0-9]+", up.get("width") or "") for up in (element, *element.iterancestors("table", "td"))
            )
            if not held:
                yield Flaw(
                    f"only max-width: {declared(element)['max-width']} keeps this narrow",
                    proof.of(element, "max-width"),
                )
                return


@rule(
    "C012",
    "warning",
    fix='<img … width="600" style="display:block;width:100%;max-width:600px;height:auto">',
    source="Outlook for Windows; caniemail: html-width, html-height; CSS 2.2, 10.8",
)
def pictures_fit(proof: Proof) -> Iterator[Flaw]:
    """A picture says how wide it is, in pixels, is no wider than the letter, and keeps its shape.

    Outlook for Windows knows only the attribute, and shows a photograph at its full 4000 pixels otherwise. A height
    that stays while a phone shrinks the width squashes it. Alone in its cell it stands on a line of text, a gap below.
    """
    for element in proof.elements:
        if element.tag != "img" or is_hidden(element):
            continue
        width, height, style = element.get("width", ""), element.get("height", ""), declared(element)
        name = (element.get("src") or "")[:50]
        if not re.fullmatch("[0-9]+", width):
            said = f'says width="{width}"' if width else "has no width"
            ours = any(image.src == element.get("src") for image in proof.issue.images)
            fix = "keep the file beside the issue: then its size is known" if ours else ""
            yield Flaw(f"a picture {said}: {name}", _place(element, proof), fix)
        elif int(width) > 700:
            yield Flaw(f"a picture is {width} pixels wide, wider than the letter", _place(element, proof))
        if height and not re.fullmatch("[0-9]+", height):
            yield Flaw(f'a picture says height="{height}", expected pixels: {name}', proof.of(element, "height="))
        fluid = style.get("width", "").endswith("%") or style.get("max-width", "").endswith("%")
        if fluid and style.get("height", f"{height}px" if height else "auto") != "auto":
            yield Flaw(f"a phone shrinks the width of a picture, and not its height: {name}", proof.of(element))
        if _is_alone(element) and style.get("display") != "block" and not {"vertical-align", "float"} & style.keys():
            yield Flaw(f"a picture alone in its cell is not display:block: {name}", proof.of(element))
    for image in proof.issue.images:
        picture = proof.issue.pictures.get(image.src)
        if picture and picture.width > 2600:
            yield Flaw(
                f"{image.src} is {picture.width} pixels wide; twice the letter's 640 is as sharp as screens are",
                proof.picture(image),
            )


def _is_alone(picture: Element) -> bool:
    """Whether it is all that there is in a table's cell."""
    cell = next(picture.iterancestors("td", "th"), None)
    return cell is not None and not cell.text_content().strip() and len(list(cell.iter("img", "table"))) == 1


def _place(element: Element, proof: Proof) -> Place:
    src = element.get("src")
    return next((proof.picture(image) for image in proof.issue.images if image.src == src), proof.of(element))


@rule(
    "C013",
    "info",
    fix='<meta name="color-scheme" content="light dark" />, and both colours of every pair',
    source="Apple Mail; email dark-mode guides",
)
def dark_is_meant(proof: Proof) -> Iterator[Flaw]:
    """The page says that it has colours for the dark, and sets text and background together.

    A mail program that inverts one of them leaves grey on grey.
    """
    names = {each.get("name") for each in proof.elements if each.tag == "meta"}
    template = f"templates/{proof.issue.template}/message.mjml.j2"
    if not {"color-scheme", "supported-color-schemes"} <= names:
        yield Flaw("the page does not name its color-scheme", proof.at(template, None))
    dark = [
        each for sheet in sheets(proof) for each in sheet.rules if any("dark" in known for known in each.conditions)
    ]
    names = {declaration.name for each in dark for declaration in each.declarations}
    if ("color" in names) != bool(names & {"background-color", "background"}):
        only = "color" if "color" in names else "background-color"
        yield Flaw(f"in the dark, only {only} is set", proof.at(f"templates/{proof.issue.template}/client.css", None))


@rule(
    "C017",
    "info",
    fix="save it on a ground of its own, or as JPEG",
    source="dark modes of Gmail, Outlook and Apple Mail",
)
def pictures_have_a_ground(proof: Proof) -> Iterator[Flaw]:
    """A picture does not let the colour behind it through.

    Dark ink on a transparent ground is gone where a mail program turns white into black, and none asks before.
    """
    for image in proof.issue.images:
        picture = proof.issue.pictures.get(image.src)
        # PNG (ISO 15948): the colour type stands in byte 25; 4 and 6 have an alpha channel, others a tRNS chunk.
        if picture and picture.subtype == "png" and (picture.data[25] in (4, 6) or b"tRNS" in picture.data[:4096]):
            yield Flaw(f"{image.src} is transparent", proof.picture(image))
