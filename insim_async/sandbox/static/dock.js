// What the person at the other end does, and what their phone does: acts, and the composer.

import { here } from "./address.js";
import { byId, possible, rove, say } from "./dom.js";
import { callbackFor, hasLink, isCall, isUnderWay, model, newest } from "./model.js";
import { closePopUp, popUp } from "./pop.js";
import { act, LOST } from "./server.js";
import * as words from "./words.js";

const reply = byId("reply");
const goes = byId("goes");
const drafts = new Map(); // number -> what was being typed
let open = null; // the number that the composer speaks for
let problem = ""; // why the last act was not done

export function drawDock() {
  const { number } = here;
  const contact = model.contacts.get(number);
  const first = words.firstName(contact, number);
  if (open !== number) change(number);
  const link = newest(number, hasLink);
  const call = newest(number, isCall);
  const underWay = newest(number, isUnderWay);
  const allow = (id, why, title) => possible(byId(id), model.lost ? LOST : why, title);
  allow(
    "act-click",
    link ? "" : "No tracked link here",
    `Opens the newest tracked link: ${link?.link}`,
  );
  allow("act-call", "");
  allow("act-miss", "");
  allow(
    "act-note",
    call ? "" : "No call to note",
    call ? `On the call of ${words.minute(call.at)}` : "",
  );
  const newestSms = underWay ? `The newest SMS under way: ${underWay.message.slice(0, 40)}` : "";
  for (const id of ["act-received", "act-undelivered"])
    allow(id, underWay ? "" : "No SMS under way", newestSms);
  allow("reply-send", "", `Reply as ${first} (Enter)`);
  byId("reply-send").setAttribute("aria-label", `Reply as ${first}`);
  byId("acts").setAttribute("aria-label", `What ${first} and the phone do`);
  say(byId("composer-initials"), words.initials(contact, number));
  say(byId("reply-label"), `Reply as ${words.name(contact, number)}`);
  reply.placeholder = `Reply as ${first}…`;
  drawHint(first);
}

function drawHint(first) {
  const hears = callbackFor("incoming_sms")
    ? "Your app gets an incoming SMS."
    : "Your app hears nothing: no callback URL.";
  say(goes, problem || `You are ${first} here. ${hears}`);
  goes.classList.toggle("error", problem !== "");
}

function change(number) {
  closePopUp();
  drafts.set(open, reply.value);
  reply.value = drafts.get(number) ?? "";
  [open, problem] = [number, ""];
}

// Do an act with whoever is open, and say in the dock if it was not done.
export async function actHere(name, given = {}) {
  try {
    await act(name, { phone_number: here.number, ...given });
    problem = "";
  } catch (error) {
    problem = `Not done: ${error.message}.`;
  }
  drawDock();
}

async function send() {
  const message = reply.value;
  if (!message.trim()) return;
  try {
    await act("reply", { phone_number: here.number, message });
    problem = "";
    reply.value = "";
  } catch (error) {
    const why = error.message === LOST ? "the sandbox does not answer" : error.message;
    problem = `Not sent: ${why}. Your text is still here.`;
  }
  drawDock();
}

export function startDock() {
  const click = (id, name) => byId(id).addEventListener("click", () => actHere(name));
  click("act-click", "click");
  click("act-miss", "miss_call");
  click("act-received", "mark_delivered");
  click("act-undelivered", "leave_undelivered");
  popUp(
    byId("act-call"),
    byId("pop-call"),
    ({ duration }) => {
      const seconds = words.secondsOf(duration);
      if (Number.isNaN(seconds)) throw new Error("Minutes and seconds, such as 2:14");
      return act("call_in", { phone_number: here.number, seconds });
    },
    () => {
      const first = words.firstName(model.contacts.get(here.number), here.number);
      say(byId("call-in-words"), `${first} calls, and the phone answers for`);
    },
  );
  popUp(
    byId("act-note"),
    byId("pop-note"),
    async ({ text, source }) => {
      await act("leave_note", { phone_number: here.number, text, source });
      byId("pop-note").reset();
    },
    () => {
      const { at } = newest(here.number, isCall);
      say(byId("note-words"), `Note on the call of ${words.minute(at)}`);
    },
  );
  rove(byId("acts"), "button");
  byId("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  reply.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  });
}
