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

// Makes `old` say what `now` says. Both have the same key.
function change(old, now) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== now.data) old.data = now.data;
    return;
  }
  // What is said here, and which details are open, is this page's own.
  if (old.dataset?.own !== undefined) return;
  const kept = (name) => name === "open" && old.nodeName === "DETAILS";
  for (const { name, value } of now.attributes) {
    if (!kept(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) if (!kept(name) && !now.hasAttribute(name)) old.removeAttribute(name);

  const [before, after] = [[...old.childNodes], [...now.childNodes]];
  const [gone, come] = [before.map(key), after.map(key)];
  const least = Math.min(gone.length, come.length);
  let head = 0;
  let tail = 0;
  while (head < least && gone[head] === come[head]) head += 1;
  while (tail < least - head && gone.at(-1 - tail) === come.at(-1 - tail)) tail += 1;
  let [i, j] = [head, head];
  const [ends, endsNow] = [before.length - tail, after.length - tail];
  const longest = common(gone.slice(head, ends), come.slice(head, endsNow));
  const at = (row, column) => longest[row - head]?.[column - head] ?? 0;
  while (i < ends || j < endsNow) {
    if (i < ends && j < endsNow && gone[i] === come[j] && at(i, j) === at(i + 1, j + 1) + 1) {
      change(before[i++], after[j++]);
    } else if (j >= endsNow || (i < ends && at(i + 1, j) >= at(i, j + 1))) {
      before[i++].remove();
    } else {
      old.insertBefore(document.importNode(after[j++], true), before[i] ?? null);
    }
  }
  for (let k = 0; k < head; k += 1) change(before[k], after[k]);
  for (let k = 1; k <= tail; k += 1) change(before.at(-k), after.at(-k));
}

// What makes a node the same as before, whatever it says now.
function key(node) {
  if (node.nodeType !== Node.ELEMENT_NODE) return `${node.nodeType}`;
  const title = node.nodeName === "DETAILS" ? node.querySelector("summary")?.textContent : "";
  return `${node.nodeName} ${node.id ? `#${node.id}` : node.getAttribute("class")} ${title}`;
}

// Lengths of the longest common subsequences of all ends of two lists; none if they are too long to be worth it.
function common(one, other) {
  if (one.length * other.length > 250_000) return [];
  const lengths = Array.from({ length: one.length + 1 }, () => new Array(other.length + 1).fill(0));
  for (let i = one.length - 1; i >= 0; i -= 1) {
    for (let j = other.length - 1; j >= 0; j -= 1) {
      lengths[i][j] = one[i] === other[j] ? lengths[i + 1][j + 1] + 1 : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  }
  return lengths;
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
