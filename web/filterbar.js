// The bar above the table: kinds with their counts, the filter box, the least probability of an attack, groups, and what else is chosen.

import { by, count, h } from "./dom.js";
import { parse } from "./filter.js";
import { clipped } from "./text.js";

export const KINDS = [["all", "All"], ["attack", "Attacks"], ["abstained", "Abstained"], ["benign", "Benign"], ["error", "Not answered"]];

/** The query is applied so long after the last key, in milliseconds. */
const TYPING = 140;

export class FilterBar {
  constructor(store, catalog) {
    Object.assign(this, { store, catalog });
    this.buttons = new Map(
      KINDS.map(([kind, title]) => {
        const number = h("span.count");
        const button = h("button", { type: "button", "data-kind": kind, onclick: () => store.setFilter({ kind }) }, `${title} `, number);
        return [kind, { button, number }];
      }),
    );
    by("kinds").replaceChildren(...[...this.buttons.values()].map(({ button }) => button));
    this.query = by("query");
    let typing = 0;
    this.query.addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(() => store.setFilter({ query: this.query.value }), TYPING);
    });
    by("minimum").addEventListener("input", (event) => store.setFilter({ minimum: Number(event.target.value) }));
    by("group").addEventListener("change", (event) => store.setGroup(event.target.value));
    by("sort").addEventListener("change", (event) => store.setSort(event.target.value));
    by("reverse").addEventListener("click", () => store.setSort(store.sort.key));
    store.addEventListener("order", () => this.draw());
  }

  /** The counts; those who did not come are not on show. */
  counts() {
    const { counts } = this.store;
    for (const [kind, { button, number }] of this.buttons) {
      number.textContent = count(counts[kind]);
      button.hidden = kind === "error" && counts.error === 0;
    }
    this.#chips();
  }

  draw() {
    const { filter } = this.store;
    for (const [kind, { button }] of this.buttons) button.setAttribute("aria-pressed", filter.kind === kind);
    if (this.query.value !== filter.query && document.activeElement !== this.query) this.query.value = filter.query;
    if (filter.query === "" && !this.store.isFiltered) this.query.value = "";
    by("minimum").value = filter.minimum;
    by("minimum-value").textContent = filter.minimum.toFixed(2).replace(/\.?0+$/, "") || "0";
    by("group").value = this.store.group;
    by("sort").value = this.store.sort.key;
    by("reverse").textContent = this.store.sort.descending ? "↓" : "↑";
    const { problem } = parse(filter.query);
    this.query.setAttribute("aria-invalid", problem !== "");
    this.problem = problem;
    this.#chips();
  }

  #chips() {
    const { filter, shown, findings } = this.store;
    const chip = (text, part) => h("button.chip", { type: "button", title: "Remove this filter", onclick: () => this.store.setFilter(part) }, clipped(text, 80), h("span", { "aria-hidden": "true" }, " ✕"));
    const chips = [
      filter.technique && chip(`${filter.technique} ${this.catalog.name(filter.technique)}`.trim(), { technique: "" }),
      filter.tactic && chip(this.catalog.tacticName(filter.tactic), { tactic: "" }),
      filter.host && chip(`Host ${filter.host}`, { host: "" }),
      filter.range && chip(rangeWords(filter.range), { range: null }),
    ].filter(Boolean);
    const said = this.store.isFiltered ? h("span.muted", { role: "status" }, `${count(shown.length)} of ${count(findings.length)} shown`) : null;
    const clear = this.store.isFiltered ? h("button.link", { type: "button", title: "Clear the filter (x)", onclick: () => this.store.clearFilter() }, "Clear filter") : null;
    const problem = this.problem ? h("span.problem", { role: "alert" }, this.problem) : null;
    const row = by("chips");
    const content = [...chips, said, clear, problem].filter(Boolean);
    row.hidden = content.length === 0;
    row.replaceChildren(...content);
  }
}

function rangeWords({ axis, from, to }) {
  if (axis === "order") return `Lines ${count(Math.floor(from) + 1)} to ${count(Math.floor(to) + 1)}`;
  const said = (value) => new Date(value).toISOString().slice(0, 19).replace("T", " ");
  return `${said(from)} to ${said(to)} UTC`;
}
