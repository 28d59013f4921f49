"""The self-test says what became of its events, behind servers and proxies of every temper."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import importlib.util
import json
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, unquote, urlsplit

import pytest
import trustme

from insim_async.errors import ConfigurationError
from insim_async.webhooks import WebhookRouter, new_secret
from insim_async.webhooks.__main__ import main
from insim_async.webhooks._reception import Reception, Response
from insim_async.webhooks.asgi import webhook_app
from insim_async.webhooks.inbox import Inbox
from insim_async.webhooks.selftest import (
    NoReply,
    Reply,
    SampleResult,
    over_network,
    read_callback,
    run_selftest,
    verdict,
)
from insim_async.webhooks.selftest._callback import CLOSED, LATE
from insim_async.webhooks.selftest._limits import culprit
from insim_async.webhooks.selftest._meaning import Echo
from insim_async.webhooks.selftest._network import reason_of

SECRET = new_secret()
KINDS = ["incoming_sms", "call", "link_click", "call_qualification", "delivery_status"]
HTTPS = "https://app.test/insim/" + SECRET


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Inbox]:
    with closing(Inbox.open(tmp_path / "inbox.db")) as inbox:
        yield inbox


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


NONE_RUNS = (
    "handlers: call, link_click; workers: NONE RUNS, so that no event is handled; no event waits"
)
EARLIER = ("kind", "key", "query_bytes", "inbox")


def receive(url: str, inbox: Inbox | None = None) -> Reply:
    """Answer as the app does, and see to it that no handler is asked."""
    parts = urlsplit(url)
    router = WebhookRouter(secret=SECRET)
    answer = asyncio.run(
        Reception(router, inbox).respond("GET", parts.path, url.partition("?")[2].encode())
    )
    assert (router.statistics().received, router.statistics().handled) == ({}, 0)
    return Reply(answer.status, answer.body)


def found(exchange: Callable[[str], Reply | NoReply], url: str = HTTPS) -> list[SampleResult]:
    return list(run_selftest(read_callback(url), exchange, nonce="n"))


def words(exchange: Callable[[str], Reply | NoReply]) -> list[str]:
    """Return what is said of an event of each kind, none of which arrived."""
    results = found(exchange)
    assert [result.kind for result in results] == KINDS
    assert not any(result.arrived for result in results)
    return [result.words for result in results]


class TestUrl:
    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("https://app.test/{}", "https://app.test/***"),
            ("https://app.test:8443/a/b/{}/", "https://app.test:8443/a/b/***"),
            ("http://[::1]:80/{}", "http://[::1]:80/***"),
            ("https://app.test/{}/hook", "https://app.test/***/***"),
            ("https://app.test/hook?token={}", "https://app.test/***?***"),
        ],
    )
    def test_is_shown_without_its_secret(self, url: str, shown: str) -> None:
        callback = read_callback(url.format(SECRET))
        assert str(callback) == shown
        assert SECRET not in repr(callback)
        assert callback.called("a=b") == url.format(SECRET) + "?a=b"

    @pytest.mark.parametrize(
        ("url", "reason"),
        [
            ("", "visible ASCII"),
            ("https://app.test/secret with a space", "visible ASCII"),
            ("https://app.test/secr%65t", "visible ASCII"),
            ("https://app.test/secret#", "visible ASCII"),
            ("https://äpp.test/secret", "visible ASCII"),
            ("app.test/secret", "https://host/path/secret"),
            ("ftp://app.test/secret", "https://host/path/secret"),
            ("https:///secret", "https://host/path/secret"),
            ("https://app.test:port/secret", "https://host/path/secret"),
            ("https://[app/secret", "https://host/path/secret"),
            ("https://user:secret@app.test/secret", "password"),
            ("https://app.test/?secret", "it has none"),
            ("https://app.test/insim/", "nothing in it is long enough"),
        ],
    )
    def test_that_insim_cannot_call_is_refused(self, url: str, reason: str) -> None:
        with pytest.raises(ConfigurationError, match=reason) as caught:
            read_callback(url)
        assert not re.search(
            "/secret$|secret[ #]|secr%", str(caught.value.args[0]).replace("/path/secret", "")
        )


def test_an_inbox_that_cannot_keep_events_is_not_praised(shelf: Inbox, tmp_path: Path) -> None:
    (tmp_path / "inbox.db").unlink()
    words_of_each = [result.words for result in found(lambda url: receive(url, shelf))]
    assert (
        words_of_each
        == ["its inbox cannot keep events, and the log of the app says why (status 503)"] * 5
    )


class TestWhatArrives:
    def test_is_one_event_of_each_kind_the_sms_as_long_as_they_get(self) -> None:
        called: list[str] = []

        def exchange(url: str) -> Reply:
            called.append(url)
            return receive(url)

        results = found(exchange)
        assert [(result.kind, result.arrived, result.inbox) for result in results] == [
            (k, True, False) for k in KINDS
        ]
        targets = [len(url.removeprefix("https://app.test")) for url in called]
        assert [f"{size:,} bytes of target arrived, answered in 0 ms" for size in targets] == [
            r.words for r in results
        ]
        assert unquote(called[0]).count("😀") > 1600
        assert 19_000 < targets[0] < 20_000
        assert min(targets[2:4]) > 3_000
        assert all(quote(character) in url for url in called for character in "%+&#😀")
        assert verdict(results).endswith(
            "as they were sent; there is no inbox, handlers run within the request"
        )

    def test_is_praised_in_a_line_for_each(self, shelf: Inbox) -> None:
        results = found(lambda url: receive(url, shelf))
        assert all(
            re.fullmatch(r"[a-z_]{4,18} +ok: [0-9,]+ bytes .*", str(result)) for result in results
        )
        assert (
            verdict(results)
            == "all 5 kinds of event arrived as they were sent; an inbox keeps them"
        )

    @pytest.mark.parametrize(
        ("echo", "said"),
        [
            (Echo("k", 1, inbox=False), "handlers: NONE"),
            (Echo("k", 1, inbox=False, handlers=["call", "*"]), "handlers: all kinds"),
            (
                Echo("k", 1, inbox=True, handlers=["call", "link_click"], workers=0),
                NONE_RUNS,
            ),
            (
                Echo("k", 1, inbox=True, workers=2, worked=["call"], oldest_waiting=71.4),
                "handlers: NONE; workers: 2 running, for call; an event waits for 71 s",
            ),
        ],
    )
    def test_says_which_handlers_and_workers_there_are(self, echo: Echo, said: str) -> None:
        assert str(echo) == said

    def test_is_read_from_an_app_that_says_less(self) -> None:
        """As one with an earlier version does."""

        def exchange(url: str) -> Reply:
            said = json.loads(receive(url).body)
            return Reply(200, json.dumps({key: said[key] for key in EARLIER}).encode())

        assert {(result.arrived, result.app) for result in found(exchange)} == {
            (True, "handlers: NONE")
        }

    def test_is_well_though_it_was_spelled_differently(self) -> None:
        results = found(lambda url: receive(url.replace("%", "%25")))
        assert all(
            result.arrived and " arrived, spelled differently, " in result.words
            for result in results
        )

    def test_is_never_the_same_twice(self) -> None:
        sent: set[str] = set()

        def exchange(url: str) -> Reply:
            sent.add(url)
            return Reply(404)

        for _ in range(2):
            next(run_selftest(read_callback(HTTPS), exchange))
        assert len(sent) == 4

    def test_is_told_apart_from_an_earlier_test(self) -> None:
        replies = [
            receive(f"{HTTPS}?message=%7B%22insim_async_check%22%3A%22{nonce}%22%7D")
            for nonce in "ab"
        ]
        assert replies[0].body != replies[1].body
        assert words(lambda url: replies[0])[1].startswith("altered on its way")


def rewriting(rewrite: Callable[[str], str]) -> Callable[[str], Reply]:
    """Return an app behind something that writes queries anew."""

    def exchange(url: str) -> Reply:
        head, _, query = url.partition("?")
        return receive(f"{head}?{rewrite(query)}")

    return exchange


def text_rewriting(rewrite: Callable[[str], str]) -> Callable[[str], Reply]:
    def again(query: str) -> str:
        name, _, value = query.partition("=")
        return f"{name}={quote(rewrite(unquote(value)))}"

    return rewriting(again)


class TestWhatIsAlteredOnItsWay:
    @pytest.mark.parametrize(
        ("exchange", "faults"),
        [
            (rewriting(unquote), "a text ends at its &"),
            (text_rewriting(unquote), "escapes are undone twice"),
            (text_rewriting(lambda text: text.replace("+", " ")), "a plus becomes a space"),
            (text_rewriting(lambda text: text.replace(" ", "+")), "a space becomes a plus"),
            (rewriting(lambda query: query.partition("%26")[0]), "a text ends at its &"),
            (rewriting(lambda query: query.partition("%23")[0]), "a text ends at its #"),
            (
                text_rewriting(lambda text: text.encode("ascii", "replace").decode()),
                "characters beyond ASCII are lost",
            ),
        ],
        ids=["decoded", "texts decoded", "plus", "space", "&", "#", "ASCII"],
    )
    def test_is_said_with_the_fault(self, exchange: Callable[[str], Reply], faults: str) -> None:
        said = words(exchange)
        assert faults in {re.sub(r".*\[|\]", "", line) for line in said}
        assert said[0].startswith(
            ("altered on its way", "not readable as an event: it was altered on its way")
        )
        assert verdict(found(exchange)) == "0 of 5 kinds of event arrived as they were sent"

    def test_is_said_without_where_even_a_plain_text_is(self) -> None:
        assert (
            words(text_rewriting(lambda text: text.replace("06", "+336")))
            == ["altered on its way"] * 5
        )

    def test_is_said_when_only_the_mixture_is(self) -> None:
        said = words(lambda url: Reply(403) if "%2541" in url and "%26" in url else receive(url))
        assert said[0].endswith("(status 403) [a plain one arrives]")

    def test_may_be_on_the_shelf_of_the_unreadable(self, shelf: Inbox) -> None:
        said = words(lambda url: receive(url.replace("%22", "%ff"), shelf))
        assert (
            said
            == [
                (
                    "not read as an event of the self-test: "
                    "it was altered on its way, or the app is old"
                )
            ]
            * 5
        )


class TestAnswer:
    @pytest.mark.parametrize(
        ("reply", "meaning"),
        [
            (Reply(200, b"<html>welcome"), "something else answers there, with status 200"),
            (Reply(200, b'{"status": "ok"}'), "something else answers there, with status 200"),
            (
                Reply(200, b'{"a":' + b"[" * 100_000),
                "something else answers there, with status 200",
            ),
            (Reply(401), "something in front of the app asks for a login (status 401)"),
            (
                Reply(404, b"<html>"),
                "nothing is there: the path or the secret is wrong (status 404)",
            ),
            (
                Reply(404, b"not found\n"),
                "insim_async answers, but that is not its secret (status 404)",
            ),
            (Reply(405), "GET is not allowed there (status 405)"),
            (Reply(407), "the proxy on the way out asks for a login (status 407)"),
            (Reply(418), "refused (status 418)"),
            (
                Reply(204),
                (
                    "something else answers there, "
                    "and not with status 200, for which inSIM waits (status 204)"
                ),
            ),
            (Reply(429), "too many requests: inSIM must not be limited either (status 429)"),
            (CLOSED, "the connection was closed without an answer"),
            (LATE, "no answer in time: inSIM waits for five seconds"),
        ],
    )
    def test_that_says_that_the_url_is_wrong_ends_the_check(
        self, reply: Reply | NoReply, meaning: str
    ) -> None:
        assert words(lambda url: reply) == [meaning, *["not tried"] * 4]

    @pytest.mark.parametrize(
        ("status", "meaning"),
        [
            (400, "refused as malformed"),
            (403, "something in front of the app forbids it or asks for a login"),
            (500, "the app fails, or something in front of it"),
            (502, "something in front of the app gets no answer from it"),
            (503, "something in front of the app has none to ask, or it is overloaded"),
            (504, "something in front of the app gets no answer from it"),
        ],
    )
    def test_that_may_be_for_the_text_does_not(self, status: int, meaning: str) -> None:
        assert words(lambda url: Reply(status)) == [f"{meaning} (status {status})"] * 5

    @pytest.mark.parametrize(
        ("location", "whither"),
        [
            ("https://www.app.test/", "to another host"),
            ("http://[", "to another host"),
            ("http://app.test/insim/", "to http"),
            (f"/insim/{SECRET}/?message=a", "to the same path but for the slash at its end"),
            ("/login?next=/insim", "to another path"),
            ("", "to the same path"),
        ],
        ids=["host", "nonsense", "http", "slash", "path", "itself"],
    )
    def test_that_redirects_is_not_followed(self, location: str, whither: str) -> None:
        said = words(lambda url: Reply(308, location=location))
        assert said[0] == f"redirected {whither}, where inSIM may not follow (status 308)"


GUNICORN = (
    b"<html>\n  <head>\n    <title>URI Too Long</title>\n  </head>\n  <body>\n"
    b"    <h1><p>URI Too Long</p></h1>\n"
    b"    Request Line is too large (4095 &gt; 4094)\n  </body>\n</html>\n"
)
"""What gunicorn 27 answers; its ASGI worker says ``Request line is too large``."""
NGINX = b"<hr><center>nginx/1.26.2</center>"
APACHE = b"<p>The requested URL's length exceeds the capacity\nlimit for this server.<br />"


class TestLimit:
    @pytest.mark.parametrize(
        ("longest", "came", "culprits"),
        [
            (4_081, Reply(414, GUNICORN), ["gunicorn"]),
            (4_081, Reply(400), ["gunicorn"]),
            (4_081, CLOSED, ["gunicorn"]),
            (1_011, Reply(414, b"Request line is too large"), ["gunicorn"]),
            (4_081, Reply(502, NGINX), ["gunicorn"]),
            (8_177, Reply(414, NGINX), ["nginx"]),
            (2_033, Reply(414, NGINX), ["nginx"]),
            (8_177, Reply(414, APACHE), ["Apache"]),
            (8_177, Reply(414), ["nginx", "Apache"]),
            (
                8_190,
                Reply(400, b"Got more than 8190 bytes when reading: bytearray(b'/i"),
                ["aiohttp"],
            ),
            (
                8_190,
                Reply(
                    400, b"Got more than 8190 bytes (9009) when reading Status line is too long."
                ),
                ["aiohttp"],
            ),
            (8_190, Reply(502), ["nginx", "Apache", "aiohttp"]),
            (15_300, Reply(400), ["HAProxy"]),
            (16_312, Reply(431), ["Node", "hypercorn"]),
            (16_370, Reply(414), ["AWS load balancer"]),
            (65_535, Reply(400, b"Invalid HTTP request received."), ["uvicorn"]),
            (65_432, Reply(431), ["hypercorn"]),
            (3_000, Reply(414), []),
            (8_177, Reply(403), []),
            (3_000, LATE, []),
        ],
    )
    def test_has_usual_culprits(
        self, longest: int, came: Reply | NoReply, culprits: list[str]
    ) -> None:
        cures = culprit(longest, came)
        assert [cure.split(": ")[0] for cure in cures.split(" or ") if culprits] == culprits
        assert culprits or cures == "a limit of some server in front of the app or of its own"

    @pytest.mark.parametrize("limit", [1_000, 4_081, 8_190, 16_312])
    @pytest.mark.parametrize(
        ("came", "said"),
        [
            (Reply(414), "refused as too long (status 414)"),
            (CLOSED, CLOSED.words),
            (LATE, LATE.words),
        ],
    )
    def test_is_found_to_the_byte(self, limit: int, came: Reply | NoReply, said: str) -> None:
        sizes: list[int] = []

        def exchange(url: str) -> Reply | NoReply:
            sizes.append(len(url.removeprefix("https://app.test")))
            return receive(url) if sizes[-1] <= limit else came

        sms, call, *_ = found(exchange)
        assert sms.words.startswith(f"above {limit:,} bytes of target, {said} [")
        assert call.arrived
        assert {limit, limit + 1} <= set(sizes)
        assert len(sizes) < 60

    def test_of_the_shortest_is_none(self) -> None:
        assert words(lambda url: Reply(414)) == ["refused as too long (status 414)"] * 5


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (TimeoutError("timed out"), LATE.words),
        (ConnectionResetError(104, "Connection reset by peer"), CLOSED.words),
        (BrokenPipeError(32, "Broken pipe"), CLOSED.words),
        (
            http.client.RemoteDisconnected("Remote end closed connection without response"),
            CLOSED.words,
        ),
        (http.client.IncompleteRead(b"secret"), CLOSED.words),
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), CLOSED.words),
        (http.client.BadStatusLine("secret"), "what answers there does not speak HTTP"),
        (http.client.LineTooLong("header line"), "what answers there does not speak HTTP"),
        (socket.gaierror(-2, "Name or service not known"), "no address is known for that host"),
        (ConnectionRefusedError(111, "Connection refused"), "no connection (Connection refused)"),
        (OSError(101, "Network is unreachable"), "no connection (Network is unreachable)"),
        (
            OSError("Tunnel connection failed: 407 secret"),
            "the proxy on the way out does not connect",
        ),
        (UnicodeError("label empty or too long: secret"), "it cannot be called"),
        ("unknown url type: secret", "it cannot be called"),
    ],
    ids=repr,
)
def test_why_there_is_no_answer_is_said_in_our_words(error: object, meaning: str) -> None:
    assert reason_of(error) == NoReply(meaning)


# Over real sockets

Behaviour = Callable[[str], Awaitable[bytes]]


def written(answer: Response) -> bytes:
    lines = [
        f"HTTP/1.1 {answer.status} Whatever",
        *(f"{name}: {value}" for name, value in answer.headers),
    ]
    head = "\r\n".join([*lines, f"Content-Length: {len(answer.body)}", "", ""])
    return head.encode() + answer.body


async def well(target: str) -> bytes:
    """Answer as the app does, whether the target is a path or, to a proxy, a URL."""
    parts = urlsplit(target)
    query = target.partition("?")[2].encode()
    return written(
        await Reception(WebhookRouter(secret=SECRET), None).respond("GET", parts.path, query)
    )


@asynccontextmanager
async def stand_in(
    behave: Behaviour, *, tls: ssl.SSLContext | None = None, until: bytes = b"\r\n\r\n"
) -> AsyncIterator[str]:
    """Serve on a free port; ``behave`` returns the whole answer to the target of a request."""
    served: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(cast("asyncio.Task[None]", asyncio.current_task()))
        with contextlib.suppress(OSError):  # who has waited long enough hangs up
            head = await reader.readuntil(until)
            writer.write(await behave(head.partition(b" ")[2].partition(b" ")[0].decode("latin-1")))
            writer.close()
            await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", ssl=tls, limit=1 << 20) as server:
        yield f"http{'s' * (tls is not None)}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.gather(*served)


async def over_sockets(base: str, patience: float = 5.0) -> list[SampleResult]:
    return await asyncio.to_thread(found, over_network(patience), f"{base}/insim/{SECRET}")


def answering(raw: bytes) -> Behaviour:
    async def behave(target: str) -> bytes:
        return raw

    return behave


async def test_over_a_socket_all_arrive() -> None:
    async with stand_in(well) as base:
        results = await over_sockets(base)
    assert [result.words for result in results if not result.arrived] == []


@pytest.mark.parametrize(
    ("raw", "meaning"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<html>hi!",
         "something else answers there, with status 200"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
         "nothing is there: the path or the secret is wrong (status 404)"),
        (b"HTTP/1.1 301 Moved\r\nLocation: https://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
         "redirected to https, where inSIM may not follow (status 301)"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "what answers there does not speak HTTP"),
        (b"", CLOSED.words),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n900\r\n{", CLOSED.words),
    ],
    ids=["another site", "404", "redirect", "SSH", "hang-up", "cut short"],
)  # fmt: skip
async def test_over_a_socket_a_stranger_is_recognized(raw: bytes, meaning: str) -> None:
    async with stand_in(answering(raw)) as base:
        results = await over_sockets(base)
    assert [result.words for result in results] == [meaning, *["not tried"] * 4]


async def test_over_a_socket_what_is_decoded_in_front_is_found_out() -> None:
    async with stand_in(lambda target: well(unquote(target))) as base:
        results = await over_sockets(base)
    assert "a text ends at its &" in results[0].words


async def test_over_a_socket_a_limit_is_found_to_the_byte() -> None:
    async def refuse(target: str) -> bytes:
        refused = Response(414, GUNICORN)
        return written(refused) if len(target) > 4_081 else await well(target)

    async with stand_in(refuse) as base:
        sms, call, *_ = await over_sockets(base)
    culprit = "[gunicorn: --limit-request-line 0]"
    assert sms.words == f"above 4,081 bytes of target, refused as too long (status 414) {culprit}"
    assert call.arrived


async def test_nobody_waits_longer_than_insim_does() -> None:
    asked: list[str] = []
    end = asyncio.Event()

    async def hang(target: str) -> bytes:
        asked.append(target)
        await end.wait()
        return b""

    async with stand_in(hang) as base:
        results = await over_sockets(base, patience=0.1)
        end.set()
    assert [result.words for result in results] == [LATE.words, *["not tried"] * 4]
    assert len(asked) <= 2


async def test_nobody_listens() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and no listen()
        results = await over_sockets(f"http://127.0.0.1:{bound.getsockname()[1]}")
    assert results[0].words == "no connection (Connection refused)"


async def test_a_host_that_is_none_is_no_traceback() -> None:
    assert (await over_sockets("http://app..test"))[0].words == "it cannot be called"


class TestTls:
    @staticmethod
    def context(authority: trustme.CA, host: str = "127.0.0.1") -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(host).configure_cert(context)
        return context

    async def test_of_an_authority_in_ssl_cert_file_is_trusted(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        async with stand_in(well, tls=self.context(authority)) as base:
            assert all(result.arrived for result in await over_sockets(base))
        async with stand_in(well, tls=self.context(authority, "127.0.0.2")) as base:
            words = (await over_sockets(base))[0].words
        assert re.fullmatch(r"the certificate is not trusted \(IP address mismatch, .*\)", words)

    async def test_of_a_stranger_is_not(self) -> None:
        async with stand_in(well, tls=self.context(trustme.CA())) as base:
            words = (await over_sockets(base))[0].words
        assert re.fullmatch(r"the certificate is not trusted \(.*certificate.*\)", words)

    async def test_on_a_port_that_speaks_plain_http_fails(self) -> None:
        async with stand_in(answering(b"HTTP/1.1 400 Bad Request\r\n\r\n"), until=b"\0") as base:
            words = (await over_sockets(base.replace("http:", "https:")))[0].words
        assert words == "TLS fails (WRONG_VERSION_NUMBER)"


class TestProxy:
    async def test_of_the_environment_is_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with stand_in(well) as proxy:
            monkeypatch.setenv("http_proxy", proxy)
            assert all(result.arrived for result in await over_sockets("http://app.invalid"))

    async def test_that_does_not_connect_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with stand_in(answering(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")) as proxy:
            monkeypatch.setenv("https_proxy", proxy)
            results = await over_sockets("https://app.invalid")
        assert results[0].words == "the proxy on the way out does not connect"


PARSERS = ["h11", *(["httptools"] if importlib.util.find_spec("httptools") else [])]


@pytest.mark.extra("sandbox")
class TestUvicorn:
    @pytest.mark.parametrize("parser", PARSERS)
    async def test_takes_all(self, parser: Any) -> None:
        async with self.serving(http=parser) as base:
            results = await over_sockets(base)
        assert [result.words for result in results if not result.arrived] == []

    async def test_with_another_secret_answers_so(self) -> None:
        async with self.serving(secret=new_secret()) as base:
            results = await over_sockets(base)
        assert results[0].words == "insim_async answers, but that is not its secret (status 404)"

    @asynccontextmanager
    async def serving(self, secret: str = SECRET, http: Any = "auto") -> AsyncIterator[str]:
        import uvicorn

        config = uvicorn.Config(
            webhook_app(WebhookRouter(secret=secret)),
            http=http,
            log_level="critical",
            lifespan="off",
        )
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        with (
            socket.create_server(("127.0.0.1", 0)) as made,
            socket.socket(fileno=made.detach()) as listener,
        ):
            await server.startup([listener])
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            await server.shutdown([listener])


@pytest.mark.extra("aiohttp")
class TestAiohttp:
    async def test_refuses_above_its_limit(self) -> None:
        async with self.serving() as base:
            sms, *others = await over_sockets(base)
        culprit = "[aiohttp: max_line_size=32768]"
        assert (
            sms.words == f"above 8,190 bytes of target, refused as malformed (status 400) {culprit}"
        )
        assert all(result.arrived for result in others)

    async def test_takes_all_where_the_limit_is_raised(self) -> None:
        async with self.serving(max_line_size=32768) as base:
            results = await over_sockets(base)
        assert [result.words for result in results if not result.arrived] == []

    @asynccontextmanager
    async def serving(self, **limits: Any) -> AsyncIterator[str]:
        from aiohttp import web

        from insim_async.webhooks.aiohttp import webhook_handler

        app = web.Application()
        app.router.add_get("/insim/{secret}", webhook_handler(WebhookRouter(secret=SECRET)))
        runner = web.AppRunner(app, **limits)
        await runner.setup()
        with (
            socket.create_server(("127.0.0.1", 0)) as made,
            socket.socket(fileno=made.detach()) as listener,
        ):
            await web.SockSite(runner, listener).start()
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            await runner.cleanup()


class TestCommand:
    @pytest.mark.parametrize("scheme", ["http", "HTTP"])
    async def test_says_what_arrived(self, capsys: pytest.CaptureFixture[str], scheme: str) -> None:
        async with stand_in(well) as base:
            url = base.replace("http", scheme)
            code = await asyncio.to_thread(main, ["check", f"{url}/insim/{SECRET}"])
        first, *lines, last, app = capsys.readouterr().out.splitlines()
        assert (code, first) == (
            0,
            f"{base}/insim/*** (the secret and all texts travel in clear: use https)",
        )
        assert [line.split()[:2] for line in lines] == [[kind, "ok:"] for kind in KINDS]
        assert last == (
            "all 5 kinds of event arrived as they were sent; "
            "there is no inbox, handlers run within the request"
        )
        assert app == "handlers: NONE"

    async def test_ends_with_1_where_something_did_not_arrive(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        async with stand_in(answering(b"HTTP/1.1 404 Not Found\r\n\r\n" + SECRET.encode())) as base:
            code = await asyncio.to_thread(main, ["check", f"{base}/insim/{SECRET}"])
        printed = "".join(capsys.readouterr())
        assert (code, printed.count("not tried")) == (1, 4)
        assert SECRET not in printed

    @pytest.mark.parametrize(
        "arguments",
        [
            [],
            ["chek"],
            ["check"],
            [f"https://app.test/{SECRET}"],
            ["check", "https://app.test/", SECRET],
            ["secret", SECRET],
        ],
    )
    def test_repeats_no_wrong_argument(
        self, arguments: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        printed = "".join(capsys.readouterr())
        assert (caught.value.code, SECRET in printed) == (2, False)
        assert "expected: check URL, or: secret" in printed

    def test_ends_with_2_for_a_url_that_cannot_be_called(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["check", f"https://user:{SECRET}@app.test/{SECRET}"]) == 2
        printed = capsys.readouterr()
        assert (printed.out, printed.err.startswith("URL: "), SECRET in printed.err) == (
            "",
            True,
            False,
        )

    def test_makes_a_secret_that_the_router_takes(self) -> None:
        command = [sys.executable, "-m", "insim_async.webhooks", "secret"]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        assert WebhookRouter(secret=run.stdout.strip()).admits(run.stdout.strip())
        assert len(run.stdout) == 44
