"use strict";
// What the page does beyond its HTML: follows the pipeline, follows and shows a log of any length (its times: times.js), a few keys.

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const shown = () => document.hidden
  ? new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }))
  : Promise.resolve();

// Runs `step` again and again until it returns true. A failure waits, twice as long each time, and says so.
async function again(step, lost) {
  for (let wait = 250; ; ) {
    await shown();
    try {
      if (await step()) return;
      wait = 250;
    } catch (error) {
      if (error.status >= 400 && error.status < 500) return lost(error.status === 401 ? "signed out: open the page again" : "not found");
      lost("connection lost, trying again");
      await sleep(wait * (0.75 + Math.random() / 2));
      wait = Math.min(wait * 2, 10000);
    }
  }
}

async function get(url, options) {
  const response = await fetch(url, { cache: "no-store", ...options });
  if (!response.ok) throw response;
  return response;
}

// ---- The page itself: fetched anew when there is news, and changed only where it differs.

function morph(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) return old.replaceWith(fresh);
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of [...fresh.attributes]) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  const [before, after] = [[...old.childNodes], [...fresh.childNodes]];
  after.forEach((node, place) => (place < before.length ? morph(before[place], node) : old.append(node)));
  before.slice(after.length).forEach((node) => node.remove());
}

async function refresh() {
  const text = await (await get(location.href, { headers: { "X-Live": "1" } })).text();
  const fresh = new DOMParser().parseFromString(text, "text/html");
  for (const part of fresh.querySelectorAll("[data-live]")) {
    const old = document.getElementById(part.id);
    if (old) morph(old, part);
  }
  for (const name of ["feed", "now"]) {
    if (name in fresh.body.dataset) document.body.dataset[name] = fresh.body.dataset[name];
    else delete document.body.dataset[name];
  }
  skew = Date.now() - Number(document.body.dataset.now);
  document.title = fresh.title;
  tick();
}

async function followFeed() {
  let [after, life] = [0, null];
  await again(async () => {
    const feed = document.body.dataset.feed;
    if (!feed) return true;
    const told = await (await get(`${feed}?after=${after}&wait_ms=20000`)).json();
    const first = life === null;
    if (!first && told.life !== life) [after, life] = [0, told.life];
    else [after, life] = [told.next, told.life];
    if (first || told.news.some((news) => !("log_grew" in news))) await refresh();
    await sleep(400); // News come in bursts; the page is made anew for each burst, not for each piece.
    return false;
  }, () => {});
}

async function followList() {
  await again(async () => {
    await sleep(3000);
    await refresh();
    return false;
  }, () => {});
}

// ---- Durations of what still runs.

let skew = Date.now() - Number(document.body.dataset.now);

function duration(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m ${String(s % 60).padStart(2, "0")}s`;
  return `${Math.floor(s / 3600)}h ${String(Math.floor(s / 60) % 60).padStart(2, "0")}m`;
}

function tick() {
  for (const time of document.querySelectorAll("[data-since]")) {
    const text = duration(Date.now() - skew - Number(time.dataset.since));
    if (time.textContent !== text) time.textContent = text;
  }
}

// ---- A log: its bytes are held in pieces, its lines are found once, and only those in view are elements.

const ROW = 18;
const TALLEST = 16e6; // Browsers lay out no taller element: beyond it the scroll bar counts in larger steps.
const CUT = 2000; // Bytes of a line in view.
const HELD = 256 * 1024 * 1024;
const PIECE = 4 * 1024 * 1024;
const decoder = new TextDecoder();

class Lines {
  constructor() {
    this.pieces = [];
    this.starts = new Float64Array(1024);
    this.count = 0;
    this.dropped = 0;
    this.base = this.end = 0;
  }

  from(offset) { this.base = this.end = offset; }

  get length() {
    return this.count && this.starts[this.count - 1] === this.end ? this.count - 1 : this.count;
  }

  push(start) {
    if (this.count === this.starts.length) {
      const more = new Float64Array(this.count * 2);
      more.set(this.starts);
      this.starts = more;
    }
    this.starts[this.count++] = start;
  }

  append(bytes) {
    if (!this.count) this.push(this.end);
    for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) this.push(this.end + at + 1);
    this.pieces.push({ at: this.end, bytes });
    this.end += bytes.length;
    if (this.end - this.base > HELD) this.drop();
  }

  drop() {
    while (this.end - this.pieces[0].at > HELD * 0.75 && this.pieces.length > 1) this.pieces.shift();
    const first = Math.min(this.lineAt(this.pieces[0].at) + 1, this.count - 1);
    this.starts = this.starts.slice(first);
    this.count -= first;
    this.dropped += first;
    this.base = this.starts[0];
  }

  lineAt(offset) {
    let [low, high] = [0, this.count - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle] <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  bounds(line) {
    const start = this.starts[line];
    return [start, line + 1 < this.count ? this.starts[line + 1] - 1 : this.end];
  }

  bytes(from, to) {
    const out = new Uint8Array(Math.max(0, to - from));
    let [low, high] = [0, this.pieces.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.pieces[middle].at <= from) low = middle;
      else high = middle - 1;
    }
    for (let done = 0; done < out.length && low < this.pieces.length; low++) {
      const { at, bytes } = this.pieces[low];
      const part = bytes.subarray(from + done - at, to - at);
      out.set(part, done);
      done += part.length;
    }
    return out;
  }

  // The first line after `line` with this text; letters are told apart only where the text has capitals.
  find(text, line) {
    const exact = text !== text.toLowerCase();
    const latin = new TextDecoder("latin1");
    const needle = latin.decode(new TextEncoder().encode(text));
    const from = line + 1 < this.count ? this.starts[line + 1] : this.end;
    for (const { at, bytes } of this.pieces) {
      if (at + bytes.length <= from) continue;
      const start = Math.max(from, at - needle.length + 1, this.base);
      let hay = latin.decode(this.bytes(start, at + bytes.length));
      if (!exact) hay = hay.toLowerCase();
      const found = hay.indexOf(needle);
      if (found >= 0) return this.lineAt(start + found);
    }
    return -1;
  }
}

// Colors of one line: the common ones as classes, the rest as they are; other escape sequences are left out.
const ESCAPE = /\x1b\[([0-9;:]*)m|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b\[[0-?]*[ -/]*[@-~]?|\x1b[ -/]*[0-~]?|[\x00-\x08\x0b-\x1f\x7f]/g;

function rgb(n) {
  if (n >= 232) return `rgb(${Array(3).fill((n - 232) * 10 + 8).join()})`;
  const part = (v) => (v ? v * 40 + 55 : 0);
  n -= 16;
  return `rgb(${part(Math.floor(n / 36))},${part(Math.floor(n / 6) % 6)},${part(n % 6)})`;
}

function color(style, key, codes) {
  if (codes[0] === 2) {
    codes.shift();
    style[key] = `rgb(${codes.splice(0, 3).map((n) => Number(n) || 0).join()})`;
  } else {
    codes.shift();
    const n = codes.shift() ?? 7;
    style[key] = n < 16 ? n % 8 : rgb(n);
  }
}

function sgr(style, text) {
  const codes = text.split(/[;:]/).map(Number);
  while (codes.length) {
    const code = codes.shift();
    if (code === 0) for (const key of Object.keys(style)) delete style[key];
    else if (code === 1) style.b = true;
    else if (code === 2) style.f = true;
    else if (code === 3) style.i = true;
    else if (code === 4) style.u = true;
    else if (code === 22) delete style.b, delete style.f;
    else if (code === 23) delete style.i;
    else if (code === 24) delete style.u;
    else if (code === 38) color(style, "c", codes);
    else if (code === 48) color(style, "g", codes);
    else if (code === 39) delete style.c;
    else if (code === 49) delete style.g;
    else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) style.c = code % 10;
    else if ((code >= 40 && code <= 47) || (code >= 100 && code <= 107)) style.g = code % 10;
  }
}

function styled(text, style) {
  if (!Object.keys(style).length) return document.createTextNode(text);
  const span = document.createElement("span");
  for (const [key, value] of Object.entries(style)) {
    if (value === true) span.classList.add(key);
    else if (typeof value === "number") span.classList.add(key + value);
    else span.style[key === "c" ? "color" : "backgroundColor"] = value;
  }
  span.textContent = text;
  return span;
}

function paintText(target, text) {
  const line = text.replace(/\r+$/, "");
  const visible = line.slice(line.lastIndexOf("\r") + 1);
  const style = {};
  let at = 0;
  for (const match of visible.matchAll(ESCAPE)) {
    if (match.index > at) target.append(styled(visible.slice(at, match.index), style));
    if (match[1] !== undefined) sgr(style, match[1]);
    at = match.index + match[0].length;
  }
  if (at < visible.length) target.append(styled(visible.slice(at), style));
}

const size = (bytes) => bytes < 1000 ? `${bytes} B` : bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB`
  : bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;

class Reader {
  constructor(root) {
    this.root = root;
    this.view = root.querySelector(".log");
    this.tell = root.querySelector(".tell");
    this.space = this.view.appendChild(Object.assign(document.createElement("div"), { className: "space" }));
    this.rows = this.view.appendChild(Object.assign(document.createElement("div"), { className: "rows" }));
    this.lines = new Lines();
    this.drawn = new Map();
    this.over = false;
    this.marked = -1;
    this.pending = false;
    this.top = this.pixel = 0;
    this.wanted = NaN;
    this.want();
    this.following = this.view.dataset.follow === "true" && !(this.wanted >= 0);
    this.listen();
    this.times = new Times(this);
    this.setFollowing(this.following);
  }

  listen() {
    this.view.addEventListener("scroll", () => {
      const { scrollTop, clientHeight, scrollHeight } = this.view;
      if (scrollTop === this.top) return; // It was this script that scrolled.
      if (scrollTop < this.top - 1) this.setFollowing(false);
      else if (scrollTop + clientHeight >= scrollHeight - 2 && !this.over) this.setFollowing(true);
      this.paintSoon();
    }, { passive: true });
    addEventListener("hashchange", () => this.want());
    new ResizeObserver(() => this.paintSoon()).observe(this.view);
    this.button = this.root.querySelector("button.follow");
    this.button.addEventListener("click", () => this.setFollowing(!this.following));
    this.box = this.root.querySelector("input");
    this.box.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.search();
      if (event.key === "Escape") this.view.focus();
    });
    this.rows.addEventListener("click", (event) => {
      const number = event.target.closest("a.n");
      if (!number) return;
      event.preventDefault();
      history.replaceState(null, "", number.hash);
      this.mark(Number(number.textContent.replace(/\D/g, "")) - 1 - this.lines.dropped);
    });
  }

  want() {
    this.wanted = /^#L(\d+)$/.exec(location.hash)?.[1] - 1;
    this.paintSoon();
  }

  setFollowing(following) {
    this.following = following;
    this.button.setAttribute("aria-pressed", following);
    if (following) this.paintSoon();
  }

  mark(line) {
    this.drawn.get(this.marked)?.classList.remove("hit");
    this.marked = line;
    this.drawn.get(line)?.classList.add("hit");
  }

  search() {
    const text = this.box.value;
    if (!text) return;
    let line = this.lines.find(text, this.marked);
    if (line < 0) line = this.lines.find(text, -1);
    this.box.setCustomValidity(line < 0 ? "not found" : "");
    this.box.reportValidity();
    if (line >= 0) this.go(line);
  }

  go(line) {
    this.setFollowing(false);
    this.mark(line);
    this.pixel = line * ROW - this.view.clientHeight / 3;
    this.top = this.view.scrollTop;
    this.paintSoon();
  }

  async follow() {
    const log = this.view.dataset.log;
    let offset = 0;
    await again(async () => {
      const url = `${log}?offset=${offset}&limit=${PIECE}&wait_ms=20000`;
      const response = await get(url);
      const length = Number(response.headers.get("X-Log-Length"));
      if (offset === 0 && length > HELD) {
        await response.body?.cancel();
        offset = length - HELD / 2;
        this.lines.from(offset);
        this.partial = offset;
        return false;
      }
      const bytes = new Uint8Array(await response.arrayBuffer());
      this.over = response.headers.get("X-Terminal") === "true";
      offset += bytes.length;
      if (bytes.length) this.lines.append(bytes);
      this.times.more();
      this.say();
      this.paintSoon();
      if (this.over) this.setFollowing(this.following);
      else if (bytes.length < PIECE / 64) await sleep(30); // A steady trickle is shown 30 times a second, not more.
      return this.over;
    }, (why) => this.say(why));
  }

  say(trouble) {
    const { length, end, base, dropped } = this.lines;
    const lines = `${length.toLocaleString("en")} line${length === 1 ? "" : "s"}, ${size(end - base)}`;
    const cut = this.partial || dropped ? `the last ${lines} of ${size(end)}` : lines;
    this.tell.textContent = trouble ? `${cut} · ${trouble}` : this.over ? cut : `${cut} · live`;
    this.tell.classList.toggle("lost", Boolean(trouble));
    this.button.hidden = this.over;
  }

  paintSoon() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.paint();
    });
  }

  layout() {
    const height = `${Math.min(this.lines.length * ROW, TALLEST)}px`;
    if (this.space.style.height !== height) this.space.style.height = height;
  }

  paint() {
    this.layout();
    if (this.wanted >= 0 && (this.wanted < this.lines.length || this.over)) {
      const line = Math.min(this.wanted, this.lines.length - 1);
      this.wanted = NaN;
      this.go(line);
    }
    this.place();
    const first = Math.max(0, Math.floor(this.pixel / ROW) - 8);
    const last = Math.min(this.lines.length, Math.ceil((this.pixel + this.view.clientHeight) / ROW) + 8);
    this.draw(first, last);
    this.rows.style.transform = `translateY(${this.top - (this.pixel - first * ROW)}px)`;
  }

  // Which pixel of the whole log is at the top: the end, where the reader scrolled to, or where it was before the log grew.
  place() {
    const { clientHeight, scrollTop } = this.view;
    const most = Math.max(0, this.lines.length * ROW - clientHeight);
    const room = Math.max(0, Math.min(this.lines.length * ROW, TALLEST) - clientHeight);
    const scale = room > 0 ? most / room : 1;
    if (this.following) this.pixel = most;
    else if (scrollTop !== this.top) this.pixel = scrollTop * scale;
    this.pixel = Math.max(0, Math.min(this.pixel, most));
    if (Math.abs(this.pixel / scale - scrollTop) > 0.5) this.view.scrollTop = this.pixel / scale;
    this.top = this.view.scrollTop;
  }

  draw(first, last) {
    const dropped = this.lines.dropped;
    for (const [line, row] of this.drawn) {
      // The last line may have grown since it was drawn.
      if (line < first || line >= last || row.to !== this.lines.bounds(line)[1] || row.number !== dropped + line) {
        row.remove();
        this.drawn.delete(line);
      }
    }
    let next = this.rows.firstChild;
    for (let line = first; line < last; line++) {
      let row = this.drawn.get(line);
      if (row && row === next) next = next.nextSibling;
      else this.rows.insertBefore((row ??= this.row(line)), next);
    }
  }

  row(line) {
    const [from, to] = this.lines.bounds(line);
    const row = Object.assign(document.createElement("div"), { className: line === this.marked ? "l hit" : "l" });
    [row.from, row.to, row.number] = [from, to, this.lines.dropped + line];
    row.time = Object.assign(document.createElement("time"), { className: "w" });
    this.times.fill(row.time, from);
    const label = this.partial ? "" : String(row.number + 1);
    const number = Object.assign(document.createElement("a"), { className: "n", textContent: label, tabIndex: -1 });
    if (label) number.href = `#L${label}`;
    const text = Object.assign(document.createElement("span"), { className: "t" });
    paintText(text, decoder.decode(this.lines.bytes(from, Math.min(to, from + CUT))));
    row.append(number, row.time, text);
    if (to - from > CUT) {
      const href = `${this.view.dataset.raw}?offset=${from}&length=${to - from}`;
      text.append(Object.assign(document.createElement("a"), { className: "more", href, target: "_blank", rel: "noopener", textContent: `… ${size(to - from - CUT)} more` }));
    }
    this.drawn.set(line, row);
    return row;
  }
}

// ---- Keys: j and k walk the steps or rows, / searches the log, f follows it, t shows its times.

function walk(by) {
  const links = [...document.querySelectorAll("a[data-row]")];
  const here = links.findIndex((link) => link.hasAttribute("aria-current") || link === document.activeElement);
  const next = links[Math.max(0, Math.min(links.length - 1, here + by))];
  if (!next) return;
  if (document.querySelector("main.job")) location.replace(next.href);
  else next.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.target.closest("input") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "j") walk(1);
  else if (event.key === "k") walk(-1);
  else if (event.key === "f") reader?.setFollowing(!reader.following);
  else if (event.key === "t") reader?.times.toggle();
  else if (event.key === "/" && reader) {
    event.preventDefault();
    reader.box.focus();
    reader.box.select();
  }
});

const place = document.querySelector(".reader .log");
const reader = place ? new Reader(place.closest(".reader")) : null;
setInterval(tick, 1000);
tick();
if (reader) {
  document.querySelectorAll("[data-script]").forEach((part) => (part.hidden = false));
  reader.view.focus({ preventScroll: true });
  reader.follow();
}
if (document.body.dataset.feed) followFeed();
if (document.body.dataset.list !== undefined) followList();
