// The message's frames: no flicker when they change, scroll positions kept, links shown before they are followed.
// A frame runs no script of its own; what listens here is ours.
const $ = (selector) => document.querySelector(selector);
let onKey, go;

export function initFrames(hooks) {
  ({ onKey, go } = hooks);
  document.querySelectorAll(".screen iframe").forEach(listen);
  new ResizeObserver(fit).observe($("main"));
  document.addEventListener("click", onShow);
  document.addEventListener("pointerdown", onDrag);
  document.addEventListener("click", (event) => { if (!event.target.closest("#bubble")) $("#bubble").hidden = true; });
}

export const eachFrame = (use) => document.querySelectorAll(".screen iframe:not(.coming)").forEach(use);

// A new frame loads behind the old one and takes its place when it is painted. Both are parsed by the browser itself.
export function updateScreen(old, next) {
  const shown = old.querySelector("iframe:not(.coming)");
  const width = next.dataset.width ?? "";
  if (width) {
    old.dataset.width = width;
    shown.setAttribute("width", width);
    shown.removeAttribute("style");
  } else {
    delete old.dataset.width;
    shown.removeAttribute("width");
  }
  queueMicrotask(fit); // when the whole page is in place
  load(old, next.dataset.src);
}

// The next edition of an issue, as soon as its name is known: the page around it may come when it likes.
export function expectEdition(before, edition) {
  for (const screen of document.querySelectorAll(".screen")) {
    load(screen, screen.dataset.src.replace(`at=${before}-`, `at=${edition}-`));
  }
}

function load(screen, src) {
  if (screen.dataset.src === src) return;
  screen.dataset.src = src;
  screen.querySelectorAll(".coming").forEach((frame) => frame.remove());
  const shown = screen.querySelector("iframe");
  const frame = shown.cloneNode();
  delete frame.dataset.heard;
  frame.src = src;
  frame.classList.add("coming");
  frame.addEventListener("load", () => {
    if (screen.dataset.src !== src) return frame.remove();
    const before = shown.contentWindow, now = frame.contentWindow;
    now.scrollTo(0, sameWidth(shown, frame) ? before.scrollY : ratio(before) * room(now));
    frame.classList.remove("coming");
    shown.remove();
    document.dispatchEvent(new CustomEvent("shown", { detail: src }));
  }, { once: true });
  listen(frame);
  screen.append(frame);
  fit();
}

// Where a desk's width has no room, it is shown smaller: narrower, the message would take its telephone's form.
const DESK = 680;
export function fit() {
  for (const screen of document.querySelectorAll(".screen:not([data-width])")) {
    const scale = innerWidth > 900 ? Math.min(screen.clientWidth / DESK, 1) : 1;
    for (const frame of screen.querySelectorAll("iframe:not([width])")) {
      frame.style.width = frame.style.height = scale < 1 ? `${100 / scale}%` : "";
      frame.style.transform = scale < 1 ? `scale(${scale})` : "";
    }
  }
}

const room = (window) => Math.max(window.document.documentElement.scrollHeight - window.innerHeight, 0);
const ratio = (window) => (room(window) ? window.scrollY / room(window) : 0);
const sameWidth = (one, other) => one.getAttribute("width") === other.getAttribute("width");

function listen(frame) {
  const attach = () => {
    const inside = frame.contentDocument;
    if (!inside || inside.URL === "about:blank" || frame.dataset.heard === inside.URL) return;
    frame.dataset.heard = inside.URL;
    inside.addEventListener("keydown", onKey);
    inside.addEventListener("click", (event) => onLink(event, frame));
    inside.addEventListener("submit", (event) => event.preventDefault());
    inside.addEventListener("scroll", () => follow(frame), { passive: true });
  };
  frame.addEventListener("load", attach);
  if (frame.contentDocument?.readyState === "complete") attach();
}

// Side by side ---------------------------------------------------------------------------------------------------

let leading = null, released = 0;
function follow(frame) {
  if (leading && leading !== frame) return;
  leading = frame;
  clearTimeout(released);
  released = setTimeout(() => { leading = null; }, 120);
  eachFrame((other) => { if (other !== frame) other.contentWindow.scrollTo(0, ratio(frame.contentWindow) * room(other.contentWindow)); });
}

// Links ----------------------------------------------------------------------------------------------------------

function onLink(event, frame) {
  const link = event.target.closest?.("a[href], area[href]");
  $("#bubble").hidden = true;
  if (!link) return;
  event.preventDefault();
  const href = link.getAttribute("href");
  if (href.startsWith("#")) return find(frame.contentDocument, "name", href.slice(1))?.scrollIntoView({ behavior: "smooth" });
  const bubble = $("#bubble"), place = link.getBoundingClientRect(), at = frame.getBoundingClientRect();
  const words = document.createElement("code");
  words.textContent = href;
  bubble.replaceChildren(words);
  if (/unsubscribe/i.test(href)) {
    bubble.append(Object.assign(document.createElement("p"), { textContent: "It would unsubscribe this reader, so it is not opened here." }));
  } else if (href === document.body.dataset.archive) {
    bubble.append(Object.assign(document.createElement("p"), { textContent: "The issue is not there before it is published. Here it is:" }),
      Object.assign(document.createElement("a"), { href: frame.src, target: "_blank", rel: "noopener", textContent: "Open the message by itself" }));
  } else if (/^(https?|mailto):/i.test(href)) {
    bubble.append(Object.assign(document.createElement("a"), { href, target: "_blank", rel: "noopener noreferrer", textContent: "Open" }));
  } else {
    bubble.append(Object.assign(document.createElement("p"), { textContent: "No mail program opens this." }));
  }
  bubble.hidden = false;
  bubble.style.left = `${Math.max(12, Math.min(at.left + place.left, innerWidth - bubble.offsetWidth - 12))}px`;
  bubble.style.top = `${Math.max(60, Math.min(at.top + place.bottom + 8, innerHeight - bubble.offsetHeight - 12))}px`;
}

// Show me where --------------------------------------------------------------------------------------------------

function find(inside, kind, value) {
  const all = (selector) => [...inside.querySelectorAll(selector)];
  if (kind === "heading") return all("h1, h2, h3")[Number(value)];
  if (kind === "name") return all("a[name]").find((each) => each.name === value);
  if (kind === "src") return all("img").find((each) => each.getAttribute("src") === value) ?? inside.querySelector("img");
  return all("a[href]").find((each) => each.getAttribute("href") === value);
}

async function onShow(event) {
  const button = event.target.closest("[data-show]");
  if (!button) return;
  if (!$(".screen")) await go(document.querySelector('.seg[aria-label="View"] a').getAttribute("href"));
  eachFrame((frame) => {
    let found = find(frame.contentDocument, button.dataset.show, button.dataset.value);
    if (!found) return;
    if (button.dataset.show === "name") found = found.closest("tr") ?? found;
    found.scrollIntoView({ block: button.dataset.show === "href" ? "center" : "start", behavior: "smooth" });
    found.style.outline = "3px solid #d9822b";
    found.style.outlineOffset = "3px";
    setTimeout(() => { found.style.outline = found.style.outlineOffset = ""; }, 2200);
  });
}

// Any width ------------------------------------------------------------------------------------------------------

function onDrag(event) {
  if (!event.target.classList?.contains("drag")) return;
  const frame = event.target.closest(".pane").querySelector("iframe"), screen = frame.closest(".screen");
  const start = event.clientX, from = frame.getBoundingClientRect().width;
  let width = from;
  event.target.setPointerCapture(event.pointerId);
  const move = (moved) => {
    width = Math.round(Math.max(280, Math.min(from + 2 * (moved.clientX - start), 1400))); // it stays in the middle
    frame.setAttribute("width", width);
    screen.closest(".pane").classList.add("narrow");
  };
  event.target.addEventListener("pointermove", move);
  event.target.addEventListener("pointerup", () => {
    event.target.removeEventListener("pointermove", move);
    const url = new URLSearchParams(document.body.dataset.url);
    url.set("w", width);
    go(`?${url}`);
  }, { once: true });
}
