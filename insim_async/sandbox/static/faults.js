// Faults: those that wait, a form to order one, and those that chance orders.

import { byId, h, icon, possible, say, sync } from "./dom.js";
import { ANSWERS, CALLS, described, KINDS, sentence, WEBHOOKS } from "./fault-words.js";
import { model } from "./model.js";
import { act, LOST, post } from "./server.js";
import { inForm, setting } from "./settings.js";
import { kind } from "./words.js";

const ON = {
  answer: {
    choices: ANSWERS,
    path: "faults",
    filter: "path",
    label: "Request",
    options: CALLS,
    first: "sendsms",
  },
  webhook: {
    choices: WEBHOOKS,
    path: "webhook-faults",
    filter: "kind",
    label: "Webhook",
    options: Object.fromEntries(KINDS.map((word) => [word, kind(word)])),
    first: "",
  },
};

const pick = byId("pick");
const params = byId("params");
const says = byId("says");

let on = "answer";

export function drawFaults() {
  byId("no-faults").hidden = model.faults.length > 0;
  byId("queue").hidden = model.faults.length === 0;
  sync(byId("queue"), model.faults, (fault) => fault.number, makeWaiting, drawWaiting);
  possible(byId("order-this"), model.lost ? LOST : "");
  drawRandom();
}

function makeWaiting({ number }) {
  const cancel = h(
    "button",
    {
      class: "btn bare sm icon",
      type: "button",
      onclick: () => act("take_back", { fault: number }).catch(() => {}),
    },
    icon("cross"),
  );
  return h(
    "li",
    {},
    h("span", { class: "muted small" }),
    h("span", { class: "cut" }, h("b"), h("span", { class: "small muted" })),
    cancel,
  );
}

function drawWaiting(row, fault, place) {
  const [number, words, cancel] = row.children;
  const { what, next } = described(fault);
  say(number, String(place + 1));
  say(words.firstChild, what);
  say(words.lastChild, next);
  cancel.setAttribute("aria-label", `Cancel ${what}`);
  possible(cancel, model.lost ? LOST : "");
}

// The form --------------------------------------------------------------------------------------

const chosen = () => ON[on].choices.find(({ id }) => id === pick.querySelector(":checked").value);

function drawChoices() {
  const options = ON[on].choices.map(({ id, name, hint }, place) =>
    h(
      "label",
      {},
      h("input", { type: "radio", name: "fault", value: id, checked: place === 0 }),
      h("span", {}, name),
      h("span", { class: "muted small cut" }, hint),
    ),
  );
  pick.replaceChildren(pick.firstElementChild, ...options);
  for (const button of byId("on").children)
    button.setAttribute("aria-pressed", button.value === on);
  drawParams();
}

function drawParams() {
  const { filter, label, options, first } = ON[on];
  const choices = { ...options, "": "Any" };
  params.replaceChildren(
    field({ name: filter, label, given: byId("order").elements[filter]?.value ?? first, choices }),
    field({ name: "times", label: "How often", given: 1 }),
    ...chosen().params.map(field),
  );
  drawSentence();
}

function field({ name, label, given, choices }) {
  if (!choices)
    return h(
      "label",
      {},
      label,
      h("input", {
        class: "field num",
        name,
        value: given,
        inputmode: "decimal",
        autocomplete: "off",
      }),
    );
  const options = Object.entries(choices).map(([value, text]) =>
    h("option", { value, selected: value === String(given) }, text),
  );
  return h("label", {}, label, h("select", { class: "field", name }, options));
}

// What stands in the form: the filter, how often, and the values of what was chosen, as numbers.
function read() {
  const {
    [ON[on].filter]: filter,
    times,
    fault: _,
    ...others
  } = Object.fromEntries(new FormData(byId("order")));
  const values = Object.fromEntries(
    Object.entries(others).map(([name, text]) => [name, Number(text)]),
  );
  return { filter, times: Number(times), values };
}

function drawSentence() {
  const { filter, times, values } = read();
  const bad = [...params.querySelectorAll("input")].filter((input) => !(Number(input.value) > 0));
  for (const input of params.querySelectorAll("input"))
    input.setAttribute("aria-invalid", bad.includes(input));
  says.classList.toggle("error", bad.length > 0);
  if (bad.length) return says.replaceChildren("A number above 0, please");
  const [subject, rest] = sentence(chosen(), on, filter, times, values);
  says.replaceChildren(h("strong", {}, subject), rest);
}

async function order(event) {
  event.preventDefault();
  drawSentence();
  if (params.querySelector("[aria-invalid='true']")) return;
  const { filter, times, values } = read();
  const fault = { times, ...chosen().make(values), ...(filter ? { [ON[on].filter]: filter } : {}) };
  try {
    await post(ON[on].path, fault);
    drawSentence();
  } catch (error) {
    says.replaceChildren(`Not ordered: ${error.message}`);
    says.classList.add("error");
  }
}

// By chance -------------------------------------------------------------------------------------

const PERCENT = { "fault-rate": "fault_rate", "webhook-fault-rate": "webhook_fault_rate" };

function drawRandom() {
  const { fault_rate: requests, webhook_fault_rate: webhooks, seed } = model.settings;
  const isOn = requests > 0 || webhooks > 0;
  byId("random").checked = isOn;
  inForm(byId("seed"), String(seed));
  if (!isOn) return; // what it was, or would be, stays to be switched on
  inForm(byId("fault-rate"), String(Math.round(requests * 1e4) / 100));
  inForm(byId("webhook-fault-rate"), String(Math.round(webhooks * 1e4) / 100));
}

const share = (id) => Number(byId(id).value.replace(",", ".")) / 100;

function setRates() {
  const isOn = byId("random").checked;
  const rates = Object.entries(PERCENT).map(([id, name]) => [name, isOn ? share(id) : 0]);
  return setting(Object.fromEntries(rates), byId("random-error"), "From 0 to 100 %").then(
    drawRandom,
  );
}

export function startFaults() {
  byId("on").addEventListener("click", ({ target }) => {
    if (!target.value) return;
    on = target.value;
    drawChoices();
  });
  pick.addEventListener("change", drawParams);
  params.addEventListener("input", drawSentence);
  byId("order").addEventListener("submit", order);
  byId("random").addEventListener("change", setRates);
  for (const id of Object.keys(PERCENT))
    byId(id).addEventListener("change", () => byId("random").checked && setRates());
  byId("seed").addEventListener("change", () =>
    setting({ seed: Number(byId("seed").value) }, byId("random-error"), "A whole number").then(
      drawRandom,
    ),
  );
  drawChoices();
}
