// The list of conversations: only the rows in sight are there, and the one that has the focus.

import { act } from "./server.js";
import { addressOf, go, here, isNarrow } from "./address.js";
import { byId, h, icon, say, sync, unseen } from "./dom.js";
import { conversationsWith, isUnread, model, unread } from "./model.js";
import { popUp } from "./pop.js";
import * as words from "./words.js";

const AROUND = 8; // rows that are ready above and below
const GAP = 2;
const EDGE = 8;

const scroll = byId("people");
const list = byId("convs");
const search = byId("search");

let found = []; // the conversations that fit the search, newest first
let focused = null; // the number of the row that the keyboard is on

const height = () => (isNarrow() ? 68 : 60) + GAP;

export function drawPeople() {
  found = conversationsWith(search.value);
  list.style.height = `${found.length * height() + 2 * EDGE}px`;
  drawWindow();
  byId("nobody").hidden = found.length > 0;
  if (!found.length) drawNobody();
  say(byId("how-many"), words.count(found.length, "conversation"));
  const many = unread();
  say(byId("how-unread"), many ? `${many} unread` : "");
}

function drawNobody() {
  const [title, hint] = byId("nobody").children;
  const searched = model.conversations.size > 0;
  say(title, searched ? `Nothing holds “${search.value.trim()}”.` : "No conversations");
  say(hint, searched ? "" : "Each number your app writes to gets one.");
}

function drawWindow() {
  const first = Math.max(0, Math.floor(scroll.scrollTop / height()) - AROUND);
  const last = first + Math.ceil(scroll.clientHeight / height()) + 2 * AROUND;
  const tabStop = Math.max(0, placeOf(focused ?? here.number));
  const shown = found
    .slice(first, last + 1)
    .map((conversation, place) => ({ conversation, place: first + place }));
  if (tabStop < first && found.length)
    shown.unshift({ conversation: found[tabStop], place: tabStop });
  if (tabStop > last) shown.push({ conversation: found[tabStop], place: tabStop });
  sync(
    list,
    shown,
    ({ conversation }) => conversation.number,
    makeRow,
    (row, { conversation, place }) => {
      row.style.top = `${EDGE + place * height()}px`;
      row.setAttribute("aria-setsize", found.length);
      row.setAttribute("aria-posinset", place + 1);
      row.firstChild.tabIndex = place === tabStop ? 0 : -1;
      drawRow(row.firstChild, conversation);
    },
  );
}

const placeOf = (number) => found.findIndex((conversation) => conversation.number === number);

function makeRow({ conversation: { number } }) {
  return h(
    "li",
    {},
    h("a", { class: "conv inset", href: addressOf(number), onfocus: () => (focused = number) }),
  );
}

function drawRow(row, conversation) {
  const { number, items } = conversation;
  const contact = model.contacts.get(number);
  const isNew = isUnread(conversation);
  row.classList.toggle("new", isNew);
  if (number === here.number) row.setAttribute("aria-current", "true");
  else row.removeAttribute("aria-current");
  const last = items.at(-1);
  if (row.last === last && row.contact === contact && row.isNew === isNew) return;
  Object.assign(row, { last, contact, isNew });
  row.replaceChildren(
    h("span", { class: "avatar", "aria-hidden": "true" }, words.initials(contact, number)),
    h(
      "span",
      {},
      h(
        "span",
        { class: "row" },
        h("span", { class: "who cut" }, words.name(contact, number)),
        h("time", {}, words.lately(last.record.at ?? last.record.sent_at)),
      ),
      h(
        "span",
        { class: "row last" },
        h("span", { class: "cut" }, preview(last)),
        isNew ? h("span", { class: "dot" }, unseen("unread")) : null,
      ),
    ),
  );
}

function preview({ type, record }) {
  if (type === "in") return [record.message];
  if (type === "call") {
    const { icon: name, look, words: title, last } = words.call(record);
    return [icon(name, { className: look }), last ?? title];
  }
  const { icon: name, look, words: label } = words.SMS_STATES[record.state];
  return [icon(name, { label: label.toLowerCase(), className: look }), record.message || "(empty)"];
}

// Move the focus by rows, wherever the list has to be scrolled to for it.
function move(event) {
  const at = placeOf(focused ?? here.number);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: found.length - 1 }[event.key];
  if (to === undefined || !found[to]) return;
  event.preventDefault();
  const { number } = found[to];
  const top = to * height();
  const bottom = top + height() + 2 * EDGE;
  if (top < scroll.scrollTop) scroll.scrollTop = top;
  if (bottom > scroll.scrollTop + scroll.clientHeight)
    scroll.scrollTop = bottom - scroll.clientHeight;
  focused = number;
  drawWindow(); // the row that loses the focus may go
  list.rows.get(number).firstChild.focus();
}

export function startPeople(draw) {
  scroll.addEventListener("scroll", drawWindow, { passive: true });
  new ResizeObserver(drawPeople).observe(scroll);
  list.addEventListener("keydown", move);
  list.addEventListener("focusout", () => (focused = null));
  search.addEventListener("input", () => {
    scroll.scrollTop = 0;
    drawPeople();
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" && found.length) {
      event.preventDefault();
      list.querySelector("[tabindex='0']")?.focus();
    }
    if (event.key === "Escape" && search.value) {
      event.stopPropagation();
      search.value = "";
      drawPeople();
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.closest("input, textarea, select")) return;
    event.preventDefault();
    search.focus();
  });
  popUp(byId("new"), byId("pop-new"), async ({ phone_number: given, message }) => {
    const { phone_number: number } = await act("reply", { phone_number: given, message });
    byId("pop-new").reset();
    go(number);
    draw();
  });
}
