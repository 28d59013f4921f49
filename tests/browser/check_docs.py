"""The documentation as people see it: wide and narrow, light and dark, and by its search."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.looking import (
    DARK,
    LIGHT,
    LOOKS,
    NARROW,
    Look,
    Opened,
    barriers,
    served,
    too_wide,
)
from tests.browser.looking import opened as opened

HTML = Path(__file__).parent.parent.parent / "docs" / "_build" / "html"
LONG = "reference/api.html"
SHOWN = [
    "index.html",
    "how-to/send-in-bulk.html",
    "reference/errors.html",
    "explanation/performance.html",
]
PAGES = sorted(
    path.relative_to(HTML).as_posix()
    for path in HTML.rglob("*.html")
    if not {"_static", "_modules"} & {*path.relative_to(HTML).parts}
)
PROSE = """() => {
    const article = document.querySelector("article").cloneNode(true);
    article.querySelectorAll("pre, code").forEach((code) => code.remove());
    return article.textContent;
}"""


@pytest.fixture(scope="session")
def docs() -> Iterator[str]:
    with served(HTML) as url:
        yield url


@pytest.mark.parametrize("look", LOOKS, ids=str)
@pytest.mark.parametrize("path", SHOWN)
def test_a_page_keeps_nobody_out(path: str, look: Look, docs: str, opened: Opened) -> None:
    page = opened(f"{docs}/{path}", look)
    assert too_wide(page) == 0
    assert barriers(page) == []


def test_the_longest_page_keeps_nobody_out(docs: str, opened: Opened) -> None:
    """Its colours are those of the page of errors."""
    page = opened(f"{docs}/{LONG}", LIGHT)
    assert barriers(page, contrast=False) == []


def test_every_page_fits_a_phone_and_shows_no_markup(docs: str, opened: Opened) -> None:
    page = opened(f"{docs}/index.html", NARROW)
    wide, marked = [], []
    for path in PAGES:
        page.wait_for_load_state("networkidle")  # what is still under way fails when one leaves
        page.goto(f"{docs}/{path}")
        wide += [path] if too_wide(page) else []
        marked += [path] if "`" in page.evaluate(PROSE) else []
    assert (wide, marked) == ([], [])


@pytest.mark.parametrize("word", ["resume", "unsubscribe", "503"])
def test_the_search_finds(word: str, docs: str, opened: Opened) -> None:
    page = opened(f"{docs}/index.html", LIGHT)
    page.fill("input.sidebar-search", word)
    page.press("input.sidebar-search", "Enter")
    page.wait_for_selector("#search-results ul.search li a")
    assert page.locator("#search-results ul.search li").count() > 0


def test_what_is_searched_for_is_marked(docs: str, opened: Opened) -> None:
    page = opened(f"{docs}/search.html?q=503", DARK)
    page.locator("#search-results ul.search li a").first.click()
    page.wait_for_selector("article .highlighted")
    assert page.locator("article .highlighted").first.inner_text() == "503"


def test_a_block_is_copied_as_it_stands(docs: str, opened: Opened) -> None:
    page = opened(f"{docs}/tutorial.html", LIGHT)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    block = page.locator("div.highlight", has=page.locator("button.copybtn")).first
    block.hover()
    block.locator("button.copybtn").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == block.locator("pre").inner_text().rstrip("\n")


def test_the_version_stands_beside_the_name(docs: str, opened: Opened) -> None:
    from importlib.metadata import version

    page = opened(f"{docs}/index.html", LIGHT)
    assert page.locator(".sidebar-brand .version").inner_text() == version("insim_async")
