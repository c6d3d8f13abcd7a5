"""A sending that is killed, interrupted or started twice. The server's own record is the judge."""

import json
import os
import pty
import re
import signal
import subprocess
import time

import pytest

from conftest import start

LIVE = ("send", "--issue", "2.6", "--transport", "live", "--yes")


@pytest.fixture
def begun(live, project):
    """A sending in a process of its own; the server has taken three messages, and not yet said so of the third."""
    runs = []
    with (project / "mailer.toml").open("a") as config:
        config.write("connections = 1\n")

    def begun(**options):
        live.silent_after = len(live.accepted) + 3
        run = start(*LIVE, **options)
        runs.append(run)
        while len(live.accepted) < live.silent_after:
            assert run.poll() is None, run.stderr.read()
            time.sleep(0.005)
        return run

    yield begun
    live.silent_after = None
    for run in runs:
        run.kill()
        run.communicate()


def status(mailer):
    return json.loads(mailer("status", "--issue", "2.6", "--json").out)


def recipients(server):
    return [to for _, to, _ in server.accepted]


def test_kill_9_again_and_again_and_nobody_gets_it_twice(begun, mailer, live):
    for _ in range(3):
        run = begun()
        run.send_signal(signal.SIGKILL)
        run.wait()
    live.silent_after = None
    result = mailer(*LIVE)
    assert result.code == 1
    assert len(recipients(live)) == len(set(recipients(live))) == 21
    tally = status(mailer)
    # The message that was on the wire, each time, and the next, which was claimed.
    assert (tally["planned"], tally["accepted"], tally["suppressed"], tally["unknown"]) == (25, 18, 1, 6)
    in_doubt = re.findall(r"unknown +(\S+)", mailer("status", "--issue", "2.6", "--failed").out)
    assert {recipients(live)[each] for each in (2, 5, 8)} < set(in_doubt)
    again = mailer(*LIVE)
    assert (again.code, "Nothing was sent." in again.out) == (1, True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_finishes_what_is_on_the_wire(begun, mailer, live, number):
    run = begun()
    run.send_signal(number)
    assert "finishing what is on the wire" in run.stderr.readline() + run.stderr.readline()
    live.silent_after = None
    out, _ = run.communicate()
    assert run.returncode == 130
    done = len(live.accepted)
    assert done in (3, 4)  # the next one was claimed already
    assert f"{done} accepted, 1 suppressed, {24 - done} waiting." in out
    assert f"{24 - done} people left: run the same command again." in out
    assert mailer(*LIVE).code == 0
    assert len(recipients(live)) == len(set(recipients(live))) == 24


def test_a_second_ctrl_c_aborts_at_once_and_leaves_what_was_claimed_unknown(begun, mailer, live):
    run = begun()
    run.send_signal(signal.SIGINT)
    assert "once more aborts at once" in run.stderr.readline() + run.stderr.readline()
    began = time.monotonic()
    run.send_signal(signal.SIGINT)
    said = run.stderr.read()
    assert run.wait() == 130
    assert time.monotonic() - began < 4  # it does not wait for an answer to QUIT
    assert "warning: aborted; whether 2 people got it is unknown" in said
    assert said.endswith("interrupted; safe to run again\n")
    live.silent_after = None
    assert mailer(*LIVE).code == 1
    assert status(mailer)["unknown"] == 2
    assert len(recipients(live)) == len(set(recipients(live))) == 23


def test_a_terminal_that_is_closed_lets_what_is_on_the_wire_finish(begun, mailer, live, project):
    ours, theirs = pty.openpty()
    run = begun(stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=lambda: os.login_tty(0))
    os.close(theirs)
    os.close(ours)  # the kernel sends SIGHUP; a write to the terminal fails from now on
    run.send_signal(signal.SIGHUP)  # as the shell does once more
    with pytest.raises(subprocess.TimeoutExpired):
        run.wait(0.5)
    live.silent_after = None
    assert run.wait() == 130
    tally = status(mailer)
    assert (tally["accepted"], tally["unknown"]) == (len(live.accepted), 0)
    assert json.loads((project / "sends" / "2.6.json").read_text())["finished"]
    assert mailer(*LIVE).code == 0
    assert len(recipients(live)) == len(set(recipients(live))) == 24


def test_a_terminal_that_nobody_told_us_is_closed_is_not_missed(begun, mailer, live):
    ours, theirs = pty.openpty()
    run = begun(stdout=theirs, stderr=theirs)  # as after `disown`: not the shell's, so that no signal comes
    os.close(theirs)
    os.close(ours)
    live.silent_after = None
    assert run.wait() == 0
    assert (status(mailer)["accepted"], len(recipients(live))) == (24, 24)


def test_nohup_sends_to_the_end(begun, live):
    run = begun(preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    run.send_signal(signal.SIGHUP)
    live.silent_after = None
    assert run.wait() == 0
    assert len(recipients(live)) == 24


def test_of_two_runs_at_once_the_second_tries_later(begun, mailer, live):
    run = begun()
    second = mailer(*LIVE)
    assert second.code == 75
    assert "another run holds issue 2.6" in second.err
    assert "try: mailer status --issue 2.6" in second.err
    assert status(mailer)["unknown"] == 0
    live.silent_after = None
    assert run.wait() == 0
    assert len(recipients(live)) == len(set(recipients(live))) == 24


def test_a_reader_who_goes_away_does_not_stop_the_sending(live):
    reads, writes = os.pipe()
    os.close(reads)
    with start(*LIVE, stdout=writes) as run:
        os.close(writes)
        assert run.wait() == 0
        assert "Broken" not in run.stderr.read()
    assert len(live.accepted) == 24
