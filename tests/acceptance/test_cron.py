"""Real cron calls `mailer dispatch`; real systemd understands our units, and agrees with us about clock changes."""

import os
import re
import shutil
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest

from alliance_mailer.cadence import read_cadence
from alliance_mailer.install import systemd_units
from alliance_mailer.walltime import is_on_the_clock, to_instant
from ticks import NEW_YORK, Desk

INSTALL = "apt-get install --no-install-recommends cron systemd util-linux"

# A cron whose spool, system jobs and pid file are its own: in a mount namespace that ends with it.
ITS_OWN = """set -eu
mount -t tmpfs tmpfs /run
mount --bind "$PLACE/spool" /var/spool/cron/crontabs
mount --bind "$PLACE/empty" /etc/cron.d
mount --bind /dev/null /etc/crontab
{ echo '# mine'; echo 'MAILTO=""'; echo '0 4 * * * true'; } | crontab -
"$@" schedule install --cron
"$@" schedule install --cron
crontab -l > "$PLACE/installed"
crontab -l | sed 's/^\\*\\/5 /* /; s/ # mailer/ >> "$PLACE_OUT" 2>\\&1 # mailer/' | sed "s#\\$PLACE_OUT#$PLACE/out#" | crontab -
cron -f -L 15 &
daemon=$!
trap 'kill $daemon' EXIT
until [ -e "$PLACE/enough" ]; do sleep 0.2; done
"$@" schedule install --cron --uninstall
crontab -l > "$PLACE/uninstalled"
"""


def needed(*programs):
    missing = [name for name in programs if not shutil.which(name)]
    assert not missing, f"{', '.join(missing)}: {INSTALL}"


def test_cron_sends_an_approved_issue_at_its_minute_and_once(project, live, tmp_path):
    needed("cron", "crontab", "unshare")
    assert os.geteuid() == 0, "a cron of its own needs root, as in a container"
    people = [f"reader{n}@example.org" for n in range(6)]
    (project / "contacts" / "subscribers.csv").write_text("email\n" + "".join(f"{each}\n" for each in people))
    desk, now = Desk(project), datetime.now(UTC)
    due = (now + timedelta(seconds=75)).replace(second=0, microsecond=0)
    desk.write("2.6", f"{due.astimezone(NEW_YORK):%Y-%m-%d %H:%M}")
    desk.approve("2.6", now)
    place = tmp_path / "cron"
    for folder in ("spool", "empty"):
        (place / folder).mkdir(parents=True)
    mailer = [sys.executable, "-m", "alliance_mailer", "--project", str(project)]
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", ITS_OWN, "sh", *mailer],
        env={**os.environ, "PLACE": str(place)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        wait_until(lambda: len(live.accepted) == len(people) and "is sent" in said(place), 200, process)
        first = datetime.now(UTC)
        # Another tick comes, and finds nothing to do.
        wait_until(lambda: datetime.now(UTC) > first + timedelta(seconds=62), 70, process)
    finally:
        (place / "enough").touch()
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out
    assert first >= due
    assert sorted(to for _, to, _ in live.accepted) == people
    assert said(place).count("Issue 2.6 is sent: 6 accepted") == 1
    assert "error" not in said(place)
    ours = [line for line in (place / "installed").read_text().splitlines() if "mailer" in line]
    assert len(ours) == 1
    assert ours[0].startswith("*/5 * * * * ")
    foreign = ["# mine", 'MAILTO=""', "0 4 * * * true"]
    assert [line for line in (place / "installed").read_text().splitlines() if line not in ours] == foreign
    assert (place / "uninstalled").read_text().splitlines()[:3] == foreign


def said(place):
    out = place / "out"
    return out.read_text() if out.exists() else ""


def wait_until(condition, seconds, process):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.1)


# systemd ----------------------------------------------------------------------------------------------------------


def test_systemd_understands_the_units(project, tmp_path):
    needed("systemd-analyze")
    odd = tmp_path / 'a folder with 100% "quotes"'
    shutil.copytree(project, odd)
    for folder in (project, odd):
        units = tmp_path / f"units of {folder.name[:4]}"
        units.mkdir()
        for name, text in systemd_units(folder).items():
            (units / name).write_text(text)
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", *map(str, sorted(units.iterdir()))],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "mailer-" not in done.stderr, done.stderr
        assert done.returncode == 0


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", "Australia/Lord_Howe"])
@pytest.mark.parametrize("at", ["09:00", "01:30", "02:15", "02:30"])
def test_systemd_agrees_on_every_friday_and_sunday_of_two_years(zone, at):
    needed("systemd-analyze")
    for day in ("Friday", "Sunday"):
        walls = list(islice(read_cadence(f"every week on {day} {at}", None).after(date(2026, 1, 5)), 104))
        # From a noon that is a Monday everywhere. systemd skips a day whose clocks skip the time; we shift it. Where they show it twice, both take the first.
        ours = [to_instant(wall, ZoneInfo(zone)) for wall in walls if is_on_the_clock(wall, ZoneInfo(zone))]
        assert following(f"{day[:3]} *-*-* {at}:00 {zone}", len(ours)) == ours


def following(calendar, count):
    done = subprocess.run(
        ["systemd-analyze", "calendar", "--base-time=2026-01-05 12:00:00 UTC", f"--iterations={count}", calendar],
        capture_output=True, text=True, check=True, env={**os.environ, "TZ": "UTC"},
    )  # fmt: skip
    found = re.findall(r"(?:\(in UTC\)|Next elapse|Iter\. #\d+|Iteration #\d+): \w{3} ([\d-]+ [\d:]+) UTC", done.stdout)
    return [datetime.fromisoformat(f"{each}+00:00") for each in found]


def test_the_timer_ticks_every_five_minutes(project):
    needed("systemd-analyze")
    (timer,) = (text for name, text in systemd_units(project).items() if name.endswith(".timer"))
    calendar = re.search(r"OnCalendar=(.*)", timer)[1]
    ticks = following(calendar, 12)
    assert {b - a for a, b in pairwise(ticks)} == {timedelta(minutes=5)}
