"""A compiled edition as bytes that another machine reads: JSON, addressed by its SHA-256. No code, no pickle.

What is stored is what was compiled, not what it was compiled from: a worker with another version of the renderer sends
the same bytes.
"""

import json
from base64 import b64decode, b64encode
from dataclasses import asdict
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from .edition import Edition, Link
from .picture import Picture
from .publication import Publication
from .slots import Field, Gap, Place, Segments

FORM = 1  # of these bytes; a reader knows its own and those before


def write_edition(edition: Edition) -> tuple[str, bytes]:
    """The bytes, after their SHA-256."""
    publication = asdict(edition.publication) | {"timezone": edition.publication.timezone.key}
    value = {
        "form": FORM,
        "issue": edition.issue,
        "sha256": edition.sha256,
        "publication": publication,
        **{name: _segments(getattr(edition, name)) for name in ("subject", "html", "text")},
        "head": edition.head.decode("ascii"),
        "body": [piece.decode("ascii") for piece in edition.body],
        "order": edition.order,
        "gaps": list(map(_gap, edition.gaps)),
        "links": [None if link is None else asdict(link) for link in edition.links],
        "risky": list(map(_gap, edition.risky)),
        "pictures": [asdict(each) | {"data": b64encode(each.data).decode("ascii")} for each in edition.pictures],
    }
    data = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    return sha256(data).hexdigest(), data


def read_edition(data: bytes) -> Edition:
    """The edition. Raises ValueError where these bytes are of a later form."""
    value = json.loads(data)
    if value["form"] != FORM:
        raise ValueError(f"a compiled edition of form {value['form']}; this program knows {FORM}")
    publication = value["publication"] | {"timezone": ZoneInfo(value["publication"]["timezone"])}
    return Edition(
        issue=value["issue"],
        sha256=value["sha256"],
        publication=Publication(**publication),
        subject=_read_segments(value["subject"]),
        html=_read_segments(value["html"]),
        text=_read_segments(value["text"]),
        head=value["head"].encode("ascii"),
        body=tuple(piece.encode("ascii") for piece in value["body"]),
        order=tuple(value["order"]),
        gaps=tuple(map(_read_gap, value["gaps"])),
        links=tuple(None if link is None else Link(**link) for link in value["links"]),
        risky=tuple(map(_read_gap, value["risky"])),
        pictures=tuple(Picture(**{**each, "data": b64decode(each["data"])}) for each in value["pictures"]),
    )


def _gap(gap: Gap) -> list[str | None]:
    return [gap.field.name, gap.field.fallback, gap.place]


def _read_gap(value: list[Any]) -> Gap:
    return Gap(Field(value[0], value[1]), Place(value[2]))


def _segments(segments: Segments) -> list[list[Any]]:
    return [list(segments.literals), list(map(_gap, segments.gaps))]


def _read_segments(value: list[list[Any]]) -> Segments:
    return Segments(tuple(value[0]), tuple(map(_read_gap, value[1])))
