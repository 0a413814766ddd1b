// Keeps the page up to date: asks for it again and changes in place only what differs, so that focus, scroll position,
// selection and open details stay as they are.

const every = Number(document.documentElement.dataset.every) * 1000;
const patience = 20_000;
const longest = 15_000;
let seen = null;
let lost = null;
let read = new Date();
let timer = 0;

async function look() {
  clearTimeout(timer);
  if (!document.hidden) {
    try {
      const answer = await fetch(location.href, { cache: "no-cache", signal: AbortSignal.timeout(patience) });
      const tag = answer.headers.get("etag");
      if (!tag) throw new Error("somebody else answered");
      const text = tag === seen ? null : await answer.text();
      read = new Date();
      lost = null;
      if (text !== null) show(new DOMParser().parseFromString(text, "text/html"));
      seen = tag;
    } catch {
      lost ??= { since: read, tries: 0 };
      lost.tries += 1;
    }
  }
  say();
  timer = setTimeout(look, lost ? Math.min(longest, every * lost.tries) : every);
}

function show(page) {
  const focused = document.activeElement?.id;
  document.title = page.title;
  if (page.documentElement.dataset.over) document.documentElement.dataset.over = "yes";
  else delete document.documentElement.dataset.over;
  change(document.body, page.body);
  if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

function change(old, now) {
  if (old.nodeType !== now.nodeType || old.nodeName !== now.nodeName || (old.id ?? "") !== (now.id ?? "")) {
    old.replaceWith(document.importNode(now, true));
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== now.data) old.data = now.data;
    return;
  }
  // What is said here and which details are open is the reader's page's own.
  if (old.dataset?.own !== undefined) return;
  const kept = (name) => name === "open" && old.nodeName === "DETAILS";
  for (const { name, value } of now.attributes) {
    if (!kept(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) if (!kept(name) && !now.hasAttribute(name)) old.removeAttribute(name);
  const wanted = new Set([...now.children].map((child) => child.id).filter(Boolean));
  let at = old.firstChild;
  for (const child of [...now.childNodes]) {
    // What has an id is told by it: neither what is gone nor what is new pushes it out of its place.
    while (at?.id && !wanted.has(at.id)) at = removed(at);
    if (at && (at.id ?? "") === (child.id ?? "")) {
      const next = at.nextSibling;
      change(at, child);
      at = next;
      continue;
    }
    const moved = child.id && [...old.children].find((one) => one.id === child.id);
    old.insertBefore(moved || document.importNode(child, true), at);
    if (moved) change(moved, child);
  }
  while (at) at = removed(at);
}

function removed(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

function say() {
  const place = document.getElementById("connection");
  const over = document.documentElement.dataset.over;
  let words = "Updates by itself";
  if (lost && over) words = "This is how it ended. The page is not served any more";
  else if (lost) words = `No connection. This is how it was ${ago(lost.since)}, at ${lost.since.toLocaleTimeString()}`;
  else if (over) words = "Has ended";
  if (place.textContent !== words) place.textContent = words;
  place.className = lost ? (over ? "over" : "lost") : over ? "over" : "live";
  for (const time of document.querySelectorAll("time[data-ago]")) {
    const since = ago(new Date(time.dateTime));
    if (time.textContent !== since) time.textContent = since;
  }
}

function ago(date) {
  const seconds = Math.max(0, (Date.now() - date) / 1000);
  for (const [unit, length] of [["day", 86_400], ["hour", 3600], ["minute", 60]]) {
    const count = Math.floor(seconds / length);
    if (count >= 1) return `${count} ${unit}${count > 1 ? "s" : ""} ago`;
  }
  return seconds < 10 ? "just now" : `${Math.floor(seconds / 10) * 10} seconds ago`;
}

document.addEventListener("visibilitychange", look);
window.addEventListener("online", look);
say();
timer = setTimeout(look, every);
