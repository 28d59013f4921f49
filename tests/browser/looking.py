"""A browser for checks, and what it must never see: an error, another host, a page too wide."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
)

AXE = Path(os.environ.get("AXE", "axe.min.js"))
"""The file of axe-core, which knows what keeps people out of a page."""


class Look(NamedTuple):
    scheme: Literal["light", "dark"]
    width: int
    height: int = 860

    def __str__(self) -> str:
        return f"{self.scheme}-{self.width}"


LIGHT, DARK, NARROW = Look("light", 1280), Look("dark", 1280), Look("light", 360)
LOOKS = [LIGHT, DARK, NARROW]
Opened = Callable[[str, Look], Page]
"""Opens an address as somebody sees it; what goes wrong there fails the test at its end."""


@pytest.fixture
def opened(chromium: Browser) -> Iterator[Opened]:
    """Open pages, one after the other, and see at the end that none went wrong."""
    wrong: list[str] = []
    contexts: list[BrowserContext] = []

    def open_page(url: str, look: Look) -> Page:
        context = chromium.new_context(
            viewport={"width": look.width, "height": look.height},
            color_scheme=look.scheme,
            reduced_motion="reduce",
        )
        contexts.append(context)
        page = context.new_page()
        watch(page, host_of(url), wrong)
        page.goto(url, wait_until="load")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == [], wrong


def watch(page: Page, host: str, wrong: list[str]) -> None:
    """Note what a page says that it must not: errors, what failed, what another host is asked."""

    def listen(said: ConsoleMessage) -> None:
        wrong.extend([said.text] if said.type in {"error", "warning"} else [])

    def look_at(request: Request) -> None:
        wrong.extend([] if host_of(request.url) in {host, ""} else [request.url])

    page.on("console", listen)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", lambda each: wrong.append(f"failed: {each.url}: {each.failure}"))
    page.on("request", look_at)


def host_of(url: str) -> str:
    """Return host and port; nothing for what an address itself holds (``data:``)."""
    return urlsplit(url).netloc


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine, and give its URL."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any, **__: Any) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def too_wide(page: Page) -> int:
    """Return by how many pixels a page is wider than its window."""
    wider: int = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return wider


def barriers(page: Page, *, contrast: bool = True) -> list[str]:
    """Return what axe finds serious, and the first place of each.

    To compare colours takes most of the time: on a page of a thousand words, not of ten thousand.
    """
    page.add_script_tag(path=AXE)
    rules = {"color-contrast": {"enabled": contrast}}
    found: dict[str, Any] = page.evaluate(
        "rules => axe.run({rules, resultTypes: ['violations']})", rules
    )
    return [
        f"{fault['id']}: {fault['nodes'][0]['html'][:200]}"
        for fault in found["violations"]
        if fault["impact"] in {"serious", "critical"}
    ]
