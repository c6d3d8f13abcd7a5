"""What `mailer schedule install` does: has cron, systemd or GitHub call `mailer dispatch`, and takes it away again.

The tick is all they know; when an issue is due, in which zone and on which side of a clock change, the program decides.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import fields
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from .config import Config
from .disk import write_atomically
from .errors import TryLater, UsageError
from .git import git
from .report import Report

MINUTES = 5
_WRITTEN = "Written by `mailer schedule install"


Kind = Literal["cron", "systemd", "github-actions"]


def install_units(project: Path, config: Config, report: Report, kinds: Sequence[Kind], *, installed: bool) -> None:
    """Write what calls us, or take it away. Raises UsageError unless one kind is chosen, TryLater by the machine."""
    if len(kinds) != 1:
        raise UsageError("one of --cron, --systemd and --github-actions", hint="mailer schedule install --cron")
    if kinds[0] == "github-actions":
        _install_github(project, config, report, installed=installed)
        return
    if installed:
        _prepare_environment(project, config, report)
    if kinds[0] == "cron":
        _install_cron(project, report, installed=installed)
    else:
        _install_systemd(project, report, installed=installed)


def print_units(project: Path, config: Config, report: Report, kinds: Sequence[Kind]) -> None:
    """Print what would be written; of all kinds where none is chosen."""
    if not kinds or "cron" in kinds:
        report.say(cron_line(project))
    if not kinds or "systemd" in kinds:
        for name, unit in systemd_units(project).items():
            report.say(f"\n# {name}\n{unit}".rstrip("\n"))
    if "github-actions" in kinds:
        report.say(github_workflow(project, repository(project), config).rstrip("\n"))


def environment_names(config: Config) -> list[str]:
    """The environment variables that mailer.toml names."""
    options = [way.options for way in config.transports.values()]
    named = [getattr(each, field.name) for each in options for field in fields(each) if field.name.endswith("_env")]
    return [name for name in dict.fromkeys([*named, config.secret_env, config.schedule.webhook_env]) if name]


def environment_file(project: Path) -> Path:
    """Where the secrets of an unattended run lie: git-ignored, mode 0600."""
    return project / ".mailer" / "environment"


def command() -> list[str]:
    """The program that runs here, by its absolute path."""
    program = Path(sys.executable).with_name("mailer")
    return [str(program)] if program.exists() else [sys.executable, "-m", "alliance_mailer"]


# cron -----------------------------------------------------------------------------------------------------------


def cron_line(project: Path) -> str:
    """One line of a crontab. The comment at its end, which sh reads as one, is how it is found again."""
    secrets = shlex.quote(str(environment_file(project)))
    call = shlex.join([*command(), "--project", str(project), "dispatch"])
    script = f"if [ -r {secrets} ]; then set -a; . {secrets}; set +a; fi; exec {call} {_cron_mark(project)}"
    # To cron a % is the end of the line.
    return f"*/{MINUTES} * * * * " + script.replace("%", r"\%")


def _cron_mark(project: Path) -> str:
    return f"# mailer schedule: {project}"


def crontab_with(lines: Sequence[str], project: Path, *, installed: bool) -> list[str]:
    """A crontab's lines with ours, or without it. All others stay as they are, where they are."""
    mark = _cron_mark(project).replace("%", r"\%")
    others = [line for line in lines if not line.endswith(mark)]
    return [*others, cron_line(project)] if installed else others


def _crontab() -> list[str]:
    try:
        done = subprocess.run(["crontab", "-l"], capture_output=True, text=True, check=False)  # noqa: S607
    except OSError:
        raise TryLater("there is no crontab on this machine", hint="apt-get install cron, or --systemd") from None
    if done.returncode and "no crontab" not in done.stderr:
        raise TryLater(f"crontab -l: {done.stderr.strip()}")
    return done.stdout.splitlines()


def _install_cron(project: Path, report: Report, *, installed: bool) -> None:
    """Write the line into this user's crontab, or take it out."""
    before = _crontab()
    after = crontab_with(before, project, installed=installed)
    if after != before:
        text = "".join(f"{line}\n" for line in after)
        done = subprocess.run(["crontab", "-"], input=text, capture_output=True, text=True, check=False)  # noqa: S607
        if done.returncode:
            raise TryLater(f"crontab: {done.stderr.strip()}")
    report.say(f"cron calls it every {MINUTES} minutes:\n  {cron_line(project)}" if installed
               else "cron does not call it any more")  # fmt: skip


# systemd --------------------------------------------------------------------------------------------------------


def unit_name(project: Path) -> str:
    """A name that no other publication on this machine has."""
    slug = re.sub(r"[^a-z0-9]+", "-", project.name.lower()).strip("-") or "digest"
    return f"mailer-{slug}-{sha256(os.fsencode(project)).hexdigest()[:6]}"


def systemd_units(project: Path) -> dict[str, str]:
    """A service and its timer, by file name."""
    name = unit_name(project)
    note = f"# {_WRITTEN} --systemd`; --uninstall takes it away.\n"
    folder, secrets = (str(path).replace("%", "%%") for path in (project, environment_file(project)))
    call = " ".join(map(_systemd_word, [*command(), "--project", str(project), "dispatch"]))
    service = f"""{note}[Unit]
Description=mailer dispatch, {folder}

[Service]
Type=oneshot
WorkingDirectory={folder}
EnvironmentFile=-{secrets}
ExecStart={call}
# People are left for later; the next tick goes on.
SuccessExitStatus=75
"""
    timer = f"""{note}[Unit]
Description=mailer dispatch every {MINUTES} minutes, {folder}

[Timer]
OnCalendar=*:0/{MINUTES}
AccuracySec=1s
Persistent=true

[Install]
WantedBy=timers.target
"""
    return {f"{name}.service": service, f"{name}.timer": timer}


def _systemd_word(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return escaped if re.fullmatch(r"[\w@%+=:,./-]+", escaped) else f'"{escaped}"'


def _install_systemd(project: Path, report: Report, *, installed: bool) -> None:
    """Write the units and start the timer, or stop it and remove them: root's for the machine, else the user's own."""
    root = os.geteuid() == 0
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    folder = Path("/etc/systemd/system") if root else home / "systemd" / "user"
    timer, systemctl = f"{unit_name(project)}.timer", ["systemctl", *([] if root else ["--user"])]
    if not installed:
        _systemctl(report, [*systemctl, "disable", "--now", timer])
    for name, text in systemd_units(project).items():
        _write_ours(folder / name, text if installed else None)
        report.say(f"  {folder / name}{'' if installed else ' removed'}")
    _systemctl(report, [*systemctl, "daemon-reload"])
    if installed:
        _systemctl(report, [*systemctl, "enable", "--now", timer])
        if not root:
            report.say("It runs while you are logged in; for always: loginctl enable-linger")


def _systemctl(report: Report, argv: list[str]) -> None:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)  # noqa: S603
        trouble = done.stderr.strip() if done.returncode else ""
    except OSError as error:
        trouble = str(error.strerror)
    if trouble:
        report.warn(f"{shlex.join(argv)}: {trouble}")


# GitHub Actions -------------------------------------------------------------------------------------------------


def github_workflow(project: Path, root: Path, config: Config) -> str:
    """A workflow that keeps the ledger in the cache, and what was sent in the repository."""
    where = project.relative_to(root).as_posix()
    secrets = "".join(f"          {name}: ${{{{ secrets.{name} }}}}\n" for name in environment_names(config))
    return f"""# {_WRITTEN} --github-actions`; --uninstall takes it away.
# GitHub starts scheduled runs late, now and then by hours, and stops them after 60 days without a commit; what is
# later than [schedule] max_late is not sent. A machine of your own with cron is on time.
name: mailer dispatch
on:
  schedule:
    - cron: "*/15 * * * *"
  workflow_dispatch:
permissions:
  contents: write # receipts: sends/
concurrency:
  group: mailer-dispatch
  cancel-in-progress: false
jobs:
  dispatch:
    runs-on: ubuntu-24.04
    defaults:
      run:
        working-directory: {where}
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
      - uses: actions/cache@v4 # the ledger: who has got what
        with:
          path: {f"{where}/" if where != "." else ""}.mailer
          key: mailer-${{{{ github.run_id }}}}
          restore-keys: mailer-
      - run: pip install alliance-mailer=={version("alliance-mailer")}
      # Lists are not in git: fetch contacts/ here, from where you keep them.
      - run: mailer dispatch
        env:
          PYTHONUNBUFFERED: "1"
{secrets}      - if: always()
        run: |
          git config user.name "mailer dispatch"
          git config user.email "mailer@users.noreply.github.com"
          [ ! -d sends ] || git add sends
          git diff --cached --quiet || (git commit -qm "Receipts" && git push)
"""


def _install_github(project: Path, config: Config, report: Report, *, installed: bool) -> None:
    """Write the workflow into the repository, or remove it."""
    root = repository(project)
    path = root / ".github" / "workflows" / "mailer-dispatch.yml"
    _write_ours(path, github_workflow(project, root, config) if installed else None)
    report.say(f"  {path}{'' if installed else ' removed'}")
    for name in environment_names(config) if installed else ():
        report.say(f"  its secret: gh secret set {name}")


def repository(project: Path) -> Path:
    """The root of the git repository. Raises UsageError where there is none."""
    found = git(project, "rev-parse", "--show-toplevel")
    if found is None:
        raise UsageError(f"{project} is in no git repository", hint="git init")
    return Path(os.fsdecode(found.rstrip(b"\n")))


def _write_ours(path: Path, text: str | None) -> None:
    """Write a file, or remove it: only one that we wrote. Raises UsageError for another's, TryLater by the disk."""
    try:
        if path.exists() and _WRITTEN not in path.read_text(errors="replace"):
            raise UsageError(f"{path} was not written by mailer, and stays as it is", hint=f"move it away: mv {path} …")
        if text is None:
            path.unlink(missing_ok=True)
            return
    except OSError as error:
        raise TryLater(f"{path}: {error.strerror}") from None
    write_atomically(path, text.encode())


def _prepare_environment(project: Path, config: Config, report: Report) -> None:
    """Make the file for the secrets, where there is none, with the names of those that are needed."""
    path = environment_file(project)
    if path.exists():
        return
    lines = ["# What mailer.toml names by *_env, for cron and systemd. In single quotes; no blanks beside the =.",
             *(f"#{name}='…'" for name in environment_names(config)), ""]  # fmt: skip
    try:
        path.parent.mkdir(exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write("\n".join(lines))
    except OSError as error:
        raise TryLater(f"{path} cannot be written: {error.strerror}") from None
    report.say(f"  {path} (mode 0600){': write the secrets there' if environment_names(config) else ''}")
