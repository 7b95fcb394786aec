"""What axe's rules say of the page."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page


def violations(page: Page, *rules: str) -> list[tuple[str, list[str]]]:
    """What is serious or critical, by the rule, and on which elements.

    Args:
        page: As it is now.
        rules: Which to look at; all by default.
    """
    found = Axe().run(page, options={"runOnly": list(rules)} if rules else {}).response["violations"]
    serious = [each for each in found if each["impact"] in ("serious", "critical")]
    return [(each["id"], [node["html"] for node in each["nodes"]]) for each in serious]
