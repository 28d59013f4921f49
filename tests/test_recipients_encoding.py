"""A list is read in the encoding that gives words, or not at all."""

from __future__ import annotations

import codecs
import re

import pytest

from insim_async.errors import ConfigurationError
from insim_async.models import Contact
from insim_async.recipients import Recipients, read_csv, read_rows

ONE, TWO = "+33639980001", "+33639980002"
PEOPLE = ["Hélène", "François", "René", "Noël", "Jérôme", "Zoé", "Loïc"]
BROKEN = (
    "the last_name holds letters that were lost or broken on their way: "
    "export the list again as UTF-8"
)


def listed(names: list[str]) -> str:
    rows = [f"+336399800{place:02};{name}" for place, name in enumerate(names)]
    return "\n".join(["téléphone;nom", *rows])


def last_names(found: Recipients) -> list[str]:
    return [contact.last_name for contact in found.contacts]


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "cp850", "mac-roman"],
)
def test_is_found_by_the_words_that_it_gives(encoding: str) -> None:
    assert last_names(read_csv(listed(PEOPLE).encode(encoding))) == PEOPLE


@pytest.mark.parametrize("mark", [codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE])
def test_may_be_utf_32(mark: bytes) -> None:
    encoding = "utf-32-le" if mark == codecs.BOM_UTF32_LE else "utf-32-be"
    assert last_names(read_csv(mark + listed(PEOPLE).encode(encoding))) == PEOPLE


def test_of_old_unix_programs_is_found_by_its_ligature() -> None:
    content = f"tel;nom\n{ONE};Cœur".encode("iso-8859-15")
    assert last_names(read_csv(content)) == ["Cœur"]


@pytest.mark.parametrize(
    "name",
    [
        "PÃES",
        "IRMÃ",
        "CORAÇÃO",
        "été « annulé »",
        "5 €/m²",
        "n°4",
        "Coop®",
        "l’été",
        "l´été",
        "mot–mot",
        "Gal·la",
        "voilà…",
        "McÉlroy",
        "“Léo”",
        "D'Été-Ça",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_of_what_people_do_write_is_not_doubted(name: str, encoding: str) -> None:
    """Many accents beside one odd sign are no doubt either."""
    if encoding == "cp1252" and name == "McÉlroy":
        names = [name, *PEOPLE * 4]
        assert last_names(read_csv(listed(names).encode(encoding))) == names
    else:
        assert last_names(read_csv(f"tel;nom\n{ONE};{name}".encode(encoding))) == [name]


MAKES_NO_WORD = "line 2 holds letters that make no word in cp1252"
NAME_IT = "name the encoding of the file, such as"
DOS_OR_MAC = 'encoding="cp850" or encoding="mac-roman"'
UNIX_TOO = f'encoding="cp1252" or {DOS_OR_MAC} or encoding="iso-8859-15"'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            f"tel;nom\n{ONE};Fran\x87ois".encode("latin-1"),
            f"{MAKES_NO_WORD}: {NAME_IT} {DOS_OR_MAC}",
        ),
        (
            f"tel;nom\n{ONE};\x81".encode("latin-1"),
            f"line 2 holds byte 0x81, which is not cp1252: {NAME_IT} {DOS_OR_MAC}",
        ),
        (
            "tel;nom\n+33639980001;Léa\n".encode() + "+33639980002;Léo\n".encode("cp1252"),
            f"line 3 holds byte 0xe9, which is not utf-8: {NAME_IT} " + UNIX_TOO,
        ),
        (
            f"tel;nom\n{ONE};a\x8bA\x8eb \xdda\xfde".encode("latin-1"),
            f'{MAKES_NO_WORD}: {NAME_IT} {DOS_OR_MAC} or encoding="iso-8859-15"',
        ),
    ],
)
def test_in_doubt_is_misuse_that_names_others(content: bytes, message: str) -> None:
    """Never the one that just failed."""
    with pytest.raises(ConfigurationError, match=f"^{re.escape(message)}") as caught:
        read_csv(content)
    assert caught.value.__context__ is None


def test_that_is_named_and_gives_no_words_is_misuse() -> None:
    """If another one does."""
    message = f"line 1 holds letters that make no word in cp1252: {NAME_IT}"
    with pytest.raises(ConfigurationError, match=f'^{message} encoding="cp850"$'):
        read_csv(listed(PEOPLE).encode("cp850"), encoding="cp1252")
    with pytest.raises(ConfigurationError, match=r'such as encoding="utf-8"$'):
        read_csv(listed(PEOPLE).encode(), encoding="latin-1")


def test_that_is_named_is_believed_if_no_other_gives_words() -> None:
    content = f"tel;nom\n{ONE};aÉ\x81".encode("latin-1")
    assert last_names(read_csv(content, encoding="mac-roman")) == ["a…Å"]
    content = f"tel;nom\n{ONE};McÉlroy".encode("cp1252")
    assert last_names(read_csv(content, encoding="cp1252")) == ["McÉlroy"]


def test_is_in_doubt_where_one_word_is_odd_and_no_other_encoding_is_better() -> None:
    content = f"tel;nom\n{ONE};McÉlroy".encode("cp1252")
    with pytest.raises(ConfigurationError, match=f"^{MAKES_NO_WORD}"):
        read_csv(content)


class TestTwice:
    """UTF-8 that was taken for Windows-1252, and encoded again."""

    @pytest.mark.parametrize(
        "names",
        [
            PEOPLE,
            ["Élodie"],
            ["Müller", "Søren", "Béatrice"],
            ["À bientôt", "Ïo", "Œuvre – 5 €"],
            ["D’Arc"],
        ],
    )
    def test_is_read_as_it_was_meant(self, names: list[str]) -> None:
        broken = listed(names).encode().decode("latin-1")
        as_windows = re.sub(
            "[\x80-\x9f]",
            lambda found: found[0].encode("latin-1").decode("cp1252", "ignore") or found[0],
            broken,
        )
        assert last_names(read_csv(as_windows.encode())) == names

    @pytest.mark.parametrize("wrong", ["mac-roman", "cp850"])
    def test_by_way_of_others_too(self, wrong: str) -> None:
        broken = listed(["Hélène", "François", "D’Arc"]).encode().decode(wrong)
        assert last_names(read_csv(broken.encode())) == ["Hélène", "François", "D’Arc"]

    @pytest.mark.parametrize("mark", [codecs.BOM_UTF8, "ï»¿".encode()])
    def test_behind_a_byte_order_mark_too(self, mark: bytes) -> None:
        """Which may have been encoded twice itself."""
        broken = listed(["Hélène"]).encode().decode("cp1252")
        assert last_names(read_csv(mark + broken.encode())) == ["Hélène"]

    def test_in_one_row_among_others_refuses_that_row(self) -> None:
        found = read_csv(listed(["Léa", "HÃ©lÃ¨ne"]).encode())
        assert last_names(found) == ["Léa"]
        assert [refusal.reason for refusal in found.refused] == [BROKEN]


class TestMisread:
    """A list of MS-DOS or an old Mac that was opened as Windows-1252 and saved as UTF-8."""

    def test_is_read_as_it_was_meant(self) -> None:
        broken = listed(["Hélène", "Loïc", "François"]).encode("cp850").decode("cp1252")
        assert last_names(read_csv(broken.encode())) == ["Hélène", "Loïc", "François"]
        broken = f"tel;nom\n{ONE};René".encode("mac-roman").decode("cp1252")
        assert last_names(read_csv(broken.encode())) == ["René"]

    def test_in_doubt_is_misuse(self) -> None:
        """What an old Mac and MS-DOS would both write in words is neither's."""
        broken = listed(["Mylène", "Loïc"]).replace("téléphone", "tel")
        content = broken.encode("cp850").decode("cp1252").encode()
        message = (
            "^line 2 holds letters that make no word in utf-8, as where a list was read in a wrong "
            "encoding before: export the list again"
        )
        with pytest.raises(ConfigurationError, match=message):
            read_csv(content)

    @pytest.mark.parametrize("name", ["McÉlroy", "McÉlroy 😀", "René McÉlroy", "aÉ\x81"])
    def test_is_not_seen_where_nothing_else_makes_words(self, name: str) -> None:
        found = read_csv(f"tel;note\n{ONE};{name}".encode())
        assert found.rows[0].cells["note"] == name


class TestLostLetters:
    CONTENT = f"tel;nom\n{ONE};L\ufffda\n{TWO};Un\n".encode()

    def test_are_misuse(self) -> None:
        with pytest.raises(ConfigurationError, match=r"^line 2 holds U\+FFFD, which stands for a"):
            read_csv(self.CONTENT)

    def test_refuse_their_rows_if_the_encoding_is_named(self) -> None:
        found = read_csv(self.CONTENT, encoding="utf-8")
        assert found.contacts == (Contact(TWO, last_name="Un"),)
        assert [refusal.reason for refusal in found.refused] == [BROKEN]

    @pytest.mark.parametrize(
        "name",
        [
            "L\ufffda",
            "L\x92a",
            "HÃ©lÃ¨ne",
            "Ã‰lodie",
            "Å\x93uvre",
            "H√©l√®ne",
            "H├®l├¿ne",
            "Dâ€™Arc",
        ],
    )
    def test_are_refused_in_mappings_too(self, name: str) -> None:
        found = read_rows([{"tel": ONE, "nom": name}])
        assert [refusal.reason for refusal in found.refused] == [BROKEN]

    @pytest.mark.parametrize("name", ["PÃES", "Â propos", "LÃ»", "Ã"])
    def test_are_not_seen_where_there_are_none(self, name: str) -> None:
        assert last_names(read_rows([{"tel": ONE, "nom": name}])) == [name]
