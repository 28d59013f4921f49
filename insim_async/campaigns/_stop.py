"""Who wants no more messages: words that say so, and numbers that are the same however written."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from insim_async.errors import ConfigurationError, InvalidMessage
from insim_async.numbers import check

__all__ = ["STOP_WORDS", "NumberKey", "is_stop", "number_key", "stop_words"]

_TAIL = 10**9


class NumberKey(NamedTuple):
    """What two spellings of one number have in common.

    Attributes:
        number: The digits of a number in E.164, or else the last nine digits of what was written.
        is_exact: Which of the two it is.
    """

    number: int
    is_exact: bool

    def matches(self, phone: int) -> bool:
        """Say whether a number in E.164, as an integer, is or may be this one."""
        return self.number == (phone if self.is_exact else phone % _TAIL)


def stop_words(words: Iterable[str]) -> frozenset[str]:
    """Return words as ``is_stop`` compares them.

    Raises:
        ConfigurationError: One of them is no text, or has no letter or digit.
    """
    given = [words] if isinstance(words, str) else list(words)
    found = [_folded(word) if isinstance(word, str) else "" for word in given]
    if isinstance(words, str) or not all(found):
        raise ConfigurationError(
            'stop_words: expected several words of letters or digits, such as ["STOP", "ARRET"]'
        )
    return frozenset(found)


def is_stop(text: str, words: frozenset[str]) -> bool:
    """Say whether a message says nothing but one of the words, once or again and again.

    Case, accents, the width of letters, and what stands around and between words that is no letter
    or digit do not count: ``« Arrêt. »`` is ``ARRET``. ``STOP 12345`` is not ``STOP``.

    Args:
        text: The whole message.
        words: As ``stop_words`` returns them.
    """
    said = _folded(text)
    return said in words or (len(each := set(said.split())) == 1 and each <= words)


def number_key(number: str) -> NumberKey | None:
    """Return what to compare a number by; None if it has too few digits to be compared.

    What is no number in E.164 is compared by its last nine digits, which leaves out zeros and codes
    that are written in different ways. Two numbers may share them: then both are meant.
    """
    found = check(number.strip())
    if not isinstance(found, InvalidMessage):
        return NumberKey(int(found[1:]), is_exact=True)
    digits = "".join(str(unicodedata.digit(sign, "")) for sign in number)
    return NumberKey(int(digits) % _TAIL, is_exact=False) if len(digits) >= 9 else None


def _folded(text: str) -> str:
    """Return the words of a text, without case, accents, and all that is no letter or digit."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    kept = (sign for sign in plain if unicodedata.category(sign) not in {"Mn", "Cf"})
    return " ".join("".join(sign if sign.isalnum() else " " for sign in kept).split())


STOP_WORDS = stop_words(["STOP", "STOPALL", "ARRET", "DESABONNER", "UNSUBSCRIBE"])
"""What most people write, and what most operators know."""
