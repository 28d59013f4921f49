"""The phone in the browser: one page with its files, and the policy under which they run.

The page draws what it hears from the stream of changes. Here only what stands before that is
filled in; without JavaScript it says the same as the text that ``curl`` gets.
"""

from __future__ import annotations

from html import escape
from importlib.resources import files
from pathlib import PurePosixPath
from string import Template

from insim_async.sandbox.state import Sandbox

__all__ = ["FILES", "HEADERS", "page_of", "text_of"]

_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    # Text cannot become HTML, not even by mistake: what would parse it is switched off.
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
}
HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in _POLICY.items()),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""What goes with the page and each of its files."""
_folder = files("insim_async.sandbox") / "static"
_page = Template((_folder / "page.html").read_text("utf-8"))
FILES: dict[str, tuple[bytes, str]] = {
    file.name: (file.read_bytes(), _KINDS[PurePosixPath(file.name).suffix])
    for file in _folder.iterdir()
    if PurePosixPath(file.name).suffix in _KINDS
}
"""The files of the page by name, each with its media type."""


def page_of(sandbox: Sandbox, base_url: str) -> str:
    """Return the page as HTML.

    Args:
        sandbox: Whose.
        base_url: Where whoever asks for it has reached it.
    """
    facts = {
        "base_url": base_url,
        "host": base_url.partition("//")[2],
        "login": sandbox.login,
        "access_key": sandbox.access_key,
        "text": text_of(sandbox),
        **{name: str(count) for name, count in sandbox.counts().items()},
    }
    escaped = {name: escape(fact) for name, fact in facts.items()}
    icons = FILES["icons.svg"][0].decode()
    return _page.substitute(escaped, icons=icons)


def text_of(sandbox: Sandbox) -> str:
    """Return counts and the newest messages as text."""
    counts = "  ".join(f"{name} {count}" for name, count in sandbox.counts().items())
    newest = sandbox.messages[:-11:-1]
    last = (f"{sms.sent_at:%H:%M:%S}  {sms.phone_number}  {sms.message!r}" for sms in newest)
    return "\n".join(["inSIM sandbox", counts, "", *last, ""])
