"""Links that open a file at a line in the editor of the person who looks."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

# By the name of the program in $VISUAL or $EDITOR; an editor in a terminal has no such link.
_LINKS = {
    r"code|codium|code-insiders": "vscode://file{path}:{line}:{column}",
    r"cursor": "cursor://file{path}:{line}:{column}",
    r"zed|zeditor": "zed://file{path}:{line}:{column}",
    r"subl|sublime_text": "subl://open?url=file://{path}&line={line}&column={column}",
    r"idea|pycharm|webstorm|phpstorm": "idea://open?file={path}&line={line}&column={column}",
    r"mate": "txmt://open?url=file://{path}&line={line}&column={column}",
}


def editor_link(project: Path, environ: Mapping[str, str]) -> Callable[[str, int | None, int | None], str]:
    """Makes a link from a file of the publication, a line and a column. VS Code's, where no other editor is known."""
    command = environ.get("VISUAL") or environ.get("EDITOR") or ""
    program = Path(command.split(" ")[0]).name
    form = next(
        (link for name, link in _LINKS.items() if re.fullmatch(name, program)), _LINKS["code|codium|code-insiders"]
    )

    def link(file: str, line: int | None, column: int | None = None) -> str:
        return form.format(path=quote(str(project / file)), line=line or 1, column=column or 1)

    return link
