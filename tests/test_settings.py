"""The key goes over no network in the clear, and no certificate passes unchecked."""

from __future__ import annotations

import ssl

import pytest

from insim_async import ConfigurationError
from insim_async._settings import check_base_url, check_ssl_context


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


def test_certificates_are_always_checked() -> None:
    context = ssl.create_default_context()
    check_ssl_context(context)
    context.check_hostname = False
    with pytest.raises(ConfigurationError, match="always checked"):
        check_ssl_context(context)
    context.verify_mode = ssl.CERT_NONE
    with pytest.raises(ConfigurationError, match="always checked"):
        check_ssl_context(context)
