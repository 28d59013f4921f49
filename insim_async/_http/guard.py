"""Hosts that no client may reach while tests run: a test that is not meant for them sends nothing.

Nothing is barred unless somebody bars it; the plugin for pytest does.
"""

from __future__ import annotations

from insim_async.errors import ConfigurationError

__all__ = ["bar", "refusal", "unbar"]

_barred: list[tuple[str, str]] = []
_DOTS = str.maketrans("\u3002\uff0e\uff61", "...")
"""What stands for a dot in a host name (RFC 3490, 3.1)."""


def bar(domain: str, reason: str) -> None:
    """Refuse all clients for a domain and what is below it, also those that are open.

    Barred twice, as by a test run within another, it has to be let through twice.
    """
    _barred.append((domain, reason))


def unbar(domain: str, reason: str) -> None:
    """Let them through again, as far as they were barred for that reason."""
    if (domain, reason) in _barred:
        _barred.remove((domain, reason))


def refusal(base_url: str) -> ConfigurationError | None:
    """Return why nothing may be sent to a URL, if so."""
    if not _barred:
        return None
    from urllib.parse import urlsplit  # slow to import, and seldom needed

    name = (urlsplit(base_url).hostname or "").translate(_DOTS)
    host = f".{name.removesuffix('.')}"
    for domain, reason in _barred:
        if host.endswith(f".{domain}"):
            return ConfigurationError(f"{base_url}: {reason}")
    return None
