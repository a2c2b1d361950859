"use strict";
// When the lines of a log were written: asked for while somebody wants to see it, and remembered by the browser that they do.

const WANTED = "roundhouse-times";

// Since the step began.
function since(ms) {
  const [tenths, pad] = [Math.floor(ms / 100), (number) => String(number).padStart(2, "0")];
  const [minutes, seconds] = [Math.floor(tenths / 600), `${pad(Math.floor(tenths / 10) % 60)}.${tenths % 10}`];
  return minutes < 60 ? `${minutes}:${seconds}` : `${Math.floor(minutes / 60)}:${pad(minutes % 60)}:${seconds}`;
}

class Times {
  constructor(reader) {
    this.reader = reader;
    this.url = reader.view.dataset.times;
    this.offsets = [];
    this.ms = [];
    this.started = null;
    this.until = -1; // Of all bytes before it everything is known.
    this.asking = false;
    this.button = reader.root.querySelector("button.when");
    this.button.addEventListener("click", () => this.toggle());
    this.show(this.remembered());
  }

  remembered() {
    try {
      return localStorage.getItem(WANTED) === "true";
    } catch {
      return false; // Nothing is kept for this page.
    }
  }

  toggle() {
    this.show(!this.on);
    try {
      localStorage.setItem(WANTED, this.on);
    } catch { /* It is on until the page is left. */ }
  }

  show(on) {
    this.on = on;
    this.button.setAttribute("aria-pressed", on);
    this.reader.root.classList.toggle("times", on);
    this.reader.root.querySelector("a.raw").href = this.reader.view.dataset.raw + (on ? "?times=true" : "");
    this.fillAll();
    this.more();
  }

  // There are bytes that were not there, or not wanted.
  more() {
    if (!this.on || this.asking) return;
    this.asking = true;
    again(() => this.ask(), () => {}).then(() => (this.asking = false));
  }

  async ask() {
    const { lines } = this.reader;
    this.until = Math.max(this.until, lines.base);
    if (!this.on || this.until >= lines.end) {
      this.asking = false;
      return true;
    }
    const told = await (await get(`${this.url}?offset=${this.until}`)).json();
    this.started = told.started_ms;
    for (const [offset, ms] of told.marks) if (!(offset <= this.offsets.at(-1))) this.push(offset, ms);
    this.until = Math.max(told.until, this.until);
    this.fillAll();
    await sleep(250); // What comes meanwhile is asked for at once.
    return false;
  }

  push(offset, ms) {
    this.offsets.push(offset);
    this.ms.push(ms);
  }

  // That of the last mark before the byte or at it.
  of(offset) {
    if (offset >= this.until) return undefined;
    let [low, high] = [-1, this.offsets.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.offsets[middle] <= offset) low = middle;
      else high = middle - 1;
    }
    return this.ms[low];
  }

  fill(time, offset) {
    const ms = this.on && this.started !== null ? this.of(offset) : undefined;
    if (ms === undefined || time.textContent) return;
    const at = new Date(this.started + ms);
    time.textContent = since(ms);
    time.dateTime = at.toISOString();
    time.title = `${at.toISOString()}, here ${at.toLocaleString()}`;
  }

  fillAll() {
    for (const row of this.reader.drawn.values()) this.fill(row.time, row.from);
  }
}

