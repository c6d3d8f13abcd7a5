"""Photographs the example for the README and these pages. Needs Chromium, Pillow, and the project set up (`make demo`).

    python docs/pictures/screenshots.py --fonts DIR

Linux has no Georgia, and its Liberation Serif is narrower, which hides where lines wrap. DIR holds TrueType files of
Gelasio, which is as wide as Georgia (npm's @fontsource/gelasio, converted with fontTools); without it the machine's
fonts must do.
"""

import argparse
import base64
import io
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from alliance_mailer.preview.chromium import Chromium
from alliance_mailer.preview.frame import as_outlook

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

MOST_BYTES, MOST_BYTES_OF_README = 150_000, 200_000
ACCENTS = ("#a8282b", "#f08a80", "#23457e", "#a3c4f3")  # of inline.css and client.css

FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>
<include ignore_missing="yes">/etc/fonts/fonts.conf</include><dir>{fonts}</dir><cachedir>{cache}</cachedir>
<match target="pattern"><test name="family"><string>Georgia</string></test>
<edit name="family" mode="assign" binding="strong"><string>Gelasio</string></edit></match>
<match target="pattern"><test name="family"><string>Helvetica</string></test>
<edit name="family" mode="assign" binding="strong"><string>Liberation Sans</string></edit></match></fontconfig>"""

# A desk and a telephone on a neutral wall; both go on below the edge.
WALL = """<!doctype html><style>
body {{ margin: 0; width: 1160px; height: 840px; background: #cfcbc2; overflow: hidden; position: relative }}
img {{ display: block; width: 100% }}
div {{ position: absolute; height: 900px; overflow: hidden }}
.desk {{ left: 64px; top: 56px; width: 660px; border-radius: 8px; box-shadow: 0 2px 24px rgba(40, 34, 22, .16) }}
.phone {{ left: 766px; top: 96px; width: 310px; border: 10px solid #0b0c0e; border-radius: 44px;
  background: #0e1013; box-shadow: 0 2px 28px rgba(40, 34, 22, .28) }}
</style><div class="desk"><img src="data:image/png;base64,{desk}"></div>
<div class="phone"><img src="data:image/png;base64,{phone}"></div>"""
SCALE = 1.4  # of the README's picture


def build(folder: Path) -> Path:
    """The example's message.html, and beside it as Outlook reads it, and without its pictures."""
    mailer = shutil.which("mailer", path=f"{ROOT / '.venv' / 'bin'}:{Path(sys.executable).parent}")
    assert mailer, "set the project up first: make demo"
    command = [mailer, "--project", str(ROOT), "build", "--issue", "2.6", "--out", str(folder)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 (our own)
    page = folder / "message.html"
    page.with_name("outlook.html").write_text(as_outlook(page.read_text()))
    page.with_name("off.html").write_text(page.read_text().replace('src="pictures/', 'src="none/'))
    return page


def beside(*photographs: bytes) -> Image.Image:
    """Photographs in a row, as high as the lowest of them."""
    images = [Image.open(io.BytesIO(photograph)).convert("RGB") for photograph in photographs]
    height, gap = min(image.height for image in images), 24
    row = Image.new("RGB", (sum(image.width for image in images) + gap * (len(images) - 1), height), "white")
    left = 0
    for image in images:
        row.paste(image, (left, 0))
        left += image.width + gap
    return row


def write(name: str, image: Image.Image, most: int, accents: Sequence[str] = ACCENTS) -> None:
    """Write a PNG of 256 colours, the accents among them, though they cover little."""
    path = HERE / name
    padded = Image.new("RGB", (image.width, image.height + 60 * len(accents)))
    padded.paste(image)
    for row, accent in enumerate(accents):
        padded.paste(accent, (0, image.height + 60 * row, image.width, image.height + 60 * (row + 1)))
    few = padded.quantize(256, Image.Quantize.MEDIANCUT)
    few.crop((0, 0, image.width, image.height)).save(path, optimize=True)
    print(f"{path}: {image.width} x {image.height}, {path.stat().st_size:,} bytes")
    assert path.stat().st_size <= most, f"more than {most:,} bytes"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--fonts", type=Path, help="a folder with Gelasio's TrueType files")
    fonts = options.parse_args().fonts
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        page = build(folder / "build")
        environ = {}
        if fonts:
            (folder / "fonts.conf").write_text(FONTS.format(fonts=fonts.resolve(), cache=folder / "fonts"))
            environ["FONTCONFIG_FILE"] = str(folder / "fonts.conf")
        with Chromium(folder / "profile", environ) as browser:

            def photograph(name: str, width: int, height: int, *, dark: bool = False, scale: float = 1.25) -> bytes:
                browser.show(page.with_name(f"{name}.html"), width=width, dark=dark, scale=scale)
                return browser.photograph(height=height)

            write("desktop.png", beside(photograph("message", 760, 1180)), MOST_BYTES)
            phones = [photograph("message", 375, 1180, dark=dark) for dark in (False, True)]
            write("phone.png", beside(*phones), MOST_BYTES)
            write("dark.png", beside(photograph("message", 760, 1180, dark=True)), MOST_BYTES)
            write("images-off.png", beside(photograph("off", 760, 1000), photograph("off", 375, 1000)), MOST_BYTES)
            write("outlook.png", beside(photograph("outlook", 760, 1180)), MOST_BYTES)
            desk = photograph("message", 760, 960, scale=SCALE)
            phone = photograph("message", 375, 960, dark=True, scale=SCALE)
            wall = WALL.format(desk=base64.b64encode(desk).decode(), phone=base64.b64encode(phone).decode())
            (folder / "wall.html").write_text(wall)
            browser.show(folder / "wall.html", width=1160, scale=SCALE)
            write("digest.png", beside(browser.photograph(height=840)), MOST_BYTES_OF_README)


if __name__ == "__main__":
    main()
