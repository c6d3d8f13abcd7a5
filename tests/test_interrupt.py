"""Signals that ask to stop, as they really come: several at once."""

import os
import signal

import pytest

from alliance_mailer.interrupt import FINISHING, interruptible


def test_a_signal_that_comes_while_another_is_heard_says_nothing_more(monkeypatch):
    said: list[bytes] = []

    def write(_: int, words: bytes) -> int:
        said.append(words)
        signal.raise_signal(signal.SIGHUP)  # as systemd's, right after SIGTERM
        return len(words)

    with interruptible() as interrupted:
        assert not interrupted()
        monkeypatch.setattr(os, "write", write)
        signal.raise_signal(signal.SIGTERM)
        assert interrupted()
    assert said == [f"\n{FINISHING}\n".encode()]


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_the_second_ctrl_c_aborts_and_a_closed_terminal_never_does(first):
    with interruptible() as interrupted:
        signal.raise_signal(first)
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
        assert interrupted()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
