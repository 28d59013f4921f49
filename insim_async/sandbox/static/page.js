// The page as a whole: hears what changed, and draws it, at most ten times a second.

import { addressOf, DETAILS, go, goTo, here, isNarrow, onMove, replace } from "./address.js";
import { drawChat, FEW, look, startChat } from "./chat.js";
import { actHere, drawDock, startDock } from "./dock.js";
import { badge, byId, copy, rove, say } from "./dom.js";
import { drawFaults, startFaults } from "./faults.js";
import { conversationsWith, model, take, unread } from "./model.js";
import { drawPeople, startPeople } from "./people.js";
import { drawPhone, startPhone } from "./phone.js";
import { closeMenus, escaped } from "./pop.js";
import { listen } from "./server.js";
import { drawWebhooks, showWebhooks, startWebhooks } from "./webhooks.js";
import * as words from "./words.js";

const GATHER = 100; // milliseconds in which events are gathered
const TITLE = "inSIM sandbox";

const does = { act: actHere, showWebhooks };

function draw() {
  if (!model.known) return;
  if (!here.number && !isNarrow() && model.conversations.size)
    return replace(conversationsWith("")[0].number, here.view);
  drawViews();
  if (isChatInSight()) look();
  drawTop();
  drawPeople();
  drawHead();
  if (here.number) {
    drawDock();
    drawChat(does);
  }
  drawWebhooks();
  drawFaults();
  drawPhone();
}

const isChatInSight = () => here.number !== "" && (!isNarrow() || here.view === "");

function drawViews() {
  const view = here.view ? "side" : here.number ? "chat" : "list";
  document.body.dataset.view = view;
  document.body.toggleAttribute("data-empty", !model.conversations.size);
  for (const name of DETAILS) {
    const tab = byId(`tab-${name}`);
    tab.setAttribute("aria-selected", name === here.tab);
    tab.tabIndex = name === here.tab ? 0 : -1;
    byId(name).hidden = name !== here.tab;
  }
  for (const link of byId("bottom").children) {
    const { for: name } = link.dataset;
    if (name === (here.view || "list")) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    if (name !== "list") link.href = addressOf(here.number, name);
  }
  byId("armed").href = addressOf(here.number, "faults");
  byId("set-callback").href = addressOf(here.number, "phone");
}

function drawTop() {
  const { counts, faults, settings } = model;
  document.body.dataset.link = model.lost ? "lost" : "live";
  say(byId("live"), model.lost ? "Reconnecting…" : "Live");
  byId("lost").hidden = !model.lost;
  if (model.lost) drawLost();
  byId("offline").hidden = settings.phone_connected;
  for (const name of ["messages", "contacts", "calls", "requests"]) {
    const number = byId(`count-${name}`);
    say(number, String(counts[name]));
    say(number.previousElementSibling, counts[name] === 1 ? name.slice(0, -1) : name);
  }
  const abnormal = whatIsAbnormal(faults, settings);
  byId("armed").hidden = !abnormal;
  say(byId("armed").lastElementChild, abnormal);
  announce(counts);
  const many = unread();
  document.title = many ? `(${many}) ${TITLE}` : TITLE;
  badge(byId("n-faults"), faults.length);
  say(byId("tab-webhooks").lastElementChild, String(model.webhooks.size));
  say(byId("tab-faults").lastElementChild, String(faults.length));
}

// What goes wrong on purpose stays in sight.
function whatIsAbnormal(faults, { fault_rate: requests, webhook_fault_rate: webhooks }) {
  const ordered = faults.length ? `${words.count(faults.length, "fault")} ordered` : "";
  const random = requests || webhooks ? "random faults" : "";
  return [ordered, random].filter(Boolean).join(" · ");
}

let said = null; // how many messages there were when it was last said

// A screen reader hears of a bulk once, not of each of its messages.
function announce({ messages, received }) {
  const many = messages + received;
  const fresh = many - (said ?? many);
  said = many;
  if (fresh > FEW) say(byId("news"), `${fresh} new messages`);
}

function drawLost() {
  say(byId("lost-since"), words.second(model.lostAt));
  say(byId("lost-until"), `${words.secondsUntil(model.againAt)} s`);
}

function drawHead() {
  const contact = model.contacts.get(here.number);
  const isOpen = here.number !== "";
  for (const id of ["chat-bar", "talk", "dock"]) byId(id).hidden = !isOpen;
  byId("welcome").hidden = isOpen;
  if (!isOpen) return;
  const name = words.name(contact, here.number);
  say(byId("who"), name);
  say(byId("whose-number"), contact ? words.number(here.number) : "");
  byId("chat").setAttribute("aria-label", `Conversation with ${name}`);
}

// Keys and buttons that belong to no pane -------------------------------------------------------

function escape(event) {
  if (event.key !== "Escape" || event.defaultPrevented || escaped()) return;
  if (isNarrow()) here.view ? goTo("") : go("");
}

// What cannot be done stays in sight and in reach, and does nothing.
function stopImpossible(event) {
  if (event.target.closest("[aria-disabled='true']")) {
    event.preventDefault();
    event.stopImmediatePropagation();
  }
}

function start() {
  document.addEventListener("click", stopImpossible, true);
  document.addEventListener("click", closeMenus);
  document.addEventListener("keydown", escape);
  for (const button of document.querySelectorAll("[data-copy]"))
    button.addEventListener("click", () => copy(button, byId(button.dataset.copy).textContent));
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault();
    byId(here.number ? "reply" : "scroller").focus();
  });
  for (const name of DETAILS) byId(`tab-${name}`).addEventListener("click", () => goTo(name));
  rove(byId("tabs"), "[role=tab]", (tab) => tab.click());
  startPeople(draw);
  startChat(does);
  startDock();
  startWebhooks();
  startFaults();
  startPhone();
  onMove(draw);
  document.addEventListener("visibilitychange", draw);
  setInterval(() => model.lost && drawLost(), 1000);
  let gathering = 0;
  const later = () => (gathering ||= setTimeout(() => ((gathering = 0), draw()), GATHER));
  listen((view) => (take(view), later()), later);
}

start();
