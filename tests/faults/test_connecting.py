"""Where no byte of the request can have left, the call says so, and tries again if useful."""

from __future__ import annotations

import socket
import threading
from typing import Any, NamedTuple

import pytest

from insim_async import Clock, NotSent, OutcomeUnknown, SmsReceipt

from .bench import AIOHTTP_IF_THERE, LEGS, Bench, FakeClock, Leg, deadline, timeout_of
from .gateway import CLOSE, HEAD, RESET, STALL, TAKE, Listener, Script
from .pki import HOST, Pki

ATTEMPTS = 3


def secure(bench: Bench, pki: Pki, port: int = 0) -> Listener:
    """Open a port with nothing wrong about its TLS."""
    return bench.listen(tls={"certificate": pki.good}, port=port)


# The port


@pytest.mark.parametrize("leg", [*LEGS, AIOHTTP_IF_THERE], ids=str)
def test_a_closed_port_is_tried_again(bench: Bench, leg: Leg) -> None:
    """Nothing listens; later something does, and the same client reaches it."""

    async def scenario() -> None:
        port = bench.shut(bench.listen())
        fake = FakeClock(chance=0.5)
        async with bench.client(f"http://127.0.0.1:{port}", clock=fake.clock) as insim:
            ending = await bench.send(insim)
            assert type(ending) is NotSent, ending
            assert fake.waits == [0.005, 0.01]
            await bench.probe(insim, bench.listen(port=port))

    bench.run(scenario)


def test_a_port_that_opens_between_two_attempts_gets_the_message(bench: Bench) -> None:
    """That is what the second attempt is for."""

    async def scenario() -> None:
        port = bench.shut(bench.listen())

        async def open_meanwhile(seconds: float) -> None:
            bench.listen(port=port)

        clock = Clock(sleep=open_meanwhile)
        async with bench.client(f"http://127.0.0.1:{port}", clock=clock) as insim:
            assert isinstance(await bench.send(insim), SmsReceipt)

    bench.run(scenario)


def test_a_full_backlog_is_waited_for_until_the_deadline(bench: Bench) -> None:
    """The first packet stays unanswered."""

    async def scenario() -> None:
        listener = bench.gateway.listen(full=True)
        async with bench.client(listener.url) as insim:
            with timeout_of(insim, 0.3), deadline(0.3):
                ending = await bench.send(insim)
            assert type(ending) is NotSent, ending
            bench.gateway.order("close", port=listener.port)
            await bench.probe(insim, bench.listen(port=listener.port))

    bench.run(scenario)


# The name


class Resolver:
    """Looks up one name, at the test's bidding."""

    def __init__(self) -> None:
        self.fault = False
        self.asked = 0
        self.answer = threading.Event()
        self.answer.set()
        self.real = socket.getaddrinfo

    def __call__(
        self, host: Any, port: Any, family: int, kind: int, proto: int, flags: int, /
    ) -> Any:
        if host not in {HOST, HOST.encode()} or flags & socket.AI_NUMERICHOST:
            return self.real(host, port, family, kind, proto, flags)
        self.asked += 1
        self.answer.wait(5)
        if self.fault:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self.real("127.0.0.1", port, family, kind, proto, flags)


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    """A resolver under control."""
    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    return resolver


def test_a_name_that_does_not_resolve_is_looked_up_again(
    bench: Bench, pki: Pki, resolver: Resolver
) -> None:
    """As often as there are attempts."""

    async def scenario() -> None:
        listener = secure(bench, pki)
        async with bench.client(f"https://{HOST}:{listener.port}", trust=pki.trust) as insim:
            resolver.fault = True
            ending = await bench.send(insim)
            assert type(ending) is NotSent, ending
            assert resolver.asked == ATTEMPTS
            resolver.fault = False
            await bench.probe(insim, listener)

    bench.run(scenario)


def test_a_resolver_that_hangs_is_waited_for_until_the_deadline(
    bench: Bench, pki: Pki, resolver: Resolver
) -> None:
    """The lookup itself cannot be stopped, the call can."""

    async def scenario() -> None:
        listener = secure(bench, pki)
        async with bench.client(f"https://{HOST}:{listener.port}", trust=pki.trust) as insim:
            resolver.answer.clear()
            try:
                with timeout_of(insim, 0.3), deadline(0.3):
                    ending = await bench.send(insim)
            finally:
                resolver.answer.set()
            assert type(ending) is NotSent, ending
            await bench.probe(insim, listener)

    bench.run(scenario)


# TLS


@pytest.mark.parametrize("fault", ["self_signed", "untrusted", "other_host", "expired"])
def test_a_certificate_that_is_not_trusted_ends_the_call_at_once(
    bench: Bench, pki: Pki, fault: str
) -> None:
    """Trying again would not make it better."""

    async def scenario() -> None:
        listener = bench.listen(tls={"certificate": getattr(pki, fault)})
        fake = FakeClock(chance=0.5)
        url = f"https://127.0.0.1:{listener.port}"
        async with bench.client(url, trust=pki.trust, clock=fake.clock) as insim:
            ending = await bench.send(insim)
            assert type(ending) is NotSent, ending
            assert "certificate" in str(ending)
            assert fake.waits == []
            assert listener.report().requests == 0
            await bench.probe(insim, secure(bench, pki, bench.shut(listener)))

    bench.run(scenario)


class Handshake(NamedTuple):
    """A port with no proper TLS."""

    name: str
    order: dict[str, Any]

    def __str__(self) -> str:
        return self.name


HANDSHAKES = [
    Handshake("hang-up", {"connections": [[["more"], CLOSE]] * ATTEMPTS}),
    Handshake("reset", {"connections": [[["more"], RESET]] * ATTEMPTS}),
    Handshake("reset before it begins", {"connections": [[RESET]] * ATTEMPTS}),
    Handshake(
        "plain text", {"connections": [[["more"], ["reply", 400, "plain HTTP"], CLOSE]] * ATTEMPTS}
    ),
    Handshake(
        "garbage", {"connections": [[["more"], ["say", "\x15\x03\x03\x00\x02"], CLOSE]] * ATTEMPTS}
    ),
    Handshake("TLS 1.1 only", {"tls": {"old": True}}),
]


@pytest.mark.parametrize("handshake", HANDSHAKES, ids=str)
def test_a_broken_handshake_is_tried_again(bench: Bench, pki: Pki, handshake: Handshake) -> None:
    """The server never sees a request."""

    async def scenario() -> None:
        order = dict(handshake.order)
        if "tls" in order:
            order["tls"] = {**order["tls"], "certificate": pki.good}
        listener = bench.listen(**order)
        fake = FakeClock(chance=0.5)
        url = f"https://127.0.0.1:{listener.port}"
        async with bench.client(url, trust=pki.trust, clock=fake.clock) as insim:
            ending = await bench.send(insim)
            assert type(ending) is NotSent, ending
            assert len(fake.waits) == ATTEMPTS - 1
            assert listener.report().requests == 0
            await bench.probe(insim, secure(bench, pki, bench.shut(listener)))

    bench.run(scenario)


def test_a_handshake_that_stalls_ends_at_the_deadline(bench: Bench, pki: Pki) -> None:
    """The port takes the connection and says nothing."""

    async def scenario() -> None:
        listener = bench.listen(connections=[[STALL]])
        async with bench.client(f"https://127.0.0.1:{listener.port}", trust=pki.trust) as insim:
            with timeout_of(insim, 0.3), deadline(0.3):
                ending = await bench.send(insim)
            assert type(ending) is NotSent, ending
            await bench.probe(insim, secure(bench, pki, bench.shut(listener)))

    bench.run(scenario)


def test_a_reset_behind_the_handshake_and_the_request_leaves_it_unknown(
    bench: Bench, pki: Pki
) -> None:
    """TLS makes no difference once the request has left."""

    async def scenario() -> None:
        listener = bench.listen([*TAKE, RESET], tls={"certificate": pki.good})
        async with bench.client(f"https://127.0.0.1:{listener.port}", trust=pki.trust) as insim:
            assert isinstance(await bench.send(insim), OutcomeUnknown)
            await bench.probe(insim, listener)

    bench.run(scenario)


# The proxy

REFUSALS: list[tuple[str, Script]] = [
    ("403", [HEAD, ["reply", 403, "no"]]),
    ("407", [HEAD, ["reply", 407, "who are you?", 'Proxy-Authenticate: Basic realm="p"']]),
    ("502", [HEAD, ["reply", 502, "<html>nobody there</html>"]]),
    ("hang-up", [HEAD, CLOSE]),
    ("reset", [HEAD, RESET]),
    ("half an answer", [HEAD, ["say", "HTTP/1.1 2"], CLOSE]),
    ("garbage", [HEAD, ["say", "SSH-2.0-OpenSSH\r\n\r\n"], CLOSE]),
]


@pytest.fixture
def through(leg: Leg, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Name a proxy as this leg is told of one: by the environment, or by the injected client."""

    def through(proxy: Listener) -> dict[str, str]:
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("no_proxy", "")
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("https_proxy", proxy.url)
        return {"proxy": proxy.url}

    return through


@pytest.mark.parametrize("script", [pytest.param(script, id=name) for name, script in REFUSALS])
def test_a_proxy_that_refuses_to_connect_is_asked_again(
    bench: Bench, pki: Pki, through: Any, script: Script
) -> None:
    """CONNECT is not the request: nothing has left before the tunnel stands."""

    async def scenario() -> None:
        listener = secure(bench, pki)
        proxy = bench.listen(*[script] * ATTEMPTS, otherwise=[HEAD, ["tunnel", listener.port]])
        async with bench.client(
            f"https://{HOST}:{listener.port}", trust=pki.trust, **through(proxy)
        ) as insim:
            ending = await bench.send(insim)
            assert type(ending) is NotSent, ending
            report = proxy.report()
            assert report.methods == {"CONNECT": ATTEMPTS}
            assert listener.report().opened == 0
            await bench.probe(insim, listener)

    bench.run(scenario)


def test_a_proxy_that_is_down_is_tried_again(bench: Bench, pki: Pki, through: Any) -> None:
    """As a port of our own would be."""

    async def scenario() -> None:
        listener = secure(bench, pki)
        proxy = bench.listen(otherwise=[HEAD, ["tunnel", listener.port]])
        port = bench.shut(proxy)
        async with bench.client(
            f"https://{HOST}:{listener.port}", trust=pki.trust, **through(proxy)
        ) as insim:
            ending = await bench.send(insim)
            assert type(ending) is NotSent, ending
            bench.listen(port=port, otherwise=[HEAD, ["tunnel", listener.port]])
            await bench.probe(insim, listener)

    bench.run(scenario)


def test_a_proxy_that_stalls_on_connect_ends_at_the_deadline(
    bench: Bench, pki: Pki, through: Any
) -> None:
    """Not sent, however long it took."""

    async def scenario() -> None:
        listener = secure(bench, pki)
        proxy = bench.listen([STALL], otherwise=[HEAD, ["tunnel", listener.port]])
        async with bench.client(
            f"https://{HOST}:{listener.port}", trust=pki.trust, **through(proxy)
        ) as insim:
            with timeout_of(insim, 0.3), deadline(0.3):
                ending = await bench.send(insim)
            assert type(ending) is NotSent, ending
            await bench.probe(insim, listener)

    bench.run(scenario)


@pytest.mark.parametrize("processed", [True, False])
def test_a_tunnel_that_breaks_behind_the_request_leaves_it_unknown(
    bench: Bench, pki: Pki, through: Any, processed: bool
) -> None:
    """Through a proxy as well, the first byte of the request itself is what counts."""

    async def scenario() -> None:
        script: Script = [*TAKE, RESET] if processed else [HEAD, RESET]
        listener = bench.listen(script, tls={"certificate": pki.good})
        proxy = bench.listen(otherwise=[HEAD, ["tunnel", listener.port]])
        async with bench.client(
            f"https://{HOST}:{listener.port}", trust=pki.trust, **through(proxy)
        ) as insim:
            assert isinstance(await bench.send(insim), OutcomeUnknown)
            await bench.probe(insim, listener)

    bench.run(scenario)


def test_a_server_that_is_not_trusted_behind_a_proxy_sees_nothing(
    bench: Bench, pki: Pki, through: Any
) -> None:
    """The proxy's certificate is not the server's."""

    async def scenario() -> None:
        listener = bench.listen(tls={"certificate": pki.untrusted})
        proxy = bench.listen(otherwise=[HEAD, ["tunnel", listener.port]])
        async with bench.client(
            f"https://{HOST}:{listener.port}", trust=pki.trust, **through(proxy)
        ) as insim:
            ending = await bench.send(insim)
            assert type(ending) is NotSent, ending
            assert proxy.report().opened == 1
            assert listener.report().requests == 0

    bench.run(scenario)
