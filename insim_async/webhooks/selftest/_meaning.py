"""What an answer means: whether the event arrived as it was sent, and if not, why. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from insim_async.webhooks._reception import INVALID, NOT_FOUND, OK, UNAVAILABLE
from insim_async.webhooks.selftest._callback import NoReply, Reply, split_url

__all__ = ["Echo", "Finding", "meaning_of"]


class Echo(Struct):
    """What the app says that it read: its answer to an event of the self-test."""

    key: str
    query_bytes: int
    inbox: bool
    handlers: list[str] = []
    workers: int | None = None
    worked: list[str] = []
    oldest_waiting: float = 0.0

    def __str__(self) -> str:
        words = f"handlers: {_kinds(self.handlers)}"
        if self.workers is None:
            return words
        waits = f"an event waits for {self.oldest_waiting:.0f} s" if self.oldest_waiting else ""
        runs = (
            f"{self.workers} running, for {_kinds(self.worked)}"
            if self.workers
            else "NONE RUNS, so that no event is handled"
        )
        return f"{words}; workers: {runs}; {waits or 'no event waits'}"


def _kinds(kinds: list[str]) -> str:
    return "all kinds" if "*" in kinds else ", ".join(kinds) or "NONE"


class Finding(Struct, frozen=True):
    """What became of one request.

    Attributes:
        came: Its answer.
        words: The meaning of that.
        target_bytes: How long its target was.
        found: What the app read; None if that is not what was sent.
        depends: Another event may fare better, since it is not the URL that is wrong.
    """

    came: Reply | NoReply
    words: str
    target_bytes: int
    found: Echo | None = None
    depends: bool = False


_echo_decoder = msgspec.json.Decoder(Echo)
_WORDS_BY_STATUS = {
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


def meaning_of(came: Reply | NoReply, url: str, key: str) -> Finding:
    """Say what became of the event with that key, which was sent to that URL."""
    target_bytes = len(url) - url.index("/", url.index("//") + 2)
    if isinstance(came, NoReply):
        return Finding(came, came.words, target_bytes)
    if came.status == 200:
        words, found, depends = _words_of_200(came, key, target_bytes, len(url.partition("?")[2]))
        return Finding(came, words, target_bytes, found, depends)
    depends = came.status in _DEPENDING
    return Finding(
        came, f"{_words_of_status(came, url)} (status {came.status})", target_bytes, depends=depends
    )


def _words_of_200(
    came: Reply, key: str, target_bytes: int, query_bytes: int
) -> tuple[str, Echo | None, bool]:
    try:
        found = _echo_decoder.decode(came.body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        if came.body == OK.body:
            return (
                (
                    "not read as an event of the self-test: "
                    "it was altered on its way, or the app is old"
                ),
                None,
                True,
            )
        return "something else answers there, with status 200", None, False
    if found.key != key:
        return "altered on its way", None, True
    rewritten = "" if found.query_bytes == query_bytes else ", spelled differently"
    words = (
        f"{target_bytes:,} bytes of target arrived{rewritten}, "
        f"answered in {came.seconds * 1000:,.0f} ms"
    )
    return words, found, False


def _words_of_status(came: Reply, url: str) -> str:
    if 300 <= came.status < 400:
        return f"redirected {_destination(url, came.location)}, where inSIM may not follow"
    if came.body == INVALID.body:
        return "not readable as an event: it was altered on its way"
    if came.body == NOT_FOUND.body:
        return "insim_async answers, but that is not its secret"
    if came.body == UNAVAILABLE.body:
        return "its inbox cannot keep events, and the log of the app says why"
    if came.status < 300:
        return "something else answers there, and not with status 200, for which inSIM waits"
    fails = "the app fails, or something in front of it" if came.status >= 500 else "refused"
    return _WORDS_BY_STATUS.get(came.status, fails)


def _destination(url: str, location: str) -> str:
    """Say where a redirect leads, but for the path, which has the secret."""
    here, there = urlsplit(url), split_url(location, base=url)
    if there is None or there.hostname != here.hostname:
        return "to another host"
    if there.scheme != here.scheme:
        return f"to {there.scheme}"
    if there.path.rstrip("/") != here.path.rstrip("/"):
        return "to another path"
    return "to the same path" + (" but for the slash at its end" if there.path != here.path else "")
