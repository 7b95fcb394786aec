"""What is made of findings when asked: in threads of its own, a few at a time, so that analyses go on."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tumorlens.server.problems import Kind, ProblemError

T = TypeVar("T")

_MOST_WAITING = 128
_LONGEST_WAIT = 10.0  # seconds for room for a response


class Extras:
    """Threads for views and files. Its methods are called on the event loop.

    Args:
        threads: How many.
        bodies: Bytes of pixels that may be on their way at the same time.
    """

    def __init__(self, threads: int, bodies: int) -> None:
        self._pool = ThreadPoolExecutor(threads, "tumorlens-extra")
        self._waiting = 0
        self._most = bodies
        self._reserved = 0
        self._released = asyncio.Event()

    @property
    def reserved(self) -> int:
        """Bytes on their way."""
        return self._reserved

    async def run(self, make: Callable[[], T]) -> T:
        """Make something.

        Raises:
            ProblemError: Too many wait for something.
        """
        if self._waiting >= _MOST_WAITING:
            raise ProblemError(
                Kind.BUSY, "Too many ask for views and files at once; try again.", retry_after=1
            )
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, make)
        finally:
            self._waiting -= 1

    async def reserve(self, size: int) -> None:
        """Wait until so many bytes more may be on their way; a single response always may.

        Raises:
            ProblemError: That takes too long.
        """
        try:
            async with asyncio.timeout(_LONGEST_WAIT):
                while self._reserved and self._reserved + size > self._most:
                    self._released.clear()
                    await self._released.wait()
        except TimeoutError as error:
            raise ProblemError(
                Kind.BUSY, "Too much is on its way to slow clients; try again.", retry_after=2
            ) from error
        self._reserved += size

    def release(self, size: int) -> None:
        """So many bytes are sent."""
        self._reserved -= size
        self._released.set()

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(wait=True, cancel_futures=True)
