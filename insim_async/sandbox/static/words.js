// How things are said: times, numbers, names, what became of a webhook. Values in, text out.

const MINUTE = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const SECOND = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const WEEKDAY = new Intl.DateTimeFormat("en-GB", { weekday: "short" });
const DATE = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const DAY = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long" });

export const minute = (at) => MINUTE.format(new Date(at));
export const second = (at) => SECOND.format(new Date(at));
export const millisecond = (at) =>
  `${second(at)}.${String(new Date(at).getMilliseconds()).padStart(3, "0")}`;
export const dayOf = (at) => new Date(at).toDateString();

// The day of a message, above the first one of that day.
export function day(at, now = new Date()) {
  return dayOf(at) === dayOf(now) ? "Today" : DAY.format(new Date(at)).replace(",", "");
}

// When something was, as short as a list has room for: the time, the weekday, or the date.
export function lately(at, now = new Date()) {
  if (dayOf(at) === dayOf(now)) return minute(at);
  const then = new Date(at);
  return now - then < 6 * 86_400_000 ? WEEKDAY.format(then) : DATE.format(then);
}

export function dateAndTime(at) {
  const then = new Date(at);
  return `${WEEKDAY.format(then)} ${DATE.format(then)}, ${minute(then)}`;
}

export function duration(seconds) {
  const minutes = Math.floor(seconds / 60);
  return minutes ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}

// "2:14" or "2" (minutes) as seconds; NaN if it is neither.
export function secondsOf(text) {
  const found = /^\s*(\d{1,4})(?::([0-5]?\d))?\s*$/.exec(text);
  return found ? Number(found[1]) * 60 + Number(found[2] ?? 0) : NaN;
}

export const took = (seconds) =>
  seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(2)} s`;

export function secondsUntil(at, now = Date.now()) {
  return Math.max(0, Math.ceil((new Date(at) - now) / 1000));
}

export const count = (many, one, several = `${one}s`) => `${many} ${many === 1 ? one : several}`;

export function ordinal(number) {
  const last = number % 100 > 10 && number % 100 < 14 ? 0 : number % 10;
  return `${number}${["th", "st", "nd", "rd"][last] ?? "th"}`;
}

// Country codes of one or two digits; all others have three (ITU-T E.164).
const SHORT_CODES = /^(1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58])/;

// A number in groups, whole: "+33 6 39 98 00 01". What is no number is left as it is.
export function number(plain) {
  if (!/^\+[1-9]\d{6,14}$/.test(plain)) return plain || "(no number)";
  const digits = plain.slice(1);
  const code = SHORT_CODES.exec(digits)?.[0] ?? digits.slice(0, 3);
  const rest = digits.slice(code.length);
  if (code === "1" && rest.length === 10)
    return `+1 ${rest.slice(0, 3)} ${rest.slice(3, 6)} ${rest.slice(6)}`;
  const odd = rest.length % 2 === 0 ? 0 : code === "33" ? 1 : 3;
  const groups = [rest.slice(0, odd), ...(rest.slice(odd).match(/../g) ?? [])];
  return ["+" + code, ...groups.filter(Boolean)].join(" ");
}

export function name(contact, plain) {
  const whole = contact ? `${contact.first_name} ${contact.last_name}`.trim() : "";
  return whole || number(plain);
}

export function firstName(contact, plain) {
  return contact?.first_name || contact?.last_name || number(plain);
}

export function initials(contact, plain) {
  const letters = [contact?.first_name, contact?.last_name]
    .filter(Boolean)
    .map((part) => [...part][0]);
  return letters.join("").toUpperCase() || plain.slice(-2);
}

export const SMS_STATES = {
  scheduled: { icon: "date", look: "", words: "Scheduled" },
  pending: { icon: "clock", look: "wait", words: "Pending" },
  sent: { icon: "tick", look: "", words: "Sent" },
  received: { icon: "ticks", look: "ok", words: "Received" },
  undelivered: { icon: "alert", look: "bad", words: "Left undelivered" },
  refused: { icon: "alert", look: "bad", words: "Refused" },
};

export function cost(sms) {
  const forcing = sms.non_gsm.length
    ? ` (${sms.non_gsm.slice(0, 3).join(" ")}${sms.non_gsm.length > 3 ? " …" : ""})`
    : "";
  return `${count(sms.parts, "part")} · ${sms.encoding}${forcing}`;
}

// What a call is called, its icon, and what stands below.
export function call(record) {
  const begun = minute(record.at);
  const incoming = record.direction === "incoming";
  const spoken = `${begun} · ${duration(record.duration)}`;
  return {
    ringing: {
      icon: "tel-out",
      look: "ok",
      words: "Click-to-call",
      last: "Click-to-call rings",
      sub: `${begun} · the phone rings`,
    },
    answered: incoming
      ? { icon: "tel-in", look: "", words: "Incoming call", sub: spoken }
      : {
          icon: "tel-out",
          look: "",
          words: "Click-to-call",
          last: "Click-to-call answered",
          sub: spoken,
        },
    unanswered: { icon: "tel-out", look: "", words: "Click-to-call, not answered", sub: begun },
    missed: { icon: "tel-miss", look: "bad", words: "Missed call", sub: begun },
    failed: {
      icon: "tel-out",
      look: "bad",
      words: "Click-to-call failed",
      last: `Click-to-call failed: ${record.errors[0] ?? "#002"}`,
      sub: `${begun} · ${record.errors[0] ?? "#002"}, the phone is offline`,
    },
  }[record.state];
}

const KINDS = {
  incoming_sms: "Incoming SMS",
  call: "Call",
  link_click: "Link click",
  call_qualification: "Call note",
  delivery_status: "Delivery report",
};
const TITLES = {
  incoming_call: "Incoming call",
  outgoing_call: "Outgoing call",
  missed_call: "Missed call",
  call_qualification_from_mobile: "Call note, from the phone",
  call_qualification_from_interface: "Call note, from the web",
};

export const kind = (word) => KINDS[word] ?? word;

export function webhookTitle(webhook) {
  const payload = payloadOf(webhook);
  if (webhook.kind === "delivery_status") return `Delivery report, ${payload.status}`;
  return TITLES[payload.title] ?? kind(webhook.kind);
}

export function payloadOf(webhook) {
  try {
    return JSON.parse(webhook.payload);
  } catch {
    return {};
  }
}

// Where a webhook goes: the port of this machine, else the host.
export function target(url) {
  if (!url) return "no URL";
  try {
    const { hostname, port, host } = new URL(url);
    return /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname) ? `:${port || 80}` : host;
  } catch {
    return url;
  }
}

// The result of a try: its status, or why there was none.
export const result = (attempt) =>
  attempt.status === null
    ? attempt.problem.replace(/^(no answer).*/, "$1")
    : String(attempt.status);

const SHORT = {
  "connection refused": "refused",
  "no such host": "no host",
  "certificate not trusted": "no trust",
};

// How a webhook's state is shown: {pill, look} and what stands beside its time.
export function webhookState(webhook) {
  const last = webhook.tries.at(-1);
  const said = last ? result(last) : "";
  switch (webhook.state) {
    case "held":
      return { pill: "Held", look: "", beside: "not sent" };
    case "late":
      return { pill: "Late", look: "", beside: "sent in", until: webhook.again_at };
    case "waiting":
      return {
        pill: SHORT[said] ?? said,
        look: "warn",
        beside: "again in",
        until: webhook.again_at,
      };
    case "gave_up":
      return { pill: "Gave up", look: "bad", beside: count(webhook.tries.length, "try", "tries") };
    case "delivered": {
      const nth = webhook.tries.length > 1 ? ` · ${ordinal(webhook.tries.length)} try` : "";
      return { pill: said, look: "ok", beside: `${took(last.seconds)}${nth}` };
    }
    default:
      return { pill: "Sending", look: "", beside: "on its way" };
  }
}

// The same in the line below what somebody wrote.
export function heard(webhook) {
  const { pill, look, until } = webhookState(webhook);
  const problem = webhook.tries.length ? result(webhook.tries.at(-1)) : pill.toLowerCase();
  switch (webhook.state) {
    case "held":
      return { words: "your app: no callback URL", look: "" };
    case "gave_up":
      return { words: `your app: ${problem}, gave up`, look };
    case "waiting":
    case "late":
      return {
        words: `your app: ${problem}, ${webhook.state === "late" ? "sent" : "again"} in`,
        look,
        until,
      };
    case "delivered":
      return { words: `your app: ${pill}`, look: "" };
    default:
      return { words: "your app: on its way", look: "" };
  }
}

export const isFailing = (webhook) => webhook.state === "waiting" || webhook.state === "gave_up";
