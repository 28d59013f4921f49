"""The secret of a callback URL: what may be one, and whether a request has it."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Sequence
from math import log2
from typing import Any, Final, NoReturn

from insim_async.errors import ConfigurationError

__all__ = ["SECRET_BITS", "Secrets", "new_secret"]

SECRET_BITS: Final = 128
_URL_SAFE = re.compile(r"[A-Za-z0-9._~-]+")
_POORER = [
    (re.compile(r"[0-9]+"), 10),
    (re.compile(r"[0-9a-f]+|[0-9A-F]+"), 16),
    (re.compile(r"[0-9a-z]+|[0-9A-Z]+"), 36),
]


class Secrets:
    """The secret, or two while it is changed.

    Args:
        given: As whoever runs the app gave it; None and ``""`` are what a variable gives that is
            not set.

    Raises:
        ConfigurationError: A secret is missing, can be guessed, or cannot stand in a URL as it is.
    """

    def __init__(self, given: str | Sequence[str] | None) -> None:
        each: list[Any] = [given]
        if isinstance(given, Sequence) and not isinstance(given, str) and given:
            each = list(given)
        if not 1 <= len(each) <= 2:
            raise ConfigurationError(
                "secret: expected one, or two while changing from one to the other"
            )
        for one in each:
            _check_secret(one)
        self._each = _Secret(each[0], "ascii"), _Secret(each[-1], "ascii")

    def admit(self, secret: str) -> bool:
        """Return whether that is one of them; it takes the same time for any other."""
        came, (one, other) = secret.encode("utf-8", "surrogatepass"), self._each
        return hmac.compare_digest(came, one) | hmac.compare_digest(
            came, other
        )  # "or" would not look at both


def new_secret() -> str:
    """Return a secret for a callback URL: 256 bits from the operating system, URL-safe."""
    return secrets.token_urlsafe(32)


def _check_secret(secret: object) -> None:
    if not isinstance(secret, str) or not secret:
        raise ConfigurationError(
            "secret: it is missing, or no text (is INSIM_WEBHOOK_SECRET set?); "
            "python -m insim_async.webhooks secret makes one"
        )
    if not _URL_SAFE.fullmatch(secret):
        raise ConfigurationError("secret: only A-Z a-z 0-9 - . _ ~ stand in a URL as they are")
    letters = next((size for alphabet, size in _POORER if alphabet.fullmatch(secret)), 64)
    if len(secret) * log2(letters) < SECRET_BITS or len(set(secret)) < 8:
        raise ConfigurationError(
            f"secret: it has less than {SECRET_BITS} bits; "
            "make one with insim_async.webhooks.new_secret()"
        )


class _Secret(bytes):
    """A secret that no ``repr`` shows and that cannot be pickled."""

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__

    def __reduce_ex__(self, _: object) -> NoReturn:
        raise TypeError("a WebhookRouter holds a secret: it is not pickled")
