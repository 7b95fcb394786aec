"""The program in the how-to does what it says."""

import re
from pathlib import Path
from typing import Any

from tests.server.running import Running

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to.md"
SLICE = Path(__file__).parents[1] / "data" / "slices" / "104.mat"


def test_the_how_tos_client_gets_a_finding(real: Running) -> None:
    text = HOW_TO.read_text()
    section = text[text.index("## Ask the server from a program") :]
    found = re.search(r"```python\n(.*?)\ndone = analyse", section, re.DOTALL)
    assert found
    names: dict[str, Any] = {}
    exec(found[1], names)  # noqa: S102 - the documentation's own words
    done = names["analyse"](str(SLICE), str(real.client.base_url).rstrip("/"))
    assert done["result"]["tumor_type"] == "meningioma"
