/* What scrolls inside a page can be reached, and scrolled, by keyboard. */
"use strict";
addEventListener("load", () => {
  const reach = () => {
    for (const place of document.querySelectorAll("div.highlight pre, .table-wrapper")) {
      if (place.scrollWidth > place.clientWidth) place.tabIndex = 0;
      else place.removeAttribute("tabindex");
    }
  };
  reach();
  addEventListener("resize", reach);
});
