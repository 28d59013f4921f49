"""What a client may be told: credentials, address, zone and numbers are checked before anything is made of them."""

from __future__ import annotations

import math
import os
import urllib.parse
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any

from insim_async._wire import Account
from insim_async._zones import REMEDY, standard_zone, zone_named
from insim_async.errors import ConfigurationError

if TYPE_CHECKING:
    import ssl

__all__ = ["account_of", "check_base_url", "check_counts", "check_numbers", "check_ssl_context", "zone_of"]


def account_of(login: str | None, access_key: str | None, *, dry_run: bool) -> Account | ConfigurationError:
    """Return the account, or what is wrong; raised, it would show this frame to a traceback with locals."""
    login = login or os.environ.get("INSIM_LOGIN")
    access_key = access_key or os.environ.get("INSIM_ACCESS_KEY")
    given: dict[str, object] = {"login": login, "access_key": access_key}
    for name, value in given.items():
        if not value:
            return ConfigurationError(
                f"no {name} (INSIM_{name.upper()}): give AsyncInSim a login and an access_key, "
                "or set INSIM_LOGIN and INSIM_ACCESS_KEY"
            )
        if not isinstance(value, str):
            return ConfigurationError(f"{name}: expected text, got {type(value).__name__}")
        if not value.isprintable():
            return ConfigurationError(f"{name}: it holds a character that cannot be printed, such as a line break")
    return Account(str(login), str(access_key), dry_run=dry_run)


def check_base_url(base_url: str) -> str:
    """Return the URL without a slash at the end.

    Raises:
        ConfigurationError: It is no URL, or would carry the access key over a network in the clear.
    """
    if not isinstance(base_url, str):
        raise ConfigurationError(f"base_url: expected text, got {type(base_url).__name__}")
    base_url = base_url.strip()
    try:
        parts = urllib.parse.urlsplit(base_url)
        parts.port  # noqa: B018 - checked when read
    except ValueError:
        raise ConfigurationError("base_url: not a URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or set(base_url) & {"@", "?", "#"}:
        raise ConfigurationError("base_url: give scheme and host, like https://www.insim.app, or http://127.0.0.1:8080")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ConfigurationError("base_url: http:// would show the access key to the network; use https://")
    return base_url.rstrip("/").removesuffix("/api/v1")


def check_ssl_context(context: ssl.SSLContext) -> None:
    """Raise ConfigurationError if the context lets an unchecked certificate pass."""
    import ssl  # slow to import, and seldom needed

    if not isinstance(context, ssl.SSLContext):
        raise ConfigurationError(f"ssl_context: expected an ssl.SSLContext, got {type(context).__name__}")
    if context.verify_mode is not ssl.CERT_REQUIRED or not context.check_hostname:
        raise ConfigurationError("ssl_context: certificates and host names are always checked")


def zone_of(timezone: tzinfo | str | None) -> tzinfo | None:
    """Return the zone as the standard library has it.

    Raises:
        ConfigurationError: There is none of that name, or it cannot say its offset.
    """
    if timezone is None:
        return None
    if not isinstance(timezone, str | tzinfo):
        raise ConfigurationError(f"timezone: expected a name or a tzinfo, got {type(timezone).__name__}")
    if timezone == "":
        raise ConfigurationError("timezone: it is empty: expected a name such as 'Europe/Paris', or None")
    zone = zone_named(timezone) if isinstance(timezone, str) else standard_zone(timezone)
    if zone is None:
        raise ConfigurationError(
            f"timezone: {str(timezone)!r} is not known on this machine: look at its name ({REMEDY})"
        )
    _require_offset(zone)
    return zone


def _require_offset(zone: tzinfo) -> None:
    try:
        offset = datetime(2031, 1, 1, tzinfo=zone).utcoffset()
    except Exception as error:  # noqa: BLE001 - it is the caller's, and may raise anything
        raise ConfigurationError(f"timezone: asked for its offset, it raises {type(error).__name__}") from None
    if offset is None:
        raise ConfigurationError("timezone: it does not say its offset from UTC")


def check_numbers(**given: Any) -> None:
    """Raise ConfigurationError unless all are numbers above 0."""
    for name, value in given.items():
        if not (isinstance(value, int | float) and 0 < value < math.inf):
            raise ConfigurationError(f"{name}: expected a number above 0, got {value!r}")


def check_counts(**given: Any) -> None:
    """Raise ConfigurationError unless all are whole numbers of 1 or more."""
    for name, value in given.items():
        if not isinstance(value, int) or value < 1:
            raise ConfigurationError(f"{name}: expected a whole number of 1 or more, got {value!r}")


def _is_loopback(host: str) -> bool:
    import ipaddress  # slow to import, and seldom needed

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
