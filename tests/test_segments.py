"""How many SMS a text needs, against the GSM 03.38 codec and against a count by hand."""

from __future__ import annotations

import codecs
import importlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from insim_async import segments
from insim_async.segments import Segments, count, plain

importlib.import_module("gsm0338")  # registers its codec; it ships no types

ESCAPE = "\x1b"
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=ESCAPE))
GSM_TEXTS = st.text(
    st.sampled_from("aZ 09@£$¥èéùìòÇ\n\rØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà\f^{}\\[~]|€")
)
RUNS = st.lists(st.tuples(st.sampled_from("aé{€ж😀"), st.integers(1, 160)), max_size=8)
LONG_TEXTS = RUNS.map(lambda runs: "".join(character * times for character, times in runs))


def in_gsm(text: str) -> bytes | None:
    """Encode with the codec; None where the alphabet lacks a character."""
    try:
        return codecs.encode(text, "gsm03.38")
    except UnicodeEncodeError:
        return None


def parts_by_hand(text: str) -> int:
    """Put character after character into parts, each as wide as its codec says."""
    gsm = in_gsm(text) is not None
    codec, unit, single, joined = ("gsm03.38", 1, 160, 153) if gsm else ("utf-16-be", 2, 70, 67)
    widths = [len(codecs.encode(character, codec)) // unit for character in text]
    if sum(widths) <= single:
        return min(sum(widths), 1)
    parts, room = 0, 0
    for width in widths:
        if width > room:
            parts, room = parts + 1, joined
        room -= width
    return parts


@pytest.mark.parametrize(
    ("text", "encoding", "units", "parts", "non_gsm"),
    [
        ("", "GSM-7", 0, 0, ""),
        ("Hello", "GSM-7", 5, 1, ""),
        ("Votre commande est prête", "UCS-2", 24, 1, "ê"),
        ("Déjà payé à Évry", "GSM-7", 16, 1, ""),
        ("Ça va, garçon ?", "UCS-2", 15, 1, "ç"),
        ("12 €", "GSM-7", 5, 1, ""),
        ("[Lien_Tracking]", "GSM-7", 17, 1, ""),
        ("l’été à l’île", "UCS-2", 13, 1, "’î"),
        ("Merci 😀", "UCS-2", 8, 1, "😀"),
        ("e\u0301te\u0301", "UCS-2", 5, 1, "\u0301"),
        ("06\N{NO-BREAK SPACE}39", "UCS-2", 5, 1, "\N{NO-BREAK SPACE}"),
        ("a\x1be", "UCS-2", 3, 1, ESCAPE),
        ("\0", "UCS-2", 1, 1, "\0"),
    ],
)
def test_a_text_costs(text: str, encoding: str, units: int, parts: int, non_gsm: str) -> None:
    """Encoding, units and parts; the characters to blame come in order of appearance."""
    found = count(text)
    assert (found.encoding, found.units, found.parts) == (encoding, units, parts)
    assert found.non_gsm == tuple(non_gsm)


@pytest.mark.parametrize(
    ("text", "units", "parts"),
    [
        ("a" * 160, 160, 1),
        ("a" * 161, 161, 2),
        ("a" * 306, 306, 2),
        ("a" * 307, 307, 3),
        ("€" * 80, 160, 1),
        ("a" * 159 + "€", 161, 2),
        ("a" * 152 + "€" + "a" * 151, 305, 2),
        ("a" * 152 + "€" + "a" * 152, 306, 3),
        ("a" + "€" * 152, 305, 2),
        ("€" * 153, 306, 3),
        ("ж" * 70, 70, 1),
        ("ж" * 71, 71, 2),
        ("ж" * 134, 134, 2),
        ("ж" * 135, 135, 3),
        ("😀" * 35, 70, 1),
        ("😀" * 36, 72, 2),
        ("😀" * 66, 132, 2),
        ("😀" * 67, 134, 3),
        ("ж" * 65 + "😀" + "ж" * 67, 134, 2),
        ("ж" * 65 + "🀀" + "ж" * 67, 134, 2),
        ("ж" * 66 + "😀" + "ж" * 65, 133, 2),
        ("ж" * 66 + "😀" + "ж" * 66, 134, 3),
    ],
)
def test_a_pair_never_splits_over_two_parts(text: str, units: int, parts: int) -> None:
    """A part that has room for half an escape or surrogate pair is left one unit short."""
    found = count(text)
    assert (found.units, found.parts) == (units, parts)


@pytest.mark.parametrize("text", ["ab\ud800", "ab\udc00😀", "ab\ud800\ud83d"])
def test_half_a_surrogate_pair_is_no_text(text: str) -> None:
    """The error says where it stands, and neither it nor what led to it holds the text."""
    with pytest.raises(
        ValueError, match=r"^character 3 of the text is half a surrogate pair$"
    ) as caught:
        count(text)
    assert caught.value.__context__ is None


def judged_by_codec(character: str) -> Segments:
    septets = in_gsm(character)
    if septets is None:
        return Segments(encoding="UCS-2", units=1, parts=1, non_gsm=(character,))
    return Segments(encoding="GSM-7", units=len(septets), parts=1, non_gsm=())


def test_every_character_is_judged_as_the_codec_does() -> None:
    """All of the basic plane but the escape character, which the codec takes for text."""
    plane = map(chr, [*range(0x1B), *range(0x1C, 0xD800), *range(0xE000, 0x10000)])
    assert [
        character for character in plane if count(character) != judged_by_codec(character)
    ] == []


@given(TEXTS | GSM_TEXTS)
@example("aж€")
def test_encoding_and_units_agree_with_the_codec(text: str) -> None:
    """One character outside the alphabet makes it UCS-2; each such character is named once."""
    septets, found = in_gsm(text), count(text)
    assert found.encoding == ("UCS-2" if septets is None else "GSM-7")
    assert found.units == (len(text.encode("utf-16-be")) // 2 if septets is None else len(septets))
    assert found.non_gsm == tuple(dict.fromkeys(c for c in text if in_gsm(c) is None))


@given(TEXTS | GSM_TEXTS | LONG_TEXTS)
@example("€" * 77)
@example("€" * 81)
def test_parts_agree_with_a_count_by_hand(text: str) -> None:
    """Looking at the end of each part gives what filling them character by character gives."""
    assert count(text).parts == parts_by_hand(text)


class TestPlain:
    @pytest.mark.parametrize(
        ("text", "written", "changed"),
        [
            ("Votre colis est arrivé.", "Votre colis est arrivé.", {}),
            ("", "", {}),
            ("l’été", "l'été", {"’": "'"}),
            (
                "« Oui » – “non”…",
                '" Oui " - "non"...',
                {"«": '"', "»": '"', "–": "-", "“": '"', "”": '"', "…": "..."},
            ),
            ("à\u202f9\xa0h", "à 9 h", {"\u202f": " ", "\xa0": " "}),
            ("Sœur, ﬁn", "Soeur, fin", {"œ": "oe", "ﬁ": "fi"}),
            ("a\u200bb\xad\ufeff", "ab", {"\u200b": "", "\xad": "", "\ufeff": ""}),
            ("e\u0301te\u0301", "été", {"e\u0301": "é"}),
            ("a\tb\u2028c", "a b\nc", {"\t": " ", "\u2028": "\n"}),
            ("• 1", "- 1", {"•": "-"}),
        ],
    )
    def test_replaces_typography(self, text: str, written: str, changed: dict[str, str]) -> None:
        """And says what it changed, in the order in which it appears."""
        found = plain(text)
        assert (found.text, found.changed) == (written, changed)
        assert list(found.changed) == list(changed)
        assert count(found.text).encoding == "GSM-7"

    @pytest.mark.parametrize(
        "text",
        ["l’été 😀", "prêt…", "Ça – ça", "o\u0302’", "\u0301’", " \u0301’", "’\u0301", "№ 5…"],
    )
    def test_changes_nothing_where_that_would_gain_nothing(self, text: str) -> None:
        assert plain(text) == (text, {})

    def test_half_a_surrogate_pair_is_no_text(self) -> None:
        with pytest.raises(ValueError, match=r"^character 2 of the text is half a surrogate pair$"):
            plain("…\ud800")


@given(TEXTS | GSM_TEXTS | st.text("a’–…œ é\u0301\xa0"))
def test_a_plain_text_is_in_the_alphabet_or_as_it_was(text: str) -> None:
    """And what was changed says how to get from the one to the other."""
    written, changed = plain(text)
    assert written == text or not count(written).non_gsm
    assert plain(written) == (written, {})
    for before, after in sorted(changed.items(), key=lambda pair: -len(pair[0])):
        text = text.replace(before, after)
    assert written == text


def test_the_front_of_the_room() -> None:
    """Four names, and a value that prints well and does not change."""
    assert segments.__all__ == ["Plain", "Segments", "count", "plain"]
    assert count("é€") == Segments(encoding="GSM-7", units=3, parts=1, non_gsm=())
    with pytest.raises(AttributeError, match="immutable"):
        count("a").parts = 2  # type: ignore[misc]  # the very thing that must fail
