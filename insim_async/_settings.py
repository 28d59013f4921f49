"""A client's settings: credentials, address, zone and numbers, checked before they are used."""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Callable, Collection
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, TypeVar

from insim_async import numbers, segments
from insim_async._privacy import Unshown, repr_of
from insim_async._tasks import ends_the_program
from insim_async._wire import Account
from insim_async._zones import REMEDY, standard_zone, zone_named
from insim_async.errors import ConfigurationError
from insim_async.timing import Clock, Retry

if TYPE_CHECKING:
    import ssl

    from insim_async._http import HttpClient

__all__ = [
    "Settings",
    "account_of",
    "base_url_of",
    "check_base_url",
    "check_ssl_context",
    "check_texts",
    "zone_of",
]

T = TypeVar("T")

BASE_URL = "https://www.insim.app"
MANY = 1_000_000
_REAL = ".insim.app"
_HOST_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")
SMALLEST, LARGEST = sys.float_info.min, sys.float_info.max
"""Numbers that have an inverse, and are not infinite where they meet a ``float``."""


class Settings(Unshown, frozen=True, kw_only=True):
    """The settings of a client, but for its account; settings that cannot work are refused.

    Raises:
        ConfigurationError: It names the argument at fault.
    """

    base_url: str
    http_client: HttpClient | None
    ssl_context: ssl.SSLContext | None
    timeout: float
    batch_size: int
    max_concurrency: int
    max_rate: float | None
    retry: Retry
    max_parts: int
    region: str | None
    timezone: tzinfo | None
    clock: Clock

    def __post_init__(self) -> None:
        _check_number("timeout", self.timeout)
        if self.max_rate is not None:
            _check_number("max_rate", self.max_rate)
        _check_count("batch_size", self.batch_size)
        _check_count("max_concurrency", self.max_concurrency)
        _check_kind("retry", self.retry, Retry)
        _check_kind("clock", self.clock, Clock)
        self.retry.check()
        self.clock.check()
        check_texts(self.region, self.max_parts)
        _check_connections(self.http_client, self.ssl_context)


def check_texts(region: str | None, max_parts: int) -> None:
    """Check what is said of numbers and texts.

    Raises:
        ConfigurationError: It makes no sense, or needs an extra.
    """
    _check_count("max_parts", max_parts, most=segments.MAX_PARTS)
    if region is not None:
        _check_kind("region", region, str)
        numbers.require_region(region)


def account_of(
    login: str | None, access_key: str | None, *, dry_run: object
) -> Account | ConfigurationError:
    """Return the account, or the error that says what is wrong with it.

    The error is not raised here: a traceback with locals would show the secrets in this frame.
    """
    given: dict[str, object] = {
        "login": os.environ.get("INSIM_LOGIN") if login is None else login,
        "access_key": os.environ.get("INSIM_ACCESS_KEY") if access_key is None else access_key,
    }
    for name, value in given.items():
        if value is not None and not isinstance(value, str):
            return ConfigurationError(f"{name}: expected text, got {type(value).__name__}")
        if not value or value.isspace():
            return ConfigurationError(
                f"no {name} (INSIM_{name.upper()}): {'it is empty; ' if value is not None else ''}"
                "give AsyncInSim a login and an access_key, "
                "or leave both out and set INSIM_LOGIN and INSIM_ACCESS_KEY"
            )
        if not value.isprintable():
            return ConfigurationError(
                f"{name}: it holds a character that cannot be printed, such as a line break"
            )
    if not isinstance(dry_run, bool):  # "0" and "false" are true
        return ConfigurationError(f"dry_run: expected True or False, got {type(dry_run).__name__}")
    return Account(str(given["login"]), str(given["access_key"]), dry_run=dry_run)


def base_url_of(base_url: str | None, http_hosts: Collection[str] = ()) -> str:
    """Return the base URL that was given, or the environment's, or else inSIM's own.

    Args:
        base_url: As given.
        http_hosts: Names of test hosts, for which plain ``http`` is good enough.

    Raises:
        ConfigurationError: It may not be called (see ``check_base_url``), or the environment's is
            empty: whoever meant a sandbox must not reach the real server.
    """
    hosts = _checked_hosts(http_hosts)
    if base_url is not None:
        return check_base_url(base_url, hosts)
    told = os.environ.get("INSIM_BASE_URL", BASE_URL)
    if not told.strip():
        raise ConfigurationError(
            "base_url (INSIM_BASE_URL): it is empty; unset INSIM_BASE_URL for inSIM itself"
        )
    return check_base_url(told, hosts)


def check_base_url(base_url: str, http_hosts: Collection[str] = ()) -> str:
    """Return the URL without a slash at the end.

    Args:
        base_url: As given.
        http_hosts: Names, in lower case, for which plain ``http`` is good enough.

    Raises:
        ConfigurationError: It is no URL, or would carry the access key over a network in the clear.
    """
    if not isinstance(base_url, str):
        raise ConfigurationError(f"base_url: expected text, got {type(base_url).__name__}")
    from urllib.parse import urlsplit  # slow to import, as long as there is no client

    base_url = base_url.strip()
    try:
        parts = urlsplit(base_url)
        parts.port  # noqa: B018 - checked when read
    except ValueError:
        raise ConfigurationError("base_url: not a URL") from None
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or set(base_url) & {"@", "?", "#"}
    ):
        raise ConfigurationError(
            "base_url: give scheme and host, like https://www.insim.app, or http://127.0.0.1:8080"
        )
    is_private = _is_loopback(parts.hostname) or parts.hostname in http_hosts
    if parts.scheme == "http" and not is_private:
        raise ConfigurationError(
            "base_url: http:// would show the access key to the network; use https:// "
            "(for a sandbox on a test host there is http_hosts)"
        )
    return base_url.rstrip("/").removesuffix("/api/v1")


def _checked_hosts(http_hosts: object) -> frozenset[str]:
    """Return the names of test hosts, in lower case."""
    if isinstance(http_hosts, str) or not isinstance(http_hosts, Collection):
        raise ConfigurationError('http_hosts: expected a list of names, like ["sandbox"]')
    for name in http_hosts:
        if not isinstance(name, str) or not _HOST_NAME.fullmatch(name):
            raise ConfigurationError(
                'http_hosts: expected names of hosts, like "sandbox", without scheme and port'
            )
        if f".{name.lower()}".endswith(_REAL):
            raise ConfigurationError("http_hosts: inSIM itself is reached by https:// only")
    return frozenset(name.lower() for name in http_hosts)


def zone_of(timezone: tzinfo | str | None) -> tzinfo | None:
    """Return the zone as the standard library has it.

    Raises:
        ConfigurationError: There is none of that name, or it cannot say its offset.
    """
    if timezone is None:
        return None
    if not isinstance(timezone, str | tzinfo):
        raise ConfigurationError(
            f"timezone: expected a name or a tzinfo, got {type(timezone).__name__}"
        )
    zone = None if isinstance(timezone, str) else _answer("name", lambda: standard_zone(timezone))
    if zone is None:
        zone = _zone_named(_answer("name", lambda: str(timezone)))
    offset = _answer("offset", lambda: datetime(2031, 1, 1, tzinfo=zone).utcoffset())
    if offset is None:
        raise ConfigurationError("timezone: it does not say its offset from UTC")
    return zone


def _zone_named(name: str) -> tzinfo:
    if not name:
        raise ConfigurationError(
            "timezone: it is empty: expected a name such as 'Europe/Paris', or None"
        )
    zone = zone_named(name)
    if zone is None:
        raise ConfigurationError(
            f"timezone: {name!r} is not known on this machine: look at its name ({REMEDY})"
        )
    return zone


def _answer(asked_for: str, ask: Callable[[], T]) -> T:
    """Return what a zone answers; it is the caller's, and may raise anything."""
    try:
        return ask()
    except BaseException as error:
        if ends_the_program(error):
            raise
        raise ConfigurationError(
            f"timezone: asked for its {asked_for}, it raises {type(error).__name__}"
        ) from None


def _check_kind(name: str, value: object, kind: type) -> None:
    if not isinstance(value, kind):
        raise ConfigurationError(f"{name}: expected a {kind.__name__}, got {type(value).__name__}")


def _check_number(name: str, value: object) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
        raise ConfigurationError(f"{name}: expected a number above 0, got {repr_of(value)}")
    if not SMALLEST <= value <= LARGEST:
        raise ConfigurationError(
            f"{name}: expected a number that is not out of all proportion, got {repr_of(value)}"
        )


def _check_count(name: str, value: object, most: int = MANY) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigurationError(
            f"{name}: expected a whole number of 1 or more, got {repr_of(value)}"
        )
    if value > most:
        raise ConfigurationError(f"{name}: expected at most {most}, got {repr_of(value)}")


def _check_connections(http_client: object, ssl_context: object) -> None:
    if http_client is not None:
        _check_http_client(http_client)
        if ssl_context is not None:
            raise ConfigurationError("ssl_context: an http_client brings its own")
    elif ssl_context is not None:
        check_ssl_context(ssl_context)


def _check_http_client(client: object) -> None:
    """Raise ConfigurationError unless the object works as an ``httpx.AsyncClient`` does."""
    speaks = inspect.iscoroutinefunction(getattr(client, "send", None)) and hasattr(
        client, "build_request"
    )
    if isinstance(client, type) or not (speaks and hasattr(client, "is_closed")):
        raise ConfigurationError(
            "http_client: expected an httpx.AsyncClient or httpx2.AsyncClient, "
            f"got {_kind_of(client)}"
        )


def check_ssl_context(context: object) -> None:
    """Raise ConfigurationError if the context lets an unchecked certificate pass."""
    import ssl  # slow to import, and seldom needed

    if not isinstance(context, ssl.SSLContext):
        raise ConfigurationError(
            f"ssl_context: expected an ssl.SSLContext, got {type(context).__name__}"
        )
    if context.verify_mode is not ssl.CERT_REQUIRED or not context.check_hostname:
        raise ConfigurationError("ssl_context: certificates and host names are always checked")


def _kind_of(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def _is_loopback(host: str) -> bool:
    import ipaddress  # slow to import, and seldom needed

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
