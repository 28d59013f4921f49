"""The query of a webhook, as inSIM writes it or as a fault has spoilt it, and its target."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import msgspec

from insim_async.sandbox.faults import WebhookFault
from insim_async.webhooks.events import Event
from insim_async.webhooks.parsing import build_webhook, payload_of, query_of

__all__ = ["TIMEOUT", "check_callback", "query_for", "target_of"]

TIMEOUT = 5.0
"""Seconds that an app has for its answer."""

_TIMES = {"date", "call_time", "date_status"}
_IN_A_TARGET = "".join(map(chr, range(0x21, 0x7F)))


def query_for(event: Event, fault: WebhookFault) -> str:
    """Write an event as the query of a webhook with what a fault does to it."""
    if fault.without_time:
        parameter, document = payload_of(event)
        payload = msgspec.json.decode(document)
        timeless = {name: value for name, value in payload.items() if name not in _TIMES}
        query = query_of(parameter, msgspec.json.encode(timeless))
    else:
        query = build_webhook(event)
    if fault.encoded_twice:
        parameter, _, value = query.partition("=")
        query = f"{parameter}={quote(value, safe='')}"
    if fault.as_form:
        query = urlencode(parse_qsl(query))
    return query


def target_of(url: str, query: str) -> tuple[str, str]:
    """Return a URL that names the host, and the target of the request line.

    inSIM calls ``decodeURIComponent(callback_url) + '?message=' + encodeURIComponent(json)``.
    """
    parts = urlsplit(url)
    path = quote(unquote(parts.path or "/"), safe=_IN_A_TARGET)
    return f"{parts.scheme}://{parts.netloc}/", f"{path}?{query}"


def check_callback(url: str) -> str:
    """Return a callback URL as it is, without space around it; empty means none.

    Raises:
        ValueError: inSIM could not call it.
    """
    url = url.strip()
    if not url:
        return url
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("callback URL: http:// or https:// first, then a host")
    parts.port  # noqa: B018 - checked when read
    if "?" in url or "#" in url:
        raise ValueError("callback URL: a query would be doubled: put the secret in the path")
    return url
