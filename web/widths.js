// How wide columns must be for what is in them, measured as the browser draws it.

import { clipped, shortened } from "./text.js";

export const timeShown = (finding) => clipped(finding.shownTime(), 40);
export const hostShown = (finding) => clipped(finding.host, 80);
export const sourceShown = (finding) => shortened(finding.source, 20);

const digits = (text) => text.replace(/\d/g, "0");

/** What each column shows, and what is alike for values of one width, so that few are measured: digits are all as wide as a 0. */
const COLUMNS = {
  line: { shown: (finding) => digits(String(finding.line ?? "")), alike: (finding) => String(finding.line ?? "").length },
  source: { shown: sourceShown, alike: (finding) => finding.source },
  time: { shown: (finding) => digits(timeShown(finding)), alike: (finding) => finding.timestamp.length },
  host: { shown: hostShown, alike: (finding) => finding.host },
};
/** The least and the greatest width in pixels, and the greatest share of the page's width: the text needs room too. */
const BOUNDS = { line: [66, 120, 1], source: [76, 220, 0.125], time: [64, 250, 1], host: [64, 330, 0.17] };
/** So many values of a column are measured; after that only those longer than all before. */
const MOST_MEASURED = 1000;
/** Of a cell, both sides together, and a little for what was not measured, in pixels. */
const PADDING = 19;

export class Widths {
  constructor(element) {
    this.element = element;
    this.context = document.createElement("canvas").getContext("2d");
    this.findings = null;
  }

  /** Takes in what has arrived, and sets `--host-needs` and its like. */
  fit(findings) {
    if (this.findings !== findings) {
      Object.assign(this, { findings, read: 0, room: 0, columns: Object.keys(COLUMNS).map((key) => ({ key, seen: new Set(), longest: 0, width: 0 })) });
      this.context.font = getComputedStyle(this.element).font;
    }
    const room = document.documentElement.clientWidth;
    if (this.read === findings.length && this.room === room) return;
    this.room = room;
    for (const column of this.columns) {
      for (let index = this.read; index < findings.length; index++) this.#measure(column, findings[index]);
      const [least, most, share] = BOUNDS[column.key];
      const width = Math.max(least, Math.min(most, share * room, column.width + PADDING));
      this.element.style.setProperty(`--${column.key}-needs`, `${Math.ceil(width)}px`);
    }
    this.read = findings.length;
  }

  #measure(column, finding) {
    const { alike, shown } = COLUMNS[column.key];
    const value = alike(finding);
    if (column.seen.has(value)) return;
    const isFull = column.seen.size >= MOST_MEASURED;
    if (isFull && value.length <= column.longest) return;
    if (!isFull) column.seen.add(value);
    column.longest = Math.max(column.longest, value.length ?? 0);
    column.width = Math.max(column.width, this.context.measureText(shown(finding)).width);
  }
}
