"""What `mailer build` writes: the message as a neutral reader gets it.

No network, no secret; the same input gives the same bytes.
"""

import json
from datetime import datetime, time
from hashlib import sha256
from typing import Any

from .edition import Edition
from .issue import Issue
from .message import Message

_NOBODY = "0" * 32  # in place of what a key would make


def build_files(issue: Issue, edition: Edition) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The files by name, and their manifest.

    message.eml is the message, byte for byte. message.html is its HTML part, but shows the pictures that lie beside it,
    so that a browser can open it.
    """
    wall = issue.send_at or datetime.combine(issue.date, time())
    date = wall.replace(tzinfo=edition.publication.timezone)
    message = Message(edition, edition.neutral_reader, date, key=_NOBODY, token=_NOBODY)
    html = message.html
    files: dict[str, bytes] = {}
    for picture in issue.pictures.values():
        if edition.publication.assets_url:
            files[f"assets/{picture.name}"] = picture.data  # to be uploaded
        else:
            files[f"pictures/{picture.name}"] = picture.data
            html = html.replace(f"cid:{picture.name}@{edition.publication.domain}", f"pictures/{picture.name}")
    files = {
        "message.html": html.encode(),
        "message.txt": message.text.encode(),
        "message.eml": message.as_bytes(),
        **files,
    }
    manifest = {
        "issue": issue.number,
        "edition_sha256": edition.sha256,
        "files": {name: {"bytes": len(data), "sha256": sha256(data).hexdigest()} for name, data in files.items()},
    }
    files["manifest.json"] = (json.dumps(manifest, indent=2) + "\n").encode()
    return files, manifest
