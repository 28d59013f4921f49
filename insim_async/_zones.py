"""Turn time zones of any make into those of the standard library."""

from __future__ import annotations

from datetime import UTC, tzinfo

__all__ = ["REMEDY", "standard_zone", "zone_named"]

REMEDY = "pip install tzdata, where the machine has no time zones of its own"


def zone_named(name: str) -> tzinfo | None:
    """Return the zone of a name such as ``Europe/Paris``; None if this machine knows none."""
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # slow to import, and seldom needed

    try:
        return ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return None


def standard_zone(zone: tzinfo) -> tzinfo | None:
    """Return a zone of pytz as one of the standard library, and any other as it is.

    None stands for a zone that this machine does not know.

    A zone of pytz, told by its ``zone``, has one fixed offset, the oldest of its place or that of
    the date which it was made for: asked about another date, or about a gap or a fold, it answers
    wrongly.
    """
    name = getattr(zone, "zone", None)
    return zone_named(name) if isinstance(name, str) else zone
