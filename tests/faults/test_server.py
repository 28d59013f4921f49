"""The gateway that other tests trust: it obeys, counts right, and can be caught out."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable

import httpx
import pytest

from .gateway import (
    BEHAVE,
    BODY,
    CLOSE,
    HEAD,
    PATIENCE,
    PROCESS,
    RECEIPTS,
    RESET,
    STALL,
    TAKE,
    Gateway,
    Listener,
)

BODY_OF_ONE = {
    "header": {"login": "l", "accessKey": "k"},
    "messages": [{"phone_number": "+33639980001", "message": "hello", "id_sms_api": "one"}],
}


def post(url: str, path: str = "/api/v1/sendsms", body: object = BODY_OF_ONE) -> httpx.Response:
    """Send with no client of ours in between."""
    return httpx.post(url + path, json=body, timeout=PATIENCE, trust_env=False)


def raw(body: object) -> bytes:
    """Frame a request by hand."""
    data = json.dumps(body)
    return f"POST /api/v1/sendsms HTTP/1.1\r\nContent-Length: {len(data)}\r\n\r\n{data}".encode()


def connected(listener: Listener) -> socket.socket:
    """Connect by hand."""
    return socket.create_connection(("127.0.0.1", listener.port), timeout=PATIENCE)


def wait_until(condition: Callable[[], bool]) -> None:
    """Ask until it is so."""
    end = time.monotonic() + PATIENCE
    assert any(condition() for _ in iter(lambda: time.monotonic() < end, False))


def test_it_answers_and_counts_what_it_processed(gateway: Gateway) -> None:
    """Each message counts once for each time that it came whole."""
    listener = gateway.listen()
    assert post(listener.url).json()[0]["id_sms_api"] == "one"
    assert post(listener.url).json()[0]["sent"] == 1
    report = listener.close()
    assert report.processed == {"one": 2}
    assert report.order == ["one", "one"]
    assert report.opened == 2
    assert report.requests == 2
    assert report.received > 200


def test_contacts_and_calls_are_counted_by_number(gateway: Gateway) -> None:
    """All three calls are understood."""
    listener = gateway.listen()
    contacts = {"contacts": [{"firstname": "Ada", "lastname": "B", "phone_number": "+33639980001"}]}
    assert (
        post(listener.url, "/api/v1/contact", contacts).json()["data"]["contact"][0]["result"]
        == "success"
    )
    call = {"header": {"phone_number": "+33639980002"}}
    assert post(listener.url, "/api/v1/clicTocall", call).json()[0]["result"] == "success"
    assert listener.close().processed == {"contact +33639980001": 1, "call +33639980002": 1}


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ([HEAD, CLOSE], httpx.RemoteProtocolError),
        ([*TAKE, RESET], httpx.ReadError),
        ([*TAKE, STALL], httpx.ReadTimeout),
        ([*TAKE, ["finish"]], httpx.RemoteProtocolError),
        ([*TAKE, ["say", "HTTP/1.1 2"], CLOSE], httpx.RemoteProtocolError),
    ],
)
def test_scripts_are_acted_out(
    gateway: Gateway, script: list[list[str]], error: type[Exception]
) -> None:
    """The first request meets its script, the second is served."""
    listener = gateway.listen(requests=[script])
    processed = int(PROCESS in script)
    patience = httpx.Timeout(PATIENCE, read=0.1 if error is httpx.ReadTimeout else PATIENCE)
    with pytest.raises(error):
        httpx.post(
            listener.url + "/api/v1/sendsms", json=BODY_OF_ONE, timeout=patience, trust_env=False
        )
    wait_until(lambda: sum(listener.report().processed.values()) == processed)
    assert listener.report().processed == ({"one": 1} if processed else {})
    assert post(listener.url).status_code == 200
    assert listener.close().processed == {"one": 1 + processed}


def test_a_body_that_never_came_whole_is_not_processed(gateway: Gateway) -> None:
    """Counting happens behind the last byte."""
    listener = gateway.listen()
    with connected(listener) as connection:
        connection.sendall(raw(BODY_OF_ONE)[:-1])
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(4096) == b""
    report = listener.close()
    assert report.processed == {}
    assert report.requests == 1


def test_held_requests_wait_for_the_word(gateway: Gateway) -> None:
    """A held request is answered once it is released."""
    listener = gateway.listen(requests=[[HEAD, BODY, PROCESS, ["hold"], RECEIPTS]])
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            listener.url + "/api/v1/sendsms",
            json=BODY_OF_ONE,
            timeout=httpx.Timeout(PATIENCE, read=0.1),
            trust_env=False,
        )
    listener.release()
    listener.script(otherwise=[HEAD, BODY, ["hold"], PROCESS, RECEIPTS])
    assert post(listener.url).status_code == 200
    assert listener.close().processed == {"one": 2}


def test_a_tunnel_carries_bytes(gateway: Gateway) -> None:
    """A proxy is a script as well, and lets go of both sides when one leaves."""
    target = gateway.listen()
    proxy = gateway.listen(otherwise=[HEAD, ["tunnel", target.port]])
    with connected(proxy) as connection:
        connection.sendall(f"CONNECT 127.0.0.1:{target.port} HTTP/1.1\r\n\r\n".encode())
        assert b" 200 " in connection.recv(4096)
        connection.sendall(raw(BODY_OF_ONE))
        assert b'"sent": 1' in connection.recv(4096)
    wait_until(lambda: target.report().open == 0)
    assert proxy.close().opened == 1
    assert target.close().processed == {"one": 1}


def test_a_closed_listener_refuses(gateway: Gateway) -> None:
    """Its port can be opened again."""
    listener = gateway.listen(otherwise=BEHAVE)
    port = listener.port
    listener.close()
    with pytest.raises(httpx.ConnectError):
        post(listener.url)
    again = gateway.listen(port=port)
    assert again.url == listener.url
    assert post(again.url).status_code == 200
    again.close()
