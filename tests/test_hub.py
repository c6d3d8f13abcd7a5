"""Strands in one thread: who waits lets the others go on."""

import select
import socket
import threading
import time
from contextlib import ExitStack
from queue import Empty

import pytest

from alliance_mailer.hub import Hub, Mailbox, apart, ready


@pytest.fixture
def pair():
    with ExitStack() as stack:
        yield [stack.enter_context(end) for end in socket.socketpair()]


def soon(seconds: float = 10) -> float:
    return time.monotonic() + seconds


def test_who_waits_for_a_socket_lets_the_others_go_on(pair):
    here, there = pair
    said: list[str] = []

    def waiting():
        said.append("waits")
        assert ready(here, select.POLLIN, soon()) == select.POLLIN
        said.append(here.recv(10).decode())

    def other():
        said.append("speaks")
        there.send(b"heard")

    hub = Hub()
    done = Mailbox[None](hub)
    hub.spawn(lambda: (waiting(), done.put(None)))
    hub.spawn(other)
    hub.run(done.get)
    assert said == ["waits", "speaks", "heard"]


@pytest.mark.parametrize("alone", [True, False])
def test_nothing_is_ready_once_the_deadline_has_passed(pair, alone):
    began = time.monotonic()

    def wait():
        return ready(pair[0], select.POLLIN, began + 0.05)

    assert (wait() if alone else Hub().run(wait)) == 0
    assert time.monotonic() >= began + 0.05
    pair[1].send(b"!")
    assert (wait() if alone else Hub().run(wait)) == select.POLLIN


def test_an_answer_that_came_while_a_strand_kept_all_busy_is_not_too_late(pair):
    hub = Hub()

    def wait():
        hub.spawn(lambda: (pair[1].send(b"!"), time.sleep(0.1)))
        return ready(pair[0], select.POLLIN, soon(0.05))

    assert hub.run(wait) == select.POLLIN


def test_a_call_apart_holds_up_nobody_and_ends_where_it_was_made():
    hub, going = Hub(), threading.Event()
    hub.spawn(going.set)  # which it could not, if the call did not let it
    assert hub.run(lambda: apart(lambda: going.wait(10)))
    assert Hub().run(lambda: apart(threading.current_thread)) is not threading.main_thread()
    assert apart(threading.current_thread) is threading.main_thread()

    def fail():
        raise OSError("no name server")

    with pytest.raises(OSError, match="no name server"):
        Hub().run(lambda: apart(fail))


def test_many_calls_apart_at_once_each_get_their_own_result():
    hub, together = Hub(), threading.Barrier(20, timeout=10)
    results = Mailbox[tuple[int, int]](hub)

    def call(number):
        results.put((number, apart(lambda: (together.wait(), number)[1])))

    for number in range(20):
        hub.spawn(lambda number=number: call(number))
    found = hub.run(lambda: [results.get(10) for _ in range(20)])
    assert sorted(found) == [(number, number) for number in range(20)]


def test_what_is_left_when_it_ends_is_left_as_by_an_exception(pair):
    ended: list[str] = []

    def waiting(name, wait):
        try:
            wait()
        finally:
            ended.append(name)
            assert ready(pair[0], select.POLLIN, soon()) == 0  # a farewell waits for nothing

    hub = Hub()
    box = Mailbox[None](hub)
    hub.spawn(lambda: waiting("socket", lambda: ready(pair[0], select.POLLIN, soon())))
    hub.spawn(lambda: waiting("box", box.get))
    hub.spawn(lambda: waiting("apart", lambda: apart(lambda: time.sleep(0.2))))
    began = time.monotonic()
    assert hub.run(lambda: apart(lambda: "the end")) == "the end"
    assert sorted(ended) == ["apart", "box", "socket"]
    assert time.monotonic() < began + 5


@pytest.mark.parametrize("whole", [True, False])
def test_a_whole_call_apart_is_waited_for_where_all_is_over(whole):
    done: list[bool] = []
    begun, go_on = threading.Event(), threading.Event()

    def call():
        begun.set()
        go_on.wait(10)
        time.sleep(0.05)
        done.append(True)

    def end():
        apart(begun.wait)
        go_on.set()
        raise KeyboardInterrupt

    hub = Hub()
    hub.spawn(lambda: apart(call, whole=whole))
    with pytest.raises(KeyboardInterrupt):
        hub.run(end)
    assert bool(done) == whole


@pytest.mark.parametrize("error", [RuntimeError("a mistake"), KeyboardInterrupt()])
def test_an_exception_that_a_strand_does_not_catch_ends_them_all(error):
    def fail():
        raise error

    hub = Hub()
    never = Mailbox[None](hub)
    hub.spawn(fail)
    with pytest.raises(type(error)):
        hub.run(never.get)


def test_a_mailbox_keeps_the_order_and_gives_up_in_time():
    hub = Hub()
    box = Mailbox[int](hub)
    box.put(1)
    box.put(2)

    def read():
        assert [box.get(), box.get()] == [1, 2]
        with pytest.raises(Empty):
            box.get(0.01)
        hub.spawn(lambda: box.put(3))
        return box.get(10)

    assert hub.run(read) == 3


@pytest.mark.parametrize("last", [True, False])
def test_the_last_reader_finds_what_all_the_others_have_to_say(last):
    hub = Hub()
    desk, box = Mailbox[int](hub, last=last), Mailbox[int](hub)

    def relay():
        desk.put(box.get(10))

    def read():
        hub.spawn(relay)
        hub.spawn(lambda: (desk.put(1), box.put(2)))
        return [desk.get(10), *desk.rest()]

    assert hub.run(read) == ([1, 2] if last else [1])
