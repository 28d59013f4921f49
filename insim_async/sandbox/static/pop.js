// Pop-ups with a form: they focus their first field, close with Esc, and give the focus back.

import { h } from "./dom.js";

let shut = () => {};

// Let a button open a form; `done` gets what stands in its fields, and may raise why not.
export function popUp(button, form, done, onOpen = () => {}) {
  const open = (isOpen) => {
    form.hidden = !isOpen;
    button.setAttribute("aria-expanded", isOpen);
  };
  const close = () => {
    if (form.hidden) return;
    const hadFocus = form.contains(document.activeElement);
    open(false);
    if (hadFocus) button.focus();
  };
  const error = form.querySelector(".error");
  button.addEventListener("click", () => {
    const wasOpen = !form.hidden;
    shut();
    if (wasOpen) return;
    shut = close;
    error.hidden = true;
    onOpen();
    open(true);
    form.querySelector("input, textarea").focus();
  });
  form.querySelector("[data-shut]").addEventListener("click", close);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await done(Object.fromEntries(new FormData(form)));
      close();
    } catch (problem) {
      error.textContent = problem.message;
      error.hidden = false;
    }
  });
}

export const closePopUp = () => shut();

// Menus close when something else is clicked.
export function closeMenus({ target }) {
  for (const menu of document.querySelectorAll(".menu[open]"))
    if (!menu.contains(target)) menu.open = false;
}

// Whether one was open, which then is closed.
export function escaped() {
  const open = document.querySelector(".pop:not([hidden])");
  shut();
  for (const menu of document.querySelectorAll(".menu[open]")) {
    menu.open = false;
    menu.firstChild.focus();
    return true;
  }
  return open !== null;
}

// A question in its own place: what it asks, what does it, and Cancel.
export function ask(place, question, word, done) {
  const before = [...place.childNodes];
  const back = () => {
    place.replaceChildren(...before);
    place.querySelector("button").focus();
  };
  const yes = h(
    "button",
    {
      class: "btn sm danger",
      type: "button",
      onclick: () => {
        back();
        done();
      },
    },
    word,
  );
  const no = h("button", { class: "btn sm", type: "button", onclick: back }, "Cancel");
  place.replaceChildren(h("span", { class: "small" }, question), yes, no);
  yes.focus();
}
