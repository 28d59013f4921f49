"""The key goes over no network in the clear, and no certificate passes unchecked."""

from __future__ import annotations

import asyncio
import ssl
import sys
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, NoReturn

import pytest

from insim_async import AsyncInSim, ConfigurationError
from insim_async._settings import base_url_of, check_base_url, check_ssl_context, zone_of
from tests.conftest import KEY, LOGIN


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("https://www.insim.app", "https://www.insim.app"),
        ("https://www.insim.app/", "https://www.insim.app"),
        ("https://www.insim.app/api/v1", "https://www.insim.app"),
        ("https://gateway.test:8443/insim/", "https://gateway.test:8443/insim"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://127.0.0.2", "http://127.0.0.2"),
        ("http://[::1]:80", "http://[::1]:80"),
    ],
)
def test_a_base_url_is_a_host(given: str, taken: str) -> None:
    assert check_base_url(given) == taken


@pytest.mark.parametrize(
    "given",
    [
        "http://www.insim.app",
        "http://192.168.1.10",
        "http://localhost.example.com",
        "www.insim.app",
        "ftp://www.insim.app",
        "https://",
        "https://u:p@www.insim.app",
        "https://:p@www.insim.app",
        "https://@www.insim.app",
        "https://www.insim.app?",
        "https://www.insim.app/#",
        "https://www.insim.app?x=1",
        "https://www.insim.app#x",
        "https://www.insim.app:port",
        "https://[::1",
    ],
)
def test_a_base_url_that_shows_the_key_or_is_none_is_refused(given: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url"):
        check_base_url(given)


class TestTestHosts:
    """Plain http goes to the hosts that are named, and to nothing else."""

    @pytest.mark.parametrize(
        ("base_url", "hosts"),
        [
            ("http://sandbox:8080", ["sandbox"]),
            ("http://SANDBOX:8080", ("other", "Sandbox")),
            ("http://insim.default.svc", {"insim.default.svc"}),
            ("https://elsewhere.test", ["sandbox"]),
            ("http://localhost:8080", []),
        ],
    )
    def test_may_be_called(self, base_url: str, hosts: Any) -> None:
        assert base_url_of(base_url, hosts) == base_url
        AsyncInSim(LOGIN, KEY, base_url=base_url, http_hosts=hosts)

    @pytest.mark.parametrize(
        ("base_url", "hosts"),
        [
            ("http://sandbox:8080", []),
            ("http://sandbox.example.com", ["sandbox"]),
            ("http://my-sandbox", ["sandbox"]),
            ("http://www.insim.app", ["sandbox"]),
        ],
    )
    def test_others_may_not(self, base_url: str, hosts: list[str]) -> None:
        with pytest.raises(ConfigurationError, match="base_url: http:// would show the access key"):
            base_url_of(base_url, hosts)

    @pytest.mark.parametrize(
        ("hosts", "words"),
        [
            ("sandbox", "expected a list of names"),
            (None, "expected a list of names"),
            (["http://sandbox"], "without scheme and port"),
            (["sandbox:8080"], "without scheme and port"),
            (["*"], "without scheme and port"),
            ([""], "without scheme and port"),
            ([b"sandbox"], "expected names of hosts"),
            (["www.insim.app"], "inSIM itself"),
            (["INSIM.app"], "inSIM itself"),
        ],
    )
    def test_are_names(self, hosts: Any, words: str) -> None:
        with pytest.raises(ConfigurationError, match=rf"^http_hosts: .*{words}"):
            base_url_of("https://gateway.test", hosts)

    def test_may_be_named_by_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("INSIM_BASE_URL", "http://sandbox:8080")
        assert base_url_of(None, ["sandbox"]) == "http://sandbox:8080"


@pytest.mark.parametrize("empty", ["", " ", "\t\n"])
def test_an_empty_variable_is_no_wish_for_the_real_server(
    empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSIM_BASE_URL", empty)
    with pytest.raises(ConfigurationError, match=r"INSIM_BASE_URL.*it is empty"):
        base_url_of(None)
    assert base_url_of("https://gateway.test") == "https://gateway.test"
    monkeypatch.delenv("INSIM_BASE_URL")
    assert base_url_of(None) == "https://www.insim.app"


class Zone(tzinfo):
    """A zone that answers all that needs to be asked; what is derived from it does not."""

    def utcoffset(self, _: datetime | None) -> timedelta | None:
        return timedelta(hours=1)

    dst = utcoffset

    def tzname(self, _: datetime | None) -> str | None: ...


class Panic(BaseException):
    """A stand-in for what extensions written in Rust raise when they panic."""


def fail(*_: object) -> NoReturn:
    raise LookupError


def panic(*_: object) -> NoReturn:
    raise Panic


def seem_cancelled(*_: object) -> NoReturn:
    raise asyncio.CancelledError


WAYS = [fail, panic, seem_cancelled]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("changes", "asked_for"),
    [
        (lambda way: {"zone": property(way)}, "name"),
        (lambda way: {"zone": "Mars/Olympus", "__str__": way}, "name"),
        (lambda way: {"utcoffset": way}, "offset"),
    ],
    ids=["zone", "str", "utcoffset"],
)
def test_a_zone_that_raises_is_refused(way: Any, changes: Any, asked_for: str) -> None:
    zone = type("Raising", (Zone,), changes(way))()
    with pytest.raises(ConfigurationError, match=f"timezone: asked for its {asked_for}, it raises"):
        zone_of(zone)


@pytest.mark.parametrize("way", WAYS)
def test_a_zone_is_compared_with_nothing(way: Any) -> None:
    zone = type("Raising", (Zone,), {"__eq__": way, "__hash__": way, "__bool__": way})()
    assert zone_of(zone) is zone


def test_a_zone_goes_by_the_name_that_it_has() -> None:
    assert zone_of(type("Named", (Zone,), {"zone": "UTC"})()) is UTC


def test_only_the_end_of_the_program_ends_a_check() -> None:
    with pytest.raises(SystemExit):
        zone_of(type("Ending", (Zone,), {"utcoffset": lambda *_: sys.exit(3)})())


def made(name: str, value: Any) -> AsyncInSim:
    return AsyncInSim(LOGIN, KEY, **{name: value})


class Touchy:
    """What cannot be shown."""

    __repr__ = fail


class TouchyNumber(int):
    """A number that cannot be shown."""

    __repr__ = __str__ = fail


@pytest.mark.parametrize("name", ["batch_size", "max_concurrency"])
def test_there_is_an_end_to_what_can_be_done_at_once(name: str) -> None:
    made(name, 1_000_000)
    with pytest.raises(ConfigurationError, match=f"{name}: expected at most 1000000, got 1000001"):
        made(name, 1_000_001)


@pytest.mark.parametrize("name", ["timeout", "max_rate"])
@pytest.mark.parametrize("value", [10**400, 10**5000, 5e-324, 1e-310], ids=type)
def test_a_number_that_nobody_can_reckon_with_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}: expected a number that is not out"):
        made(name, value)


@pytest.mark.parametrize("name", ["timeout", "max_rate"])
@pytest.mark.parametrize("value", [sys.float_info.min, sys.float_info.max, 1, 10**300], ids=type)
def test_any_other_is_taken(name: str, value: Any) -> None:
    made(name, value)


@pytest.mark.parametrize(
    "name", ["timeout", "max_rate", "batch_size", "max_concurrency", "max_parts"]
)
@pytest.mark.parametrize("value", [Touchy(), TouchyNumber(-1), -(10**5000)], ids=type)
def test_a_value_that_cannot_be_shown_is_refused_all_the_same(name: str, value: Any) -> None:
    with pytest.raises(
        ConfigurationError, match=f"{name}: expected .* got <{type(value).__name__}"
    ):
        made(name, value)


def test_certificates_are_always_checked() -> None:
    context = ssl.create_default_context()
    check_ssl_context(context)
    context.check_hostname = False
    with pytest.raises(ConfigurationError, match="always checked"):
        check_ssl_context(context)
    context.verify_mode = ssl.CERT_NONE
    with pytest.raises(ConfigurationError, match="always checked"):
        check_ssl_context(context)
