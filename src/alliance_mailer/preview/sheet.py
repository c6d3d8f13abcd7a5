"""The page as files: one index.html that needs nothing beside it, the message, and pictures of it if they are wanted.

As `build` addresses it: a reader without a name, no key, no clock. The same input gives the same bytes, so that two
sheets can be compared.
"""

import base64
import tempfile
from pathlib import Path

from ..build import build_files
from ..config import Config
from ..disk import write_atomically
from ..errors import InputError
from ..issue import issue_numbers
from ..load import Loaded, load
from ..report import Report
from .chromium import Chromium
from .desk import addressed
from .frame import as_outlook, shown
from .mail import CLIP, Mail, snippet, take_apart
from .page import TEMPLATES, kilobytes
from .view import PHONE, View
from .ways import ways

_DESK = 720  # px
_HEIGHT = 1180  # px, of a frame on the sheet

# What stands on it, and what is photographed: a name for the file, one for people, and the view.
VIEWS = (
    ("desktop", "Desktop", View()),
    ("phone", "Phone", View(w=PHONE)),
    ("dark", "Desktop, dark", View(theme="dark")),
    ("phone-dark", "Phone, dark", View(theme="dark", w=PHONE)),
    ("images-off", "Pictures off", View(img="off")),
    ("phone-forced-dark", "Phone, dark by force", View(theme="forced", w=PHONE)),
    ("outlook", "Outlook for Windows: its branch, in a browser", View(v="outlook")),
)


def write_sheet(
    project: Path, config: Config, report: Report, number: str | None, out: Path | None, *, pictures: bool
) -> None:
    """Write the sheet of an issue, else of the newest. Raises UsageError for pictures without a Chromium."""
    numbers = issue_numbers(project)
    if not number and not numbers:
        raise InputError("there is no issue yet in issues/", hint="mailer import MANUSCRIPT.md")
    loaded = load(project, config, number or numbers[-1])
    folder = out or project / "build" / loaded.issue.number / "preview"
    files = sheet(loaded, config)
    if pictures:
        files |= photographs(loaded, config)
    for name, data in files.items():
        write_atomically(folder / name, data)
        report.say(f"  {folder / name}  {len(data):,} bytes")
    report.say(f"\nNext: open {folder / 'index.html'} in a browser, or send it to somebody")
    report.document({"issue": loaded.issue.number, "edition_sha256": loaded.edition.sha256,
                     "files": sorted(files), "out": str(folder)})  # fmt: skip


def sheet(loaded: Loaded, config: Config) -> dict[str, bytes]:
    """The files by name: index.html, and the message as `build` writes it."""
    mail = _mail(loaded, config)
    frames = [
        {"title": title, "width": view.w or _DESK, "height": _HEIGHT, "html": _frame(mail, view)}
        for _, title, view in VIEWS
    ]
    index = TEMPLATES.get_template("sheet.html.j2").render(
        issue=loaded.issue,
        edition=loaded.edition.sha256,
        sender=config.publication.sender_name or config.publication.sender,
        mail=mail,
        ways=ways(config, loaded.edition),
        snippet=snippet(mail.html),
        findings=loaded.findings,
        frames=frames,
        clip=CLIP,
        kilobytes=kilobytes,
        css=Path(__file__).with_name("sheet.css").read_text("utf-8"),
    )
    built, _ = build_files(loaded.issue, loaded.edition)
    names = ("message.html", "message.txt", "message.eml", *(name for name in built if name.startswith("pictures/")))
    return {"index.html": index.encode(), **{name: built[name] for name in names}}


def photographs(loaded: Loaded, config: Config) -> dict[str, bytes]:
    """A PNG of each view, from top to bottom. Raises UsageError where there is no Chromium."""
    mail = _mail(loaded, config)
    found = {}
    with tempfile.TemporaryDirectory() as scratch, Chromium(Path(scratch) / "profile") as browser:
        for name, _, view in VIEWS:
            page = Path(scratch) / f"{name}.html"
            page.write_text(_frame(mail, view), "utf-8")
            browser.show(page, width=view.w or _DESK, dark=view.theme == "dark")
            found[f"{name}.png"] = browser.photograph()
    return found


def _mail(loaded: Loaded, config: Config) -> Mail:
    return take_apart(addressed(loaded, config, loaded.edition.neutral_reader, None).as_bytes())


def _frame(mail: Mail, view: View) -> str:
    """A frame's page with its pictures inside; nothing in it leads elsewhere."""
    inside = {
        f"cid:{name}": f"data:{part.content_type};base64,{base64.b64encode(part.data).decode()}"
        for name, part in mail.pictures.items()
    }
    page = as_outlook(mail.html) if view.v == "outlook" else mail.html
    return shown(page, theme=view.theme, img=view.img, pictures=inside).html
