"""CSS as the checks read it: declarations of an element, style sheets with their lines, what applies to an element."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

import tinycss2
import tinycss2.ast
from lxml.cssselect import CSSSelector

from ._proof import Proof
from ._rule import Place

Element: TypeAlias = Any  # lxml.html.HtmlElement, of which lxml-stubs knows little


@dataclass(frozen=True, slots=True)
class Declaration:
    """`name: value`, and where."""

    name: str
    value: str
    important: bool
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class StyleRule:
    """`selectors { … }`, and the conditions of the at-rules around it."""

    selectors: str
    declarations: Sequence[Declaration]
    conditions: tuple[str, ...]
    line: int


@dataclass(slots=True)
class Sheet:
    """A style sheet: its text, the file that has it, the line there before its first."""

    file: str
    css: str
    before: int = 0
    rules: list[StyleRule] = field(default_factory=list)
    at_rules: list[tuple[str, str, int, int]] = field(default_factory=list)  # name, prelude, depth, line
    errors: list[tuple[str, int, int]] = field(default_factory=list)  # words, line, column


@lru_cache(maxsize=2048)
def _declared(style: str) -> dict[str, str]:
    return {each.name: each.value for each in _declarations(tinycss2.parse_blocks_contents(style), [])}


def declared(element: Element) -> Mapping[str, str]:
    """What an element's style attribute says, by property."""
    return _declared(element.get("style") or "")


def _declarations(nodes: Sequence[tinycss2.ast.Node], errors: list[tuple[str, int, int]]) -> list[Declaration]:
    found = []
    for node in nodes:
        if node.type == "declaration":
            value = tinycss2.serialize(node.value).strip()
            found.append(Declaration(node.lower_name, value, node.important, node.source_line, node.source_column))
        elif node.type == "error":
            errors.append((node.message, node.source_line, node.source_column))
    return found


def parsed(file: str, css: str, before: int = 0) -> Sheet:
    """A style sheet taken apart."""
    sheet = Sheet(file, css, before)
    _read(tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True), (), sheet)
    return sheet


def _read(nodes: Sequence[tinycss2.ast.Node], conditions: tuple[str, ...], sheet: Sheet) -> None:
    for node in nodes:
        if node.type == "error":
            sheet.errors.append((node.message, node.source_line, node.source_column))
        elif node.type == "qualified-rule":
            content = tinycss2.parse_blocks_contents(node.content, skip_comments=True, skip_whitespace=True)
            declarations = _declarations(content, sheet.errors)
            selectors = tinycss2.serialize(node.prelude).strip()
            sheet.rules.append(StyleRule(selectors, declarations, conditions, node.source_line))
        elif node.type == "at-rule":
            prelude = tinycss2.serialize(node.prelude).strip()
            sheet.at_rules.append((node.lower_at_keyword, prelude, len(conditions), node.source_line))
            if node.content is not None and node.lower_at_keyword in ("media", "supports", "layer", "container"):
                inner = tinycss2.parse_rule_list(node.content, skip_comments=True, skip_whitespace=True)
                _read(inner, (*conditions, f"@{node.lower_at_keyword} {prelude}"), sheet)


@lru_cache(maxsize=2)
def sheets(proof: Proof) -> Sequence[Sheet]:
    """The author's style sheets: the two files of the template, and what stands in <style> in it."""
    folder = f"templates/{proof.issue.template}"
    found = []
    for name in ("client.css", "inline.css"):
        lines = proof.lines(f"{folder}/{name}")
        if any(lines):
            found.append(parsed(f"{folder}/{name}", "\n".join(lines)))
    template = "\n".join(proof.lines(f"{folder}/message.mjml.j2"))
    for style in re.finditer(r"<(mj-)?style\b[^>]*>(.*?)</(mj-)?style>", template, re.DOTALL):
        if "{{" not in style[2] and "{%" not in style[2]:
            before = template.count("\n", 0, style.start(2))
            found.append(parsed(f"{folder}/message.mjml.j2", style[2], before))
    return found


def blocks(proof: Proof) -> Iterator[str]:
    """The content of each <style> in the finished page, outside of comments."""
    for style in proof.elements:
        if style.tag == "style":
            yield style.text or ""


# What applies --------------------------------------------------------------------------------------------------------

_SKIPPED = re.compile(r"::|:(hover|active|focus|visited|link|target|before|after)|\[data-ogs")


def overrides(proof: Proof, *, dark: bool) -> dict[Element, dict[str, str]]:
    """What client.css adds to the elements' own styles, for readers whose scheme is light, or dark.

    Narrow screens and other conditions do not apply. A style attribute wins, except over `!important`.
    """
    found: dict[Element, dict[str, str]] = {}
    ranks: dict[tuple[Element, str], tuple[bool, tuple[int, ...]]] = {}
    for sheet in sheets(proof):
        if sheet.file.endswith("/inline.css"):
            continue
        for rule in sheet.rules:
            scheme = [condition for condition in rule.conditions if "prefers-color-scheme" in condition]
            if len(scheme) != len(rule.conditions) or any(("dark" in each) != dark for each in scheme):
                continue
            for selector in rule.selectors.split(","):
                for element, specificity in _matches(proof, selector.strip()):
                    _apply(element, rule, specificity, found, ranks)
    return found


def _matches(proof: Proof, selector: str) -> Iterator[tuple[Element, tuple[int, ...]]]:
    if _SKIPPED.search(selector):
        return
    try:
        compiled = _compiled(selector)
    except Exception:  # noqa: BLE001 (of cssselect, which has several: a selector that it does not know)
        return
    parts = re.sub(r"[>+~]", " ", selector)
    specificity = (
        parts.count("#"),
        len(re.findall(r"[.\[]|:(?!:)", parts)),
        len(re.findall(r"(?:^|\s)[a-z]", parts)),
    )
    matching: Any = compiled(proof.tree)
    for element in matching:
        yield element, specificity


def _matched(proof: Proof, rule: StyleRule) -> Iterator[Element]:
    return (element for selector in rule.selectors.split(",") for element, _ in _matches(proof, selector.strip()))


@lru_cache(maxsize=512)
def _compiled(selector: str) -> CSSSelector:
    return CSSSelector(selector, translator="html")


def _apply(
    element: Element,
    rule: StyleRule,
    specificity: tuple[int, ...],
    found: dict[Element, dict[str, str]],
    ranks: dict[tuple[Element, str], tuple[bool, tuple[int, ...]]],
) -> None:
    for each in rule.declarations:
        rank = (each.important, specificity)
        if not each.important and each.name in declared(element):
            continue
        if rank >= ranks.get((element, each.name), (False, ())):
            ranks[element, each.name] = rank
            found.setdefault(element, {})[each.name] = each.value


def where(proof: Proof, element: Element, name: str, *, dark: bool = False) -> Place:
    """Where the value of a property that an element has, or inherits, was written: a style sheet's line, if it can."""
    for each in (element, *element.iterancestors()):
        for sheet in sheets(proof):
            inline = sheet.file.endswith("/inline.css")
            for rule in reversed(sheet.rules):
                applies = inline or (dark and any("dark" in condition for condition in rule.conditions))
                said = next((one for one in rule.declarations if one.name == name), None) if applies else None
                if said and any(
                    each is found for one in rule.selectors.split(",") for found, _ in _matches(proof, one.strip())
                ):
                    line = sheet.before + said.line
                    written = re.compile("[^;}]*").match(proof.lines(sheet.file)[line - 1], said.column - 1)
                    return proof.at(sheet.file, line, written[0].rstrip() if written else name, said.column - 1)
        if name in declared(each):
            return proof.of(each, name)
    return proof.of(element)


# Sizes ---------------------------------------------------------------------------------------------------------------

_KEYWORDS = {"xx-small": 9, "x-small": 10, "small": 13, "medium": 16, "large": 18, "x-large": 24, "xx-large": 32}
_TAGS = {"h1": 2, "h2": 1.5, "h3": 1.17, "h5": 0.83, "h6": 0.67, "small": 0.83, "big": 1.2}


def size_of(element: Element) -> float:
    """The font size in px, as inline styles give it; 16 where none does."""
    parent = element.getparent()
    value = declared(element).get("font-size", "")
    number = re.match(r"([0-9.]+)(px|pt|em|rem|%)?", value)
    if value in _KEYWORDS:
        return _KEYWORDS[value]
    if not number:
        above = size_of(parent) if parent is not None else 16
        return above * _TAGS.get(str(element.tag), 1)
    amount = float(number[1])
    match number[2]:
        case "pt":
            return amount * 4 / 3
        case "rem":
            return amount * 16
        case "em" | "%":
            return amount * (0.01 if number[2] == "%" else 1) * (size_of(parent) if parent is not None else 16)
    return amount


def is_hidden(element: Element) -> bool:
    """Whether an element, or one around it, is not displayed."""
    return any(declared(each).get("display") == "none" for each in (element, *element.iterancestors()))


def own_text(element: Element) -> str:
    """The words directly in an element, without those of its children; invisible characters are none."""
    words = "".join([element.text or "", *(child.tail or "" for child in element)])
    return re.sub(r"[\s\u00a0\u034f\u200b-\u200f\u2060\ufeff]+", " ", words).strip()
