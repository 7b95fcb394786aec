"""An analysis followed as server-sent events."""

import asyncio
import time
from collections.abc import AsyncIterator

from tumorlens.server.analysis import Analysis
from tumorlens.server.job import Job

_EVERY = 0.2  # seconds between two events at least
_SIGN_OF_LIFE = 10.0  # seconds after which a comment tells that the server still is there


def event(analysis: Analysis) -> bytes:
    """One event."""
    return f"event: analysis\ndata: {analysis.model_dump_json()}\n\n".encode()


async def follow(job: Job) -> AsyncIterator[bytes]:
    """A job's changes until it is final."""
    told: Analysis | None = None
    last = time.monotonic()
    while True:
        now = job.analysis
        if now is not told:
            told, last = now, time.monotonic()
            yield event(now)
            if now.is_final:
                return
        elif time.monotonic() - last > _SIGN_OF_LIFE:
            last = time.monotonic()
            yield b": still at it\n\n"
        await wait(job.ended, _EVERY)


async def wait(event_: asyncio.Event, seconds: float) -> bool:
    """Whether something happens within so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            await event_.wait()
    except TimeoutError:
        return False
    return True
