"""``tumorlens pacs watch`` in a process of its own that can be killed or starved of disk."""

import io
import os
import signal
import sys
import time
from pathlib import Path

from tests.forkserver import fork_context
from tests.pacs.orthanc import PASSWORD
from tests.train.process import Started


def start_watch(folder: Path, *words: object, largest_file: int | None = None) -> Started:
    """Start a watch with an analysis that costs nothing, perhaps on a disk that takes only small files."""
    out, err = folder / f"{time.monotonic_ns()}.out", folder / f"{time.monotonic_ns()}.err"
    said = ["pacs", "watch", *(str(word) for word in words)]
    process = fork_context().Process(target=_main, args=(said, out, err, largest_file))
    process.start()
    started = Started(process, out, err)
    started.wait_until(err.exists)
    return started


def _main(words: list[str], out: Path, err: Path, largest_file: int | None) -> None:
    import resource

    from tests.pacs.studies import quick_analysis
    from tumorlens import cli
    from tumorlens.cli import pacs

    pacs._analysis = lambda _: quick_analysis
    # A shell that starts the tests in the background has them ignore Ctrl-C, and they hand that down.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ["TUMORLENS_PACS_PASSWORD"] = PASSWORD
    os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT), 1)
    os.dup2(os.open(err, os.O_WRONLY | os.O_CREAT), 2)
    sys.stdout, sys.stderr = (io.TextIOWrapper(os.fdopen(n, "wb"), line_buffering=True) for n in (1, 2))
    if largest_file is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, hard))
    sys.argv = ["tumorlens", *words]
    cli.main()
