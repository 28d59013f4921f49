// What the page asks of the sandbox, and the stream in which it hears what changed.

import { model } from "./model.js";

const RETRY_SECONDS = 3;
export const LOST = "The sandbox does not answer";

// Do what a method of the sandbox does; raises an Error that says why it was not done.
export const act = (name, given = {}) => post(`acts/${name}`, given);

export async function post(path, given) {
  let response;
  if (model.lost) throw new Error(LOST);
  try {
    response = await fetch(`/_sandbox/${path}`, { method: "POST", body: JSON.stringify(given) });
  } catch {
    throw new Error(LOST);
  }
  if (!response.ok) throw new Error((await response.text()).trim());
  return response.json();
}

// Listen to what changes, for ever. Whoever was cut off is told all anew.
export function listen(take, onLink) {
  const stream = new EventSource("/_sandbox/changes");
  stream.addEventListener("message", (event) => {
    const view = JSON.parse(event.data);
    model.lost = false;
    take(view);
  });
  stream.addEventListener("error", () => {
    stream.close();
    if (!model.lost) model.lostAt = new Date();
    model.lost = true;
    model.againAt = Date.now() + RETRY_SECONDS * 1000;
    onLink();
    setTimeout(() => listen(take, onLink), RETRY_SECONDS * 1000);
  });
}
