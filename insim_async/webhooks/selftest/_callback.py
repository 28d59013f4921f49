"""A callback URL as it stands in the inSIM account, and what may come back from it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

from msgspec import Struct

from insim_async._privacy import Private
from insim_async.errors import ConfigurationError
from insim_async.webhooks._secrets import SECRET_BITS

__all__ = [
    "CLOSED",
    "LATE",
    "VENDOR_TIMEOUT",
    "Callback",
    "Exchange",
    "NoReply",
    "Reply",
    "read_callback",
    "split_url",
]

VENDOR_TIMEOUT: Final = 5.0
"""Seconds that inSIM waits for an answer."""


class Callback(Private, frozen=True):
    """A callback URL; its text form has no secret in it."""

    url: str

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        *before, _ = parts.path.rstrip("/").split("/")
        path = "/".join([*("***" if len(part) >= 16 else part for part in before), "***"])
        return f"{parts.scheme}://{parts.netloc}{path}{'?***' if parts.query else ''}"

    def called(self, query: str) -> str:
        """Return the URL that inSIM calls, which adds a ``?`` even to a URL that has one."""
        return f"{self.url}?{query}"


def read_callback(url: str) -> Callback:
    """Take a callback URL as it stands in the inSIM account.

    Raises:
        ConfigurationError: inSIM cannot call it as it is. The message holds nothing of it.
    """
    if not re.fullmatch(r"[!-~]+", url) or set(url) & set("%#"):
        raise ConfigurationError("URL: only visible ASCII stands in it, without % and #")
    parts = split_url(url)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError("URL: expected https://host/path/secret")
    if "@" in parts.netloc:
        raise ConfigurationError("URL: a name and a password before the host are not sent by inSIM")
    if not parts.path.strip("/"):
        raise ConfigurationError("URL: the last part of its path is the secret, and it has none")
    if not any(
        len(part) * 6 >= SECRET_BITS for part in re.split("[/?&=]", f"{parts.path}?{parts.query}")
    ):
        raise ConfigurationError(
            "URL: nothing in it is long enough to be beyond guessing "
            "(is INSIM_WEBHOOK_SECRET set in this terminal?)"
        )
    return Callback(url)


class Reply(Struct, frozen=True):
    """What came back from a callback URL, as far as it matters here."""

    status: int
    body: bytes = b""
    location: str = ""
    seconds: float = 0.0


class NoReply(Struct, frozen=True):
    """Why nothing came back."""

    words: str


Exchange = Callable[[str], Reply | NoReply]
"""Sends a GET to a URL and follows no redirect."""

CLOSED: Final = NoReply("the connection was closed without an answer")
LATE: Final = NoReply("no answer in time: inSIM waits for five seconds")


def split_url(url: str, base: str = "") -> SplitResult | None:
    """Split a URL into its parts; return None if it is none."""
    try:
        parts = urlsplit(urljoin(base, url))
        parts.port  # noqa: B018 - checked when read
    except ValueError:
        return None
    return parts
