"""Which server in front of the app refuses long targets, and what to set there. Pure."""

from __future__ import annotations

import re

from msgspec import Struct

from insim_async.webhooks.selftest._callback import NoReply, Reply

__all__ = ["culprit"]


class _Limit(Struct, frozen=True):
    """A server that refuses long targets by default, and how it is told from others.

    Attributes:
        cure: The setting to change.
        mark: A pattern for the pages with which it refuses.
        longest: How long targets may be, in bytes; a range where the limit is for more than the
            target.
        statuses: Those with which it refuses.
    """

    cure: str
    mark: bytes
    longest: range
    statuses: frozenset[int]


_NO_MARK = rb"(?!)"
# Measured: gunicorn 27, aiohttp 3.14, uvicorn 0.54, hypercorn 0.18 and Node 22.
# The others by their documentation.
_LIMITS = [
    _Limit(cure, mark, range(least, most + 1), frozenset(statuses))
    for cure, mark, least, most, statuses in [
        (
            "gunicorn: --limit-request-line 0",
            rb"Request [Ll]ine is too large",
            4075,
            4094,
            [400, 414],
        ),
        ("nginx: large_client_header_buffers 4 32k", rb"<center>nginx", 8160, 8192, [400, 414]),
        (
            "Apache: LimitRequestLine 32768",
            rb"exceeds the capacity\s+limit for this server",
            8160,
            8190,
            [414],
        ),
        (
            "aiohttp: max_line_size=32768",
            rb"Got more than \d+ bytes( \(\d+\))? when reading",
            8160,
            8190,
            [400],
        ),
        (
            "HAProxy: tune.bufsize 65536",
            rb"Your browser sent an invalid request",
            14_900,
            15_400,
            [400],
        ),
        ("Node: --max-http-header-size=65536", _NO_MARK, 15_900, 16_384, [431]),
        ("AWS load balancer: cannot be raised", _NO_MARK, 16_200, 16_384, [400, 414]),
        # h11 counts what has come of a request that is not whole: over a network less passes than
        # within a machine
        (
            "uvicorn: --http h11 --h11-max-incomplete-event-size 262144",
            rb"Invalid HTTP request",
            16_000,
            65_536,
            [400],
        ),
        ("hypercorn: h11_max_incomplete_size", _NO_MARK, 16_000, 65_536, [431]),
    ]
]
_ANY = {0, 502}
"""No answer, or one from in front of the server that refused: any server may stand behind that."""


def culprit(longest: int, came: Reply | NoReply) -> str:
    """Name the server and the setting that refused a longer target, by how it was refused."""
    status, body = (came.status, came.body) if isinstance(came, Reply) else (0, b"")
    marked = [
        limit.cure for limit in _LIMITS if status in limit.statuses and re.search(limit.mark, body)
    ]
    usual = [
        limit.cure
        for limit in _LIMITS
        if longest in limit.longest and {status} & (limit.statuses | _ANY)
    ]
    return (
        " or ".join(marked or usual) or "a limit of some server in front of the app or of its own"
    )
