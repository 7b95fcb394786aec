"""Files with some bytes changed, or cut short."""

import time
import warnings
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tumorlens.errors import TumorlensError
from tumorlens.scan import read_scan

_LONGEST_SECONDS = 5.0


def check_spoiled(data: bytes, path: Path, examples: int = 200) -> None:
    """Spoil a file in many ways: each must give a scan or a refusal in one line, and soon.

    Args:
        data: The whole file.
        path: Where to write it.
        examples: How many ways.
    """

    @settings(max_examples=examples, deadline=None)
    @given(
        places=st.lists(
            st.tuples(
                st.integers(0, len(data) - 1) | st.integers(0, min(600, len(data)) - 1),
                st.sampled_from([0, 1, 127, 128, 255]) | st.integers(0, 255),
            ),
            max_size=6,
        ),
        end=st.just(len(data)) | st.integers(0, len(data)),
    )
    def check(places: list[tuple[int, int]], end: int) -> None:
        spoiled = bytearray(data)
        for place, value in places:
            spoiled[place] = value
        path.write_bytes(spoiled[:end])
        start = time.monotonic()
        message = ""
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # of what libraries mend
            try:
                _ = read_scan(path).pixels
            except TumorlensError as error:
                message = str(error)
        assert "\n" not in message
        assert time.monotonic() - start < _LONGEST_SECONDS

    check()
