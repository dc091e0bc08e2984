"""Chromium without a window, spoken to over a pipe by the DevTools protocol; and a proxy that sees what it asks for.

No library: the protocol over a pipe is JSON objects with a zero byte after each.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disable-features=OptimizationHints,MediaRouter,Translate,AutofillServerCommunication",
    "--metrics-recording-only",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
)


def find() -> str | None:
    """The program, if there is one; handles are given to it in the way of POSIX systems."""
    if os.name == "nt" or shutil.which("bash") is None:
        return None
    return next(filter(None, map(shutil.which, NAMES)), None)


class Proxy:
    """Takes connections, notes the first line of each, and answers none."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(5)
                self.seen.append(connection.recv(4096).split(b"\r\n")[0].decode("latin-1"))

    def close(self) -> None:
        """Stop."""
        self._listening.close()


class Browser:
    """One page in a fresh profile.

    Attributes:
        events: everything it has told of, as (method, params).
    """

    def __init__(self, program: str, profile: Path, port: int, patience: float = 180.0) -> None:
        self.patience = patience
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._number, self._left, self._session = 0, b"", None
        (to_read, self._write), (self._read, to_write) = os.pipe(), os.pipe()
        # The browser reads commands from 3 and writes answers to 4; the shell puts our ends there.
        words = [program, *_QUIET, f"--user-data-dir={profile}", f"--proxy-server=127.0.0.1:{port}"]
        words += ["--proxy-bypass-list=<-loopback>", "--remote-debugging-pipe", "about:blank"]
        script = f'exec "$@" 3<&{to_read} 4>&{to_write}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, "bash", *words],
            pass_fds=(to_read, to_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        try:
            self._attach()
        except BaseException:
            self.close()
            raise

    def _attach(self) -> None:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + self.patience
        while True:
            answer = self._receive(until)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, url: str) -> None:
        """Go there and wait until all of it is loaded."""
        self.events.clear()
        self.call("Page.navigate", url=url)
        until = time.monotonic() + self.patience
        while not any(method == "Page.loadEventFired" for method, _ in self.events):
            self._receive(until)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, promises awaited."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(str(found["exceptionDetails"]))
        return found["result"].get("value")

    def troubles(self) -> list[str]:
        """Exceptions of scripts and everything the console calls an error, refusals of the policy included."""
        found = [str(p["exceptionDetails"]) for method, p in self.events if method == "Runtime.exceptionThrown"]
        return found + [
            str(p["entry"].get("text"))
            for method, p in self.events
            if method == "Log.entryAdded" and p["entry"].get("level") == "error"
        ]

    def requests(self) -> list[str]:
        """Addresses that the page asked for, data URIs left out."""
        urls = [p["request"]["url"] for method, p in self.events if method == "Network.requestWillBeSent"]
        return [url for url in urls if not url.startswith("data:")]

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(Exception):
            self._session = None
            self.call("Browser.close")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        if self._process.poll() is None:
            self._process.kill()
        os.close(self._write)
        os.close(self._read)

    def _receive(self, until: float) -> dict[str, Any]:
        while b"\0" not in self._left:
            ready, _, _ = select.select([self._read], [], [], max(0.0, until - time.monotonic()))
            more = os.read(self._read, 1 << 20) if ready else b""
            if not more:
                raise TimeoutError("the browser does not answer")
            self._left += more
        raw, _, self._left = self._left.partition(b"\0")
        message: dict[str, Any] = json.loads(raw)
        if "method" in message:
            self.events.append((message["method"], message.get("params", {})))
        return message
