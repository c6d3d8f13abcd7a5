"""The tables of benchmarks/smtp.py, from what a run wrote: medians, ratios to ours, and the targets."""

import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scenes import SCENES

# In a scene: our connections, the peer and its connections, and how many times as fast we mean to be.
TARGETS = [
    ("loopback", 10, "smtp-source", 10, 0.9),
    ("loopback", 1, "smtp-source", 1, 0.7),
    ("loopback", 10, "nodemailer", 10, 8),
    ("loopback", 10, "aiosmtplib", 10, 20),
    ("loopback", 10, "smtplib", 1, 20),
    ("loopback", 10, "mailmerge", 1, 50),
    ("delay", 1, "smtp-source", 1, 3.5),
    ("delay", 5, "smtp-source", 5, 3.5),
    ("delay", 10, "smtp-source", 10, 3.5),
    ("delay", 1, "nodemailer", 1, 2),
    ("delay", 5, "nodemailer", 5, 2),
    ("delay", 10, "nodemailer", 10, 2),
    ("window", 1, "smtp-source", 1, 20),
    ("window", 10, "smtp-source", 10, 20),
    ("postfix", 1, "smtp-source", 1, 0.9),
    ("postfix", 5, "smtp-source", 5, 0.9),
    ("postfix", 10, "smtp-source", 10, 0.9),
    ("tls", 1, "nodemailer", 1, 10),
    ("tls", 10, "nodemailer", 10, 10),
]  # fmt: skip
PLAN_SECONDS, PLAN_MB, RESUME_SECONDS, FLAT = 15, 100, 1, 1.2

Record = dict[str, Any]


def line(run: Record) -> str:
    """One run, as it ends."""
    who = f"{run['contestant']} × {run['connections']}"
    how = f"{run['messages']:>6,} in {run['seconds']:6.1f} s"
    return f"  {who:18} {how}  {run['rate']:8,.0f} /s  {run['cpu_us']:8,.0f} µs; server {run['server_us']:6,.0f} µs"


def _values(record: Record, scene: str, contestant: str, connections: int, key: str) -> list[float]:
    asked = (scene, contestant, connections)
    runs = [run for run in record["runs"] if (run["scene"], run["contestant"], run["connections"]) == asked]
    return [run[key] for run in sorted(runs, key=lambda run: run["round"])]


def ratios(record: Record, scene: str, connections: int, peer: str, peers: int) -> list[float]:
    """How many times as fast as a peer ours was, round by round."""
    ours = _values(record, scene, "ours", connections, "rate")
    theirs = _values(record, scene, peer, peers, "rate")
    return [own / other for own, other in zip(ours, theirs, strict=False)]


def _rows(record: Record, scene: str) -> Iterator[list[str]]:
    """A scene's table: a row for each contestant and number of connections."""
    seen = dict.fromkeys((run["connections"], run["contestant"]) for run in record["runs"] if run["scene"] == scene)
    for connections, contestant in seen:
        rates = _values(record, scene, contestant, connections, "rate")
        cpu, server = (
            statistics.median(_values(record, scene, contestant, connections, key)) for key in ("cpu_us", "server_us")
        )
        most = max(own for own, who in seen if who == "ours") if ("ours" in {who for _, who in seen}) else 0
        # A peer that has only one connection is compared with ours at its best.
        against = connections if (connections, "ours") in seen and contestant not in ("smtplib", "mailmerge") else most
        found = ratios(record, scene, against, contestant, connections) if contestant != "ours" else []
        spread = f"{min(rates):,.0f} to {max(rates):,.0f}" if len(rates) > 1 else ""
        ours = f"{statistics.median(found):.2f}" if found else ""
        beside = f" (ours × {against})" if ours and against != connections else ""
        yield [
            f"{contestant} × {connections}",
            f"{statistics.median(rates):,.0f}",
            spread,
            f"{cpu:,.0f}",
            f"{server:,.0f}",
            ours + beside,
        ]


def _verdicts(record: Record) -> Iterator[list[str]]:
    """Each target that the run can judge."""
    for scene, connections, peer, peers, target in TARGETS:
        if found := ratios(record, scene, connections, peer, peers):
            ratio = statistics.median(found)
            what = f"{scene}: ours × {connections} / {peer} × {peers}"
            most = _room(record, scene) / statistics.median(_values(record, scene, peer, peers, "rate"))
            room = "" if SCENES[scene].a_connection else f"{most:.1f}"  # over a distance it is no question of cores
            yield [what, f"≥ {target:g}", f"{ratio:.2f}", room, _verdict(ratio / target)]
    steps = {(run["people"], run["step"]): run for run in record["memory"]}
    small, large = (
        max((run["rss_mb"] for key, run in steps.items() if key[0] == n), default=0) for n in (10_000, 10**6)
    )
    if large:
        yield [
            "memory: peak at 1,000,000 / at 10,000",
            f"≤ {FLAT}",
            f"{large / small:.2f}",
            "",
            _verdict(FLAT * small / large),
        ]
    for step, key, most, unit in (("plan", "seconds", PLAN_SECONDS, "s"), ("plan", "rss_mb", PLAN_MB, "MB"),
                                  ("resume", "seconds", RESUME_SECONDS, "s")):  # fmt: skip
        if run := steps.get((10**6, step)):
            words = "one person left of a million" if step == "resume" else "planning a million"
            yield [f"memory: {words}", f"≤ {most} {unit}", f"{run[key]:.2f} {unit}", "", _verdict(most / run[key])]


def _room(record: Record, scene: str) -> float:
    """Messages a second that this machine's cores could take if no client needed any of them, by our runs."""
    ours = [run for run in record["runs"] if run["scene"] == scene and run["contestant"] == "ours"]
    return int(record["machine"]["cpus"]) * 1e6 / min(run["server_us"] for run in ours)


def _verdict(share: float) -> str:
    return "reached" if share >= 1 else f"missed by {(1 - share) * 100:.2g} %"


HEADING = ["", "messages/s", "from, to", "client CPU µs/message", "server", "ours is so many times as fast"]
MEMORY = ["people", "step", "seconds", "peak MB"]


def _tables(record: Record) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    for scene in dict.fromkeys(run["scene"] for run in record["runs"]):
        yield SCENES[scene].words, HEADING, list(_rows(record, scene))
    if record["memory"]:
        rows = [
            [f"{run['people']:,}", run["step"], f"{run['seconds']:.2f}", f"{run['rss_mb']:.1f}"]
            for run in record["memory"]
        ]
        yield "`mailer send`, 10 connections into smtp-sink", MEMORY, rows
    if verdicts := list(_verdicts(record)):
        yield "Targets", ["", "target", "measured", "the servers leave room for", ""], verdicts


def text(record: Record) -> str:
    """For a terminal."""
    said = []
    for title, heading, rows in _tables(record):
        widths = [max(len(row[index]) for row in [heading, *rows]) for index in range(len(heading))]
        said += ["", title.replace("`", "")]
        for row in [heading, *rows]:
            cells = [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
            ]
            said.append("  " + "  ".join(cells).rstrip())
    return "\n".join(said)


def write(record: Record, page: Path) -> None:
    """Replace the figures of a page, so that none is ever typed by hand."""
    before, begins, rest = page.read_text().partition("<!-- figures -->\n")
    _, ends, after = rest.partition("<!-- end of the figures -->\n")
    assert begins, f"{page} has no place for figures"
    assert ends, f"{page} has no end of the figures"
    page.write_text(f"{before}{begins}\n{_markdown(record)}\n\n{ends}{after}")


def _markdown(record: Record) -> str:
    machine = record["machine"]
    programs = f"Python {machine['python']}, node {machine['node'].removeprefix('v')}, Postfix {machine['postfix']}"
    said = [
        f"`{record['command']}`, {record['began'][:10]}: {record['message_bytes']:,} bytes a message.",
        f"{machine['cores']}, {machine['memory']}, {machine['system']}, {programs}.",
    ]
    for title, heading, rows in _tables(record):
        said += ["", f"### {title}", "", f"| {' | '.join(heading)} |", "|" + " --- |" * len(heading)]
        said += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(said)
