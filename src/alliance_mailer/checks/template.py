"""The template: what MJML 5 does not know, and what our compiler drops without a word."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, cast

from lxml import etree
from tinycss2.color3 import parse_color

from ..errors import did_you_mean
from ..responsive import well_formed
from ._proof import Proof
from ._rule import Flaw, Place, rule

_DATA = Path(__file__).with_name("_mjml.json")
_EVERYWHERE = {"css-class", "mj-class"}

# mrml 6.0.1 takes these and does nothing: measured against node's mjml 5.4.1.
_DROPPED = {
    "mj-wrapper": {"gap", "gutter"},
    "mj-section": {"gutter"},
    "mj-body": {"id"},
    "mj-image": {"border-top", "border-bottom", "border-left", "border-right", "sizes"},
    "mj-button": {"title"},
    "mj-table": {"role"},
    "mj-column": {"inner-border-radius"},
    "mj-hero": {"border-radius"},
    "mj-social": {"border"},
    "mj-social-element": {"border", "icon-position", "srcset", "sizes"},
}
_UNIT = re.compile(r"unit(WithNegative)?\(([^)]*)\)(?:\{(\d+),(\d+)\})?")
_COLOUR = re.compile(r"#([0-9a-fA-F]{3}|[0-9a-fA-F]{4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})|(rgb|hsl)a?\([^)]*\)|inherit|$")


@cache
def _components() -> Mapping[str, Any]:
    """For each tag: where it may stand, its attributes by type, whether its content is HTML."""
    components: dict[str, Any] = json.loads(_DATA.read_text())
    for entry in components.values():
        entry["types"] = {name: kind for kind, names in entry["attributes"].items() for name in names.split()}
    return components


@lru_cache(maxsize=2)
def _tags(proof: Proof) -> list[tuple[etree._Element, int]]:
    """The elements of the rendered MJML, each with its line there."""
    root = etree.fromstring(well_formed(proof.traced.mjml).encode())
    return [(each, cast("int", each.sourceline)) for each in root.iter() if isinstance(each.tag, str)]


def _place(proof: Proof, line: int, needle: str) -> Place:
    """In the template's file. A tag of several lines is known by its last: the needle may stand above."""
    origins = proof.traced.origins[min(line, len(proof.traced.origins)) - 1]
    for _, file, at in origins:
        if (place := proof.at(file, at, needle)).column:
            return place
    _, file, at = origins[0]
    for number in range(at, max(0, at - 12), -1):
        if (place := proof.at(file, number, needle)).column:
            return place
    return proof.at(file, at)


@rule("T001", "error", fix="write it as MJML knows it, or put HTML into mj-text or mj-raw", source="MJML 5")
def tags_are_known(proof: Proof) -> Iterator[Flaw]:
    """Every mj-* tag is one that MJML knows.

    The compiler drops any other one, with all that stands in it, and says nothing.
    """
    for element, line in _tags(proof):
        if element.tag.startswith("mj") and element.tag not in _components():
            near = did_you_mean(element.tag, _components()).replace(" (known", "") if element.tag else ""
            yield Flaw(f"MJML has no <{element.tag}>{near}", _place(proof, line, f"<{element.tag}"))


@rule("T002", "warning", fix="delete it, or move it to the tag that has it", source="MJML 5")
def attributes_are_known(proof: Proof) -> Iterator[Flaw]:
    """Every attribute of an mj-* tag is one that it has.

    Any other is dropped: the colour or the space that it asked for is missing.
    """
    for element, line in _tags(proof):
        entry = _components().get(element.tag)
        parent = element.getparent()
        if entry is None or element.tag in ("mj-all", "mj-class"):
            continue
        if parent is not None and parent.tag == "mj-class":
            continue
        for name in map(str, element.attrib):
            if name not in entry["types"] and name not in _EVERYWHERE:
                known = sorted({*entry["types"], *_EVERYWHERE})
                near = did_you_mean(name, known) if known else ""
                near = near if "did you mean" in near else ""
                yield Flaw(f"<{element.tag}> has no attribute {name}{near}", _place(proof, line, f"{name}="))


@rule("T003", "error", fix="put it where the message says", source="MJML 5")
def tags_stand_where_they_may(proof: Proof) -> Iterator[Flaw]:
    """Tags are nested as MJML wants it: sections in the body, columns in a section, content in a column.

    What stands elsewhere is dropped, or lands outside of the letter.
    """
    components = _components()
    for element, line in _tags(proof):
        parent = element.getparent()
        above = parent.tag if parent is not None and isinstance(parent.tag, str) else ""
        if above == "mj-attributes" or not above:
            continue
        container = components.get(above)
        if element.tag in components:
            wanted = components[element.tag]["in"]
            if container is not None and not container.get("text") and above not in wanted and above != "mj-class":
                where = " or ".join(f"<{each}>" for each in wanted) or "nothing"
                yield Flaw(
                    f"<{element.tag}> inside <{above}>; it belongs into {where}", _place(proof, line, f"<{element.tag}")
                )
        elif container is not None and not container.get("text") and not element.tag.startswith("mj"):
            fix = "wrap it into <mj-raw>, or into <mj-text> in a column"
            yield Flaw(
                f"<{element.tag}> directly in <{above}>, where nothing holds it",
                _place(proof, line, f"<{element.tag}"),
                fix,
            )
    for element, line in _tags(proof):
        container = components.get(element.tag)
        if container is None or container.get("text") or not element.tag.startswith("mj"):
            continue
        for words in (element.text, *(child.tail for child in element)):
            if words and words.strip():
                message = f"text directly in <{element.tag}> is lost: “{words.strip()[:40]}”"
                yield Flaw(message, _place(proof, line, words.strip()[:20]), "put it into <mj-text>")


@rule("T004", "warning", fix='lengths carry their unit (padding="0px 40px"), colours six digits', source="MJML 5")
def values_have_their_type(proof: Proof) -> Iterator[Flaw]:
    """Each value is of its attribute's type: a length with its unit, a colour, one of the words.

    The compiler writes anything into the page; Outlook then counts 0 for a width, and the colour is black.
    """
    for element, line in _tags(proof):
        types = _components().get(element.tag, {}).get("types", {})
        for name, value in element.attrib.items():
            if (kind := types.get(str(name))) and (wanted := _wrong(str(value).strip(), kind)):
                yield Flaw(f'{name!s}="{value!s}": expected {wanted}', _place(proof, line, f"{name!s}="))


def _wrong(value: str, kind: str) -> str:
    """What was expected, where a value is not of its type."""
    if kind.startswith("enum("):
        words = kind[5:-1].split(",")
        return "" if value in words else " or ".join(filter(None, words))
    if kind == "color":
        return "" if _COLOUR.fullmatch(value) or parse_color(value) else "a colour such as #16181d"
    if kind == "integer":
        return "" if re.fullmatch("[0-9]+", value) else "a whole number"
    if kind == "boolean":
        return "" if value in ("true", "false") else "true or false"
    if unit := _UNIT.fullmatch(kind):
        units = [re.escape(each) for each in unit[2].split(",") if each != "auto"]
        one = rf"{'-?' if unit[1] else ''}[0-9]*\.?[0-9]+({'|'.join(units)})|0" + ("|auto" if "auto" in unit[2] else "")
        parts = value.split()
        if not int(unit[3] or 1) <= len(parts) <= int(unit[4] or 1) or not all(
            re.fullmatch(one, part) for part in parts
        ):
            many = f"{unit[3]} to {unit[4]} lengths" if unit[3] else "a length"
            return f"{many} in {' or '.join(each for each in unit[2].split(',') if each)}"
    return ""


@rule(
    "T005",
    "warning",
    fix="say it with what works: padding, a table of your own in mj-text",
    source="mrml 6.0.1 against mjml 5.4.1, measured",
)
def compiler_heeds_it(proof: Proof) -> Iterator[Flaw]:
    """Nothing is asked that our compiler takes and does not do.

    MJML has these; mrml, which compiles a hundred times as fast, does not, and says nothing.
    """
    for element, line in _tags(proof):
        parent = element.getparent()
        for name in sorted(_DROPPED.get(element.tag, set()) & {str(name) for name in element.attrib}):
            yield Flaw(f"{name} on <{element.tag}> does nothing", _place(proof, line, f"{name}="))
        if element.tag == "mj-body" and parent is not None and parent.tag == "mj-attributes":
            yield Flaw(
                "<mj-body> in <mj-attributes> does nothing",
                _place(proof, line, "<mj-body"),
                "put its attributes on <mj-body> itself",
            )
        if element.tag == "mj-preview":
            message = "<mj-preview> hides white text of one pixel, which spam filters count"
            fix = "a <div> of your own in <mj-raw>, as in the digest template"
            yield Flaw(message, _place(proof, line, "<mj-preview"), fix)


@rule(
    "T006",
    "warning",
    fix='<mj-class name="label" … /> in <mj-attributes>; one class a tag, or disjoint ones',
    source="mrml 6.0.1 against mjml 5.4.1, measured",
)
def classes_are_defined(proof: Proof) -> Iterator[Flaw]:
    """Each mj-class that is used is defined, and two on one tag do not contradict.

    An unknown one is passed over; of two, MJML heeds the last and our compiler the first.
    """
    defined = {
        element.get("name"): set(map(str, element.attrib)) - {"name"}
        for element, _ in _tags(proof)
        if element.tag == "mj-class"
    }
    for element, line in _tags(proof):
        names = (element.get("mj-class") or "").split()
        for name in names:
            if name not in defined:
                near = did_you_mean(name, filter(None, defined))
                yield Flaw(f'there is no mj-class "{name}"{near}', _place(proof, line, "mj-class="))
        known = [defined[name] for name in names if name in defined]
        if len(known) > 1 and (both := set.intersection(*known)):
            yield Flaw(f"two classes both set {', '.join(sorted(both))}", _place(proof, line, "mj-class="))


@rule("T007", "warning", fix="write all six digits: #ffffff", source="Outlook for Windows, Lotus Notes")
def colours_have_six_digits(proof: Proof) -> Iterator[Flaw]:
    """Colours are written with six digits.

    In a bgcolor attribute, #fff is read as #0f0f0f by Outlook: a black letter.
    """
    for element, line in _tags(proof):
        for name, value in element.attrib.items():
            if "color" in str(name) and re.fullmatch(r"#[0-9a-fA-F]{3,4}", str(value)):
                yield Flaw(f'{name!s}="{value!s}"', _place(proof, line, str(value)))


@rule(
    "T008",
    "warning",
    fix='<mj-attributes><mj-all font-family="Georgia,serif" /></mj-attributes>',
    source="MJML: Ubuntu, from Google",
)
def font_is_chosen(proof: Proof) -> Iterator[Flaw]:
    """The template chooses its fonts.

    MJML's own is Ubuntu, which nobody has; what is shown then differs on every machine.
    """
    if re.search(r"font-family:\s*['\"]?Ubuntu", proof.page):
        yield Flaw("the font is MJML's own, Ubuntu", proof.template)
