// Changes what is set of the sandbox, and shows what is set, unless somebody is typing there.

import { say } from "./dom.js";
import { model } from "./model.js";
import { LOST, post } from "./server.js";

export function inForm(field, value) {
  if (field === document.activeElement || field.getAttribute("aria-invalid") === "true") return;
  field.value = value;
}

// Change settings; what is wrong with them is said below, in other words if there are any.
export async function setting(changes, error, words = "") {
  try {
    model.settings = await post("settings", changes);
    error.hidden = true;
    return true;
  } catch (problem) {
    say(
      error,
      problem.message === LOST ? `Not set: the sandbox does not answer.` : words || problem.message,
    );
    error.hidden = false;
    return false;
  }
}
