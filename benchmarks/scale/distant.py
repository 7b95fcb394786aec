"""`tumorlens batch` on a folder as if each of its files came from far away.

python -P benchmarks/scale/distant.py ARCHIVE --out DEST --seconds 0.05 --workers 1 --chunk 8
"""

import argparse
import time
from pathlib import Path
from typing import Any

from fsspec import register_implementation  # type: ignore[import-untyped]
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

from tumorlens.batch import BatchOptions, run_batch
from tumorlens.batch.json_log import JsonLog


class DistantFiles(LocalFileSystem):  # type: ignore[misc]
    """This machine's files, each of which takes a while to come."""

    protocol = ("distant",)
    seconds = 0.0

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(path).removeprefix("distant://")

    def get_file(self, *given: Any, **named: Any) -> None:
        """Wait, then copy."""
        time.sleep(self.seconds)
        super().get_file(*given, **named)


def main() -> None:
    """Run a batch on files that are far away."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("archive", type=Path)
    parser.add_argument("--out", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--chunk", type=int, required=True)
    asked = parser.parse_args()
    DistantFiles.seconds = asked.seconds
    register_implementation("distant", DistantFiles)
    options = BatchOptions(workers=asked.workers, chunk=asked.chunk)
    run_batch(f"distant://{asked.archive.resolve()}", asked.out, options, [JsonLog()])


if __name__ == "__main__":
    main()
