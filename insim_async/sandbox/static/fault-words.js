// What can be ordered to go wrong: its name, its parameters, and what will happen, in words.

import { count, kind } from "./words.js";

const number = (name, label, given) => ({ name, label, given });
const seconds = number("delay", "Seconds", 5);

// Each fault: what it is called, a hint, its fields as the sandbox has them, and its sentence.
export const ANSWERS = [
  {
    id: "slow",
    name: "Slow",
    hint: "answered after a delay",
    params: [seconds],
    make: ({ delay }) => ({ delay }),
    says: ({ delay }, one) => `${one("is", "are")} done; the answer comes after ${delay} s.`,
  },
  {
    id: "429",
    name: "429",
    hint: "with Retry-After",
    params: [number("retry_after", "Retry-After", 30)],
    make: ({ retry_after }) => ({ status: 429, retry_after }),
    says: ({ retry_after }, one) =>
      `${one("is", "are")} answered 429 with Retry-After ${retry_after}; nothing is ${one.done}.`,
  },
  {
    id: "error",
    name: "Server error",
    hint: "500, 502 or 503",
    params: [
      {
        name: "status",
        label: "Status",
        given: 503,
        choices: { 500: "500", 502: "502", 503: "503" },
      },
    ],
    make: ({ status }) => ({ status }),
    says: ({ status }, one) => `${one("is", "are")} answered ${status}; nothing is ${one.done}.`,
  },
  {
    id: "lost",
    name: "Lost answer",
    hint: "done, then cut in half",
    params: [],
    make: () => ({ lose_answer: true }),
    says: (_, one) =>
      `${one("is", "are")} done, and ${one("its answer is", "their answers are")} cut in half.`,
  },
  {
    id: "missing",
    name: "Missing receipts",
    hint: "rows cut from the end",
    params: [number("drop_receipts", "Rows", 1)],
    make: ({ drop_receipts }) => ({ drop_receipts }),
    says: ({ drop_receipts: rows }, one) =>
      `${one("is", "are")} done; ${one("its answer lacks", "their answers lack")} ` +
      `the last ${rows === 1 ? "row" : `${rows} rows`}.`,
  },
  {
    id: "permuted",
    name: "Permuted receipts",
    hint: "rows in another order",
    params: [],
    make: () => ({ permute: true }),
    says: (_, one) =>
      `${one("is", "are")} done; the rows of ${one("its answer", "their answers")} ` +
      "come in reverse order.",
  },
  {
    id: "login",
    name: "Refused login",
    hint: "401 with #001",
    params: [],
    make: () => ({ refuse_login: true }),
    says: (_, one) => `${one("is", "are")} answered 401 with #001; nothing is ${one.done}.`,
  },
  {
    id: "older",
    name: "Older spelling",
    hint: "as older pages have it",
    params: [],
    make: () => ({ older: true }),
    says: (_, one) => `${one("is", "are")} done, and answered in the spelling of the older pages.`,
  },
];
export const WEBHOOKS = [
  {
    id: "twice",
    name: "Twice",
    hint: "the same one again",
    params: [],
    make: () => ({ twice: true }),
    says: (_, one) => `${one("leaves", "leave")} twice.`,
  },
  {
    id: "late",
    name: "Late",
    hint: "after a delay",
    params: [seconds],
    make: ({ delay }) => ({ delay }),
    says: ({ delay }, one) => `${one("leaves", "leave")} ${delay} s late.`,
  },
  {
    id: "behind",
    name: "Out of order",
    hint: "received before sent",
    params: [],
    make: () => ({ after_next: true }),
    says: (_, one) => `${one("leaves", "leave")} behind the one after ${one("it", "them")}.`,
  },
  {
    id: "double",
    name: "Double-encoded",
    hint: "encodeURIComponent twice",
    params: [],
    make: () => ({ encoded_twice: true }),
    says: (_, one) => `${one("is", "are")} encoded twice.`,
  },
  {
    id: "form",
    name: "Encoded as a form",
    hint: "+ for each space",
    params: [],
    make: () => ({ as_form: true }),
    says: (_, one) => `${one("is", "are")} decoded, and encoded again as a form.`,
  },
  {
    id: "timeless",
    name: "Without its time",
    hint: "the date field is left out",
    params: [],
    make: () => ({ without_time: true }),
    says: (_, one) => `${one("lacks its", "lack their")} date.`,
  },
];

export const CALLS = { sendsms: "Send SMS", contact: "Add contacts", clicTocall: "Click-to-call" };
export const KINDS = [
  "incoming_sms",
  "call",
  "link_click",
  "call_qualification",
  "delivery_status",
];

const CALL_NOUNS = {
  sendsms: "send",
  contact: "request for contacts",
  clicTocall: "click-to-call",
};
const CALL_NOUNS_MANY = { contact: "requests for contacts" };
const DONE = { sendsms: "sent", contact: "added", clicTocall: "called" };

// The request or webhook that a fault waits for, one or several.
function noun(on, filter, times) {
  if (on === "webhook")
    return count(
      times,
      filter ? kind(filter).toLowerCase().replace("sms", "SMS") : "webhook",
    ).replace(/^\d+ /, "");
  const one = CALL_NOUNS[filter] ?? "request";
  return times === 1 ? one : (CALL_NOUNS_MANY[filter] ?? `${one}s`);
}

// "The next 2 sends", and the rest of the sentence.
export function sentence(choice, on, filter, times, values) {
  const one = Object.assign((single, several) => (times === 1 ? single : several), {
    done: DONE[filter] ?? "done",
  });
  const subject = `The next ${times === 1 ? "" : `${times} `}${noun(on, filter, times)}`;
  return [subject, ` ${choice.says(values, one)}`];
}

// A fault that waits in the queue, whoever ordered it: what, and for which.
export function described(fault) {
  const says = fault.on === "webhook" ? ofWebhook(fault) : ofAnswer(fault);
  const filter = fault.path ?? fault.kind ?? "";
  const many = fault.times === 1 ? "" : `${fault.times} `;
  const kindless = filter ? "" : " of any kind";
  return {
    what: says.join(", ") || "Nothing",
    next: `next ${many}${noun(fault.on, filter, fault.times)}${kindless}`,
  };
}

const retryAfter = (given) => (Number.isFinite(given) ? `${given} s` : given);

const ofAnswer = (fault) =>
  [
    fault.status && String(fault.status),
    fault.retry_after !== null && `Retry-After ${retryAfter(fault.retry_after)}`,
    fault.body !== null && "Another body",
    fault.delay > 0 && `Slow, ${fault.delay} s`,
    fault.lose_answer && "Lost answer",
    fault.drop_receipts > 0 && `Missing receipts, ${count(fault.drop_receipts, "row")}`,
    fault.permute && "Permuted receipts",
    fault.refuse_login && "Refused login",
    fault.older && "Older spelling",
    fault.unsent && "No connection",
  ].filter(Boolean);

const ofWebhook = (fault) =>
  [
    fault.twice && "Twice",
    fault.delay > 0 && `Late, ${fault.delay} s`,
    fault.after_next && "Out of order",
    fault.encoded_twice && "Double-encoded",
    fault.as_form && "Encoded as a form",
    fault.without_time && "Without its time",
  ].filter(Boolean);
