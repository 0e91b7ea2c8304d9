// Findings over time, or over the lines of the input where no times are known: bars of attacks, a lane for each technique, and the
// density of all lines beneath. A stretch can be chosen with the pointer or the keyboard.

import { count, h, plural, s } from "./dom.js";
import { empty } from "./reviews.js";
import { clipped } from "./text.js";

const MOST_LANES = 16;
const BARS = 120;
const LANE = 20;
const STRIP = 22;
const SIDE = 12;
/** Padding and border of the sheet that the chart stands on. */
const FRAME = 26;
const MINUTE = 60_000;
const STEPS = [1, 2, 5, 10, 30].map((step) => step * 1000).concat([1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440, 2880, 10_080, 43_200, 129_600, 525_600].map((step) => step * MINUTE));

/** Findings put into `buckets` equal stretches between the first and the last. */
export function spread(findings, axis, buckets) {
  let [from, to] = [Infinity, -Infinity];
  for (const finding of findings) {
    const value = finding[axis];
    if (Number.isNaN(value)) continue;
    if (value < from) from = value;
    if (value > to) to = value;
  }
  if (from > to) return null;
  const width = Math.max(axis === "time" ? 1000 : 1, (to - from) / buckets);
  const empties = () => new Uint32Array(buckets);
  const out = { from, to, width, all: empties(), attack: empties(), abstained: empties(), lanes: new Map(), placed: 0 };
  for (const finding of findings) {
    const value = finding[axis];
    if (Number.isNaN(value)) continue;
    const bucket = Math.min(buckets - 1, Math.floor((value - from) / width));
    out.placed += 1;
    out.all[bucket] += 1;
    if (finding.kind !== "attack" && finding.kind !== "abstained") continue;
    out[finding.kind][bucket] += 1;
    if (finding.kind !== "attack") continue;
    let lane = out.lanes.get(finding.label);
    if (!lane) out.lanes.set(finding.label, (lane = { label: finding.label, total: 0, buckets: empties() }));
    lane.total += 1;
    lane.buckets[bucket] += 1;
  }
  return out;
}

export class Timeline {
  constructor(root, store, catalog, choose) {
    Object.assign(this, { root, store, catalog, choose, axis: null, cursor: 0, anchor: 0 });
    new ResizeObserver(() => this.width !== root.clientWidth && !root.hidden && this.draw()).observe(root);
  }

  draw() {
    const { root, store } = this;
    this.width = root.clientWidth;
    const styles = getComputedStyle(root);
    const room = this.width - parseFloat(styles.paddingLeft) - parseFloat(styles.paddingRight) - FRAME;
    const findings = store.without("range", "kind");
    const timed = findings.reduce((sum, finding) => sum + (Number.isNaN(finding.time) ? 0 : 1), 0);
    const axis = timed === 0 ? "order" : (this.axis ?? "time");
    const labels = this.width > 700 ? 230 : 84;
    const inner = Math.max(120, room - labels - 2 * SIDE);
    const buckets = Math.max(24, Math.min(BARS, Math.floor(inner / 7)));
    const data = spread(findings, axis, buckets);
    if (!data) {
      root.replaceChildren(h("div.view-head", {}, h("h2", {}, "Timeline")), empty("Nothing to draw yet", store.findings.length === 0 ? "Classify some lines first; they are drawn here by their times." : "No finding passes the filter."));
      return;
    }
    Object.assign(this, { data, labels, inner, buckets, axisShown: axis });
    const focused = document.activeElement === this.svg;
    this.svg = this.#chart();
    this.readout = h("p.readout.muted", { role: "status" }, this.#summary(findings));
    root.replaceChildren(this.#head(timed), this.readout, h("div.sheet.chart", {}, this.svg));
    if (focused) this.svg.focus();
  }

  #head(timed) {
    const axes = [["time", "By time"], ["order", "By line"]];
    const buttons = axes.map(([axis, title]) => h("button", { type: "button", disabled: axis === "time" && timed === 0, "aria-pressed": this.axisShown === axis, onclick: () => ((this.axis = axis), this.draw()) }, title));
    const legend = h("span.legend", {}, h("i.attack"), "attacks", h("i.abstained"), "abstained", h("i"), "all lines");
    return h("div.view-head", {}, h("h2", {}, "Timeline"), legend, h("span.muted.hint", {}, "Drag over a stretch, or use ← → and Enter, to filter"), h("span.grow"), h("div.segments", { role: "group", "aria-label": "Axis" }, buttons));
  }

  #summary(findings) {
    const { data } = this;
    const missing = findings.length - data.placed;
    const zoneless = this.axisShown === "time" ? findings.reduce((sum, finding) => sum + (finding.isZoneless ? 1 : 0), 0) : 0;
    const guessed = zoneless > 0 ? `; ${plural(zoneless, "time")} without a zone taken for UTC` : "";
    const attacks = data.attack.reduce((sum, value) => sum + value, 0);
    return `${plural(attacks, "attack")} among ${plural(data.placed, "line")}, ${this.#said(data.from)} to ${this.#said(data.to)}${missing > 0 ? `; ${plural(missing, "line")} without a time left out` : ""}${guessed}`;
  }

  #said(value) {
    return this.axisShown === "time" ? `${new Date(value).toISOString().slice(0, 19).replace("T", " ")} UTC` : `line ${count(value + 1)}`;
  }

  #chart() {
    const { data, labels, inner, buckets } = this;
    const lanes = [...data.lanes.values()].sort((a, b) => b.total - a.total || (a.label < b.label ? -1 : 1)).slice(0, MOST_LANES);
    const bars = 96;
    const top = 14;
    const lanesTop = top + bars + 16;
    const stripTop = lanesTop + lanes.length * LANE + 12;
    const height = stripTop + STRIP + 28;
    this.place = { left: labels + SIDE, top, bottom: stripTop + STRIP };
    const step = inner / buckets;
    const x = (bucket) => labels + SIDE + bucket * step;
    const svg = s("svg", { class: "timeline", width: labels + 2 * SIDE + inner, height, tabindex: 0, role: "application", "aria-label": "Findings over time: arrows move, Shift and arrows choose a stretch, Enter filters", focusable: "true" });
    svg.append(...this.#grid(height));
    const most = Math.max(1, ...data.attack.map((value, bucket) => value + data.abstained[bucket]));
    svg.append(s("text", { x: labels, y: top + 9, class: "axis end" }, count(most)), s("text", { x: labels, y: top + bars, class: "axis end" }, "0"), s("text", { x: 0, y: top + 9, class: "lane-name" }, "Attacks"));
    for (let bucket = 0; bucket < buckets; bucket++) {
      const tall = (data.attack[bucket] / most) * bars;
      const above = (data.abstained[bucket] / most) * bars;
      if (tall > 0) svg.append(s("rect", { x: x(bucket) + 0.5, y: top + bars - Math.max(2, tall), width: Math.max(1, step - 1), height: Math.max(2, tall), class: "block attack" }));
      if (above > 0) svg.append(s("rect", { x: x(bucket) + 0.5, y: top + bars - tall - Math.max(2, above), width: Math.max(1, step - 1), height: Math.max(2, above), class: "block abstained" }));
    }
    const densestLane = Math.max(1, ...lanes.map((lane) => lane.buckets.reduce((greatest, value) => Math.max(greatest, value), 0)));
    lanes.forEach((lane, index) => this.#lane(svg, lane, lanesTop + index * LANE, x, step, densestLane));
    const densest = Math.max(1, ...data.all);
    svg.append(s("text", { x: 0, y: stripTop + 15, class: "lane-name" }, "All lines"), s("text", { x: labels, y: stripTop + 15, class: "axis end" }, count(data.placed)));
    const level = (bucket) => (stripTop + STRIP - (data.all[bucket] / densest) * STRIP).toFixed(1);
    const steps = Array.from(data.all, (_, bucket) => `V${level(bucket)}H${x(bucket + 1).toFixed(1)}`).join("");
    svg.append(s("path", { d: `M${x(0)} ${stripTop + STRIP}${steps}V${stripTop + STRIP}Z`, class: "block all" }));
    this.selection = s("rect", { class: "selection", y: top - 6, height: this.place.bottom - top + 6, x: 0, width: 0 });
    svg.append(this.selection);
    this.#drawSelection(this.#chosen());
    this.#listen(svg);
    return svg;
  }

  #lane(svg, lane, y, x, step, most) {
    const name = this.labels > 100 ? `${lane.label} ${this.catalog.name(lane.label)}` : lane.label;
    const label = s("text", { x: 0, y: y + 14, class: "lane-name link", onclick: () => this.choose({ technique: lane.label, kind: "attack" }) }, clipped(name, this.labels > 100 ? 28 : 11));
    svg.append(label, s("text", { x: this.labels, y: y + 14, class: "axis end" }, count(lane.total)), s("line", { x1: this.place.left, x2: this.place.left + this.inner, y1: y + LANE - 1, y2: y + LANE - 1, class: "rule" }));
    lane.buckets.forEach((value, bucket) => {
      if (value === 0) return;
      const level = Math.max(1, Math.ceil(Math.sqrt(value / most) * 4));
      svg.append(s("rect", { x: x(bucket) + 0.5, y: y + 4, width: Math.max(2, step - 1), height: LANE - 8, rx: 1.5, class: `block attack strength-${level}` }));
    });
  }

  /** Vertical rules with their times, or lines. */
  #grid(height) {
    const { data, inner } = this;
    const { left, bottom } = this.place;
    const span = data.width * this.buckets;
    const room = Math.max(2, Math.floor(inner / (this.axisShown === "time" ? 64 : 90)));
    let step;
    if (this.axisShown === "time") step = STEPS.find((candidate) => span / candidate <= room) ?? STEPS.at(-1);
    else {
      const power = 10 ** Math.floor(Math.log10(Math.max(1, span / room)));
      step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => span / candidate <= room) ?? power * 10;
    }
    const out = [];
    for (let value = Math.ceil(data.from / step) * step; value <= data.from + span; value += step) {
      const at = left + ((value - data.from) / span) * inner;
      if (at > left + inner - 10) break;
      out.push(s("line", { x1: at, x2: at, y1: 8, y2: bottom + 4, class: "rule" }), s("text", { x: at, y: height - 8, class: "axis middle" }, this.#tick(value, step)));
    }
    return out;
  }

  #tick(value, step) {
    if (this.axisShown !== "time") return count(value);
    const iso = new Date(value).toISOString();
    if (step >= 1440 * MINUTE) return iso.slice(0, 10);
    if (iso.slice(11, 16) === "00:00") return iso.slice(5, 10);
    return step >= MINUTE ? iso.slice(11, 16) : iso.slice(11, 19);
  }

  #chosen() {
    const { range } = this.store.filter;
    if (!range || range.axis !== this.axisShown) return null;
    return [range.from, range.to].map((value) => Math.max(0, Math.min(this.buckets - 1, Math.floor((value - this.data.from) / this.data.width)))); 
  }

  #drawSelection(buckets) {
    const step = this.inner / this.buckets;
    if (!buckets) {
      this.selection.setAttribute("width", 0);
      return;
    }
    const [first, last] = buckets[0] <= buckets[1] ? buckets : [buckets[1], buckets[0]];
    this.selection.setAttribute("x", this.place.left + first * step);
    this.selection.setAttribute("width", (last - first + 1) * step);
  }

  #tell(first, last) {
    const { data } = this;
    const [from, to] = first <= last ? [first, last] : [last, first];
    const sum = (values) => values.slice(from, to + 1).reduce((total, value) => total + value, 0);
    this.readout.textContent = `${this.#said(Math.floor(data.from + from * data.width))} to ${this.#said(Math.floor(Math.min(data.to, data.from + (to + 1) * data.width)))}: ${plural(sum(data.attack), "attack")}, ${count(sum(data.abstained))} abstained, ${plural(sum(data.all), "line")}`;
  }

  #filter(first, last) {
    const { data } = this;
    const [from, to] = first <= last ? [first, last] : [last, first];
    const end = to === this.buckets - 1 ? Math.max(data.to, data.from) : data.from + (to + 1) * data.width;
    this.choose({ range: { axis: this.axisShown, from: data.from + from * data.width, to: to === this.buckets - 1 ? end : end - (this.axisShown === "time" ? 1 : 1e-6) } });
  }

  #listen(svg) {
    const bucketAt = (event) => {
      const at = event.clientX - svg.getBoundingClientRect().left - this.place.left;
      return at < 0 ? -1 : Math.min(this.buckets - 1, Math.floor((at / this.inner) * this.buckets));
    };
    let start = -1;
    svg.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || bucketAt(event) < 0) return;
      start = bucketAt(event);
      svg.setPointerCapture(event.pointerId);
      this.#drawSelection([start, start]);
    });
    svg.addEventListener("pointermove", (event) => {
      const bucket = bucketAt(event);
      if (start >= 0) this.#drawSelection([start, Math.max(0, bucket)]);
      if (bucket >= 0) this.#tell(start >= 0 ? start : bucket, bucket);
    });
    svg.addEventListener("pointerup", (event) => {
      if (start < 0) return;
      const first = start;
      start = -1;
      this.#filter(first, Math.max(0, bucketAt(event)));
    });
    svg.addEventListener("pointercancel", () => {
      start = -1;
      this.#drawSelection(this.#chosen());
    });
    svg.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (by) {
        this.cursor = Math.max(0, Math.min(this.buckets - 1, this.cursor + by));
        if (!event.shiftKey) this.anchor = this.cursor;
        this.#drawSelection([this.anchor, this.cursor]);
        this.#tell(this.anchor, this.cursor);
      } else if (event.key === "Enter") this.#filter(Math.min(this.anchor, this.buckets - 1), this.cursor);
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
  }
}
