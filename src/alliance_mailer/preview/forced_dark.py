"""What mail programs do that turn a light message dark themselves: Gmail on a phone, Outlook for Windows.

Nobody publishes how. This is how it looks: light grounds become dark, dark words become light, colours keep their hue
and lose some strength. Computed in CIE LCh, as react-email does: lightness 50 and more becomes 50 - (L - 50) x 0.75,
the reverse for words; chroma x 0.8.
"""

import re
from functools import lru_cache

_DECLARATION = re.compile(r"(?i)(?<![\w-])((?:background|border)(?:-[a-z]+)*|color|fill)(\s*:\s*)([^;\"'{}]+)")
_ATTRIBUTE = re.compile(r"(?i)\b(bgcolor)(=[\"']?)(#[0-9a-f]{3,6}|[a-z]+)\b")
_COLOUR = re.compile(r"(?i)#[0-9a-f]{6}\b|#[0-9a-f]{3}\b|rgba?\([^)]*\)|(?<![\w#-])(?:white|black)(?![\w-])")
_STYLES = re.compile(r"(<style\b[^>]*>)(.*?)(</style>)|(<[a-zA-Z][^>]*>)", re.DOTALL)
_NAMED = {"white": (255, 255, 255), "black": (0, 0, 0)}


def forced_dark(html: str) -> str:
    """The page with its colours turned, in style attributes and sheets; pictures stay as they are."""
    page = _STYLES.sub(lambda found: f"{found[1]}{_turned(found[2])}{found[3]}" if found[1] else _tag(found[4]), html)
    ground = "<style>html{background:#121212;color:#e6e6e6}a{color:#8ab4f8}</style>"
    return page.replace("</head>", ground + "</head>", 1) if "</head>" in page else ground + page


def _tag(tag: str) -> str:
    tag = _ATTRIBUTE.sub(lambda found: f"{found[1]}{found[2]}{_turn(found[3], words=False)}", tag)
    return re.sub(r"""style=("[^"]*"|'[^']*')""", lambda found: f"style={_turned(found[1])}", tag)


def _turned(css: str) -> str:
    def declaration(found: re.Match[str]) -> str:
        words = found[1].lower() in ("color", "fill")
        return found[1] + found[2] + _COLOUR.sub(lambda colour: _turn(colour[0], words=words), found[3])

    return _DECLARATION.sub(declaration, css)


@lru_cache(maxsize=512)
def _turn(colour: str, *, words: bool) -> str:
    channels = _channels(colour.lower())
    if channels is None:
        return colour
    lightness, a, b = _to_lab(*channels)
    if words:
        lightness = 50 + (50 - lightness) * 0.75 if lightness < 50 else lightness
    else:
        lightness = 50 - (lightness - 50) * 0.75 if lightness >= 50 else lightness
    return "#{:02x}{:02x}{:02x}".format(*_to_rgb(lightness, a * 0.8, b * 0.8))


def _channels(colour: str) -> tuple[int, int, int] | None:
    if colour in _NAMED:
        return _NAMED[colour]
    if colour.startswith("#"):
        digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
        return (int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)) if len(digits) == 6 else None
    numbers = re.findall(r"[\d.]+", colour)
    if len(numbers) == 3 or (len(numbers) == 4 and float(numbers[3]) == 1):
        red, green, blue = (min(255, round(float(number))) for number in numbers[:3])
        return red, green, blue
    return None  # half transparent: it takes its lightness from below


# sRGB and CIE L*a*b* (D65) -----------------------------------------------------------------------------------------

_WHITE = (0.95047, 1.0, 1.08883)


def _to_lab(*channels: int) -> tuple[float, float, float]:
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (channel / 255 for channel in channels)
    )
    x, y, z = (
        _root(value / white)
        for value, white in zip(
            (
                0.4124564 * red + 0.3575761 * green + 0.1804375 * blue,
                0.2126729 * red + 0.7151522 * green + 0.0721750 * blue,
                0.0193339 * red + 0.1191920 * green + 0.9503041 * blue,
            ),
            _WHITE,
            strict=True,
        )
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def _root(value: float) -> float:
    return value ** (1 / 3) if value > 0.008856 else 7.787 * value + 16 / 116


def _to_rgb(lightness: float, a: float, b: float) -> tuple[int, ...]:
    y = (lightness + 16) / 116
    x, z = y + a / 500, y - b / 200
    x, y, z = (
        white * (value**3 if value**3 > 0.008856 else (value - 16 / 116) / 7.787)
        for value, white in zip((x, y, z), _WHITE, strict=True)
    )
    linear = (
        3.2404542 * x - 1.5371385 * y - 0.4985314 * z,
        -0.9692660 * x + 1.8760108 * y + 0.0415560 * z,
        0.0556434 * x - 0.2040259 * y + 1.0572252 * z,
    )
    return tuple(
        round(255 * min(1.0, max(0.0, 12.92 * v if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055))) for v in linear
    )
