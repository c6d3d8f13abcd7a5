// The page follows its files: whatever changes, the page is asked for again and only what differs is put in place.
import { closeMenus, initDialogs, openPalette, toast } from "./dialogs.js";
import { expectEdition, initFrames, updateScreen } from "./frames.js";

const $ = (selector) => document.querySelector(selector);

// Going somewhere ------------------------------------------------------------------------------------------------

let asked = 0;

// Shows the view with this address. `push`: a step that "back" undoes; a reload of the same view is none.
export async function go(url, { push = true } = {}) {
  const number = ++asked;
  const answer = await fetch(url, { headers: { Accept: "text/html" } }).catch(() => null);
  if (number !== asked || !answer) return;
  if (!answer.ok) return toast(`The page cannot be made: ${(await answer.text()).slice(0, 200)}`);
  const next = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (number !== asked) return; // a later step has overtaken this one
  if (push && url !== location.search) history.pushState(null, "", url);
  document.title = next.title;
  for (const name of ["data-url", "data-version", "data-issue", "data-edition", "data-archive"]) document.body.setAttribute(name, next.body.getAttribute(name));
  morph(document.body, next.body);
  markLive();
}

const kept = (node) => node.nodeType === 1 && node.hasAttribute("data-keep");
const same = (one, other) => one.nodeType === other.nodeType && one.nodeName === other.nodeName && one.id === other.id;

// Makes `old` what `next` is, touching only what differs: focus, scroll positions and open menus stay.
function morph(old, next) {
  if (old.nodeType !== 1) {
    if (old.nodeValue !== next.nodeValue) old.nodeValue = next.nodeValue;
    return;
  }
  if (kept(old) && old !== document.body) return;
  if (old.classList.contains("screen")) return updateScreen(old, next);
  if (old !== document.body) {
    for (const { name } of [...old.attributes]) {
      if (!next.hasAttribute(name) && name !== "open") old.removeAttribute(name);
    }
    for (const { name, value } of [...next.attributes]) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
  }
  const children = [...next.childNodes];
  children.forEach((child, at) => {
    let here = old.childNodes[at];
    if (here && !same(here, child)) {
      const later = child.id && [...old.childNodes].slice(at).find((node) => same(node, child));
      if (later) old.insertBefore(later, here);
      else old.insertBefore(document.importNode(child, true), here);
      here = old.childNodes[at];
      if (!later) return;
    }
    if (here) morph(here, child);
    else old.append(document.importNode(child, true));
  });
  while (old.childNodes.length > children.length) old.lastChild.remove();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-go]");
  if (link && !event.metaKey && !event.ctrlKey && !event.shiftKey) {
    event.preventDefault();
    closeMenus();
    $("#issues").classList.remove("open");
    go(link.getAttribute("href"));
  }
});
addEventListener("popstate", () => go(location.search || "?", { push: false }));

// Live -----------------------------------------------------------------------------------------------------------

let connected = true;

function markLive(fresh = false) {
  const live = $("#live");
  live.classList.toggle("bad", Boolean($(".stage.stale")));
  live.classList.toggle("off", !connected);
  if (!connected) live.querySelector("span").textContent = "stopped: run mailer preview again";
  if (fresh) {
    live.classList.remove("new");
    requestAnimationFrame(() => live.classList.add("new"));
  }
}

const events = new EventSource("events");
events.addEventListener("message", async (event) => {
  connected = true;
  const [version, issue, edition] = event.data.split(" ");
  const here = document.body.dataset;
  if (version === here.version) return markLive();
  if (edition && issue === here.issue) expectEdition(here.edition, edition);
  await go(document.body.dataset.url, { push: false });
  markLive(true);
});
events.addEventListener("error", () => { connected = false; markLive(); });
events.addEventListener("open", () => { connected = true; markLive(); });
addEventListener("pagehide", () => events.close());

// Keys -----------------------------------------------------------------------------------------------------------

const step = (label) => {
  const links = [...document.querySelectorAll(`.seg[aria-label="${label}"] a`)].filter((link) => link.textContent !== "All");
  const at = links.findIndex((link) => link.hasAttribute("aria-current"));
  links[(at + 1) % links.length]?.click();
};
const view = (name) => {
  const links = [...document.querySelectorAll('.seg[aria-label="View"] a')];
  const link = links.find((each) => each.textContent === name);
  (link?.hasAttribute("aria-current") ? links[0] : link)?.click();
};
const cycle = (menu) => {
  const links = [...document.querySelectorAll(`${menu} a`)];
  links[(links.findIndex((link) => link.hasAttribute("aria-current")) + 1) % links.length]?.click();
};
const KEYS = {
  m: () => step("Width"), d: () => step("Scheme"), i: () => step("Pictures"), f: () => $("#mark")?.click(),
  o: () => view("Outlook"), t: () => view("Text"), s: () => view("Source"),
  "[": () => $("#before")?.click(), "]": () => $("#after")?.click(), "\\": () => cycle("#beside"),
  c: () => $("#panel-button")?.click(), g: () => panel("Outline"), r: rebuild, "/": openPalette,
  "?": () => $("#help").showModal(),
  Escape: () => { closeMenus(); $("#issues").classList.remove("open"); },
};
const panel = (name) => [...document.querySelectorAll(".tabs a")].find((link) => link.textContent.trim().startsWith(name))?.click();

async function rebuild() {
  await fetch("rebuild", { method: "POST" });
  toast("Read and built again");
}

export function onKey(event) {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") { event.preventDefault(); return openPalette(); }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest?.("input, select, textarea") && event.key !== "Escape") return;
  if (document.querySelector("dialog[open]")) return;
  const number = Number(event.key);
  const tab = number >= 1 && number <= 6 && document.querySelectorAll('.seg[aria-label="View"] a')[number - 1];
  const action = tab ? () => tab.click() : KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (action) { event.preventDefault(); action(); }
}
document.addEventListener("keydown", onKey);

document.addEventListener("click", (event) => {
  const button = event.target.closest("#issues-button, #panel-button, #help-button");
  if (button?.id === "issues-button") button.setAttribute("aria-expanded", $("#issues").classList.toggle("open"));
  if (button?.id === "panel-button") go(button.dataset.href);
  if (button?.id === "help-button") $("#help").showModal();
});

initFrames({ onKey, go });
initDialogs({ go });
markLive();
