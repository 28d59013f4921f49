"""What headings say, in French, English, German, Spanish, Italian, Dutch and Portuguese."""

from __future__ import annotations

import re
import unicodedata

__all__ = [
    "KNOWN",
    "are_headings",
    "composed",
    "folded",
    "hints_at_phone",
    "known_fields",
    "say_the_same",
    "says_code",
    "says_other_number",
]

_HEADINGS = {
    "phone_number": """
        phone, phone number, phone no, phone 1 - value, telephone, telephone number, tel,
        tel no, mobile, mobile phone, mobile number, mobile phone number, cell, cell phone,
        cell number, msisdn, gsm, portable, numéro, numéro de téléphone, numéro téléphone,
        numéro de tél, numéro de mobile, numéro mobile, numéro de portable, numéro portable,
        tel mobile, tel portable, téléphone mobile, téléphone portable, num tel, n° tel,
        n° de téléphone, n° téléphone, n° de mobile, n° mobile, n° de portable, n° portable,
        no de téléphone, no téléphone, no mobile, no portable,
        telefon, telefonnummer, telefonnr, tel nr, mobil, mobiltelefon, mobilnummer, mobilfunk,
        mobilfunknummer, handy, handynummer, handy nr, rufnummer, natel,
        teléfono, número de teléfono, teléfono móvil, móvil, número móvil, número de móvil, celular,
        teléfono celular, telefono, numero di telefono, numero telefono, cellulare,
        telefono cellulare, numero cellulare, numero di cellulare,
        telefoon, telefoonnummer, mobiel, mobiel nummer, mobiele nummer, mobiele telefoon,
        gsm nummer, telefone, número de telefone, telemóvel, número de telemóvel,
        telefone celular, número de celular""",
    "first_name": """
        first name, first, given name, forename, prénom, prénoms, billing first name,
        first name billing, vorname, rufname, nombre, nombre de pila, nome, nome proprio,
        primeiro nome, nome próprio, voornaam, roepnaam""",
    "last_name": """
        last name, last, surname, family name, nom, nom de famille, billing last name,
        last name billing, nachname, familienname, zuname, apellido, apellidos, cognome,
        achternaam, familienaam, apelido, apelidos, sobrenome, último nome""",
    "email": """
        e-mail, mail, mél, e-mail 1 - value, e-mail address, mail address, courriel,
        adresse e-mail, adresse mail, adresse courriel, adresse de courriel,
        adresse électronique, billing email, email billing, e-mail-adresse, mailadresse,
        correo, correo electrónico, dirección de correo electrónico, posta elettronica,
        indirizzo e-mail, indirizzo di posta elettronica, e-mailadres, mailadres,
        correio eletrónico, correio eletrônico, endereço de e-mail""",
    "address": """
        address, postal address, street address, adresse, adresse postale, anschrift,
        postanschrift, dirección, dirección postal, domicilio, indirizzo, indirizzo postale, adres,
        postadres, endereço, endereço postal, morada""",
}

_FAMILY_BESIDE_GIVEN = {"name": "vorname", "naam": "voornaam"}
"""A word for any name, which means the family name where the other word stands beside it."""

_holds_stem = re.compile(
    r"(?<!franco)(?<!anglo)(?<!saxo)phone(?!ti[cqs])|telefo|telepho|telemov|cellul|celular|movil"
    r"|msisdn|rufnummer|mobilfunk|mobiltel|mobilnummer|handynummer|gsmnummer"
).search
_WORDS = """
    tel telf tlf tfno mobile mobiles mobil mobiel mobiele cell gsm portable portables handy handys
    natel"""
_PHONE_WORDS = frozenset(_WORDS.split())
_PHONE_ALONE = frozenset({"sms", "whatsapp", "landlinenumber"})
"""How senders of newsletters call it; in a longer heading they speak of consent."""

_OTHERS = """
    fax telefax telecopie telecopieur label libelle type typ tipo country pays land indicatif prefix
    ext extension opt optin optout consent consentement date status statut verified"""
_OTHER_WORDS = frozenset(_OTHERS.split())
"""What says that a column is about a phone and holds no number to write to."""

_IDENTIFIED = """
    siren siret tva vat btw kbo bce iban licence ref reference referenz id idnr ust"""
_IDENTIFIERS = frozenset(_IDENTIFIED.split())
_OWNERS = """
    client clients cliente customer klant klantnummer kunde kunden kundennr kundennummer
    commande order bestellnummer"""
_NUMBERED = frozenset(_OWNERS.split())
"""Who and what has numbers of another kind, though a phone may be theirs as well."""


_holds_code = re.compile(
    r"indicatif|vorwahl|prefisso|prefijo|prefixo|netnummer|landnummer|kengetal|codepays"
    r"|(?:country|area|dial|dial+ing|calling|phone)(?:code|prefix)"
).search


def composed(heading: object) -> str:
    """Return a heading as it is typed, whatever the system that wrote it does with accents."""
    return unicodedata.normalize("NFC", str(heading)).strip()


def folded(heading: str) -> str:
    """Leave out case, accents and punctuation."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKD", heading).casefold()))


KNOWN = {field: frozenset(map(folded, names.split(","))) for field, names in _HEADINGS.items()}


def known_fields(headings: list[str]) -> list[str]:
    """Return the field that each heading says, or "" for none."""
    names = [folded(heading) for heading in headings]
    fields = {name: field for field, known in KNOWN.items() for name in known}
    fields |= {
        family: "last_name" for family, given in _FAMILY_BESIDE_GIVEN.items() if given in names
    }
    return [fields.get(name, "") for name in names]


def hints_at_phone(heading: str) -> bool:
    """Say whether a heading holds a word for a phone, and none that makes it something else."""
    words, name = _words_of(heading), folded(heading)
    return not words & (_OTHER_WORDS | _IDENTIFIERS) and bool(
        _holds_stem(name) or words & _PHONE_WORDS or name in _PHONE_ALONE
    )


def are_headings(cells: list[str], headings: list[str]) -> bool:
    """Say whether the cells of a row are headings, as where two lists were put into one."""
    names = {folded(heading) for heading in headings if heading}
    said = [(cell, field) for cell, field in zip(cells, known_fields(cells), strict=True) if cell]
    known = [cell for cell, field in said if field or folded(cell) in names]
    is_number = any(sum(map(str.isdigit, cell)) > 5 for cell in cells)
    return not is_number and len(known) > 1 and 2 * len(known) >= len(said)


def say_the_same(cells: list[str], headings: list[str]) -> bool:
    """Say whether headings stand in their order in a row that holds headings once more."""
    fields = zip(cells, headings, known_fields(cells), known_fields(headings), strict=True)
    return all(
        not cell or folded(cell) == folded(heading) or (field and field == other)
        for cell, heading, field, other in fields
    )


def says_code(heading: str) -> bool:
    """Say whether a heading speaks of the country or area code of a phone number."""
    return _holds_code(folded(heading)) is not None


def says_other_number(heading: str) -> bool:
    """Say whether a heading speaks of numbers that are not dialled, whatever they look like."""
    return bool(_words_of(heading) & (_IDENTIFIERS | _NUMBERED))


def _words_of(heading: str) -> set[str]:
    plain = unicodedata.normalize("NFKD", heading).casefold()
    return set(re.split(r"[\W_]+", "".join(filter(lambda c: not unicodedata.combining(c), plain))))
