"""A text is filled in for each person, or nothing of it goes out."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insim_async import InvalidMessage
from insim_async.campaigns._templates import Template

ANNA = {"first_name": "Anna", "last_name": "", "Prénom": "Anna", "N° client": 4711, "e-mail": None}

FILLED: dict[str, tuple[str, str]] = {
    "nothing to fill in": ("Bonjour !", "Bonjour !"),
    "nothing at all": ("", ""),
    "a field": ("Bonjour {first_name} !", "Bonjour Anna !"),
    "twice": ("{first_name}, {first_name}", "Anna, Anna"),
    "spaces inside": ("Bonjour { first_name } !", "Bonjour Anna !"),
    "a default that is not needed": ("{first_name|cher client}", "Anna"),
    "a default that is": ("Bonjour {last_name|cher client},", "Bonjour cher client,"),
    "spaces around a default": ("Bonjour {last_name | cher client },", "Bonjour cher client,"),
    "an empty default": ("Bonjour{last_name|} !", "Bonjour !"),
    "None is empty": ("{e-mail|nobody}", "nobody"),
    "a bar in a default": ("{last_name|a|b}", "a|b"),
    "braces": ("{{first_name}} {{ }}", "{first_name} { }"),
    "braces around a field": ("{{{first_name}}}", "{Anna}"),
    "a field before a brace": ("{first_name}}}", "Anna}"),
    "a default before a brace": ("{{{last_name|x}}}", "{x}"),
    "a heading": ("n° {N° client}", "n° 4711"),
    "another case": ("{FIRST_NAME} {n° CLIENT}", "Anna 4711"),
    "accents stored apart": ("{Pre\N{COMBINING ACUTE ACCENT}nom}", "Anna"),
    "a placeholder of inSIM": ("{first_name} : [Lien_Tracking]", "Anna : [Lien_Tracking]"),
    "lines": ("Bonjour\n{first_name}\n", "Bonjour\nAnna\n"),
}


@pytest.mark.parametrize(("text", "filled"), FILLED.values(), ids=FILLED)
def test_a_text_is_filled_in(text: str, filled: str) -> None:
    assert Template.parse(text).fill(ANNA) == filled


MALFORMED: dict[str, tuple[str, str]] = {
    "never closed": ("Bonjour {first_name", "the { at position 9 is never closed"),
    "never opened": ("Bonjour first_name}", "the } at position 19 closes nothing"),
    "one brace too many": ("{first_name}}", "the } at position 13 closes nothing"),
    "one within another": (
        "Hi {a {b}}",
        "another { stands at position 7 before the { at 4 is closed",
    ),
    "a brace in a default": ("{a|x{{y}", "another { stands at position 5 before the { at 1 is"),
    "within a default": ("{a|{b}}", "another { stands at position 4 before the { at 1 is closed"),
    "no name": ("Bonjour {} !", "the braces at position 9 name no field"),
    "a blank name": ("{ |x}", "the braces at position 1 name no field"),
}


@pytest.mark.parametrize(("text", "said"), MALFORMED.values(), ids=MALFORMED)
def test_a_brace_out_of_place_is_refused_with_its_position(text: str, said: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        Template.parse(text)
    assert caught.value.field == "message"
    assert caught.value.reason.startswith(said)


UNFILLED: dict[str, tuple[str, dict[Any, Any], str]] = {
    "empty": (
        "{last_name}",
        ANNA,
        "{last_name} is empty: fill it in, or say what shall stand instead, as in {last_name|…}",
    ),
    "blank": ("{a}", {"a": " \t"}, "{a} is empty"),
    "unknown": ("{name}", {"a": "x", "b": "y"}, "there is no 'name' among 'a', 'b'"),
    "unknown, whatever the default": ("{name|x}", {"a": "x"}, "there is no 'name' among 'a'"),
    "an attribute": ("{a.__class__}", {"a": "x"}, "there is no 'a.__class__' among 'a'"),
    "an item": ("{a[0]}", {"a": "x"}, "there is no 'a[0]' among 'a'"),
    "a format": ("{a!r:>9}", {"a": "x"}, "there is no 'a!r:>9' among 'a'"),
    "two that differ in case": (
        "{nom}",
        {"Nom": "x", "NOM": "y"},
        "{nom} may be 'Nom', 'NOM': write it as the one it is",
    ),
    "a date": ("{a}", {"a": 1.5}, "{a} holds a float: make it text, as it shall stand"),
    "a bool": ("{a}", {"a": True}, "{a} holds a bool"),
    "other keys": ("{a}", {1: "x"}, "there is no 'a' among 1"),
}


@pytest.mark.parametrize(("text", "fields", "said"), UNFILLED.values(), ids=UNFILLED)
def test_what_cannot_be_filled_in_is_refused(text: str, fields: dict[Any, Any], said: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        Template.parse(text).fill(fields)
    assert caught.value.reason.startswith(said)


def test_of_two_that_differ_in_case_the_exact_one_is_taken() -> None:
    assert Template.parse("{nom}").fill({"Nom": "x", "nom": "y", "NOM": "z"}) == "y"


def test_rows_may_have_other_fields_than_those_before() -> None:
    """What a name stood for in one row is looked for again in the next."""
    template = Template.parse("{nom}")
    rows = [{"Nom": "a"}, {"NOM": "b", "x": ""}, {"nom": "c", "Nom": "d"}]
    assert [template.fill(row) for row in rows] == ["a", "b", "c"]
    with pytest.raises(InvalidMessage, match="may be 'Nom', 'NOM'"):
        template.fill({"Nom": "a", "NOM": "b"})
    with pytest.raises(InvalidMessage, match="there is no 'nom'"):
        template.fill({"x": ""})
    assert template.fill({"Nom": "a"}) == "a"


def test_its_fields_are_listed_each_once() -> None:
    assert Template.parse("{b} {{c}} {a|x} { b }").fields == ("b", "a")


def test_a_list_is_looked_at_before_its_rows() -> None:
    template = Template.parse("{first_name|cher client} {RDV}")
    template.check(["phone_number", "first_name", "rdv"])
    with pytest.raises(InvalidMessage, match="there is no 'RDV' among 'first_name'"):
        template.check(["first_name"])
    with pytest.raises(InvalidMessage, match=r"\{RDV\} may be 'rdv', 'Rdv'"):
        template.check(["first_name", "rdv", "Rdv"])


def test_in_a_url_values_are_encoded_but_for_one_that_it_begins_with() -> None:
    """Else a name could add to the query, or a link could lead elsewhere."""
    fields = {"link": "https://example.com/a?b=c", "name": "Dupont & fils/é", "sms_id": "x.1"}
    url = Template.parse("https://example.com/{name|?}/{sms_id}", part="url")
    assert url.fill(fields) == "https://example.com/Dupont%20%26%20fils%2F%C3%A9/x.1"
    assert url.fill(fields | {"name": ""}) == "https://example.com/%3F/x.1"
    own = Template.parse("{link}&n={name}", part="url")
    assert own.fill(fields) == "https://example.com/a?b=c&n=Dupont%20%26%20fils%2F%C3%A9"
    with pytest.raises(InvalidMessage) as caught:
        Template.parse("{", part="url")
    assert caught.value.field == "url"


texts = st.text(alphabet=st.sampled_from("{}|a é\n")) | st.text()


@given(texts, texts)
def test_any_text_and_any_value_are_written_as_they_are(text: str, value: str) -> None:
    escaped = text.replace("{", "{{").replace("}", "}}")
    plain = text.replace("{", "").replace("}", "")
    template = Template.parse(f"{escaped}{{a|{plain}}}{escaped}")
    shown = value if value.strip() else plain.strip()
    assert template.fill({"a": value}) == f"{text}{shown}{text}"


@given(texts)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        template = Template.parse(text)
    except InvalidMessage as error:
        reason = error.reason
    else:
        reason = template.fill(dict.fromkeys(template.fields, "x")) and "at position 1"
        assert all(name == name.strip() != "" for name in template.fields)
    assert re.search(r"at position \d+", reason) or text == ""
