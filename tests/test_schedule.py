"""`mailer schedule`: what is coming, in both capitals, and what each issue needs; and how cron comes to call us."""

import json
import os
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from alliance_mailer.cli import Session
from alliance_mailer.install import cron_line, crontab_with, github_workflow, systemd_units, unit_name
from alliance_mailer.ledger.sqlite import open_ledger
from alliance_mailer.schedule import clock_warnings, coming, show_schedule
from conftest import change
from ticks import ANN, Desk, settings, wall

SETTINGS = """[schedule]
cadence = "every 2 weeks on Friday 09:00"
anchor = 2026-04-03
show_zones = {Washington = "America/New_York", Tokyo = "Asia/Tokyo"}
"""
NOW = wall("2026-03-30 12:00")


@pytest.fixture
def desk(project):
    settings(project, SETTINGS)
    return Desk(project)


def shown(desk, now, capsys):
    session = desk.session()
    capsys.readouterr()
    show_schedule(desk.project, session.config, session.report, now)
    return capsys.readouterr()


def states(desk, now):
    session = desk.session()
    with closing(open_ledger(session.config.ledger)) as ledger:
        return [(row.issue, row.state) for row in coming(desk.project, session.config, ledger, now)]


# What is coming ---------------------------------------------------------------------------------------------------


def test_what_is_coming_in_every_zone_and_what_it_needs(desk, capsys):
    desk.write("2.6", "2026-04-03 09:00")
    desk.write("2.7", "2026-04-17 09:00")
    desk.approve("2.6", NOW, transport=None)
    said = shown(desk, NOW, capsys)
    assert said.err == ""
    assert said.out == (
        "2.6  scheduled  Fri 3 Apr 2026 09:00 EDT Washington, 22:00 JST Tokyo  (in 3.9 days)\n"
        f"     by {ANN}, Mon 30 Mar 2026 12:00 EDT, through [transport]\n"
        "2.7  draft      Fri 17 Apr 2026 09:00 EDT Washington, 22:00 JST Tokyo  (in 18 days)\n"
        "     next: mailer approve --issue 2.7\n"
        "–    missing    Fri 1 May 2026 09:00 EDT Washington, 22:00 JST Tokyo  (in 32 days)\n"
        "     next: mailer new\n"
    )


def test_each_state_has_its_name(desk, live, mailer):
    for number, day in (("2.1", 1), ("2.2", 2), ("2.3", 3), ("2.4", 4), ("2.5", 5), ("2.6", 6)):
        desk.write(number, f"2026-04-0{day} 09:00")
        desk.approve(number, NOW)
    assert mailer("send", "--issue", "2.1", "--transport", "live", "--yes").code == 0
    assert mailer("send", "--issue", "2.2", "--transport", "live", "--yes", "--limit", "3").code == 75
    mailer("approve", "--issue", "2.3", "--withdraw", "--by", ANN)
    change(desk.project / "issues" / "2.4.md", "oil spill", "oil slick")
    change(desk.project / "issues" / "2.5.md", "title:", "titel:")
    found = dict(states(desk, NOW))
    assert {number: found[number] for number in sorted(found) if number} == {
        "2.1": "sent", "2.2": "half sent", "2.3": "withdrawn", "2.4": "changed", "2.5": "broken", "2.6": "scheduled",
    }  # fmt: skip
    later = dict(states(desk, wall("2026-04-06 15:01")))
    assert (later["2.1"], later["2.6"]) == ("sent", "late")
    assert "2.1" not in dict(states(desk, wall("2026-06-01 09:00")))


def test_a_clock_change_between_approval_and_sending_is_told(desk, capsys):
    desk.write("2.6", "2026-03-13 09:00")
    desk.approve("2.6", wall("2026-03-01 12:00"), transport=None)
    said = shown(desk, wall("2026-03-10 12:00"), capsys)
    assert said.err == (
        "warning: Washington moves its clocks on 2026-03-08, before issue 2.6 is sent: "
        "Fri 13 Mar 2026 09:00 EDT Washington, 22:00 JST Tokyo\n"
    )
    session = desk.session()
    assert clock_warnings([], session.config, NOW) == []


def test_nothing_is_planned(project, mailer):
    settings(project, "[schedule]")
    result = mailer("schedule")
    assert result.code == 0
    assert result.out.startswith("Nothing is planned. Write send_at: 2023-04-03 09:00 into an issue")


def test_what_is_past_is_told_as_past(desk, capsys):
    desk.write("2.6", "2026-03-30 09:00")
    said = shown(desk, NOW, capsys).out
    assert said.startswith("2.6  draft      Mon 30 Mar 2026 09:00 EDT Washington, 22:00 JST Tokyo  (3 hours ago)\n")


def test_json(desk, mailer):
    desk.write("2.6", "2100-04-02 09:00")
    (row,) = [row for row in json.loads(mailer("schedule", "--json").out)["coming"] if row["issue"]]
    assert row == {
        "issue": "2.6", "state": "draft", "instant": "2100-04-02T13:00:00+00:00",
        "zones": {"Washington": "2100-04-02T09:00:00-04:00", "Tokyo": "2100-04-02T22:00:00+09:00"},
        "by": None, "transport": None,
    }  # fmt: skip


def test_it_writes_nothing(desk, mailer):
    before = sorted(desk.project.rglob("*"))
    assert mailer("schedule").code == 0
    assert sorted(desk.project.rglob("*")) == before


# Installed --------------------------------------------------------------------------------------------------------

crontabs = st.lists(st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"])), max_size=6)


@given(crontabs)
def test_other_lines_of_a_crontab_stay_where_they_are(lines):
    project = Path("/srv/our 100% digest")
    once = crontab_with(lines, project, installed=True)
    assert once[:-1] == lines
    assert crontab_with(once, project, installed=True) == once
    assert crontab_with(once, project, installed=False) == lines
    two = crontab_with(once, Path("/srv/another"), installed=True)
    assert crontab_with(two, Path("/srv/another"), installed=False) == once


def test_the_cron_line_is_what_sh_runs_with_the_secrets_of_its_file(project, mailer, tmp_path):
    odd = tmp_path / "our 100% 'digest'"
    project.rename(odd)
    (odd / ".mailer").mkdir()
    (odd / ".mailer" / "environment").write_text("MAILER_WORD='a b'\n")
    line = cron_line(odd)
    schedule, command = line[: len("*/5 * * * *")], line[len("*/5 * * * * ") :]
    assert schedule == "*/5 * * * *"
    assert "%" not in command.replace(r"\%", "")
    script = command.replace(r"\%", "%").replace("exec ", 'echo "$MAILER_WORD"; exec ')
    done = subprocess.run(["/bin/sh", "-c", script], cwd="/", capture_output=True, text=True, check=False, env={})
    assert (done.returncode, done.stdout, done.stderr) == (0, "a b\n", "")  # nothing is due: silent


@pytest.fixture
def crontab(tmp_path, monkeypatch):
    """A crontab program with a file of its own, as cron's has."""
    table = tmp_path / "table"
    program = tmp_path / "bin" / "crontab"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\nT={table}\ncase "$1" in\n-l) [ -e $T ] || {{ echo "no crontab for you" >&2; exit 1; }}; cat $T;;\n'
        "-) cat > $T;;\nesac\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return table


def test_install_and_uninstall_a_cron_line(project, mailer, crontab):
    result = mailer("schedule", "install", "--cron")
    assert result.code == 0
    assert crontab.read_text() == cron_line(project) + "\n"
    environment = project / ".mailer" / "environment"
    assert environment.stat().st_mode & 0o777 == 0o600
    crontab.write_text("# mine\n" + crontab.read_text() + "0 4 * * * true\n")
    assert mailer("schedule", "install", "--cron").code == 0
    assert crontab.read_text() == f"# mine\n0 4 * * * true\n{cron_line(project)}\n"
    assert mailer("schedule", "install", "--cron", "--uninstall").out == "cron does not call it any more\n"
    assert crontab.read_text() == "# mine\n0 4 * * * true\n"


def test_the_environment_file_names_the_secrets_and_is_never_overwritten(project, mailer, crontab):
    settings(project, '[schedule]\nwebhook_env = "MAILER_WEBHOOK"\n[transports.live]\nuse = "smtp"\nhost = "m.example.org"\n'
             'user = "u"\npassword_env = "MAILER_SMTP_PASSWORD"')  # fmt: skip
    mailer("schedule", "install", "--cron")
    environment = project / ".mailer" / "environment"
    assert environment.read_text().splitlines()[1:] == ["#MAILER_SMTP_PASSWORD='…'", "#MAILER_WEBHOOK='…'"]
    environment.write_text("MAILER_SMTP_PASSWORD='x'\n")
    mailer("schedule", "install", "--cron")
    assert environment.read_text() == "MAILER_SMTP_PASSWORD='x'\n"


def test_a_machine_without_cron_is_told(project, mailer, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    result = mailer("schedule", "install", "--cron")
    assert result.code == 75
    assert "error: there is no crontab on this machine\n  try: apt-get install cron, or --systemd" in result.err


@pytest.mark.parametrize("argv", [(), ("--cron", "--systemd"), ("--uninstall",)])
def test_one_of_three_is_chosen(project, mailer, argv):
    result = mailer("schedule", "install", *argv)
    assert result.code == 2
    assert "one of --cron, --systemd and --github-actions" in result.err


@pytest.mark.parametrize("kind", ["", "--cron", "--systemd"])
def test_print_writes_nothing(project, mailer, kind, crontab):
    before = sorted(project.rglob("*"))
    result = mailer("schedule", "install", "--print", *filter(None, [kind]))
    assert result.code == 0
    assert f"--project {project} dispatch" in result.out
    assert (sorted(project.rglob("*")), crontab.exists()) == (before, False)


@pytest.fixture
def systemctl(tmp_path, monkeypatch):
    """A systemctl that writes down what it was asked, and a home of its own."""
    asked, program = tmp_path / "asked", tmp_path / "bin" / "systemctl"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\necho "$@" >> {asked}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    return asked


def test_install_and_uninstall_a_timer(project, mailer, systemctl, tmp_path):
    folder, name = tmp_path / "config" / "systemd" / "user", unit_name(project)
    for _ in range(2):
        assert mailer("schedule", "install", "--systemd").code == 0
        assert {path.name: path.read_text() for path in folder.iterdir()} == systemd_units(project)
    assert systemctl.read_text() == f"--user daemon-reload\n--user enable --now {name}.timer\n" * 2
    (folder / "mine.timer").write_text("[Timer]\n")
    assert mailer("schedule", "install", "--systemd", "--uninstall").code == 0
    assert [path.name for path in folder.iterdir()] == ["mine.timer"]
    assert systemctl.read_text().splitlines()[-2:] == [f"--user disable --now {name}.timer", "--user daemon-reload"]


def test_a_unit_of_somebody_else_stays(project, mailer, systemctl, tmp_path):
    path = tmp_path / "config" / "systemd" / "user" / f"{unit_name(project)}.service"
    path.parent.mkdir(parents=True)
    path.write_text("[Service]\n")
    for options in ((), ("--uninstall",)):
        result = mailer("schedule", "install", "--systemd", *options)
        assert (result.code, path.read_text()) == (2, "[Service]\n")
        assert "was not written by mailer, and stays as it is" in result.err


def test_a_workflow_for_github(project, mailer):
    settings(project, '[schedule]\nwebhook_env = "MAILER_WEBHOOK"')
    assert "is in no git repository" in mailer("schedule", "install", "--github-actions").err
    subprocess.run(["git", "-C", project.parent, "init", "-q"], check=True)
    assert mailer("schedule", "install", "--github-actions").code == 0
    path = project.parent / ".github" / "workflows" / "mailer-dispatch.yml"
    workflow = yaml.safe_load(path.read_text())
    job = workflow["jobs"]["dispatch"]
    assert job["defaults"]["run"]["working-directory"] == "digest"
    (step,) = [step for step in job["steps"] if step.get("run") == "mailer dispatch"]
    assert step["env"]["MAILER_WEBHOOK"] == "${{ secrets.MAILER_WEBHOOK }}"
    assert job["steps"][2]["with"]["path"] == "digest/.mailer"
    assert workflow["concurrency"]["cancel-in-progress"] is False
    session = Session(project, as_json=False, verbose=False)
    assert path.read_text() == github_workflow(project, project.parent, session.open())
    assert mailer("schedule", "install", "--github-actions", "--uninstall").code == 0
    assert not path.exists()
