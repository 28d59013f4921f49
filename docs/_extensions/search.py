"""Numbers are words that can be searched for, such as the status 503: Sphinx leaves them out.

The other half, for what is typed, is in ``_static/numbers.js``.
"""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx
from sphinx.search.en import SearchEnglish


class EnglishAndNumbers(SearchEnglish):
    """English, and numbers of two digits and more."""

    def word_filter(self, word: str) -> bool:
        return len(word) > 1 if word.isdigit() else super().word_filter(word)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_search_language(EnglishAndNumbers)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
