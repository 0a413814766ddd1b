"""Pictures of a page in both themes and at two widths: `python tests/page/look.py FOLDER URL|FILE...`.

Ends with 1 on a console error, a request to anywhere else, or a page that scrolls sideways.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from page.chromium import Browser, chromium

WIDTHS = (1280, 390)


def look(browser: Browser, folder: Path, address: str, name: str = "page") -> list[str]:
    """Take the pictures `name-width-theme.png`; returns what is wrong with the page, in words."""
    url = address if "://" in address else Path(address).absolute().as_uri()
    origin = "file://" if url.startswith("file:") else "/".join(url.split("/")[:3])
    wrong = list[str]()
    for width in WIDTHS:
        for dark in (False, True):
            tab = browser.tab(width=width, dark=dark)
            tab.go(url)
            tab.shot(folder / f"{name}-{width}-{'dark' if dark else 'light'}.png")
            wrong += [f"console: {error}" for error in tab.settled_errors()]
            wrong += [f"request: {request}" for request in tab.outside(origin)]
            wrong += [f"wider than {width}: {element}" for element in tab.hangs_over()]
    return wrong


def main(folder: str, *addresses: str) -> int:
    """See the module."""
    wrong = list[str]()
    with chromium() as browser:
        for address in addresses:
            name = re.sub(r"\W+", "-", address.rpartition("://")[2]).strip("-")[-60:] or "page"
            wrong += [f"{address}: {words}" for words in look(browser, Path(folder), address, name)]
    print("\n".join(dict.fromkeys(wrong)) or "nothing wrong")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
