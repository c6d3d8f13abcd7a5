"""Four workers, 20,000 people: workers killed, the database stopped at once, a machine frozen past its lease.

The mail server's own book is the judge: nobody twice, nobody forgotten, few in doubt.
"""

import random
import signal
import time
from collections import Counter
from contextlib import closing

from alliance_mailer.ledger import Sending
from alliance_mailer.ledger.leased import TERM
from alliance_mailer.ledger.postgres import open_ledger
from database import Server
from machines import Machines, Sink

PEOPLE, WORKERS, CONNECTIONS, KILLS = 20_000, 4, 3, 8
SENDING = Sending("2.6", rehearsal=False)


def progress(sink: Sink, more: int) -> None:
    """Until the server has taken so many more, however long that takes here."""
    begun, ends = len(sink.took), time.monotonic() + 240
    while len(sink.took) < min(begun + more, PEOPLE - 200):
        assert time.monotonic() < ends, "nothing moves"
        time.sleep(0.2)


def test_nobody_twice_and_nobody_forgotten_whatever_dies(machines: Machines, sink: Sink, server: Server) -> None:
    chance = random.Random(8)
    machines.people(PEOPLE)
    workers = [machines.worker("--connections", str(CONNECTIONS)) for _ in range(WORKERS)]
    machines.send()
    progress(sink, 200)
    doubts = 0

    for kill in range(KILLS):
        victim = workers.pop(chance.randrange(len(workers)))
        victim.send_signal(signal.SIGKILL)
        doubts += 1
        workers.append(machines.worker("--connections", str(CONNECTIONS)))
        if kill == 2:
            server.stop("immediate")
            time.sleep(2)  # so long it is away
            server.start()
            doubts += WORKERS
        if kill == 5:
            frozen = workers[0]
            frozen.send_signal(signal.SIGSTOP)
            time.sleep(TERM + 4)  # its lease ends meanwhile
            frozen.send_signal(signal.SIGCONT)
            doubts += 1
        progress(sink, chance.randrange(300, 1200))

    with closing(open_ledger(machines.url)) as ledger:
        ends = time.monotonic() + 400
        while (tally := ledger.tally(SENDING)).waiting + tally.deferred:
            assert time.monotonic() < ends, tally
            time.sleep(0.5)
        people = {address: state for address, state, _ in ledger.people(SENDING)}
    for worker in workers:
        worker.terminate()
        assert worker.wait() == 0

    took = Counter(each.to for each in sink.took)
    assert tally.planned == PEOPLE == len(people)
    assert [address for address, times in took.items() if times > 1] == []  # nobody twice
    assert set(people.values()) <= {"accepted", "unknown"}
    assert [address for address, state in people.items() if state == "accepted" and address not in took] == []
    assert [address for address, state in people.items() if state != "unknown" and address not in took] == []
    assert tally.unknown <= 2 * CONNECTIONS * doubts
    print(f"{KILLS} kills, {tally.unknown} unknown of at most {2 * CONNECTIONS * doubts}")
