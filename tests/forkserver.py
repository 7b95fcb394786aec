"""Processes forked from a server that has imported everything once, so that each starts at once."""

import multiprocessing
from multiprocessing.context import ForkServerContext

_IMPORTED = ["tests.pacs.process", "tests.pacs.studies", "tests.train.process", "tests.train.ranks"]
_IMPORTED += ["tumorlens.cli", "tumorlens.pacs.watch", "tumorlens.train.trainer"]


def fork_context() -> ForkServerContext:
    """All tests of a process share one server, so what it imports is the same for all."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_IMPORTED)
    return context
