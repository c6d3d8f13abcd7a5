"""How long `mailer --help` takes as a whole process, against an interpreter that does nothing.

Prints medians and the ratio, taken in turn in one run. `python benchmarks/startup.py [ROUNDS]`
"""

import statistics
import subprocess
import sys
import time


def main(rounds: int = 20) -> None:
    contestants = {
        "mailer --help": [sys.executable, "-m", "alliance_mailer", "--help"],
        "python -c pass": [sys.executable, "-c", "pass"],
    }
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, command in contestants.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            times[name].append((time.perf_counter() - began) * 1000)
    for name, values in times.items():
        print(f"  {name:16} {statistics.median(values):6.0f} ms")
    first, second = times.values()
    print(f"  ratio: {statistics.median(a / b for a, b in zip(first, second, strict=True)):.1f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
