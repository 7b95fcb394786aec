"""The server under load, against the `Analyzer` that works in it.

    python benchmarks/server_load.py [--slices DIR] [--requests 480] [--rounds 3] [--clients 16]

In one run, in turns: the `Analyzer`'s own rate from files (`analyze_batch`, reading on all cores), and the
rate of `tumorlens serve` with as many clients as said, each posting the same slices (`ab`, a C program, so
that the clients cost little beside the server). Prints both and their ratio, the time of a request, and what
a slice costs in processor time, which other work on the machine changes less.

    python benchmarks/server_load.py --requests 10000 --rounds 1

prints the memory of the server's process after the first tenth of the requests and at the end as well.

Needs `ab` (Debian's apache2-utils) and Linux.
"""

import argparse
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tumorlens import Analyzer, read_scan
from tumorlens.parallel import in_order

SLICES = Path(__file__).parent.parent / "tests" / "data" / "slices"
BOUNDARY = "tumorlens-benchmark"
TOGETHER = 64  # slices that the Analyzer gets at once
STARTS = 30.0  # seconds that the server may take to start


@dataclass(frozen=True)
class Load:
    """What a run of `ab` measured.

    Attributes:
        seconds: It took.
        requests: Answered.
        failed: That weren't, or not with 2xx.
        median: Time of a request, in ms.
        slow: The 95th percentile, in ms.
    """

    seconds: float
    requests: int
    failed: int
    median: float
    slow: float


def main() -> None:
    """Measure and print."""
    asked = arguments()
    paths = sorted(asked.slices.glob("[0-9]*.mat"))[:: asked.every]
    analyzer = Analyzer()
    own_rate(analyzer, paths, len(paths))  # warm
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as (address, process):
        bodies = [body(path, Path(folder)) for path in paths]
        post(address, bodies, len(bodies) * 4, asked.clients)  # warm
        own, loads = [], []
        spent = [0.0, 0.0]
        for _ in range(asked.rounds):
            count, before = min(asked.requests, 960), time.process_time()
            own.append(own_rate(analyzer, paths, count))
            spent[0] += (time.process_time() - before) / count / asked.rounds
            before = processor_time(process.pid)
            loads += measured(address, process, bodies, asked)
            spent[1] += processor_time(process.pid) - before
    tell(own, loads, asked.clients)
    requests = sum(load.requests for load in loads)
    print(
        f"processor time a slice: Analyzer {1e3 * spent[0]:.1f} ms, server {1e3 * spent[1] / requests:.1f} ms"
    )


def arguments() -> argparse.Namespace:
    """What was asked on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slices", type=Path, default=SLICES)
    parser.add_argument("--every", type=int, default=3, help="of the slices, sorted by their names")
    parser.add_argument("--requests", type=int, default=480)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=16)
    return parser.parse_args()


def own_rate(analyzer: Analyzer, paths: Sequence[Path], count: int) -> float:
    """Slices a second from files to findings."""
    chosen = [paths[index % len(paths)] for index in range(count)]
    began = time.perf_counter()
    for at in range(0, count, TOGETHER):
        scans = list(in_order(read_scan, chosen[at : at + TOGETHER]))
        analyzer.analyze_batch(scans)
    return count / (time.perf_counter() - began)


@contextmanager
def server(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A server of its own; its address and process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "tumorlens",
        "serve",
        "--port",
        str(port),
        "--data",
        str(folder / "data"),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - our own command
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{address}/readyz")
        yield address, process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def wait_for(address: str) -> None:
    """Wait until something answers."""
    until = time.monotonic() + STARTS
    while True:
        try:
            urllib.request.urlopen(address, timeout=1).close()  # noqa: S310 - an address of ours
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        else:
            return


def body(path: Path, folder: Path) -> Path:
    """A slice as the body of a request."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="{path.name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    target = folder / f"{path.stem}.body"
    target.write_bytes(head.encode() + path.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode())
    return target


def measured(
    address: str, process: "subprocess.Popen[bytes]", bodies: Sequence[Path], asked: argparse.Namespace
) -> list[Load]:
    """A round; in ten parts, with the server's memory after each, where it is long."""
    parts = 10 if asked.requests >= 5000 else 1
    loads = []
    for _ in range(parts):
        loads.append(post(address, bodies, asked.requests // parts, asked.clients))
        if parts > 1:
            done = sum(load.requests for load in loads)
            print(f"after {done:6d} requests: {memory(process.pid) / 2**20:.1f} MiB", flush=True)
    return loads


def post(address: str, bodies: Sequence[Path], count: int, clients: int) -> Load:
    """Post slices, one after the other with all clients."""
    each = max(count // len(bodies), clients)
    runs = [ab(address, one, each, clients) for one in bodies]
    return Load(
        sum(run.seconds for run in runs),
        sum(run.requests for run in runs),
        sum(run.failed for run in runs),
        statistics.median(run.median for run in runs),
        max(run.slow for run in runs),
    )


def ab(address: str, posted: Path, count: int, clients: int) -> Load:
    """One run of `ab`."""
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    command = ["ab", "-k", "-q", "-l", "-c", str(clients), "-n", str(count), "-p", str(posted), "-T", kind]
    printed = subprocess.run(  # noqa: S603 - our own words
        [*command, f"{address}/v1/analyses"], check=True, capture_output=True, text=True, timeout=1800
    ).stdout

    def number(pattern: str) -> float:
        found = re.search(pattern, printed, re.MULTILINE)
        return float(found[1]) if found else 0.0

    failed = number(r"^Failed requests:\s+(\d+)") + number(r"^Non-2xx responses:\s+(\d+)")
    return Load(
        number(r"^Time taken for tests:\s+([\d.]+)"),
        int(number(r"^Complete requests:\s+(\d+)")),
        int(failed),
        number(r"^\s+50%\s+(\d+)"),
        number(r"^\s+95%\s+(\d+)"),
    )


def memory(pid: int) -> int:
    """A process's resident memory in bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def processor_time(pid: int) -> float:
    """Seconds that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def tell(own: Sequence[float], loads: Sequence[Load], clients: int) -> None:
    """Print the medians and their ratio."""
    alone = statistics.median(own)
    rate = statistics.median(load.requests / load.seconds for load in loads)
    print(f"Analyzer alone: {alone:.1f} slices a second ({', '.join(f'{each:.1f}' for each in own)})")
    print(
        f"server, {clients} clients: {rate:.1f} slices a second, "
        f"{statistics.median(load.median for load in loads):.0f} ms a request (median), "
        f"{max(load.slow for load in loads):.0f} ms (95th percentile, the worst slice)"
    )
    print(f"ratio: {rate / alone:.2f}")
    print(f"requests: {sum(load.requests for load in loads)}, failed: {sum(load.failed for load in loads)}")


if __name__ == "__main__":
    main()
