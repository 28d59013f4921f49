"""Signatures of the reference: what users never make shows no constructor, a field shows its type.

Napoleon writes the type of an attribute below it, as a field of its own; here it stands behind the
name, as in a signature.
"""

from __future__ import annotations

import enum
import re
from typing import Any

from sphinx.application import Sphinx

MADE_BY_US = {
    "insim_async.campaigns.Campaign",
    "insim_async.outbox.Outbox",
    "insim_async.outbox.OutboxWorker",
    "insim_async.webhooks.inbox.Inbox",
    "insim_async.webhooks.inbox.InboxWorker",
}
"""``Inbox.open``, ``inbox.worker`` and their like return them."""
STANDARD = re.compile(r"\b(collections\.abc|datetime|typing)\.")
"""Whose names everybody knows."""
ARGUMENTS = re.compile(r'(class="sig-paren">\(</span>\s*)<dl>')
LATE = 900
"""After Napoleon."""


def plain_signature(
    _: Sphinx, what: str, name: str, made: Any, _options: Any, signature: str, returns: str
) -> tuple[str, str] | None:
    """Leave out what nobody calls, and what a default is where that is a function."""
    if name in MADE_BY_US or (what == "class" and issubclass(made, enum.Enum)):
        return "", ""
    return (re.sub(r"<[^<>]+>", "...", signature), returns) if signature else None


def with_types(
    _: Sphinx, _what: str, _name: str, _made: Any, _options: Any, lines: list[str]
) -> None:
    """Make the type that follows an attribute an option of its directive."""
    start = None
    for number, line in enumerate(lines):
        if line.startswith(".. attribute::"):
            start = number
        elif line.startswith("   :type:") and start is not None:
            lines.insert(start + 1, STANDARD.sub("", lines.pop(number)))
            start = None


def as_one_line(_: Sphinx, _page: str, _template: str, context: dict[str, Any], _tree: Any) -> None:
    """Let a signature be read as one: Sphinx makes a list of its arguments, of which no term is."""
    if "body" in context:
        context["body"] = ARGUMENTS.sub(r'\1<dl role="none">', context["body"])


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("autodoc-process-signature", plain_signature)
    app.connect("autodoc-process-docstring", with_types, priority=LATE)
    app.connect("html-page-context", as_one_line)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
