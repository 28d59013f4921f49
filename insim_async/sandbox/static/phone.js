// The phone's settings: online or not, where webhooks go, when reports come; and starting over.

import { byId, h, icon, possible, say } from "./dom.js";
import { KINDS } from "./fault-words.js";
import { model } from "./model.js";
import { ask } from "./pop.js";
import { act, LOST } from "./server.js";
import { inForm, setting } from "./settings.js";
import * as words from "./words.js";

const ALL = "";
const HINT = "http:// or https:// first";
const QUERY = "A query would be doubled: put the secret in the path";

const tests = new Map(); // kind -> the key of the webhook that tests its URL
let each = null; // whether there is a URL for each kind; null until it is known

export function drawPhone() {
  const { settings } = model;
  byId("online").checked = settings.phone_connected;
  inForm(byId("sent-after"), String(settings.sent_after));
  inForm(byId("received-after"), String(settings.received_after));
  inForm(byId("delivers"), settings.delivers ? "yes" : "no");
  const hasEach = Object.keys(settings.callbacks).length > 0;
  if (each === null || (hasEach && !each)) choose(hasEach);
  for (const row of byId("urls").children) drawUrl(row);
  const forget = byId("forget").querySelector(".danger");
  possible(forget, model.lost ? LOST : "");
}

// Callback URLs ---------------------------------------------------------------------------------

const urlOf = (kind) =>
  kind === ALL ? model.settings.callback : (model.settings.callbacks[kind] ?? "");

function choose(forEach) {
  each = forEach;
  for (const button of byId("urls-for").children)
    button.setAttribute("aria-pressed", (button.value === "each") === each);
  byId("urls").replaceChildren(...(each ? KINDS : [ALL]).map(makeUrl));
}

function makeUrl(kind) {
  const label = kind === ALL ? "Callback URL" : `${words.kind(kind)}s`.replace("SMSs", "SMS");
  const input = h("input", {
    class: "field",
    type: "url",
    "aria-label": label,
    placeholder: kind === ALL ? "http://127.0.0.1:8000/insim" : "as for all",
    autocomplete: "off",
    spellcheck: "false",
  });
  const error = h("p", { class: "error small", id: `url-error-${kind}`, hidden: true });
  const test = h("button", { class: "btn", type: "button", onclick: () => run(kind, row) }, "Test");
  const row = h(
    "div",
    { class: "url" },
    kind === ALL ? null : h("span", { class: "small muted" }, label),
    input,
    test,
    error,
    h("p", { class: "small st", role: "status" }),
  );
  if (kind !== ALL) row.firstChild.classList.add("wide");
  input.setAttribute("aria-describedby", error.id);
  input.addEventListener("change", () => save(kind, input, error));
  input.addEventListener("keydown", ({ key }) => key === "Enter" && save(kind, input, error));
  return Object.assign(row, { kind });
}

function drawUrl(row) {
  const { kind } = row;
  const input = row.querySelector("input");
  inForm(input, urlOf(kind));
  possible(
    row.querySelector("button"),
    model.lost
      ? LOST
      : urlOf(kind) || (kind !== ALL && model.settings.callback)
        ? ""
        : "No callback URL",
    "Sends a delivery report about an SMS that never was",
  );
  drawTest(row.lastChild, model.webhooks.get(tests.get(kind)));
}

function drawTest(place, webhook) {
  const attempt = webhook?.tries.at(-1);
  place.hidden = !attempt;
  if (!attempt || place.attempt === attempt) return;
  place.attempt = attempt;
  const isOk = attempt.status === 200;
  place.className = `small st ${isOk ? "ok" : "bad"}`;
  place.replaceChildren(
    icon(isOk ? "tick" : "alert"),
    `${words.result(attempt)} in ${words.took(attempt.seconds)}, at ${words.second(attempt.at)}`,
  );
}

async function save(kind, input, error) {
  const url = input.value.trim();
  const callbacks = { ...model.settings.callbacks, [kind]: url };
  if (!url) delete callbacks[kind];
  const why = /[?#]/.test(url) ? QUERY : url && !/^https?:\/\/[^/]/.test(url) ? HINT : "";
  const isSet = why
    ? false
    : await setting(kind === ALL ? { callback: url } : { callbacks }, error);
  if (why) {
    say(error, why);
    error.hidden = false;
  }
  input.setAttribute("aria-invalid", !isSet);
  drawPhone();
  return isSet;
}

// Test a URL: the outcome comes as the tries of a webhook do.
async function run(kind, row) {
  const input = row.querySelector("input");
  const error = row.querySelector(".error");
  if (input.value.trim() !== urlOf(kind) && !(await save(kind, input, error))) return;
  try {
    const { key } = await act("try_callback", kind === ALL ? {} : { kind });
    tests.set(kind, key);
    error.hidden = true;
  } catch (problem) {
    say(error, problem.message);
    error.hidden = false;
  }
}

// Starting over ---------------------------------------------------------------------------------

function forget() {
  const question = `Forget ${words.count(model.counts.messages, "message")}?`;
  ask(byId("forget"), question, "Forget", () => act("forget_everything").catch(() => {}));
}

export function startPhone() {
  const error = byId("reports-error");
  const seconds = (id, name) =>
    byId(id).addEventListener("change", async ({ target }) => {
      const isSet = await setting(
        { [name]: Number(target.value.replace(",", ".") || NaN) },
        error,
        "Seconds, 0 or more",
      );
      target.setAttribute("aria-invalid", !isSet);
    });
  seconds("sent-after", "sent_after");
  seconds("received-after", "received_after");
  byId("delivers").addEventListener("change", ({ target }) =>
    setting({ delivers: target.value === "yes" }, error).then(drawPhone),
  );
  byId("online").addEventListener("change", async ({ target }) => {
    await act(target.checked ? "come_back" : "go_offline").catch(() => {});
    drawPhone();
  });
  byId("urls-for").addEventListener("click", async ({ target }) => {
    if (!target.value) return;
    const forEach = target.value === "each";
    if (!forEach && each) await setting({ callbacks: {} }, byId("urls").querySelector(".error"));
    choose(forEach);
    drawPhone();
  });
  byId("forget").firstElementChild.addEventListener("click", forget);
}
