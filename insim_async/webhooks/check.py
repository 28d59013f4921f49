"""The self-test of a callback URL: long and awkward events, through all that stands before the app, and their fate.

What an answer means, and which limit it speaks of, is said by pure functions. ``over_network`` alone does I/O, with the
standard library: an HTTP library is for calls to inSIM.
"""

from __future__ import annotations

import http.client
import re
import secrets
import socket
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final
from urllib.error import URLError
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import msgspec
from msgspec import Struct

from insim_async._privacy import Private
from insim_async.errors import ConfigurationError
from insim_async.webhooks._reception import INVALID, NOT_FOUND, OK, PROBE, UNAVAILABLE
from insim_async.webhooks.events import (
    CallEvent,
    CallQualification,
    DeliveryStatus,
    Event,
    IncomingSms,
    LinkClick,
)
from insim_async.webhooks.parsing import build_webhook
from insim_async.webhooks.router import SECRET_BITS

__all__ = ["PATIENCE", "Callback", "Failure", "Reply", "Result", "check", "over_network", "read_callback", "verdict"]

PATIENCE: Final = 5.0
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
    parts = _split(url)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError("URL: expected https://host/path/secret")
    if "@" in parts.netloc:
        raise ConfigurationError("URL: a name and a password before the host are not sent by inSIM")
    if not parts.path.strip("/"):
        raise ConfigurationError("URL: the last part of its path is the secret, and it has none")
    if not any(len(part) * 6 >= SECRET_BITS for part in re.split("[/?&=]", f"{parts.path}?{parts.query}")):
        raise ConfigurationError(
            "URL: nothing in it is long enough to be beyond guessing (is INSIM_WEBHOOK_SECRET set in this terminal?)"
        )
    return Callback(url)


class Reply(Struct, frozen=True):
    """An answer, as far as it matters here."""

    status: int
    body: bytes = b""
    location: str = ""
    seconds: float = 0.0


class Failure(Struct, frozen=True):
    """Why there is no answer."""

    words: str


Exchange = Callable[[str], Reply | Failure]
"""Sends a GET to a URL and follows no redirect."""

CLOSED: Final = Failure("the connection was closed without an answer")
LATE: Final = Failure("no answer in time: inSIM waits for five seconds")


class Result(Struct, frozen=True):
    """What became of one kind of event; its text form is a line for people.

    Attributes:
        kind: The word for the class of event.
        arrived: It did, byte for byte.
        words: How, or why not.
        inbox: An inbox keeps such events.
        hopeless: The others will fare no better.
    """

    kind: str
    arrived: bool
    words: str
    inbox: bool = False
    hopeless: bool = False

    def __str__(self) -> str:
        return f"{self.kind:<18}  {'ok' if self.arrived else 'FAILED'}: {self.words}"


def verdict(results: Sequence[Result]) -> str:
    """Sum the results up in a line."""
    arrived = sum(result.arrived for result in results)
    if arrived < len(results):
        return f"{arrived} of {len(results)} kinds of event arrived as they were sent"
    kept = "an inbox keeps them" if results[0].inbox else "there is no inbox, handlers run within the request"
    return f"all {arrived} kinds of event arrived as they were sent; {kept}"


def check(callback: Callback, exchange: Exchange, *, nonce: str = "") -> Iterator[Result]:
    """Send an event of each kind, and yield what became of it.

    No handler sees these events and no inbox keeps them, unless an old version of insim_async answers.

    Args:
        callback: Where to.
        exchange: How, as ``over_network`` makes it.
        nonce: Makes these events different from all others; random by default.
    """
    probe = _Probe(callback, exchange, nonce or secrets.token_urlsafe(8))
    hopeless = False
    for sample in _SAMPLES:
        result = Result(sample.kind, arrived=False, words="not tried") if hopeless else probe.result(sample)
        hopeless = result.hopeless or hopeless
        yield result


# What is sent

_AWKWARD = "100% a+b & c=d; #1 %41 é 😀 "
_FICTION: dict[str, Any] = {"phone_number": "0639980001"}  # a plus is left to the texts


class _Sample(Struct, frozen=True):
    """How an event of one kind is made around a text, and with what such a text is drawn out in life."""

    make: Callable[[str], Event]
    filling: str = ""
    times: int = 0

    @property
    def kind(self) -> str:
        return self.make("").kind

    @property
    def longest(self) -> int:
        return _escaped_bytes(self.filling) * self.times

    def drawn_out(self, room: int) -> Event:
        """Make an event whose query is ``room`` bytes longer than that of the shortest."""
        times, rest = divmod(room, _escaped_bytes(self.filling) or 1)
        return self.make(_AWKWARD + self.filling * times + "x" * rest)


def _escaped_bytes(text: str) -> int:
    return len(quote(text, safe=""))


_SAMPLES = [
    _Sample(lambda text: IncomingSms(message=text, **_FICTION), "😀", 1600),
    _Sample(lambda text: CallEvent(direction="missed", account=text, **_FICTION)),
    _Sample(lambda text: LinkClick(link=f"https://example.com/?q={text}", **_FICTION), "%F0%9F%98%80", 160),
    _Sample(lambda text: CallQualification(source="mobile", qualification=text, **_FICTION), "rappeler à 9 h 😀 ", 80),
    _Sample(lambda text: DeliveryStatus(status="received", account=text, **_FICTION)),
]
_PLAIN = "plain"
_TELLING = {
    "%41": "escapes are undone twice",
    "1+1": "a plus becomes a space",
    "a b": "a space becomes a plus",
    "a&b=c": "a text ends at its &",
    "a#b": "a text ends at its #",
    "é😀": "characters beyond ASCII are lost",
}
"""Texts that suffer from one fault of what stands before the app, and that fault."""


class _Probe:
    """Sends one event after the other, each to learn what the last one left open."""

    def __init__(self, callback: Callback, exchange: Exchange, nonce: str) -> None:
        self._callback = callback
        self._exchange = exchange
        self._nonce = nonce

    def result(self, sample: _Sample) -> Result:
        long = self._sent(sample.drawn_out(sample.longest))
        short = self._sent(sample.drawn_out(0)) if sample.longest and not long.found else long
        if long.found:
            return Result(sample.kind, arrived=True, words=long.words, inbox=long.found.inbox)
        if short.found:
            return Result(sample.kind, arrived=False, words=self._limit(sample, long))
        words = short.words + (self._faults(sample) if short.depends else "")
        return Result(sample.kind, arrived=False, words=words, hopeless=not short.depends)

    def _sent(self, event: Event) -> _Finding:
        event = msgspec.structs.replace(event, raw_json=msgspec.json.encode({**event.raw, PROBE: self._nonce}))
        url = self._callback.called(build_webhook(event))
        return _meaning(self._exchange(url), url, event.key)

    def _limit(self, sample: _Sample, refused: _Finding) -> str:
        passes, fails = 0, sample.longest
        while fails - passes > 1:
            room = (passes + fails) // 2
            finding = self._sent(sample.drawn_out(room))
            if finding.found:
                passes = room
            else:
                fails, refused = room, finding
        longest = refused.target_bytes - 1
        return f"above {longest:,} bytes of target, {refused.words} [{_culprit(longest, refused.came)}]"

    def _faults(self, sample: _Sample) -> str:
        if not self._sent(sample.make(_PLAIN)).found:
            return ""
        faults = [fault for text, fault in _TELLING.items() if not self._sent(sample.make(text)).found]
        return f" [{'; '.join(faults) or 'a plain one arrives'}]"


# What an answer means


class _Found(Struct):
    """What the app says that it read."""

    key: str
    query_bytes: int
    inbox: bool


class _Finding(Struct, frozen=True):
    """What became of one request.

    Attributes:
        came: Its answer.
        words: The meaning of that.
        target_bytes: How long its target was.
        found: What the app read; None if that is not what was sent.
        depends: It is not the URL that is wrong: another event may fare better.
    """

    came: Reply | Failure
    words: str
    target_bytes: int
    found: _Found | None = None
    depends: bool = False


_FOUND = msgspec.json.Decoder(_Found)
_STATUS = {
    400: "refused as malformed",
    401: "something in front of the app asks for a login",
    403: "something in front of the app forbids it or asks for a login",
    404: "nothing is there: the path or the secret is wrong",
    405: "GET is not allowed there",
    407: "the proxy on the way out asks for a login",
    413: "refused as too long",
    414: "refused as too long",
    429: "too many requests: inSIM must not be limited either",
    431: "refused as too long",
    502: "something in front of the app gets no answer from it",
    503: "something in front of the app has none to ask, or it is overloaded",
    504: "something in front of the app gets no answer from it",
}
_DEPENDING = {400, 403, 406, 413, 414, 422, 431, *range(500, 600)}


def _meaning(came: Reply | Failure, url: str, key: str) -> _Finding:
    target_bytes = len(url) - url.index("/", url.index("//") + 2)
    if isinstance(came, Failure):
        return _Finding(came, came.words, target_bytes)
    if came.status == 200:
        words, found, depends = _of_200(came, key, target_bytes, len(url.partition("?")[2]))
        return _Finding(came, words, target_bytes, found, depends)
    depends = came.status in _DEPENDING
    return _Finding(came, f"{_of_status(came, url)} (status {came.status})", target_bytes, depends=depends)


def _of_200(came: Reply, key: str, target_bytes: int, query_bytes: int) -> tuple[str, _Found | None, bool]:
    try:
        found = _FOUND.decode(came.body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        if came.body == OK.body:
            return "not read as an event of the self-test: it was altered on its way, or the app is old", None, True
        return "something else answers there, with status 200", None, False
    if found.key != key:
        return "altered on its way", None, True
    rewritten = "" if found.query_bytes == query_bytes else ", spelled differently"
    words = f"{target_bytes:,} bytes of target arrived{rewritten}, answered in {came.seconds * 1000:,.0f} ms"
    return words, found, False


def _of_status(came: Reply, url: str) -> str:
    if 300 <= came.status < 400:
        return f"redirected {_whither(url, came.location)}, where inSIM may not follow"
    if came.body == INVALID.body:
        return "not readable as an event: it was altered on its way"
    if came.body == NOT_FOUND.body:
        return "insim_async answers, but that is not its secret"
    if came.body == UNAVAILABLE.body:
        return "its inbox cannot keep events, and the log of the app says why"
    if came.status < 300:
        return "something else answers there, and not with status 200, for which inSIM waits"
    fails = "the app fails, or something in front of it" if came.status >= 500 else "refused"
    return _STATUS.get(came.status, fails)


def _whither(url: str, location: str) -> str:
    """Say where a redirect leads, without the path: that has the secret."""
    here, there = urlsplit(url), _split(location, base=url)
    if there is None or there.hostname != here.hostname:
        return "to another host"
    if there.scheme != here.scheme:
        return f"to {there.scheme}"
    if there.path.rstrip("/") != here.path.rstrip("/"):
        return "to another path"
    return "to the same path" + (" but for the slash at its end" if there.path != here.path else "")


def _split(url: str, base: str = "") -> SplitResult | None:
    try:
        parts = urlsplit(urljoin(base, url))
        parts.port  # noqa: B018 - checked when read
    except ValueError:
        return None
    return parts


class _Limit(Struct, frozen=True):
    """A server that refuses long targets by default, and how it is told from others.

    Attributes:
        cure: What to turn.
        mark: Stands in the pages with which it refuses.
        longest: Targets that just pass; a little less where the limit is for more than the target.
        statuses: With which it refuses.
    """

    cure: str
    mark: bytes
    longest: range
    statuses: frozenset[int]


_NONE = rb"(?!)"
# Measured: gunicorn 27, aiohttp 3.14, uvicorn 0.54, hypercorn 0.18 and Node 22; the others by their documentation.
_LIMITS = [
    _Limit(cure, mark, range(least, most + 1), frozenset(statuses))
    for cure, mark, least, most, statuses in [
        ("gunicorn: --limit-request-line 0", rb"Request [Ll]ine is too large", 4075, 4094, [400, 414]),
        ("nginx: large_client_header_buffers 4 32k", rb"<center>nginx", 8160, 8192, [400, 414]),
        ("Apache: LimitRequestLine 32768", rb"exceeds the capacity\s+limit for this server", 8160, 8190, [414]),
        ("aiohttp: max_line_size=32768", rb"Got more than \d+ bytes( \(\d+\))? when reading", 8160, 8190, [400]),
        ("HAProxy: tune.bufsize 65536", rb"Your browser sent an invalid request", 14_900, 15_400, [400]),
        ("Node: --max-http-header-size=65536", _NONE, 15_900, 16_384, [431]),
        ("AWS load balancer: cannot be raised", _NONE, 16_200, 16_384, [400, 414]),
        # h11 counts what has come of a request that is not whole: over a network less passes than within a machine
        ("uvicorn: --http h11 --h11-max-incomplete-event-size 262144", rb"Invalid HTTP request", 16_000, 65_536, [400]),
        ("hypercorn: h11_max_incomplete_size", _NONE, 16_000, 65_536, [431]),
    ]
]
_ANY = {0, 502}
"""No answer, or one from in front of the server that refused: any server may stand behind that."""


def _culprit(longest: int, came: Reply | Failure) -> str:
    status, body = (came.status, came.body) if isinstance(came, Reply) else (0, b"")
    marked = [limit.cure for limit in _LIMITS if status in limit.statuses and re.search(limit.mark, body)]
    usual = [limit.cure for limit in _LIMITS if longest in limit.longest and {status} & (limit.statuses | _ANY)]
    return " or ".join(marked or usual) or "a limit of some server in front of the app or of its own"


# How it is sent


def over_network(patience: float = PATIENCE) -> Exchange:
    """Return an exchange that checks certificates and uses the proxies that the environment names.

    Args:
        patience: Seconds for an answer, all in all.
    """
    opener = urllib.request.build_opener(_AsItCame, urllib.request.HTTPSHandler(context=ssl.create_default_context()))
    opener.addheaders = [("User-Agent", "insim_async webhooks check")]  # some hosts turn Python's own name away

    def exchange(url: str) -> Reply | Failure:
        answers: SimpleQueue[Reply | Failure] = SimpleQueue()
        # A socket's timeout is for each of its steps, and looking up a name has none.
        Thread(target=lambda: answers.put(_exchanged(opener, url, 2 * patience)), daemon=True).start()
        try:
            return answers.get(timeout=patience)
        except Empty:
            return LATE

    return exchange


class _AsItCame(urllib.request.HTTPErrorProcessor):
    """Leaves an answer alone, whatever its status."""

    def http_response(self, request: urllib.request.Request, response: Any) -> Any:  # noqa: ARG002 - urllib's signature
        return response

    https_response = http_response


def _exchanged(opener: urllib.request.OpenerDirector, url: str, timeout: float) -> Reply | Failure:
    started = time.monotonic()
    try:
        with opener.open(url, timeout=timeout) as answer:
            body = answer.read(1 << 16)
            return Reply(answer.status, body, answer.headers.get("Location", ""), time.monotonic() - started)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return _failure(error.reason if isinstance(error, URLError) else error)


def _failure(error: object) -> Failure:
    match error:
        case TimeoutError():
            return LATE
        case ssl.SSLCertVerificationError():
            return Failure(f"the certificate is not trusted ({error.verify_message})")
        case ConnectionResetError() | BrokenPipeError() | ssl.SSLEOFError() | http.client.IncompleteRead():
            return CLOSED
        case ssl.SSLError():
            return Failure(f"TLS fails ({error.reason})")
        case socket.gaierror():
            return Failure("no address is known for that host")
        case http.client.HTTPException():
            return Failure("what answers there does not speak HTTP")
        case OSError(strerror=str(reason)):
            return Failure(f"no connection ({reason})")
        case OSError():
            return Failure("the proxy on the way out does not connect")
        case _:
            return Failure("it cannot be called")
