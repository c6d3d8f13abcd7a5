"""Colours, and whether one can be read on the other (WCAG 2.2, 1.4.3)."""

import re
from collections.abc import Mapping
from functools import lru_cache

import tinycss2.color3

from ._styles import Element, declared

Colour = tuple[float, float, float, float]  # red, green, blue, alpha, each 0 to 1

WHITE: Colour = (1.0, 1.0, 1.0, 1.0)
BLACK: Colour = (0.0, 0.0, 0.0, 1.0)
DARK: Colour = (0.07, 0.07, 0.07, 1.0)  # what a mail program in the dark puts behind a page


@lru_cache(maxsize=512)
def colour(value: str) -> Colour | None:
    """The colour that a value names, or the first that a shorthand holds."""
    whole = tinycss2.color3.parse_color(value)
    if whole is None:
        for part in re.findall(r"#[0-9a-fA-F]{3,8}|rgba?\([^)]*\)|hsla?\([^)]*\)|[a-z]+", value):
            whole = whole or tinycss2.color3.parse_color(part)
    if whole is None or isinstance(whole, str):  # currentColor
        return None
    return (whole.red, whole.green, whole.blue, whole.alpha)


def over(front: Colour, back: Colour) -> Colour:
    """A colour that may let the one behind it through."""
    a = front[3]
    return (*(f * a + b * (1 - a) for f, b in zip(front[:3], back[:3], strict=True)), 1.0)  # type: ignore[return-value]


def _luminance(each: Colour) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in each[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def ratio(one: Colour, other: Colour) -> float:
    """The contrast of two opaque colours: 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


Overrides = Mapping[Element, Mapping[str, str]]


def foreground(element: Element, overrides: Overrides, default: Colour) -> Colour:
    """The colour of an element's text."""
    for each in (element, *element.iterancestors()):
        value = overrides.get(each, {}).get("color") or declared(each).get("color") or each.get("color")
        if value and value != "inherit" and (found := colour(value)):
            return found
        if each.tag == "a" and each.get("href") is not None:
            return (0.0, 0.0, 0.93, 1.0)
    return default


def background(element: Element, overrides: Overrides, default: Colour) -> Colour:
    """The colour behind an element."""
    layers = []
    for each in (element, *element.iterancestors()):
        ours, own = overrides.get(each, {}), declared(each)
        values = (ours.get("background-color"), ours.get("background"), own.get("background-color"),
                  own.get("background"), each.get("bgcolor"))  # fmt: skip
        found = next((seen for value in values if value and (seen := colour(value))), None)
        if found and found[3] > 0:
            layers.append(found)
            if found[3] == 1:
                break
    behind = default
    for layer in reversed(layers):
        behind = over(layer, behind)
    return behind


def contrast_of(element: Element, overrides: Overrides | None = None, *, dark: bool = False) -> float:
    """The contrast of an element's text with what is behind it."""
    back = background(element, overrides or {}, DARK if dark else WHITE)
    return ratio(over(foreground(element, overrides or {}, WHITE if dark else BLACK), back), back)
