"""What the reference leaves out of signatures: how to make what users never make by themselves."""

from __future__ import annotations

import enum
from typing import Any

from sphinx.application import Sphinx

MADE_BY_US = {
    "insim_async.webhooks.inbox.Inbox",
    "insim_async.webhooks.inbox.InboxWorker",
}
"""``Inbox.open`` and ``inbox.worker`` return them."""


def without_constructor(
    app: Sphinx, what: str, name: str, made: Any, options: Any, signature: str, returns: str
) -> tuple[str, str] | None:
    if name in MADE_BY_US or (what == "class" and issubclass(made, enum.Enum)):
        return "", ""
    return None


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("autodoc-process-signature", without_constructor)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
