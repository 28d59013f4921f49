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
let from = 0; // which of its things are drawn: from here,
let to = 0; // to before there
let known = 0; // how many things there were at the last drawing
let follows = true; // whether the end stays in sight

export function drawChat(does) {
  const items = model.conversations.get(here.number)?.items ?? [];
  const isOther = open !== here.number;
  const fresh = isOther ? 0 : items.length - known;
  [open, known] = [here.number, items.length];
  if (isOther || follows || to > known) goToEnd(items, does);
  else drawItems(items, does);
  drawNews();
  beQuiet(fresh);
}

function goToEnd(items, does) {
  [from, to, follows] = [Math.max(0, items.length - STEP), items.length, true];
  drawItems(items, does);
  scroller.scrollTop = scroller.scrollHeight;
}

function drawNews() {
  jump.hidden = to >= known;
  say(jump, `${known - to} new ↓`);
}

// What the reader has before them is no longer new.
export function look() {
  const conversation = model.conversations.get(here.number);
  if (conversation && isUnread(conversation) && !document.hidden) markSeen(conversation);
}

function drawItems(items, does) {
  const rows = [];
  let day = "";
  items.slice(from, to).forEach((item, place) => {
    const at = item.record.at ?? item.record.sent_at;
    if (words.dayOf(at) !== day) {
      day = words.dayOf(at);
      rows.push({ day: words.day(at), key: `before ${item.record.key}` });
    }
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

// A reader is told of what comes, but neither of many at once nor of what is not in sight.
function beQuiet(fresh) {
  scroller.setAttribute("aria-live", fresh > FEW || !follows ? "off" : "polite");
}

// Draw more where the reader comes to an end of what is drawn, and keep their place.
function readOn(does) {
  if (talk.hidden || open !== here.number) return;
  const { items } = model.conversations.get(here.number) ?? { items: [] };
  const left = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
  follows = left < NEAR && to >= known;
  if (left < NEAR && to < known) {
    to = Math.min(known, to + STEP);
    drawItems(items, does);
    drawNews();
  } else if (scroller.scrollTop < 200 && from > 0) {
    const below = scroller.scrollHeight - scroller.scrollTop;
    from = Math.max(0, from - STEP);
    drawItems(items, does);
    scroller.scrollTop = scroller.scrollHeight - below;
  }
}

export function startChat(does) {
  scroller.addEventListener("scroll", () => readOn(does), { passive: true });
  // The keyboard of a phone, or a longer text in the composer, must not hide the end.
  new ResizeObserver(() => {
    if (follows && !talk.hidden) scroller.scrollTop = scroller.scrollHeight;
  }).observe(scroller);
  jump.addEventListener("click", () => {
    follows = true;
    drawChat(does);
    scroller.focus();
  });
}
