"""Hosts that no client may reach while tests run: a test that is not meant for them sends nothing.

Nothing is barred unless somebody bars it; the plugin for pytest does.
"""

from __future__ import annotations

from insim_async.errors import ConfigurationError

__all__ = ["bar", "refusal", "unbar"]

_barred: dict[str, str] = {}


def bar(domain: str, reason: str) -> None:
    """Refuse all clients for a domain and what is below it, also those that are open."""
    _barred[domain] = reason


def unbar(domain: str) -> None:
    """Let them through again."""
    _barred.pop(domain, None)


def refusal(base_url: str) -> ConfigurationError | None:
    """Return why nothing may be sent to a URL, if so."""
    if not _barred:
        return None
    from urllib.parse import urlsplit  # slow to import, and seldom needed

    host = f".{urlsplit(base_url).hostname or ''}"
    for domain, reason in _barred.items():
        if host.endswith(f".{domain}"):
            return ConfigurationError(f"{base_url}: {reason}")
    return None
