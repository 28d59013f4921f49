"""Who may look at a sandbox and change it: its own page, and clients with the login.

Any site that is open in a browser can post to a local port, and a name of its own may lead there:
it knows the login that is made up by default, too. Names without a dot are nobody's in public:
``localhost``, or ``sandbox`` among containers.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from insim_async.sandbox.state import Sandbox

__all__ = ["refusal", "refusal_of_call"]

_CANNOT_CHANGE = {"GET", "HEAD"}


def refusal_of_call(headers: Mapping[str, str], hosts: Collection[str]) -> str:
    """Return why a call to the API is refused, whatever login is in it; empty if it is not.

    Clients send no ``Origin``, browsers do.
    """
    if "origin" not in headers or _is_own_page(headers, hosts):
        return ""
    return "another site"


def refusal(
    sandbox: Sandbox, method: str, headers: Mapping[str, str], hosts: Collection[str]
) -> str:
    """Return why a request about the sandbox itself is refused; empty if it is not.

    Args:
        sandbox: Whose login counts.
        method: What changes nothing needs no more than a host that is no foreign name.
        headers: Of the request, by lower-case names.
        hosts: Names with a dot that are not foreign.
    """
    if not _is_ours(headers.get("host", ""), hosts):
        return "a foreign host name"
    if "origin" in headers:
        return "" if _is_own_page(headers, hosts) else "another site"
    if method in _CANNOT_CHANGE or _has_login(sandbox, headers.get("authorization", "")):
        return ""
    return "not the sandbox's own page: give login and access key as HTTP Basic"


def _is_own_page(headers: Mapping[str, str], hosts: Collection[str]) -> bool:
    host = headers.get("host", "")
    _, _, origin = headers["origin"].partition("://")
    return _is_ours(host, hosts) and origin == host.lower()


def _has_login(sandbox: Sandbox, authorization: str) -> bool:
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        login, colon, access_key = base64.b64decode(credentials).decode().partition(":")
    except (binascii.Error, ValueError):
        return False
    return bool(colon) and sandbox.admits(login, access_key)


def _is_ours(host: str, hosts: Collection[str]) -> bool:
    try:
        name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
    except ValueError:
        return False
    if not name or name in {each.lower().removesuffix(".") for each in hosts}:
        return bool(name)
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." not in name or name.endswith(".localhost")
    return True
