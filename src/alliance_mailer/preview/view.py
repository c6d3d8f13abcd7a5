"""What the page shows, as its address says it: every toggle is a parameter, so that a view can be shared."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import urlencode

CHOICES = {
    "v": ("html", "outlook", "text", "source", "headers", "raw"),
    "theme": ("light", "dark", "forced"),
    "img": ("on", "off", "remote"),
    "beside": ("", "width", "theme", "previous", "nobody"),
    "mark": ("", "on"),
    "panel": ("checks", "size", "reader", "outline", "none"),
}
PHONE = 375  # px; the narrower of the two usual telephones
_NARROWEST, _WIDEST = 240, 2000  # px


@dataclass(frozen=True, slots=True)
class View:
    """One view of one issue. The first of each choice is what is meant when the address does not say."""

    issue: str = ""
    v: str = "html"
    w: int = 0  # px; 0: as wide as there is room
    theme: str = "light"
    img: str = "on"
    to: str = ""  # an address on a list, or one of people.SYNTHETIC
    beside: str = ""  # what stands at its side
    mark: str = ""  # whether the reader's own words are marked
    panel: str = "checks"

    def url(self, **changes: Any) -> str:
        """The address of this view, or of one that differs from it."""
        changed = replace(self, **changes)
        said = {field.name: getattr(changed, field.name) for field in fields(View)}
        return "?" + urlencode({key: value for key, value in said.items() if value != _DEFAULTS[key]})

    def next(self, key: str) -> str:
        """The value of a choice that follows the one in force; `remote` only by a person's own click."""
        choices = [choice for choice in CHOICES[key] if choice != "remote"]
        now = getattr(self, key)
        return choices[(choices.index(now) + 1) % len(choices)] if now in choices else choices[0]


_DEFAULTS = {field.name: field.default for field in fields(View)}


def read_view(query: Mapping[str, str]) -> View:
    """The view that an address asks for. What it says that cannot be, an old bookmark for instance, is not heard."""
    said: dict[str, Any] = {key: query[key] for key, known in CHOICES.items() if query.get(key) in known}
    width = query.get("w", "")
    if re.fullmatch(r"[0-9]{1,4}", width) and _NARROWEST <= int(width) <= _WIDEST:
        said["w"] = int(width)
    return View(issue=query.get("issue", "")[:64], to=query.get("to", "")[:320], **said)


def second(view: View, previous: str) -> View | None:
    """What stands beside it; `previous` is the number of the issue before. None where nothing does."""
    match view.beside:
        case "width":
            return replace(view, w=0 if view.w else PHONE)
        case "theme":
            return replace(view, theme="dark" if view.theme == "light" else "light")
        case "previous":
            return replace(view, issue=previous) if previous else None
        case "nobody":
            return replace(view, to="")
    return None
