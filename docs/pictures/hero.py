"""Draws the hero picture of the example issue: two islands of crystal joined by a bridge, before a vermilion sun.

    python docs/pictures/hero.py issues/2.6-hero.jpg

Needs Pillow, nothing else. The same Pillow always writes the same bytes: no randomness, no clock, no fonts.
The minerals are the islands, the alliance is the bridge that hangs between them.

The picture is painted three times too large, back to front, and then reduced, which smooths every edge:
sky, sun, far hills, bridge, crystals, and last the sea, whose scales (the Japanese wave pattern *seigaiha*) take
their colour from whatever stands above them, so that they mirror it.
"""

import io
import math
import sys
from pathlib import Path

from PIL import Image, ImageDraw

WIDTH, HEIGHT = 1280, 640
SCALE = 3
HORIZON = 424
MOST_BYTES = 100_000

SKY_TOP, SKY_LOW = (246, 237, 221), (243, 216, 186)
SUN = (209, 66, 43)
SUN_AT, SUN_RADIUS = (562, 262), 128
HAZE = (226, 200, 178)
INK = (22, 37, 66)
SEA_FAR, SEA_NEAR = (47, 76, 113), (13, 28, 58)
FOAM = (150, 172, 196)

# The tones of a crystal, from the face that looks at the sun to the face that looks away.
INDIGO = [(143, 164, 190), (98, 124, 158), (61, 87, 126), (36, 58, 97)]
SLATE = [(176, 188, 200), (129, 147, 168), (86, 107, 136), (56, 77, 110)]
TEAL = [(172, 196, 198), (116, 152, 162), (76, 114, 130), (46, 80, 100)]
COPPER = [(240, 190, 148), (222, 150, 104), (190, 108, 70), (150, 78, 54)]

# A crystal: where its foot stands, width, height, lean in degrees, tones.
LEFT_ISLAND = [
    (62, 92, 190, -9, SLATE),
    (226, 62, 148, 12, SLATE),
    (112, 84, 262, -4, INDIGO),
    (168, 78, 322, 2, SLATE),
    (214, 50, 92, 15, COPPER),
    (76, 62, 116, -12, COPPER),
    (136, 66, 124, 1, TEAL),
    (30, 54, 78, -18, INDIGO),
    (262, 38, 54, 20, INDIGO),
]
RIGHT_ISLAND = [
    (1120, 84, 210, 9, SLATE),
    (946, 64, 156, -11, SLATE),
    (1064, 96, 290, 5, INDIGO),
    (1002, 82, 352, -2, SLATE),
    (1182, 74, 134, 15, INDIGO),
    (960, 50, 92, -15, COPPER),
    (1040, 70, 134, -2, TEAL),
    (1096, 60, 108, 9, COPPER),
    (918, 38, 54, -22, INDIGO),
    (1146, 50, 62, 17, TEAL),
]


def mix(a, b, t):
    """The colour that lies t (0 to 1) of the way from a to b."""
    t = min(1.0, max(0.0, t))
    return tuple(round(x + (y - x) * t) for x, y in zip(a, b, strict=True))


def px(*numbers):
    """Numbers of the finished picture as numbers of the large canvas."""
    return tuple(n * SCALE for n in numbers)


def paint_sky(draw):
    for row in range(HORIZON * SCALE):
        draw.line([(0, row), (WIDTH * SCALE, row)], fill=mix(SKY_TOP, SKY_LOW, row / (HORIZON * SCALE)))


def paint_sun(draw):
    x, y = SUN_AT
    draw.ellipse(px(x - SUN_RADIUS, y - SUN_RADIUS, x + SUN_RADIUS, y + SUN_RADIUS), fill=SUN)


def paint_hills(draw):
    """Two faint ridges on the horizon: the far shore of either country."""
    for base, swing, phase, colour in (
        (26, 13, 0.4, mix(SKY_LOW, HAZE, 0.75)),
        (13, 8, 2.1, mix(HAZE, SEA_FAR, 0.16)),
    ):
        ridge = [px(-5, HORIZON)]
        for x in range(0, WIDTH + 9, 8):
            rise = math.sin(x / 171 + phase) * 0.6 + math.sin(x / 67 + phase * 3) * 0.3
            ridge.append(px(x, HORIZON - base - swing * rise))
        draw.polygon([*ridge, px(WIDTH + 5, HORIZON)], fill=colour)


def summit(crystal):
    x, _, height, lean, _ = crystal
    return x + math.sin(math.radians(lean)) * height, HORIZON - math.cos(math.radians(lean)) * height


def paint_bridge(draw):
    """A suspension bridge: the two tallest crystals are its towers."""
    left, right = (max(island, key=lambda crystal: crystal[2]) for island in (LEFT_ISLAND, RIGHT_ISLAND))
    (ax, ay), (bx, by) = summit(left), summit(right)
    ay, by = ay + 34, by + 34
    dip = HORIZON - 104

    def deck(x):
        t = (x - ax) / (bx - ax)
        return HORIZON - 62 - 26 * 4 * t * (1 - t)

    def cable(x):
        t = (x - ax) / (bx - ax)
        straight = ay + (by - ay) * t
        return straight + (dip - (ay + by) / 2) * 4 * t * (1 - t)

    steps = [ax + (bx - ax) * i / 240 for i in range(241)]
    hangers = 36
    for i in range(1, hangers):
        x = ax + (bx - ax) * i / hangers
        draw.line([px(x, cable(x)), px(x, deck(x))], fill=INK, width=round(1.1 * SCALE))
    draw.line([px(x, cable(x)) for x in steps], fill=INK, width=round(3.4 * SCALE), joint="curve")
    top = [px(x, deck(x) - 3) for x in steps]
    bottom = [px(x, deck(x) + 5) for x in reversed(steps)]
    draw.polygon([*top, *bottom], fill=INK)


def paint_crystal(draw, crystal):
    """A leaning prism with a pointed cap; its faces are lit from where the sun stands."""
    foot, width, height, lean, tones = crystal
    sun_on_right = foot < SUN_AT[0]
    turn = math.radians(lean)

    def at(x, up):
        x *= 1 if sun_on_right else -1
        return px(
            foot + x * math.cos(turn) + up * math.sin(turn),
            HORIZON + x * math.sin(turn) - up * math.cos(turn),
        )

    edge, half, deep = width * 0.06, width / 2, -60
    shade, crest, lit, cap = (
        height - width * 0.86,
        height - width * 1.04,
        height - width * 0.62,
        (width * 0.05, height),
    )
    far = width * 0.30
    draw.polygon([at(-half, deep), at(edge, deep), at(edge, crest), at(-half, shade)], fill=tones[3])
    draw.polygon([at(edge, deep), at(far, deep), at(far, crest + width * 0.12), at(edge, crest)], fill=tones[2])
    draw.polygon([at(far, deep), at(half, deep), at(half, lit), at(far, crest + width * 0.12)], fill=tones[1])
    draw.polygon([at(-half, shade), at(edge, crest), at(*cap)], fill=tones[2])
    draw.polygon([at(edge, crest), at(far, crest + width * 0.12), at(*cap)], fill=tones[1])
    draw.polygon([at(far, crest + width * 0.12), at(half, lit), at(*cap)], fill=tones[0])


def mirror(scene, water, x, y, near):
    """The colour of a scale at (x, y): the water's own, and some of whatever stands that far above the horizon."""
    above = HORIZON - 6 - (y - HORIZON) * 1.5
    if not (0 <= x < WIDTH and above >= 0):
        return water
    seen = scene.getpixel((round(x * SCALE), round(above * SCALE)))
    red, _, blue = seen
    if red - blue > 150:  # the sun
        return mix(water, SUN, 0.96 - 0.46 * near)
    if seen == INK or (red > 185 and red - blue < 70):  # the bridge; sky and hills
        return water
    if red - blue > 40:  # copper
        return mix(water, COPPER[1], 0.78 - 1.1 * near)
    return mix(water, SLATE[1], 0.34 - 0.30 * near)


def paint_sea(image):
    """Rows of overlapping scales, each in the one colour that it mirrors."""
    scene = image.copy()
    draw = ImageDraw.Draw(image)
    draw.rectangle(px(0, HORIZON, WIDTH, HEIGHT), fill=SEA_FAR)
    rx, ry, step = 20, 17, 9
    for row in range((HEIGHT - HORIZON) // step + 2):
        y = HORIZON + 1 + row * step
        near = min(1.0, (y - HORIZON) / (HEIGHT - HORIZON))
        water = mix(SEA_FAR, SEA_NEAR, near**0.7)
        shift = SUN_AT[0] % (2 * rx) + (row % 2) * rx
        for k in range(-1, WIDTH // (2 * rx) + 2):
            x = shift + k * 2 * rx
            colour = mirror(scene, water, x, y, near)
            line = mix(colour, FOAM, 0.20)
            for size in (1.0, 0.68, 0.36):
                for ring, tone in ((size, line), (size - 0.07, colour)):
                    draw.ellipse(px(x - rx * ring, y + ry - ry * ring, x + rx * ring, y + ry + ry * ring), fill=tone)


def picture():
    image = Image.new("RGB", px(WIDTH, HEIGHT))
    draw = ImageDraw.Draw(image)
    paint_sky(draw)
    paint_sun(draw)
    paint_hills(draw)
    paint_bridge(draw)
    for crystal in LEFT_ISLAND + RIGHT_ISLAND:
        paint_crystal(draw, crystal)
    paint_sea(image)
    return image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


def jpeg(image):
    """The best progressive JPEG that is no larger than a mail should carry."""
    for quality in range(90, 40, -2):
        out = io.BytesIO()
        image.save(out, "JPEG", quality=quality, progressive=True, optimize=True)
        if out.tell() <= MOST_BYTES:
            return out.getvalue()
    raise SystemExit(f"the picture does not fit in {MOST_BYTES} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python hero.py OUTPUT.jpg")
    Path(sys.argv[1]).write_bytes(jpeg(picture()))
