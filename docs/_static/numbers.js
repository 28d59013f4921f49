/* Sphinx leaves numbers out of what is searched for; here "503" is a word like any other. */
"use strict";
{
  const parseQuery = Search._parseQuery;
  Search._parseQuery = (query) => {
    const parsed = parseQuery(query);
    const [, searchTerms, , highlightTerms] = parsed;
    for (const number of splitQuery(query.trim()).filter((term) => /^\d+$/.test(term))) {
      searchTerms.add(number);
      highlightTerms.add(number);
    }
    localStorage.setItem("sphinx_highlight_terms", [...highlightTerms].join(" "));
    return parsed;
  };
}
