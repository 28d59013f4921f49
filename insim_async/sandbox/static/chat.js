// The conversation that is open: its newest part, more of it on the way up, and its place kept.

import { here } from "./address.js";
import { drawItem, makeItem } from "./bubble.js";
import { byId, h, say, sync } from "./dom.js";
import { isUnread, markSeen, model } from "./model.js";
import * as words from "./words.js";

const STEP = 60; // things that are drawn at first, and as often as the reader comes to the top
const NEAR = 48; // pixels from the end that still count as there

const scroller = byId("scroller");
const talk = byId("talk");
const jump = byId("jump");

export const FEW = 3; // things that a screen reader reads out; of more it says how many

let open = null; // the number whose conversation is drawn
let shown = STEP; // how many of its newest things are
let news = 0; // how many came while the reader was further up
let last = 0; // the key of the newest that is drawn

export function drawChat(does) {
  const conversation = model.conversations.get(here.number);
  const isOther = open !== here.number;
  if (isOther) [open, shown, news, last] = [here.number, STEP, 0, 0];
  const wasAtEnd = isOther || isAtEnd();
  const items = conversation?.items ?? [];
  const fresh = countNewer(items, last);
  if (!isOther && !wasAtEnd) shown += fresh; // what the reader looks at stays
  drawItems(items, does);
  last = items.at(-1)?.record.key ?? 0;
  if (wasAtEnd) scroller.scrollTop = scroller.scrollHeight;
  news = wasAtEnd ? 0 : news + fresh;
  jump.hidden = news === 0;
  say(jump, `${news} new ↓`);
  beQuiet(isOther ? 0 : fresh);
}

// What the reader has before them is no longer new.
export function look() {
  const conversation = model.conversations.get(here.number);
  if (conversation && isUnread(conversation) && !document.hidden) markSeen(conversation);
}

function drawItems(items, does) {
  const from = Math.max(0, items.length - shown);
  const rows = [];
  let day = "";
  items.slice(from).forEach((item, place) => {
    const at = item.record.at ?? item.record.sent_at;
    if (words.dayOf(at) !== day)
      rows.push({ day: words.day(at), key: `day ${(day = words.dayOf(at))}` });
    rows.push({ item, key: item.record.key, place: from + place + 1, many: items.length });
  });
  sync(
    talk,
    rows,
    (row) => row.key,
    (row) => (row.day ? h("li", { class: "day" }) : makeItem(row.item, does)),
    (element, row) => {
      if (row.day) return say(element, row.day);
      drawItem(element, row.item, does);
      element.setAttribute("aria-setsize", row.many);
      element.setAttribute("aria-posinset", row.place);
    },
  );
}

function countNewer(items, key) {
  let many = 0;
  while (many < items.length && items[items.length - 1 - many].record.key > key) many += 1;
  return many;
}

// A reader is told of what comes, but neither of many at once nor of what is not in sight.
function beQuiet(fresh) {
  scroller.setAttribute("aria-live", fresh > FEW || !isAtEnd() ? "off" : "polite");
}

function isAtEnd() {
  return scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR;
}

export function startChat(does) {
  scroller.addEventListener(
    "scroll",
    () => {
      if (isAtEnd() && news) drawChat(does);
      const many = model.conversations.get(here.number)?.items.length ?? 0;
      if (scroller.scrollTop > 200 || shown >= many || talk.hidden) return;
      const below = scroller.scrollHeight - scroller.scrollTop;
      shown += STEP;
      drawItems(model.conversations.get(here.number).items, does);
      scroller.scrollTop = scroller.scrollHeight - below;
    },
    { passive: true },
  );
  // The keyboard of a phone, or a longer text in the composer, must not hide the end.
  let wasHigh = scroller.clientHeight;
  new ResizeObserver(() => {
    const grown = wasHigh - scroller.clientHeight;
    wasHigh = scroller.clientHeight;
    if (
      scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight <
      NEAR + Math.max(0, grown)
    )
      scroller.scrollTop = scroller.scrollHeight;
  }).observe(scroller);
  jump.addEventListener("click", () => {
    scroller.scrollTop = scroller.scrollHeight;
    drawChat(does);
    scroller.focus();
  });
}
