"""Writes the snapshot of caniemail.com's data that `mailer check` reads: npm's package `caniemail` (MIT), made compact.

`make refresh-caniemail` downloads the newest package with npm and runs this; the diff is the review.
"""

import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

SNAPSHOT = Path(__file__).parents[1] / "src" / "alliance_mailer" / "checks" / "_caniemail.json"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(
            ["npm", "pack", "--silent", "caniemail@latest", "--pack-destination", folder],
            check=True, stdout=subprocess.PIPE, text=True,
        ).stdout.split()[-1]  # fmt: skip
        with tarfile.open(Path(folder) / packed) as package:
            data = json.load(package.extractfile("package/data/caniemail.json"))  # type: ignore[arg-type]
            version = json.load(package.extractfile("package/package.json"))["version"]  # type: ignore[arg-type]
    SNAPSHOT.write_text(compact(data, version))
    print(f"{SNAPSHOT}: {SNAPSHOT.stat().st_size:,} bytes, data of {data['last_update_date'][:10]}")


def compact(data: dict[str, Any], version: str) -> str:
    """One line a feature: what it is called in a page, and a letter for each client: y, n, a (in part), u (unknown)."""
    clients = sorted({f"{family}.{platform}" for each in data["data"] for family, platforms in each["stats"].items()
                      for platform in platforms})  # fmt: skip
    features = {}
    for each in data["data"]:
        for name in names(each):
            letters = "".join(_support(each["stats"], client) for client in clients)
            features[name] = [each["slug"], letters]
    head = {"source": f"caniemail {version} (MIT), https://www.caniemail.com", "date": data["last_update_date"][:10]}
    lines = [f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in sorted(features.items())]
    shown = {client: " ".join((data["nicenames"]["family"][client.split(".")[0]],
                               data["nicenames"]["platform"][client.split(".")[1]])) for client in clients}  # fmt: skip
    return (
        json.dumps(head)[:-1]
        + ',\n"clients": '
        + json.dumps(shown)
        + ',\n"features": {\n'
        + ",\n".join(lines)
        + "\n}}\n"
    )


def _support(stats: dict[str, dict[str, dict[str, str]]], client: str) -> str:
    family, platform = client.split(".")
    versions = stats.get(family, {}).get(platform, {})
    return list(versions.values())[-1][0] if versions else "u"


def names(feature: dict[str, Any]) -> list[str]:
    """How a feature shows in a page: property:NAME, value:NAME: VALUE, function:, unit:, element:, attribute:, image:.

    By its title, which follows a few habits; what has another kind of title is not looked for.
    """
    title, slug = feature["title"].strip(), feature["slug"]
    if slug.startswith("image-"):
        return [f"image:{slug.removeprefix('image-')}"]
    if slug.startswith("css-"):
        if title == "left, right, top, bottom":
            return [f"property:{name}" for name in ("left", "right", "top", "bottom")]
        if pair := re.fullmatch(r"([a-z-]+):\s*([a-z-]+)", title):
            return [f"value:{pair[1]}: {pair[2]}"]
        if function := re.search(r"([a-z-]+)\(\)", title):
            return [] if title.startswith(":") else [f"function:{function[1]}"]
        if title.endswith(" unit"):
            return [f"unit:{title.removesuffix(' unit')}"]
        name = title.removesuffix(" shorthand").removesuffix(" property")
        return [f"property:{name}"] if re.fullmatch("[a-z-]+", name) else []
    if title == "HTML5 semantics":
        semantic = "article aside details figcaption figure footer header main nav section summary"
        return [f"element:{name}" for name in semantic.split()]
    if title.endswith(" attribute"):
        return [f"attribute:{title.removesuffix(' attribute')}"]
    if element := re.match(r"<([a-z0-9]+)>", title):
        return [f"element:{element[1]}"]
    return []


if __name__ == "__main__":
    sys.exit(main())
