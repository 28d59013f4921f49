"""The phone in the browser: one page with its files, and the policy under which they run.

The page draws what it hears from the stream of changes. Here only what stands before that is
filled in; without JavaScript it says the same as the text that ``curl`` gets.
"""

from __future__ import annotations

from html import escape
from importlib.resources import files
from string import Template

from starlette.responses import HTMLResponse, PlainTextResponse, Response

from insim_async.sandbox.state import Sandbox

__all__ = ["STATIC", "as_page", "as_text", "static"]

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
_HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in _POLICY.items()),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_folder = files("insim_async.sandbox") / "static"
_page = Template((_folder / "page.html").read_text("utf-8"))
STATIC = {
    file.name: (file.read_bytes(), kind)
    for file in _folder.iterdir()
    if (kind := _KINDS.get(f".{file.name.rpartition('.')[2]}"))
}
"""The files of the page by name, each with its media type."""


def as_text(sandbox: Sandbox) -> Response:
    """Show counts and the newest messages as text."""
    return PlainTextResponse(_text(sandbox))


def as_page(sandbox: Sandbox, base_url: str) -> Response:
    """Return the page.

    Args:
        sandbox: Whose.
        base_url: Where whoever asks for it has reached it.
    """
    facts = {
        "base_url": base_url,
        "host": base_url.partition("//")[2],
        "login": sandbox.login,
        "access_key": sandbox.access_key,
        "text": _text(sandbox),
        **{name: str(count) for name, count in sandbox.counts().items()},
    }
    escaped = {name: escape(fact) for name, fact in facts.items()}
    icons = STATIC["icons.svg"][0].decode()
    return HTMLResponse(_page.substitute(escaped, icons=icons), headers=_HEADERS)


def static(name: str) -> Response:
    """Return a file of the page."""
    if name not in STATIC:
        return PlainTextResponse("no such file\n", 404)
    content, kind = STATIC[name]
    return Response(content, media_type=kind, headers=_HEADERS)


def _text(sandbox: Sandbox) -> str:
    counts = "  ".join(f"{name} {count}" for name, count in sandbox.counts().items())
    newest = sandbox.messages[:-11:-1]
    last = (f"{sms.sent_at:%H:%M:%S}  {sms.phone_number}  {sms.message!r}" for sms in newest)
    return "\n".join(["inSIM sandbox", counts, "", *last, ""])
