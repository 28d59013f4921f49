// The webhooks, newest first: all, those that fail, or those about who is open.

import { goTo, here } from "./address.js";
import { badge, byId, possible, say, sync } from "./dom.js";
import { firstName, isFailing } from "./words.js";
import { model, webhooksNewestFirst } from "./model.js";
import { act, LOST } from "./server.js";
import { drawWebhook, makeWebhook } from "./webhook-row.js";

const STEP = 60; // rows that are drawn at first, and as often as the reader comes to the end

const panel = byId("webhooks");
const list = byId("hooks");
const jump = byId("new-webhooks");

let which = "all";
let shown = STEP;
let newest = 0; // the key of the newest that the reader saw on top

export function drawWebhooks() {
  const all = webhooksNewestFirst();
  const sets = {
    all,
    failing: all.filter(isFailing),
    its: all.filter((webhook) => webhook.phone_number === here.number),
  };
  if (which === "its" && !sets.its.length) which = "all";
  badge(byId("n-failing"), sets.failing.length);
  byId("no-webhooks").hidden = all.length > 0;
  byId("some-webhooks").hidden = all.length === 0;
  drawSwitch(sets);
  drawList(sets[which]);
  byId("none-of-these").hidden = sets[which].length > 0;
  say(byId("none-of-these"), "None fails.");
  possible(byId("clear-webhooks"), model.lost ? LOST : "", "Those that are on their way stay");
}

function drawSwitch({ all, failing, its }) {
  const name = firstName(model.contacts.get(here.number), here.number);
  const labels = {
    all: `All ${all.length}`,
    failing: `Failing ${failing.length}`,
    its: `${name} ${its.length}`,
  };
  for (const [set, label] of Object.entries(labels)) {
    const button = byId(`which-${set}`);
    say(button, label);
    button.setAttribute("aria-pressed", set === which);
  }
  byId("which-its").hidden = !its.length;
  byId("its-webhooks").hidden = !its.length;
  say(
    byId("its-webhooks").lastElementChild,
    `${its.length} ${its.length === 1 ? "webhook" : "webhooks"}`,
  );
}

// Whoever has scrolled down reads on undisturbed: what is new is drawn when they are on top again.
function drawList(webhooks) {
  const isOnTop = panel.scrollTop < 40;
  if (isOnTop) newest = webhooks[0]?.key ?? newest;
  const from = webhooks.findIndex((webhook) => webhook.key <= newest);
  sync(
    list,
    webhooks.slice(from, from + shown),
    (webhook) => webhook.key,
    makeWebhook,
    (row, webhook, place) => {
      drawWebhook(row, webhook);
      row.setAttribute("aria-setsize", webhooks.length);
      row.setAttribute("aria-posinset", from + place + 1);
    },
  );
  jump.hidden = from <= 0;
  say(jump, `${from} new ↑`);
}

// Show the webhooks about one thing of the conversation, opened.
export function showWebhooks(about) {
  which = "its";
  shown = Math.max(shown, placeOf(about) + STEP);
  goTo("webhooks");
  drawWebhooks();
  const rows = [...list.children].filter((row) => row.webhook.about === about);
  for (const row of rows) row.firstChild.open = true;
  requestAnimationFrame(() => {
    rows[0]?.scrollIntoView({ block: "nearest" });
    rows[0]?.querySelector("summary").focus();
  });
}

const placeOf = (about) =>
  webhooksNewestFirst((webhook) => webhook.phone_number === here.number).findLastIndex(
    (webhook) => webhook.about === about,
  );

export function startWebhooks() {
  for (const set of ["all", "failing", "its"])
    byId(`which-${set}`).addEventListener("click", () => {
      [which, shown] = [set, STEP];
      panel.scrollTop = 0;
      drawWebhooks();
    });
  byId("its-webhooks").addEventListener("click", () => {
    which = "its";
    goTo("webhooks");
    drawWebhooks();
  });
  byId("clear-webhooks").addEventListener("click", () => act("clear_webhooks").catch(() => {}));
  jump.addEventListener("click", () => {
    panel.scrollTop = 0;
    drawWebhooks();
    panel.focus();
  });
  panel.addEventListener(
    "scroll",
    () => {
      if (panel.scrollTop < 40 && !jump.hidden) drawWebhooks();
      if (panel.scrollHeight - panel.scrollTop - panel.clientHeight > 400) return;
      if (list.childElementCount < shown) return;
      shown += STEP;
      drawWebhooks();
    },
    { passive: true },
  );
}
