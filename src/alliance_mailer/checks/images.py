"""Pictures that a reader cannot see, or has to wait for."""

from collections.abc import Iterator

from ..issue import Issue
from . import Finding

_HEAVY = 1024 * 1024  # bytes; the whole message should stay below


def check(issue: Issue) -> Iterator[Finding]:
    """A004: every picture has a text for who does not see it. M005: a message stays below 1 MB."""
    for image in issue.images:
        if not image.alt.strip():
            fix = 'image: {src: …, alt: "what it shows"}, or ![what it shows](…) in the text'
            yield Finding("A004", "error", issue.file, image.line, f"the picture {image.src} has no alt text", fix)
        picture = issue.pictures.get(image.src)
        if picture and len(picture.data) > _HEAVY:
            message = f"the picture {image.src} weighs {len(picture.data) / _HEAVY:.1f} MB, in every single message"
            fix = "save it at most 1280 pixels wide, as JPEG; or set assets_url, so that it is linked"
            yield Finding("M005", "warning", issue.file, image.line, message, fix)
