"use strict";
// Puts a live page's content in again as soon as the server says that there is news, and lets keys do what buttons and
// links with data-key do, unless they are turned off. Without this script the page is as good, only still, and for the
// mouse.
const EVERY_MS = 2000;
const LONGEST_MS = 10_000;
let news, timer, asks = false, told = 0;

async function again() {
  if (asks) return;
  asks = true;
  clearTimeout(timer);
  if (document.visibilityState === "visible") {
    try {
      const signal = AbortSignal.timeout(LONGEST_MS);
      const answer = await fetch(location.href, { cache: "no-store", headers: { "x-renews": "1" }, signal });
      if (!answer.ok) throw new Error(answer.statusText);
      if (answer.redirected) return location.reload();
      renew(new DOMParser().parseFromString(await answer.text(), "text/html"));
      document.body.classList.remove("stale");
    } catch {
      document.body.classList.add("stale");
    }
  }
  asks = false;
  // Whom the server has told nothing for long asks by itself: a proxy may keep the news back.
  timer = setTimeout(again, Date.now() - told < LONGEST_MS ? LONGEST_MS : EVERY_MS);
}

// A browser has few connections to a host: a page that nobody sees leaves its own to others.
function listen() {
  news?.close();
  if (document.visibilityState !== "visible") return;
  news = new EventSource("/ui/changes");
  news.onmessage = () => { told = Date.now(); again(); };
  news.onerror = again;
}
if (document.querySelector("main[data-live]")) {
  timer = setTimeout(again, EVERY_MS);
  listen();
  document.addEventListener("visibilitychange", () => { listen(); again(); });
}

// What somebody is at stays as it is, and the page says so; what needs attention, and how old it is, is told all the same.
function renew(page) {
  const [old, main] = [document, page].map((of) => of.querySelector("main"));
  if (!main) return;
  const used = document.activeElement?.matches("main :is(input, textarea, select, button)");
  const typed = [...old.querySelectorAll("input, textarea")].some((field) => field.value !== field.defaultValue);
  const held = used || typed || old.querySelector("details[open]") !== null || !getSelection().isCollapsed;
  document.body.classList.toggle("held", held);
  if (!held) return replaced(old, main);
  const always = "main > section[aria-live], main > .age";
  const fresh = [...page.querySelectorAll(always)];
  document.querySelectorAll(always).forEach((shown, place) => {
    const now = fresh[place];
    if (now && !shown.isEqualNode(now)) shown.replaceWith(now);
  });
}

// Where somebody has gone with the keyboard, and how far a wide table is moved, is the same afterwards.
function replaced(old, main) {
  const places = "a, summary, [tabindex]";
  const place = [...old.querySelectorAll(places)].indexOf(document.activeElement);
  const moved = [...old.querySelectorAll(".wide")].map((wide) => wide.scrollLeft);
  old.replaceWith(main);
  // Setting it lays a long table out at once: only where it is needed.
  main.querySelectorAll(".wide").forEach((wide, at) => { if (moved[at]) wide.scrollLeft = moved[at]; });
  if (place >= 0) main.querySelectorAll(places)[place]?.focus({ preventScroll: true });
}

// Keys of one letter are a trap for whoever speaks to the browser or touches keys by chance: they can be turned off, and
// this browser remembers it.
const OFF = "weldfleet-keys-off";
const toggle = document.querySelector("[data-keys]");
let off = false;
function show() {
  document.body.classList.toggle("no-keys", off);
  if (toggle) toggle.textContent = off ? toggle.dataset.on : toggle.dataset.off;
}
function remembered() {
  try { off = localStorage.getItem(OFF) === "1"; } catch { /* a browser that keeps nothing remembers it for this page */ }
  show();
}
remembered();
addEventListener("storage", remembered);
if (toggle) {
  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    off = !off;
    try { localStorage.setItem(OFF, off ? "1" : "0"); } catch { /* as above */ }
    show();
  });
}

// Nobody has seen a page that has only just come: a key that sends something, tapped twice, would be the next weld's.
const SEEN_MS = 400;
const unseen = [...document.querySelectorAll("form:has(button[data-key])")];
unseen.forEach((form) => form.setAttribute("aria-busy", "true"));
setTimeout(() => unseen.forEach((form) => form.removeAttribute("aria-busy")), SEEN_MS);

// Who presses a key twice means it once.
let sent = false;
document.addEventListener("submit", () => { sent = true; });
addEventListener("pageshow", () => { sent = false; });

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select");
  if (typing && event.key === "Escape") typing.blur();
  if (off || typing || event.ctrlKey || event.altKey || event.metaKey || event.repeat || sent) return;
  const meant = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!meant) return;
  event.preventDefault();
  if (meant.closest("[aria-busy]") && meant.tagName === "BUTTON") return;
  if (meant.tagName === "TEXTAREA") meant.focus();
  else meant.click();
});
