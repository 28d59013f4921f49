// What the page knows: the sandbox's state as it was told, and which of it was looked at.

const MOST_WEBHOOKS = 10_000;

export const model = {
  known: false, // whether the state came at least once
  lost: false, // whether the stream is gone
  number: 0, // of the last change
  counts: {},
  settings: {},
  faults: [],
  contacts: new Map(),
  webhooks: new Map(),
  conversations: new Map(),
};

const seen = new Map(); // number -> the key of the last thing that was looked at

// Take a view of the sandbox: all of it, or what changed.
export function take(view) {
  if (view.number < model.number) {
    // The sandbox was started anew, and numbers its things from one again.
    seen.clear();
    model.known = false;
  }
  if (view.whole) {
    for (const shelf of [model.contacts, model.webhooks, model.conversations]) shelf.clear();
  }
  Object.assign(model, {
    number: view.number,
    counts: view.counts,
    settings: view.settings,
    faults: view.faults,
  });
  for (const contact of view.contacts) model.contacts.set(contact.phone_number, contact);
  for (const webhook of view.webhooks) model.webhooks.set(webhook.key, webhook);
  for (const key of model.webhooks.keys()) {
    if (model.webhooks.size <= MOST_WEBHOOKS) break;
    model.webhooks.delete(key);
  }
  const touched = new Set();
  for (const sms of view.messages) touched.add(put("out", sms));
  for (const sms of view.refused) touched.add(put("out", sms));
  for (const sms of view.received) touched.add(put("in", sms));
  for (const call of view.calls) touched.add(put("call", call));
  for (const conversation of touched) settle(conversation);
  model.known = true;
}

// Put a thing into its conversation. Keys grow with time over all kinds of things: what has the
// greatest is the newest.
function put(type, record) {
  const number = record.phone_number;
  if (!model.conversations.has(number))
    model.conversations.set(number, { number, items: [], places: new Map(), unsorted: false });
  const conversation = model.conversations.get(number);
  const place = conversation.places.get(record.key);
  if (place !== undefined) {
    conversation.items[place] = { type, record };
    return conversation;
  }
  conversation.unsorted ||= record.key < (conversation.items.at(-1)?.record.key ?? 0);
  conversation.places.set(record.key, conversation.items.length);
  conversation.items.push({ type, record });
  return conversation;
}

function settle(conversation) {
  const { number, items } = conversation;
  if (conversation.unsorted) {
    items.sort((a, b) => a.record.key - b.record.key);
    conversation.places = new Map(items.map((item, place) => [item.record.key, place]));
    conversation.unsorted = false;
  }
  // What was there when the page was opened is no news.
  if (!model.known && !seen.has(number)) markSeen(conversation);
}

export const newestKey = (conversation) => conversation.items.at(-1)?.record.key ?? 0;
export const markSeen = (conversation) => seen.set(conversation.number, newestKey(conversation));
export const isUnread = (conversation) =>
  newestKey(conversation) > (seen.get(conversation.number) ?? 0);

export function unread() {
  let many = 0;
  for (const conversation of model.conversations.values()) many += isUnread(conversation);
  return many;
}

// All conversations that hold a text, the one with the newest thing first.
export function conversationsWith(text) {
  const wanted = fold(text.trim());
  return [...model.conversations.values()]
    .filter((conversation) => !wanted || holds(conversation, wanted))
    .sort((a, b) => newestKey(b) - newestKey(a));
}

function holds({ number, items }, wanted) {
  const contact = model.contacts.get(number);
  const digits = wanted.replace(/[\s().-]/g, "");
  return (
    (contact && fold(`${contact.first_name} ${contact.last_name}`).includes(wanted)) ||
    (/^\+?\d+$/.test(digits) && number.includes(digits.replace(/^0(?=\d)/, ""))) ||
    items.some(({ record }) => fold(record.message ?? record.note).includes(wanted))
  );
}

// Without accents and capitals, as people search.
const fold = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

// The newest thing with a number that fits, if there is one.
export function newest(number, fits) {
  const items = model.conversations.get(number)?.items ?? [];
  return items.findLast(fits)?.record;
}

export const isUnderWay = ({ type, record }) =>
  type === "out" && ["scheduled", "pending", "sent"].includes(record.state);
export const hasLink = ({ type, record }) =>
  type === "out" && record.state !== "refused" && record.link !== "";
export const isCall = ({ type }) => type === "call";

export function webhooksNewestFirst(fits = () => true) {
  return [...model.webhooks.values()].filter(fits).sort((a, b) => b.key - a.key);
}

// What lets an app hear of a kind of event.
export const callbackFor = (kind) =>
  model.settings.callbacks?.[kind] ?? model.settings.callback ?? "";
