"""A real Chromium without a window, driven over the DevTools protocol."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import websocket

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--hide-scrollbars",
    "--no-first-run",
    "--remote-debugging-port=0",
)
START_S = 60
CALL_S = 60
NETWORK_CHANGED = "net::ERR_NETWORK_CHANGED"
"""What Chromium says when a container's interface beside it comes or goes. It is no fault of the page."""
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "PageDown": 34, "End": 35, "Home": 36}

Message = dict[str, Any]


class NetworkChanged(Exception):
    """Navigate once more."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser of its own, with an empty profile."""
    program = shutil.which("chromium")
    if program is None:
        missing = "needs Debian's chromium"
        pytest.fail(missing) if os.environ.get("RCAS_NO_SKIPS") else pytest.skip(missing)
    profile = Path(tempfile.mkdtemp(prefix="rcas-chromium-"))
    # Its temporary files lie in its profile, so that nothing is left.
    environment = {**os.environ, "TMPDIR": str(profile)}
    with (profile / "log").open("w") as log:
        process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"], stdout=log, stderr=log, env=environment
        )
    try:
        port_file = profile / "DevToolsActivePort"
        deadline = time.monotonic() + START_S
        while not (port_file.exists() and len(port_file.read_text().split()) == 2):
            assert process.poll() is None, f"chromium ended: {(profile / 'log').read_text()[-2000:]}"
            assert time.monotonic() < deadline, "chromium does not start"
            time.sleep(0.05)
        port, path = port_file.read_text().split()
        socket = websocket.create_connection(
            f"ws://127.0.0.1:{port}{path}", timeout=CALL_S, suppress_origin=True, skip_utf8_validation=True
        )
        yield Browser(socket)
        socket.close()
    finally:
        process.kill()
        process.wait(20)
        shutil.rmtree(profile, ignore_errors=True)


class Browser:
    """The connection, and the tabs that it serves."""

    def __init__(self, socket: websocket.WebSocket) -> None:
        self._socket, self._numbers = socket, itertools.count(1)
        self._tabs: dict[str, Tab] = {}

    def tab(self, *, width: int = 1280, height: int = 900, dark: bool = False) -> Tab:
        """A new tab in a profile of its own."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = self._tabs[session] = Tab(self, session)
        for domain in ("Page", "Runtime", "Network", "Log"):
            tab.call(f"{domain}.enable")
        tab.resize(width, height)
        tab.theme(dark=dark)
        return tab

    def call(self, method: str, session: str | None = None, **parameters: Any) -> Message:
        """Order something and wait until it is done."""
        number = next(self._numbers)
        order: Message = {"id": number, "method": method, "params": parameters}
        self._socket.send(json.dumps(order | ({"sessionId": session} if session else {})))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            tab = self._tabs.get(message.get("sessionId", ""))
            if tab and "method" in message:
                tab.hear(message["method"], message["params"])


class Tab:
    """A page as a reader has it before them.

    Attributes:
        errors: what the console and uncaught exceptions say.
        requests: addresses that were asked for.
    """

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser, self._session, self._width = browser, session, 0
        self.errors: list[str] = []
        self.requests: list[str] = []

    def call(self, method: str, **parameters: Any) -> Message:
        """See `Browser.call`."""
        return self._browser.call(method, self._session, **parameters)

    def hear(self, event: str, told: Message) -> None:
        """Note what the page does."""
        if event == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif event == "Network.webSocketCreated":
            self.requests.append(told["url"])
        elif event == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(told["exceptionDetails"])[:1000])
        elif event == "Runtime.consoleAPICalled" and told["type"] in {"error", "warning", "assert"}:
            self.errors.append(json.dumps(told["args"])[:1000])
        elif event == "Log.entryAdded" and told["entry"]["level"] in {"error", "warning"}:
            self.errors.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")

    def resize(self, width: int, height: int) -> None:
        """As wide as this; a phone is narrow, and is touched."""
        self._width, mobile = width, width < 600
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile
        )

    def theme(self, *, dark: bool) -> None:
        """What the reader's system prefers."""
        value = "dark" if dark else "light"
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": value}])

    def go(self, url: str) -> None:
        """Open an address and wait until it is there."""
        for _ in range(5):
            try:
                self._go(url)
            except NetworkChanged:
                self.errors = [error for error in self.errors if NETWORK_CHANGED not in error]
                continue
            return
        raise AssertionError(f"{url}: the network changed again and again")

    def _go(self, url: str) -> None:
        failed = self.call("Page.navigate", url=url).get("errorText", "")
        if NETWORK_CHANGED in failed:
            raise NetworkChanged
        assert not failed, f"{url}: {failed}"
        # The old document answers until the new one is committed.
        self.wait(
            f"location.href.split('#')[0] === {json.dumps(url.split('#')[0])} && document.readyState === 'complete'"
        )

    def run(self, script: str) -> Any:
        """The value of an expression in the page; a promise is waited for."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, f"{script}: {found['exceptionDetails']}"
        return found["result"].get("value")

    def wait(self, script: str, within_s: float = 30) -> None:
        """Until an expression is true."""
        deadline = time.monotonic() + within_s
        while not self.run(f"Promise.resolve({script}).then(Boolean)"):
            assert time.monotonic() < deadline, f"never true: {script}\n{self.run('document.body?.innerText')}"
            time.sleep(0.05)

    def press(self, key: str, modifiers: int = 0) -> None:
        """Press and let go of a key."""
        text = {"Enter": "\r", " ": " "}.get(key)
        code = {" ": "Space"}.get(key, key)
        common: Message = {"key": key, "code": code, "windowsVirtualKeyCode": KEYS[key], "modifiers": modifiers}
        self.call("Input.dispatchKeyEvent", type="keyDown", **common, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def text(self) -> str:
        """What a reader can read."""
        return self.run("document.body.innerText")

    def shot(self, path: Path) -> None:
        """A picture of the whole page, as high as it is."""
        height = self.run("Math.ceil(document.documentElement.getBoundingClientRect().height)")
        size = {"x": 0, "y": 0, "width": self.run("innerWidth"), "height": min(height, 12_000), "scale": 1}
        data = self.call("Page.captureScreenshot", clip=size, captureBeyondViewport=True)["data"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(data))

    def hangs_over(self) -> list[str]:
        """Elements that make the page scroll sideways: none may."""
        # A phone zooms out until all fits, so its window's own width says nothing.
        return self.run(
            f"""document.documentElement.scrollWidth <= {self._width} ? [] :
            [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > {self._width} + 1)
            .map(e => e.outerHTML.slice(0, 120)).concat(['page: ' + document.documentElement.scrollWidth])"""
        )

    def settled_errors(self) -> list[str]:
        """All errors so far, without those of a network that changed."""
        self.run("1")
        return [error for error in self.errors if NETWORK_CHANGED not in error]

    def outside(self, origin: str) -> list[str]:
        """Requests to anywhere else than `origin`, such as http://127.0.0.1:8765 or file://."""
        self.run("1")
        return [url for url in self.requests if _origin(url) not in {origin, "data:", "about:"}]


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}:" if parts.scheme in {"data", "about"} else f"{parts.scheme}://{parts.netloc}"
