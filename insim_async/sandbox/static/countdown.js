// Words that count down to a time: "4 s".

import { h, say } from "./dom.js";
import { secondsUntil } from "./words.js";

export function againIn(until) {
  const made = h("span", { "data-until": until });
  tick(made);
  return made;
}

const tick = (element) => say(element, ` ${secondsUntil(element.dataset.until)} s`);

setInterval(() => document.querySelectorAll("[data-until]").forEach(tick), 1000);
