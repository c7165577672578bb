"use strict";
// Puts a live page's content in again every two seconds, as the server makes it, and lets keys do what buttons and links
// with data-key do, unless they are turned off. Without this script the page is as good, only still, and for the mouse.
const EVERY_MS = 2000;

async function again() {
  if (document.visibilityState === "visible") {
    try {
      const answer = await fetch(location.href, { cache: "no-store", headers: { "x-renews": "1" } });
      if (!answer.ok) throw new Error(answer.statusText);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const main = page.querySelector("main");
      const focused = document.activeElement && document.activeElement.closest("main");
      const typed = [...document.querySelectorAll("main input, main textarea")].some((field) => field.value !== field.defaultValue);
      const open = document.querySelector("main details[open]");
      if (answer.redirected) location.reload();
      if (main && !focused && !typed && !open && getSelection().isCollapsed) document.querySelector("main").replaceWith(main);
      document.body.classList.remove("stale");
    } catch {
      document.body.classList.add("stale");
    }
  }
  setTimeout(again, EVERY_MS);
}
if (document.querySelector("main[data-live]")) setTimeout(again, EVERY_MS);

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
  if (meant.tagName === "TEXTAREA") meant.focus();
  else meant.click();
});
