// One webhook: a line, and behind it the request, the payload and every try.

import { againIn } from "./countdown.js";
import { copy, h, icon, possible, say } from "./dom.js";
import { callbackFor, model } from "./model.js";
import { act, LOST } from "./server.js";
import * as words from "./words.js";

export function makeWebhook(webhook) {
  const details = h(
    "details",
    {
      class: "hook",
      ontoggle: () => details.open && drawInner(details, details.parentElement.webhook),
    },
    h("summary", { class: "inset" }),
  );
  return h("li", {}, details);
}

// Mend a row; one that is open stays open, and its payload is not drawn again.
export function drawWebhook(row, webhook) {
  const contact = model.contacts.get(webhook.phone_number);
  const details = row.firstChild;
  if (row.webhook !== webhook || row.contact !== contact) {
    Object.assign(row, { webhook, contact });
    drawSummary(details.firstChild, webhook, contact);
  }
  if (details.open) drawInner(details, webhook);
}

function drawSummary(summary, webhook, contact) {
  const { pill, look, beside, until } = words.webhookState(webhook);
  const at = webhook.tries.at(-1)?.at ?? webhook.made_at;
  const again = webhook.by_hand
    ? icon("again", { label: "sent again by you", className: "twice" })
    : null;
  const target = `${words.name(contact, webhook.phone_number)} → ${words.target(webhook.url)}`;
  summary.replaceChildren(
    h("span", { class: `pill ${look}` }, pill),
    h(
      "span",
      { class: "row" },
      h("b", { class: "cut" }, words.webhookTitle(webhook)),
      again,
      h("time", { class: "r", datetime: at }, words.second(at)),
    ),
    h(
      "span",
      { class: "row" },
      h("span", { class: "l2 cut" }, target),
      h("span", { class: `r ${look === "ok" ? "" : look}` }, beside, until ? againIn(until) : null),
    ),
  );
}

function drawInner(details, webhook) {
  const inner = details.querySelector(".in-hook") ?? makeInner(details, webhook);
  const fault = inner.querySelector(".fault");
  say(inner.querySelector(".request"), requestLine(webhook));
  fault.hidden = !webhook.fault;
  say(fault, `Ordered: ${webhook.fault}`);
  inner.querySelector(".tries").hidden = !webhook.tries.length;
  inner
    .querySelector(".tries")
    .replaceChildren(
      ...webhook.tries.map((attempt, place) =>
        h(
          "li",
          {},
          h("span", {}, words.ordinal(place + 1)),
          h("time", { datetime: attempt.at }, words.millisecond(attempt.at)),
          h("span", {}, words.result(attempt)),
          h("span", {}, words.took(attempt.seconds)),
        ),
      ),
    );
  const isOnItsWay = ["ready", "under_way"].includes(webhook.state);
  const hasUrl = callbackFor(webhook.kind) !== "";
  possible(
    inner.querySelector(".again"),
    model.lost ? LOST : isOnItsWay ? "It is on its way" : hasUrl ? "" : "No callback URL",
  );
}

function makeInner(details, webhook) {
  const now = () => details.parentElement.webhook;
  const error = h("p", { class: "error small", role: "status", hidden: true });
  const button = (label, onclick) =>
    h("button", { class: "btn sm", type: "button", onclick }, label);
  const again = h(
    "button",
    { class: "btn sm again", type: "button", onclick: () => sendAgain(now(), error) },
    icon("again"),
    "Send again",
  );
  const json = button("Copy JSON", () => copy(json, now().payload));
  const curl = button("Copy as curl", () => copy(curl, asCurl(now())));
  const made = h(
    "div",
    { class: "in-hook" },
    h("p", { class: "small muted cut request" }),
    h("p", { class: "small st warn fault" }),
    h(
      "div",
      { class: "code" },
      h("pre", { tabindex: "0", role: "group", "aria-label": "Payload" }, highlighted(webhook)),
    ),
    h("ol", { class: "tries", "aria-label": "Tries" }),
    h("div", { class: "btns" }, again, json, curl),
    error,
  );
  details.append(made);
  return made;
}

async function sendAgain(webhook, error) {
  try {
    await act("send_again", { webhook: webhook.key });
    error.hidden = true;
  } catch (problem) {
    say(error, `Not sent: ${problem.message}.`);
    error.hidden = false;
  }
}

const requestLine = ({ url, query }) =>
  `GET ${url || "(no callback URL)"}?${query.slice(0, query.indexOf("="))}=…`;

// For a shell: whatever stands in the query is quoted.
const asCurl = ({ url, query }) => `curl --globoff '${`${url}?${query}`.replaceAll("'", "'\\''")}'`;

// The payload with a line for each of its fields; the names are quieter than the values.
function highlighted(webhook) {
  const lines = JSON.stringify(words.payloadOf(webhook), null, 2).split("\n");
  return lines.flatMap((line, place) => {
    const [, before, name, rest] = /^(\s*)("(?:[^"\\]|\\.)*":)(.*)$/.exec(line) ?? [];
    const end = place < lines.length - 1 ? "\n" : "";
    return name ? [before, h("span", { class: "k" }, name), rest + end] : [line + end];
  });
}
