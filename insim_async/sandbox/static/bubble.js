// One thing in a conversation: a bubble, or the card of a call. Only what can change is drawn anew.

import { copy, h, icon, unseen } from "./dom.js";
import { model } from "./model.js";
import { againIn } from "./countdown.js";
import * as words from "./words.js";

const NORMAL_PRIORITY = 1;
const PRIORITIES = { 0: "Low priority", 2: "High priority" };

export function makeItem(item, does) {
  const row = item.type === "call" ? h("li") : makeBubble(item, does);
  drawItem(row, item, does);
  return row;
}

// Mend what stands there: its state, what the app answered, what can be done.
export function drawItem(row, { type, record }, does) {
  const webhook = type === "in" ? model.webhooks.get(record.webhook) : undefined;
  if (row.record === record && row.webhook === webhook) return;
  Object.assign(row, { record, webhook });
  if (type === "call") drawCall(row, record, does);
  else if (type === "in") drawIncoming(row, record, webhook, does);
  else drawOutgoing(row, record);
}

function makeBubble({ type, record }, does) {
  const contact = model.contacts.get(record.phone_number);
  const speaker = type === "out" ? "Your app" : words.firstName(contact, record.phone_number);
  return h(
    "li",
    { class: `sms ${type}` },
    h(
      "p",
      { class: "bubble" },
      unseen(`${speaker}: `),
      type === "out" ? withLink(record) : record.message,
    ),
    h("div", { class: "metas" }),
    type === "out" && record.state !== "refused" ? makeMenu(does) : null,
  );
}

// The short link shows as it was sent, and leads to the sandbox, which notes the click.
function withLink({ message, link }) {
  if (!link) return message || "(empty)";
  const href = `/l/${encodeURIComponent(link.slice(link.lastIndexOf("/") + 1))}`;
  return message
    .split(link)
    .flatMap((text, place) =>
      place ? [h("a", { href, target: "_blank", rel: "noreferrer noopener" }, link), text] : [text],
    );
}

function drawOutgoing(row, sms) {
  const state = words.SMS_STATES[sms.state];
  const isDue = sms.state === "scheduled";
  row.classList.toggle("due", isDue);
  row.classList.toggle("failed", state.look === "bad");
  const title = sms.non_gsm.length
    ? `${sms.non_gsm.join(" ")} ${sms.non_gsm.length > 1 ? "are" : "is"} not in the GSM alphabet`
    : null;
  const said = isDue
    ? `Scheduled for ${words.dateAndTime(sms.send_at)}`
    : sms.state === "refused"
      ? `Refused: ${sms.errors.join(", ")}`
      : state.words;
  row
    .querySelector(".metas")
    .replaceChildren(
      h(
        "p",
        { class: "meta" },
        sms.priority === NORMAL_PRIORITY
          ? null
          : h(
              "span",
              sms.priority > NORMAL_PRIORITY ? { class: "prio" } : {},
              PRIORITIES[sms.priority],
            ),
        h("span", { title }, words.cost(sms)),
        isDue ? null : h("time", { datetime: sms.sent_at }, words.minute(sms.sent_at)),
        h("span", { class: `st ${state.look}` }, icon(state.icon), said),
      ),
      ...(sms.clicked_at.length
        ? [
            h(
              "p",
              { class: "meta" },
              h("span", { class: "st" }, icon("link"), clicked(sms.clicked_at)),
            ),
          ]
        : []),
    );
}

function clicked(times) {
  const last = `Clicked ${words.minute(times.at(-1))}`;
  return times.length > 1 ? `${last} · ${times.length} times` : last;
}

function drawIncoming(row, sms, webhook, does) {
  const line = [h("time", { datetime: sms.at }, words.minute(sms.at))];
  if (webhook) {
    const { words: said, look, until } = words.heard(webhook);
    line.push(
      h(
        "button",
        { class: `heard ${look}`, type: "button", onclick: () => does.showWebhooks(sms.key) },
        said,
        until ? againIn(until) : null,
      ),
    );
  }
  row.querySelector(".metas").replaceChildren(h("p", { class: "meta" }, line));
}

function drawCall(row, call, does) {
  const { icon: name, look, words: title, sub } = words.call(call);
  const rings = call.state === "ringing";
  const side = call.direction === "incoming" ? "in" : "out";
  row.className = `call ${side} ${rings ? "ringing" : look}`;
  const button = (kind, label, onclick) =>
    h("button", { class: `btn sm ${kind}`, type: "button", onclick }, label);
  const note = call.note && h("p", { class: "note" }, unseen("Call note: "), call.note);
  row.replaceChildren(
    h("span", { class: "ring" }, icon(name)),
    h("div", {}, h("b", {}, title), h("span", { class: "sub" }, sub), ...(note ? [note] : [])),
    ...(rings
      ? [
          h(
            "div",
            { class: "two" },
            button("main", "Answer", () => does.act("answer")),
            button("", "Let it ring", () => does.act("let_ring")),
          ),
        ]
      : []),
  );
}

// The menu beside a bubble: what is possible with it when it is opened.
function makeMenu(does) {
  const choices = h("ul");
  const summary = h(
    "summary",
    { class: "btn bare sm icon", "aria-label": "More for this message" },
    icon("dots"),
  );
  return h("details", { class: "menu", ontoggle: fill }, summary, choices);

  function fill({ target }) {
    if (!target.open) return;
    const { record: sms } = target.parentElement;
    const isUnderWay = ["scheduled", "pending", "sent"].includes(sms.state);
    const one = { sms_id: sms.sms_id };
    const choosable = [
      sms.link && ["Click link", () => does.act("click", one)],
      isUnderWay && ["Mark received", () => does.act("mark_delivered", one)],
      isUnderWay && ["Leave undelivered", () => does.act("leave_undelivered", one)],
      ["Show its webhooks", () => does.showWebhooks(sms.key)],
      ["Copy id", (button) => copy(button, String(sms.sms_id)), "stays"],
    ].filter(Boolean);
    choices.replaceChildren(
      ...choosable.map(([label, choose, stays]) => {
        const onclick = ({ currentTarget: button }) => {
          if (!stays) target.open = false;
          choose(button);
        };
        return h("li", {}, h("button", { class: "btn bare sm", type: "button", onclick }, label));
      }),
    );
    // Near the end of the pane it opens upwards.
    const room =
      target.closest(".scroll").getBoundingClientRect().bottom -
      target.getBoundingClientRect().bottom;
    target.classList.toggle("above", room < choices.offsetHeight);
  }
}
