// The table of findings. Only the rows in sight are in the document, so that 50,000 findings scroll like fifty.

import { h, plural } from "./dom.js";
import { empty } from "./reviews.js";
import { clipped, evidenceSpans, fill, listed, snippet, visible } from "./text.js";
import { hostShown, sourceShown, timeShown, Widths } from "./widths.js";

/** Rows above and below the visible ones. */
const MARGIN = 6;
/** Browsers lay out no taller element than some 17 million pixels; taller tables are scrolled in proportion. */
const TALLEST = 12_000_000;
/** So many characters of a line are put into its row. */
const TEXT_SHOWN = 360;

const KINDS = { attack: "Attack", abstained: "Abstained", benign: "Benign", error: "Not answered" };
const VERDICTS = { right: "✓", wrong: "✗", benign: "○" };

const COLUMNS = [
  { key: "line", title: "Line" },
  { key: "source", title: "Source" },
  { key: "time", title: "Time" },
  { key: "host", title: "Host" },
  { key: "technique", title: "Technique" },
  { key: "tactic", title: "Tactic" },
  { key: "attack", title: "Attack", hint: "The probability that the line is an attack of any kind, which the threshold is put to" },
  { key: "", title: "Text" },
];

export class Table {
  /** `events`: `open(finding)` and `select(finding)`. */
  constructor(root, store, catalog, events) {
    Object.assign(this, { root, store, catalog, events, active: 0, drawn: new Map(), free: [], rowHeight: 30 });
    /** Names of files in which nothing was found to classify. */
    this.barren = [];
    this.heads = COLUMNS.map((column) => this.#head(column));
    this.header = h("div.row.head", { role: "row", "aria-rowindex": 1 }, h("span.stripe", { role: "presentation" }), this.heads);
    this.space = h("div.space", { role: "rowgroup" });
    this.scroller = h("div.scroller", { tabindex: 0, role: "grid", id: "grid", "aria-label": "Findings", "aria-describedby": "grid-help" }, h("div.head-group", { role: "rowgroup" }, this.header), this.space);
    this.nothing = h("div", { hidden: true });
    root.replaceChildren(this.scroller, this.nothing);
    this.widths = new Widths(this.scroller);
    this.scroller.addEventListener("scroll", () => this.#draw(), { passive: true });
    new ResizeObserver(() => this.refresh()).observe(this.scroller);
    this.space.addEventListener("click", (event) => this.#click(event));
  }

  #head({ key, title, hint }) {
    if (key === "") return h("span.cell.text", { role: "columnheader" }, title);
    const button = h("button.sort", { type: "button", tabindex: -1, title: hint, onclick: () => this.store.setSort(key) }, title);
    return h(`span.cell.${key}`, { role: "columnheader" }, button);
  }

  /** The finding that keys act on, if the active row is one. */
  get selected() {
    const row = this.store.rows[this.active];
    return row && !row.group ? row : null;
  }

  /** Draws anew, also what is drawn already. `keep` is the finding that should stay active. */
  refresh(keep = null) {
    if (keep && this.store.rows[this.active] !== keep) {
      const place = this.store.rows.indexOf(keep);
      if (place >= 0) this.active = place;
    }
    this.active = Math.max(0, Math.min(this.active, this.store.rows.length - 1));
    this.rowHeight = Number.parseInt(getComputedStyle(this.scroller).getPropertyValue("--row"), 10) || 30;
    for (const element of this.drawn.values()) this.#release(element);
    this.drawn.clear();
    this.#heads();
    this.#draw();
    this.#sayNothing();
  }

  /** What stands in a table without rows. */
  #sayNothing() {
    const { rows, findings } = this.store;
    this.nothing.hidden = rows.length > 0;
    if (rows.length > 0) return;
    const button = (text, run) => h("p", {}, h("button", { type: "button", onclick: run }, text));
    const none = this.barren.length > 0 ? empty("No line to classify", barrenWords(this.barren)) : empty("No findings yet", "Paste lines or drop files to see what they show.");
    const message = findings.length === 0 ? none : empty("No finding passes the filter", `${plural(findings.length, "finding")} would be shown without it.`);
    message.append(findings.length === 0 ? button("Add lines", () => (location.hash = "#/new")) : button("Clear filter", () => this.store.clearFilter()));
    this.nothing.replaceChildren(message);
  }

  #heads() {
    COLUMNS.forEach(({ key }, index) => {
      if (key === "") return;
      const { sort } = this.store;
      const order = sort.key !== key ? "none" : sort.descending ? "descending" : "ascending";
      this.heads[index].setAttribute("aria-sort", order);
    });
    this.scroller.classList.toggle("no-time", !this.store.hasTimes);
    this.scroller.classList.toggle("no-host", !this.store.hasHosts);
    this.scroller.classList.toggle("no-source", !this.store.hasSources);
    this.widths.fit(this.store.findings);
    this.scroller.setAttribute("aria-rowcount", this.store.rows.length + 1);
  }

  get #whole() {
    return this.store.rows.length * this.rowHeight;
  }

  /** The place of the first pixel shown, among all rows. */
  get #offset() {
    const { scrollTop, clientHeight } = this.scroller;
    const whole = this.#whole;
    if (whole <= TALLEST) return scrollTop;
    return (scrollTop / Math.max(1, TALLEST - clientHeight)) * (whole - clientHeight);
  }

  #draw() {
    const { rows } = this.store;
    const { scrollTop, clientHeight } = this.scroller;
    this.space.style.height = `${Math.min(TALLEST, this.#whole)}px`;
    const offset = this.#offset;
    const first = Math.max(0, Math.floor(offset / this.rowHeight) - MARGIN);
    const last = Math.min(rows.length, Math.ceil((offset + clientHeight) / this.rowHeight) + MARGIN);
    for (const [index, element] of this.drawn) {
      if (index >= first && index < last) continue;
      this.#release(element);
      this.drawn.delete(index);
    }
    for (let index = first; index < last; index++) {
      let element = this.drawn.get(index);
      if (!element) {
        element = this.free.pop() ?? this.#row();
        this.drawn.set(index, element);
        this.#fillRow(element, rows[index], index);
        if (!element.isConnected) this.space.append(element);
      }
      element.style.transform = `translateY(${Math.round(index * this.rowHeight - offset + scrollTop)}px)`;
      element.hidden = false;
    }
    const active = this.drawn.get(this.active);
    if (active && this.scroller.getAttribute("aria-activedescendant") !== active.id) this.scroller.setAttribute("aria-activedescendant", active.id);
  }

  #release(element) {
    element.hidden = true;
    // Another element may come to stand for its row.
    element.removeAttribute("id");
    this.free.push(element);
  }

  #row() {
    const cells = {};
    for (const { key } of COLUMNS) cells[key || "text"] = h(`span.cell.${key || "text"}`, { role: "gridcell" });
    const meter = h("span.meter", { "aria-hidden": "true" }, h("i"));
    const number = h("span.number");
    cells.attack.append(meter, number);
    const identifier = h("b.identifier");
    const name = h("span.name");
    const mark = h("span.mark");
    cells.technique.append(identifier, name, mark);
    const stripe = h("span.stripe", { role: "presentation" });
    const element = h("div.row", { role: "row" }, stripe, Object.values(cells));
    element.parts = { ...cells, bar: meter.firstChild, number, identifier, name, mark };
    return element;
  }

  #fillRow(element, row, index) {
    element.id = `row-${index}`;
    element.dataset.index = index;
    element.setAttribute("aria-rowindex", index + 2);
    if (row.group) this.#fillGroup(element, row, index);
    else this.#fillFinding(element, row, index);
    element.classList.toggle("active", index === this.active);
    element.setAttribute("aria-selected", index === this.active);
  }

  #fillGroup(element, row) {
    const { parts } = element;
    element.className = "row group";
    element.setAttribute("aria-expanded", row.open);
    const label = this.store.group === "technique" ? [row.group, this.catalog.fullName(row.group)].filter(Boolean).join(" ") : row.group;
    parts.identifier.textContent = `${row.open ? "▾" : "▸"} ${clipped(label, 200)}`;
    const attacks = row.attacks > 0 && this.store.group !== "technique" ? `, ${plural(row.attacks, "attack")}` : "";
    parts.name.textContent = `${plural(row.findings.length, "finding")}${attacks}${row.attacks > 0 ? `, highest ${row.highest.toFixed(3)}` : ""}`;
    for (const part of ["line", "source", "time", "host", "tactic", "text", "mark", "number"]) parts[part].textContent = "";
  }

  #fillFinding(element, finding) {
    const { parts } = element;
    element.className = `row ${finding.kind}`;
    element.removeAttribute("aria-expanded");
    parts.line.textContent = finding.line ?? "";
    parts.source.textContent = sourceShown(finding);
    parts.source.title = clipped(finding.source, 300);
    parts.time.textContent = timeShown(finding);
    parts.time.title = visible(finding.timestamp);
    parts.host.textContent = hostShown(finding);
    parts.host.title = clipped(finding.host, 300);
    this.#fillTechnique(parts, finding);
    const tactics = finding.tactics.map((tactic) => this.catalog.tacticName(tactic));
    parts.tactic.textContent = tactics.length > 1 ? `${tactics[0]} +${tactics.length - 1}` : (tactics[0] ?? "");
    parts.tactic.title = tactics.join(", ");
    const known = !Number.isNaN(finding.attack);
    parts.number.textContent = known ? finding.attack.toFixed(3) : "";
    parts.bar.style.width = known ? `${Math.round(finding.attack * 100)}%` : "0";
    parts.attack.title = known ? `attack ${finding.attack.toFixed(4)}; ${clipped(finding.label, 60)} ${finding.score.toFixed(4)}` : "";
    if (finding.kind === "error") {
      parts.text.textContent = clipped(finding.error || "The server sent no label.", TEXT_SHOWN);
      return;
    }
    finding.snippet ??= snippet(finding.text, evidenceSpans(finding.text, finding.evidence), TEXT_SHOWN);
    fill(parts.text, finding.snippet.text, finding.snippet.spans, finding.snippet);
  }

  #fillTechnique(parts, finding) {
    const benign = finding.kind === "benign" || finding.kind === "error";
    parts.identifier.textContent = benign ? KINDS[finding.kind] : clipped(finding.label, 60);
    const name = benign ? "" : finding.name.split(": ").at(-1);
    parts.name.textContent = clipped(name || (benign ? "" : this.catalog.name(finding.label)), 90);
    parts.technique.title = benign ? "" : clipped([finding.label, finding.name, finding.kind === "abstained" ? "(abstained: below the threshold)" : ""].filter(Boolean).join(" "), 200);
    parts.mark.textContent = finding.mark ? VERDICTS[finding.mark.verdict] : "";
    parts.mark.className = finding.mark ? `mark ${finding.mark.verdict}` : "mark";
    parts.mark.title = finding.mark ? `marked ${finding.mark.verdict}` : "";
  }

  /** Redraws one finding, such as after a mark. */
  redraw(finding) {
    const index = this.store.rows.indexOf(finding);
    const element = this.drawn.get(index);
    if (element) this.#fillRow(element, finding, index);
  }

  /** Makes a row the active one and brings it into sight. */
  move(index) {
    const { rows } = this.store;
    if (rows.length === 0) return;
    const before = this.drawn.get(this.active);
    before?.classList.remove("active");
    before?.setAttribute("aria-selected", false);
    this.active = Math.max(0, Math.min(index, rows.length - 1));
    this.#show(this.active);
    this.#draw();
    const now = this.drawn.get(this.active);
    now?.classList.add("active");
    now?.setAttribute("aria-selected", true);
    if (this.selected) this.events.select(this.selected);
  }

  /** After another order or filter: what is open stays in sight, otherwise the table begins anew. */
  reveal(finding) {
    this.refresh(finding);
    const place = finding ? this.store.rows.indexOf(finding) : -1;
    this.active = Math.max(0, place);
    if (place >= 0) this.#show(place);
    else this.scroller.scrollTop = 0;
    this.refresh();
  }

  step(by) {
    this.move(this.active + by);
  }

  get page() {
    return Math.max(1, Math.floor((this.scroller.clientHeight - this.header.offsetHeight) / this.rowHeight) - 1);
  }

  #show(index) {
    const room = this.scroller.clientHeight - this.header.offsetHeight;
    const whole = this.#whole;
    const top = index * this.rowHeight;
    const offset = this.#offset;
    let wanted = offset;
    if (top < offset) wanted = top;
    else if (top + this.rowHeight > offset + room) wanted = top + this.rowHeight - room;
    if (wanted === offset) return;
    this.scroller.scrollTop = whole <= TALLEST ? wanted : (wanted / (whole - this.scroller.clientHeight)) * (TALLEST - this.scroller.clientHeight);
  }

  /** Opens the active row: a finding's page, or a group. */
  openActive() {
    const row = this.store.rows[this.active];
    if (row?.group) this.store.toggleGroup(row.group);
    else if (row) this.events.open(row);
  }

  /** Opens or closes the group that the active row is, or belongs to. */
  fold(open) {
    for (let index = this.active; index >= 0; index--) {
      const row = this.store.rows[index];
      if (!row?.group) continue;
      this.active = index;
      if (row.open !== open) this.store.toggleGroup(row.group);
      else this.move(index);
      return;
    }
  }

  #click(event) {
    const element = event.target.closest(".row");
    if (!element || getSelection().toString() !== "") return;
    this.move(Number(element.dataset.index));
    this.openActive();
  }
}

/** Says of files that nothing in them was found to classify. */
export function barrenWords(names) {
  return `${listed(names)}: no line in ${names.length === 1 ? "it" : "them"} was found to classify. Of event logs, process starts and script blocks are read.`;
}
