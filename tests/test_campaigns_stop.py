"""STOP is heard in any spelling, and nothing else is taken for it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insim_async import ConfigurationError
from insim_async.campaigns._stop import (
    STOP_WORDS,
    NumberKey,
    is_stop,
    number_key,
    stop_words,
)

HEARD = {
    "plain": "STOP",
    "small": "stop",
    "mixed": "StOp",
    "spaces": "  stop \n",
    "a mark": "STOP !",
    "many marks": "Stop...!!",
    "a question": "stop ?",
    "quotes": "« STOP »",
    "curly quotes": "“stop”",
    "brackets": "(STOP)",
    "an emoji": "STOP 🙏🏽",
    "again and again": "Stop stop STOP !!!",
    "full width": "ＳＴＯＰ",
    "an accent": "Arrêt",
    "an accent stored apart": "arre\N{COMBINING CIRCUMFLEX ACCENT}t.",
    "an accent left out": "ARRET",
    "a zero-width space": "\N{ZERO WIDTH SPACE}STOP",
    "a byte-order mark": "\ufeffSTOP",
    "an embedding": "\N{RIGHT-TO-LEFT MARK}STOP",
    "a space that does not break": "STOP\N{NO-BREAK SPACE}!",
    "a keycap's tail": "STOP\N{VARIATION SELECTOR-16}",
    "another word": "Unsubscribe",
    "in one word": "STOPALL",
    "in French": "Désabonner",
}
NOT_HEARD = {
    "a campaign of somebody else": "STOP 12345",
    "a sentence": "Stop, merci",
    "another sentence": "Ne pas STOP",
    "an order": "Arrêtez !",
    "part of a word": "nonstop",
    "a longer word": "stopper",
    "letters apart": "S T O P",
    "points between": "S.T.O.P",
    "two words of the list": "STOP ARRET",
    "a yes": "OUI",
    "nothing": "",
    "a mark alone": "!",
}


@pytest.mark.parametrize("text", HEARD.values(), ids=HEARD)
def test_a_message_that_says_nothing_but_stop_is_heard(text: str) -> None:
    assert is_stop(text, STOP_WORDS)


@pytest.mark.parametrize("text", NOT_HEARD.values(), ids=NOT_HEARD)
def test_a_message_that_says_anything_else_is_not(text: str) -> None:
    assert not is_stop(text, STOP_WORDS)


def test_words_may_be_ones_own_and_of_several_words() -> None:
    words = stop_words(["Plus de SMS", "退订"])
    assert is_stop("plus de sms !", words)
    assert is_stop("退订", words)
    assert not is_stop("plus", words)
    assert not is_stop("STOP", words)


def test_without_words_nothing_is_heard() -> None:
    assert stop_words([]) == frozenset()
    assert not is_stop("STOP", stop_words([]))
    assert not is_stop("", stop_words([]))


@pytest.mark.parametrize("words", ["STOP", ["STOP", ""], ["!"], [3], [None]])
def test_words_that_are_none_are_refused(words: Any) -> None:
    with pytest.raises(ConfigurationError, match="stop_words: expected several words"):
        stop_words(words)


marks = st.text(alphabet=st.sampled_from(" \n!?.,;:-«»\"'()\N{NO-BREAK SPACE}…"), max_size=5)


@given(st.sampled_from(["STOP", "ARRÊT", "désabonner", "StopAll"]), marks, marks)
def test_marks_around_a_word_do_not_count(word: str, before: str, behind: str) -> None:
    assert is_stop(f"{before}{word}{behind}", STOP_WORDS)


@given(st.text())
def test_whatever_names_a_number_besides_is_none(text: str) -> None:
    assert not is_stop(f"{text} 36180", STOP_WORDS)


EXACT, TAIL = NumberKey(33639980001, is_exact=True), NumberKey(639980001, is_exact=False)
KEYS = {
    "E.164": ("+33639980001", EXACT),
    "with spaces": (" +33 6 39 98 00 01 ", EXACT),
    "the plus became a space": (" 33639980001", TAIL),
    "without its plus": ("33639980001", TAIL),
    "national": ("06 39 98 00 01", TAIL),
    "after 00": ("0033639980001", TAIL),
    "with a zero that is dialled at home": ("+330639980001", TAIL),
    "with that zero in brackets": ("+33 (0)6 39 98 00 01", TAIL),
    "in other digits": ("٠٦٣٩٩٨٠٠٠١", TAIL),
    "with words": ("Anna <0639980001>", TAIL),
    "nine digits": ("639980001", TAIL),
    "zeros among the last nine": ("0900000001", NumberKey(900000001, is_exact=False)),
    "eight digits": ("39980001", None),
    "a short code": ("36180", None),
    "a name": ("INFO", None),
    "nothing": ("", None),
}


@pytest.mark.parametrize(("number", "key"), KEYS.values(), ids=KEYS)
def test_a_number_is_compared_in_e164_or_else_by_its_last_nine_digits(
    number: str, key: NumberKey | None
) -> None:
    assert number_key(number) == key


@pytest.mark.parametrize(
    ("key", "phone", "matches"),
    [
        (EXACT, 33639980001, True),
        (EXACT, 262639980001, False),
        (TAIL, 33639980001, True),
        (TAIL, 262639980001, True),
        (TAIL, 33639980002, False),
        (NumberKey(12, is_exact=False), 33000000012, True),
    ],
)
def test_what_a_key_matches(key: NumberKey, phone: int, matches: bool) -> None:
    assert key.matches(phone) is matches


@given(st.integers(min_value=0, max_value=9999), st.sampled_from(["0", "33", "0033", "+33 0"]))
def test_any_spelling_of_a_number_matches_it(last: int, prefix: str) -> None:
    key = number_key(f"{prefix}63998{last:04}")
    assert key is not None
    assert key.matches(int(f"3363998{last:04}"))
