// Makes and mends elements. Text from outside goes in as text; no other way exists here.

const SVG = "http://www.w3.org/2000/svg";

// Make an element: h("p", {class: "muted", onclick: act}, "text", child).
export function h(tag, given = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean") made.toggleAttribute(name, value);
    else if (value != null) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child != null && child !== ""));
  return made;
}

// One of the symbols in the page; with a label it speaks, else it is decoration.
export function icon(name, { label = "", className = "" } = {}) {
  const made = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  made.append(use);
  if (className) made.setAttribute("class", className);
  if (label) {
    made.setAttribute("role", "img");
    made.setAttribute("aria-label", label);
  } else made.setAttribute("aria-hidden", "true");
  return made;
}

export const byId = (id) => document.getElementById(id);

// What only a screen reader says.
export const unseen = (text) => h("span", { class: "sr" }, text);

// Set text where it is another: a reader does not hear again what has not changed.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// A number on a tab; nothing where there is nothing to count.
export function badge(element, many) {
  element.hidden = !many;
  say(element, String(many));
}

// Show things as the children of a parent: each keeps its element, by key, and with it its focus.
export function sync(parent, things, key, make, update = () => {}) {
  const rows = (parent.rows ??= new Map());
  const wanted = new Set(things.map(key));
  for (const [known, row] of rows) {
    if (wanted.has(known)) continue;
    row.remove();
    rows.delete(known);
  }
  const focused = document.activeElement;
  let next = parent.firstElementChild;
  things.forEach((thing, place) => {
    const name = key(thing);
    const row = rows.get(name) ?? make(thing);
    rows.set(name, row);
    update(row, thing, place);
    if (row === next) next = next.nextElementSibling;
    else parent.insertBefore(row, next);
  });
  if (focused !== document.activeElement && parent.contains(focused)) focused.focus();
}

// Let a button be used, or say why not: it stays in sight, and in reach of the keyboard.
export function possible(button, why, title = "") {
  if (why) button.setAttribute("aria-disabled", "true");
  else button.removeAttribute("aria-disabled");
  const words = why || title;
  if (button.title === words) return;
  button.title = words;
  if (!words) button.removeAttribute("title");
}

// Arrow keys move within a row of buttons, of which one is in the order of Tab.
export function rove(parent, selector, onMove = () => {}) {
  parent.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const items = [...parent.querySelectorAll(selector)];
    const at = items.indexOf(event.target.closest(selector));
    if (!step || at < 0) return;
    event.preventDefault();
    const to = items[(at + step + items.length) % items.length];
    for (const item of items) item.tabIndex = item === to ? 0 : -1;
    to.focus();
    onMove(to);
  });
}

// Copy a text, and say so on the button for a moment.
export async function copy(button, text) {
  const words = button.lastChild;
  const before = words.textContent;
  if (before === "Copied") return;
  await toClipboard(text);
  words.textContent = "Copied";
  setTimeout(() => (words.textContent = before), 1500);
}

async function toClipboard(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Browsers have no clipboard on a page over plain http from another machine.
  const field = h("textarea", { class: "sr" });
  field.value = text;
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}
