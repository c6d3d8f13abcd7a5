// What comes up over the page: the picker of readers, "go to anything", the test, and short words.
const $ = (selector) => document.querySelector(selector);
let go;

export function initDialogs(hooks) {
  ({ go } = hooks);
  document.addEventListener("click", onClick);
  document.addEventListener("input", onInput);
  document.addEventListener("submit", onSubmit);
  document.addEventListener("toggle", (event) => {
    if (event.target.id === "people" && event.target.open) $("#people-search").focus();
  }, true);
  $("#palette input").addEventListener("keydown", onPaletteKey);
}

export function closeMenus() {
  document.querySelectorAll("details.menu[open]").forEach((menu) => { menu.open = false; });
  $("#bubble").hidden = true;
}

export function toast(words) {
  const place = $("#toast");
  place.textContent = words;
  place.hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { place.hidden = true; }, 2400);
}

function onClick(event) {
  const target = event.target;
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(target)) menu.open = false;
  if (target.closest("[data-close]") || target.nodeName === "DIALOG") target.closest("dialog").close();
  if (target.closest("#send-button")) {
    $("#send").showModal();
    $("#send .answer").textContent = "";
    $("#send [data-field=reader]").textContent = $("#people summary b").textContent;
  }
  const copy = target.closest("[data-copy]");
  if (copy) copyFrom(copy.dataset.copy);
  const option = target.closest("#palette .option");
  if (option) choose(option);
}

async function copyFrom(url) {
  await navigator.clipboard.writeText(await (await fetch(url)).text());
  toast("Copied");
}

// Readers --------------------------------------------------------------------------------------------------------

let waiting = 0;
async function onInput(event) {
  if (event.target.closest("#palette")) return listMatches();
  if (event.target.id !== "people-search") return;
  const number = ++waiting, url = new URLSearchParams(document.body.dataset.url);
  url.set("q", event.target.value);
  const answer = await fetch(`people?${url}`);
  const words = await answer.text();
  if (number === waiting) $("#people-found").innerHTML = words; // our own template, escaped by it
}

// Go to anything -------------------------------------------------------------------------------------------------

export function openPalette() {
  closeMenus();
  $("#palette").showModal();
  $("#palette input").value = "";
  listMatches();
}

async function listMatches() {
  const words = $("#palette input").value.toLowerCase().split(/\s+/).filter(Boolean);
  const there = [...document.querySelectorAll("[data-words]")].map((source) => ({ source, text: source.dataset.words }));
  const readers = [...document.querySelectorAll("#people-found .option")].map((source) => ({ source, text: `Reader: ${[...source.children].map((part) => part.textContent).join("  ")}` }));
  const found = [...there, ...readers].filter(({ text }) => words.every((word) => text.toLowerCase().includes(word)));
  const list = $("#palette .scroll");
  list.replaceChildren(...found.slice(0, 60).map(({ source, text }, at) => {
    const option = document.createElement("div");
    option.className = at ? "option" : "option here";
    option.setAttribute("role", "option");
    option.setAttribute("aria-selected", at === 0);
    const label = document.createElement("b");
    label.textContent = text;
    option.append(label);
    option.source = source;
    return option;
  }));
}

function choose(option) {
  $("#palette").close();
  option.source.click();
}

function onPaletteKey(event) {
  const options = [...document.querySelectorAll("#palette .option")];
  const at = options.findIndex((option) => option.classList.contains("here"));
  const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (move && options.length) {
    event.preventDefault();
    options[at]?.classList.remove("here");
    options[at]?.setAttribute("aria-selected", "false");
    const next = options[(at + move + options.length) % options.length];
    next.classList.add("here");
    next.setAttribute("aria-selected", "true");
    next.scrollIntoView({ block: "nearest" });
  }
  if (event.key === "Enter" && options[at]) { event.preventDefault(); choose(options[at]); }
}

// A test ---------------------------------------------------------------------------------------------------------

async function onSubmit(event) {
  if (event.target.closest("#send") === null) return;
  event.preventDefault();
  const form = event.target, answer = form.querySelector(".answer"), button = form.querySelector("button.primary");
  const view = new URLSearchParams(document.body.dataset.url);
  const body = new URLSearchParams(new FormData(form));
  body.set("issue", view.get("issue") ?? "");
  body.set("as", view.get("to") ?? "");
  button.disabled = true;
  answer.className = "answer";
  answer.textContent = "Sending …";
  const reply = await fetch("send", { method: "POST", body }).catch(() => null);
  const said = reply ? await reply.json() : { good: false, words: "the preview has stopped" };
  answer.classList.add(said.good ? "good" : "bad");
  answer.textContent = said.words;
  button.disabled = false;
}
