"use strict";
// Keeps the live page current. The page is whole without this file: it is rendered by the monitor, and what
// changes is fetched as the same page again, part by part.

const POLL_MS = 5000;
const SOON_MS = 250;
const AGAIN_MS = 1000;
const REST = 4;

const connection = document.getElementById("connection");
const pauseButton = document.getElementById("pause");
let stream = null;
let timer = null;
let isPaused = false;
let isFetching = false;
let isOpen = false;
let restsUntil = 0;

function say(state, text) {
  if (connection.textContent !== text) connection.textContent = text;
  connection.dataset.state = state;
}

function lost() {
  say("lost", "Connection lost, trying again…");
}

function later(ms) {
  clearTimeout(timer);
  timer = setTimeout(refresh, Math.max(ms, restsUntil - performance.now()));
}

async function refresh() {
  if (isPaused || document.hidden || isFetching) return;
  isFetching = true;
  const started = performance.now();
  try {
    const answer = await fetch(location.pathname + location.search, { headers: { accept: "text/html" } });
    if (answer.status === 401) return location.reload();
    if (answer.ok) {
      const text = await answer.text();
      if (!isPaused) swap(new DOMParser().parseFromString(text, "text/html"));
      if (isOpen && !isPaused) say("live", "Live");
    } else {
      say("lost", "The monitor is busy, trying again…");
    }
  } catch {
    lost();
  } finally {
    isFetching = false;
    // A slow monitor is asked less often.
    restsUntil = performance.now() + REST * (performance.now() - started);
    later(POLL_MS);
  }
}

function swap(fresh) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = fresh.getElementById(part.id);
    if (next === null || next.innerHTML === part.dataset.shown) continue;
    const shown = next.innerHTML;
    if (part.dataset.shown === undefined && shown === part.innerHTML) continue;
    const known = new Set(Array.from(part.querySelectorAll("[data-key]"), (each) => each.dataset.key));
    const kept = keep(part);
    part.replaceChildren(...next.childNodes);
    part.dataset.shown = shown;
    for (const each of part.querySelectorAll("[data-key]")) {
      if (known.size && !known.has(each.dataset.key)) each.classList.add("is-new");
    }
    restore(part, kept);
  }
}

// What somebody has opened, scrolled to or focused stays so.
function keep(part) {
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  const regions = Array.from(part.querySelectorAll(".scroll"), (each) => [each.ariaLabel, each.scrollLeft, each.scrollTop]);
  return {
    open: Array.from(part.querySelectorAll("details[open]"), (each) => each.id),
    regions,
    focus: focused && { tag: focused.tagName, href: focused.getAttribute("href"), label: focused.ariaLabel, index: same(part, focused).indexOf(focused) },
  };
}

function same(part, element) {
  return Array.from(part.querySelectorAll(element.tagName ?? element.tag));
}

function restore(part, kept) {
  for (const id of kept.open) document.getElementById(id)?.setAttribute("open", "");
  for (const region of part.querySelectorAll(".scroll")) {
    const found = kept.regions.find(([label]) => label === region.ariaLabel);
    if (found) [, region.scrollLeft, region.scrollTop] = found;
  }
  if (kept.focus === null) return;
  const offered = same(part, kept.focus);
  const { href, label, index } = kept.focus;
  const isSame = (each) => each.getAttribute("href") === href && each.ariaLabel === label;
  (offered.find(isSame) ?? offered[index])?.focus({ preventScroll: true });
}

function connect() {
  disconnect();
  stream = new EventSource("/api/events");
  stream.addEventListener("open", () => {
    isOpen = true;
    say("live", "Live");
    later(0);
  });
  stream.addEventListener("finding", () => later(SOON_MS));
  stream.addEventListener("error", () => {
    isOpen = false;
    lost();
    // A browser tries again by itself, unless it was answered with a fault.
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => isPaused || document.hidden || connect(), AGAIN_MS);
  });
}

function disconnect() {
  isOpen = false;
  stream?.close();
  stream = null;
  clearTimeout(timer);
}

function follow() {
  if (isPaused || document.hidden) disconnect();
  else connect();
  if (isPaused) say("still", "Paused");
}

pauseButton.hidden = false;
pauseButton.addEventListener("click", () => {
  isPaused = !isPaused;
  pauseButton.textContent = isPaused ? "Go on" : "Pause";
  follow();
});
// A browser opens few connections to a host: a page that nobody sees needs none.
document.addEventListener("visibilitychange", follow);
window.addEventListener("pagehide", disconnect);
window.addEventListener("pageshow", (event) => event.persisted && follow());
follow();
