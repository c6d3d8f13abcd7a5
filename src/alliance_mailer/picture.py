"""A local picture: its bytes, media type and size in pixels."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

LARGEST = 10 * 1024 * 1024  # bytes; a message of more than 25 MB is refused by Gmail and Microsoft 365

_TYPES = ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF8", "gif"))


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it travels."""

    data: bytes
    subtype: str  # of image/…: png, jpeg or gif, which every client shows
    width: int  # pixels
    height: int

    @property
    def name(self) -> str:
        """A file name that derives from the content."""
        return f"{sha256(self.data).hexdigest()[:16]}.{self.subtype.replace('jpeg', 'jpg')}"


def load_picture(path: Path) -> Picture:
    """Read a picture. Raises ValueError, with a reason for the author, where it cannot travel in a mail."""
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST + 1)
    except FileNotFoundError:
        near = sorted(p.name for p in path.parent.glob("*") if p.suffix.lower() in {".png", ".jpg", ".jpeg", ".gif"})
        there = f" (there are: {', '.join(near[:8])})" if near else ""
        raise ValueError(f"no such picture{there}") from None
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    if len(data) > LARGEST:
        raise ValueError(f"larger than {LARGEST // 2**20} MB")
    subtype = next((name for magic, name in _TYPES if data.startswith(magic)), None)
    if subtype is None:
        raise ValueError("neither PNG, JPEG nor GIF, which is what every mail client shows")
    import io

    import imagesize  # lazily: `mailer --help` does not need it

    width, height = imagesize.get(io.BytesIO(data))
    if width <= 0 or height <= 0:
        raise ValueError(f"damaged: its {subtype.upper()} header names no size")
    return Picture(data, subtype, int(width), int(height))
