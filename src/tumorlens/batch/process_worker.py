"""A process that analyses chunks for another one: ``python -m tumorlens.batch.process_worker``.

It reads a line of JSON that says what is asked, then a chunk a line, and answers each chunk with a line.
It ends with its input, which is when the other process closes it or ends itself.
"""

import json
import os
import queue
import signal
import sys
import threading
import traceback
import warnings
from typing import IO, Any

from pydantic import TypeAdapter

from tumorlens.batch.options import BatchOptions
from tumorlens.batch.remote import StorageError
from tumorlens.batch.unit import Chunk
from tumorlens.batch.work import DestinationError, Worker, open_worker
from tumorlens.errors import TumorlensError
from tumorlens.parallel import beside_others

_KINDS = (StorageError, DestinationError, TumorlensError)  # the nearest first


def main() -> None:
    """Answer until the input ends."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # to end it is the other process's business
    warnings.filterwarnings("ignore", module=r"pydicom|highdicom|nibabel")
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)  # nothing that a library prints is an answer
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=_listen, args=(lines,), daemon=True).start()
        worker: Worker | None = None
        asked = json.loads(lines.get())
        while True:
            text = lines.get()
            try:
                if worker is None:
                    options = TypeAdapter(BatchOptions).validate_python(asked["options"], strict=False)
                    worker = open_worker(asked["source"], asked["out"], options)
                with beside_others():
                    answer = {"report": worker.analyse_chunk(Chunk.from_json(text)).to_json()}
            except Exception as error:  # whatever it is, it is the other process's to raise
                answer = _told(error)
            _say(answers, answer)


def _listen(lines: "queue.SimpleQueue[str]") -> None:
    """Take lines; without the other process nothing is to be finished."""
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


def _told(error: Exception) -> dict[str, Any]:
    """An exception as `tumorlens.batch.process_engine` raises it."""
    if isinstance(error, DestinationError) and isinstance(error.__cause__, OSError):
        error = error.__cause__
    if isinstance(error, OSError):
        words = error.strerror or str(error)
        file = None if error.filename is None else os.fsdecode(error.filename)
        return {"error": "OSError", "words": words, "number": error.errno, "file": file}
    kind = next((kind for kind in _KINDS if isinstance(error, kind)), None)
    if kind is None:  # a defect, of which all is to be seen
        traceback.print_exception(error)
        return {"error": type(error).__name__, "words": f"{type(error).__name__}: {error}"}
    return {"error": kind.__name__, "words": str(error)}


def _say(answers: IO[str], answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
