"""What git knows of a publication: who wrote it last, who sits here, what a file said."""

import subprocess
from collections.abc import Iterable
from pathlib import Path


def git(project: Path, *argv: str) -> bytes | None:
    """What git prints; None where there is no git, no repository, no answer."""
    try:
        done = subprocess.run(["git", "-C", str(project), *argv], capture_output=True, check=False)  # noqa: S603, S607
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def _words(project: Path, *argv: str) -> str:
    return (git(project, *argv) or b"").decode(errors="replace").strip()


def whoami(project: Path) -> str:
    """The person who sits here: "Name <address>", as git's settings have it; empty where they have neither."""
    name, email = (_words(project, "config", f"user.{key}") for key in ("name", "email"))
    return f"{name} <{email}>" if name and email else name or email


def head(project: Path) -> str:
    """The commit that is checked out; empty where there is none."""
    return _words(project, "rev-parse", "--verify", "--quiet", "HEAD")


def last_author(project: Path, files: Iterable[str]) -> str:
    """Who wrote any of the files last, as "Name <address>"; empty where they are not committed as they are."""
    names = list(files)
    if git(project, "rev-parse", "--git-dir") is None or _words(project, "status", "--porcelain", "--", *names):
        return ""
    return _words(project, "log", "-1", "--format=%an <%ae>", "--", *names)
