// The ATT&CK matrix: tactics as columns, techniques coloured by how many findings show them.

import { count, h, plural } from "./dom.js";
import { empty } from "./reviews.js";
import { clipped } from "./text.js";

/** Shades of a technique that was found. */
const SHADES = 6;

/** What was found of each label: `{label, name, tactics, attacks, abstained, highest}`, the last being the highest probability of an attack. */
export function tally(findings, catalog) {
  const found = new Map();
  for (const finding of findings) {
    if (finding.kind !== "attack" && finding.kind !== "abstained") continue;
    let entry = found.get(finding.label);
    if (!entry) {
      const tactics = finding.tactics.length > 0 ? finding.tactics : (catalog.techniques.get(finding.label)?.tactics ?? []);
      entry = { label: finding.label, name: catalog.name(finding.label) || finding.name, tactics, attacks: 0, abstained: 0, highest: 0 };
      found.set(finding.label, entry);
    }
    entry[finding.kind === "attack" ? "attacks" : "abstained"] += 1;
    entry.highest = Math.max(entry.highest, finding.attack || 0);
  }
  return found;
}

export class Matrix {
  constructor(root, store, catalog, choose) {
    Object.assign(this, { root, store, catalog, choose, scope: "found" });
    root.addEventListener("keydown", (event) => this.#keys(event));
  }

  draw() {
    const found = tally(this.store.without("technique", "tactic", "kind"), this.catalog);
    const most = Math.max(1, ...[...found.values()].map((entry) => entry.attacks));
    const techniques = this.#techniques(found);
    const columns = this.catalog.tactics
      .map((tactic) => ({ tactic, cells: techniques.filter((technique) => technique.tactics.includes(tactic.shortname)) }))
      .filter(({ cells }) => cells.length > 0 || this.scope === "all");
    const others = techniques.filter((technique) => technique.tactics.length === 0);
    if (others.length > 0) columns.push({ tactic: { name: "Other labels", id: "", shortname: "" }, cells: others });
    const attacks = [...found.values()].filter((entry) => entry.attacks > 0).length;
    const body =
      columns.length === 0
        ? empty("No techniques yet", this.store.findings.length === 0 ? "Classify some lines first; what they show is counted here." : "None of the findings names a technique.")
        : h("div.matrix", { role: "list", "aria-label": "Tactics" }, columns.map(({ tactic, cells }) => this.#column(tactic, cells, found, most)));
    const focused = this.root.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const left = this.root.querySelector(".matrix")?.scrollLeft ?? 0;
    this.root.replaceChildren(this.#head(attacks, most), body);
    const matrix = this.root.querySelector(".matrix");
    if (matrix) matrix.scrollLeft = left;
    if (focused) this.root.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  }

  #techniques(found) {
    const { techniques } = this.catalog;
    if (this.scope === "found") return ordered([...found.values()].map((entry) => ({ ...techniques.get(entry.label), id: entry.label, name: entry.name, tactics: entry.tactics })));
    const known = this.scope === "model" ? new Set(this.catalog.modelLabels()) : null;
    const listed = [...techniques.values()].filter((technique) => (known ? known.has(technique.id) : !technique.parent) || found.has(technique.id));
    const strange = [...found.values()].filter((entry) => !techniques.has(entry.label)).map((entry) => ({ id: entry.label, name: entry.name, tactics: entry.tactics }));
    return ordered(listed.concat(strange));
  }

  #head(attacks, most) {
    const scopes = [["found", "Found"], ["model", "Model's labels"], ["all", "All of ATT&CK"]];
    const buttons = scopes.map(([scope, title]) =>
      h("button", { type: "button", "data-key": `scope-${scope}`, "aria-pressed": this.scope === scope, onclick: () => ((this.scope = scope), this.draw()) }, title),
    );
    const shades = Array.from({ length: SHADES }, (_, index) => h(`i.shade-${index + 1}`));
    return h(
      "div.view-head",
      {},
      h("h2", {}, "ATT&CK matrix"),
      h("span.muted", {}, `${plural(attacks, "technique")} found`),
      h("span.grow"),
      h("span.shades", { role: "img", "aria-label": `Colour: 1 to ${most} findings` }, "1", shades, count(most)),
      h("div.segments", { role: "group", "aria-label": "Techniques shown" }, buttons),
    );
  }

  #column(tactic, cells, found, most) {
    const sum = cells.reduce((total, { id }) => total + (found.get(id)?.attacks ?? 0), 0);
    const abstained = cells.reduce((total, { id }) => total + (found.get(id)?.abstained ?? 0), 0);
    const said = sum > 0 ? plural(sum, "finding") : abstained > 0 ? `${count(abstained)} abstained` : plural(cells.length, "technique");
    const { filter } = this.store;
    const head = h(
      "button.tactic",
      { type: "button", "data-key": `tactic-${tactic.shortname}`, "aria-pressed": filter.tactic === tactic.shortname && tactic.shortname !== "", disabled: sum === 0 || tactic.shortname === "", onclick: () => this.choose({ tactic: tactic.shortname, technique: "", kind: "attack" }) },
      h("b", {}, tactic.name),
      h("span.muted", {}, said),
    );
    return h("section", { role: "listitem", "aria-label": tactic.name }, head, cells.map((technique) => this.#cell(technique, tactic, found.get(technique.id), most)));
  }

  #cell(technique, tactic, entry, most) {
    const attacks = entry?.attacks ?? 0;
    const shade = attacks === 0 ? 0 : 1 + Math.round((Math.log(attacks) / Math.log(Math.max(2, most))) ** 1.7 * (SHADES - 1));
    const said = [entry && attacks > 0 ? `${plural(attacks, "finding")}, highest probability of an attack ${entry.highest.toFixed(3)}` : "not found", entry?.abstained ? `${count(entry.abstained)} abstained` : ""].filter(Boolean).join(", ");
    const full = this.catalog.fullName(technique.id) || technique.name;
    return h(
      `button.technique.shade-${Math.min(SHADES, shade)}${technique.parent && this.scope !== "found" ? ".sub" : ""}`,
      {
        type: "button", disabled: !entry, "data-key": `${tactic.shortname} ${technique.id}`, title: clipped(`${technique.id} ${full}: ${said}`, 300),
        "aria-label": clipped(`${technique.id} ${full}, ${said}`, 300), "aria-pressed": this.store.filter.technique === technique.id,
        onclick: () => this.choose({ technique: technique.id, tactic: "", kind: attacks > 0 ? "attack" : "abstained" }),
      },
      h("span.identifier", {}, clipped(technique.id, 40)),
      h("span.name", {}, clipped(technique.name.split(": ").at(-1), 90)),
      entry && h(`span.count${attacks > 0 ? "" : ".abstained"}`, {}, attacks > 0 ? count(attacks) : `${count(entry.abstained)}?`),
    );
  }

  /** Arrows go from cell to cell. */
  #keys(event) {
    const move = { ArrowDown: [0, 1], ArrowUp: [0, -1], ArrowRight: [1, 0], ArrowLeft: [-1, 0] }[event.key];
    const cell = event.target.closest?.(".matrix button");
    if (!move || !cell) return;
    const columns = [...this.root.querySelectorAll(".matrix section")].map((section) => [...section.querySelectorAll("button:not(:disabled)")]).filter((cells) => cells.length > 0);
    const column = columns.findIndex((cells) => cells.includes(cell));
    const next = columns[column + move[0]];
    if (!next) return;
    const place = columns[column].indexOf(cell) + move[1];
    next[Math.max(0, Math.min(next.length - 1, place))].focus();
    event.preventDefault();
  }
}

/** By id, so that sub-techniques follow their parents. */
function ordered(techniques) {
  return techniques.sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
}
