// Where one is, in the address: #/NUMBER/VIEW. So the browser's Back goes the way that one came.

export const DETAILS = ["webhooks", "faults", "phone"];
const NARROW = matchMedia("(max-width: 960px)");

export const here = { number: "", view: "", tab: "webhooks" };

export const isNarrow = () => NARROW.matches;

export function read() {
  const [, number = "", view = ""] = location.hash.split("/");
  try {
    here.number = decodeURIComponent(number);
  } catch {
    here.number = "";
  }
  here.view = DETAILS.includes(view) ? view : "";
  if (here.view) here.tab = here.view;
}

export const addressOf = (number, view = "") =>
  `#/${encodeURIComponent(number)}${view ? `/${view}` : ""}`;

export const go = (number, view) => (location.hash = addressOf(number, view));
export const goTo = (view) => go(here.number, view);

// Be there without a step for Back to return to.
export const replace = (number, view) => location.replace(addressOf(number, view));

export function onMove(draw) {
  window.addEventListener("hashchange", () => {
    read();
    draw();
  });
  NARROW.addEventListener("change", draw);
  read();
}
