// The findings that arrived, and the rows of the table: filtered, sorted, grouped.

import { matcher } from "./filter.js";
import { Finding } from "./finding.js";

/** More would fill the browser's memory; the command line has no such limit. */
export const MOST_FINDINGS = 500_000;
export const MOST_CHARACTERS = 400_000_000;

const NO_FILTER = { query: "", kind: "all", minimum: 0, technique: "", tactic: "", host: "", range: null };

/** What rows are grouped by: the key of a finding. */
const GROUPS = {
  technique: (finding) => (finding.kind === "error" ? "Not answered" : finding.label),
  host: (finding) => finding.host || "No host",
  input: (finding) => finding.source,
};

/** Where a text is missing it sorts last, whichever way. */
const SORTS = {
  line: (finding) => finding.order,
  source: (finding) => finding.source,
  time: (finding) => (Number.isNaN(finding.time) ? finding.timestamp || undefined : finding.time),
  host: (finding) => finding.host || undefined,
  technique: (finding) => finding.label || undefined,
  tactic: (finding) => finding.tactics[0],
  attack: (finding) => (Number.isNaN(finding.attack) ? undefined : finding.attack),
};

export class Store extends EventTarget {
  constructor() {
    super();
    this.sort = { key: "line", descending: false };
    this.group = "";
    this.collapsed = new Set();
    this.filter = { ...NO_FILTER };
    this.clear();
  }

  clear() {
    this.findings = [];
    this.inputs = [];
    this.counts = { all: 0, attack: 0, abstained: 0, benign: 0, error: 0 };
    this.characters = 0;
    this.hasTimes = false;
    this.hasHosts = false;
    this.hasSources = false;
    this.refresh();
  }

  /** A new source of lines: a paste or a file. */
  open(name) {
    const same = this.inputs.filter((input) => input.given === name).length;
    const input = { given: name, name: same === 0 ? name : `${name} (${same + 1})` };
    this.inputs.push(input);
    return input;
  }

  get full() {
    return this.findings.length >= MOST_FINDINGS || this.characters >= MOST_CHARACTERS;
  }

  /** Takes answers and says how many; `lineOf` gives the line in the user's own numbering, `textOf` what was sent for it. */
  add(answers, input, lineOf, textOf = () => undefined) {
    const first = this.findings.length;
    for (const raw of answers) {
      if (this.full) break;
      const finding = new Finding(raw, this.findings.length, input, lineOf(raw.line), textOf(raw.line));
      this.findings.push(finding);
      this.counts.all += 1;
      this.counts[finding.kind] += 1;
      this.characters += finding.text.length;
      this.hasTimes ||= finding.timestamp !== "";
      this.hasHosts ||= finding.host !== "";
      this.hasSources ||= finding.source !== this.findings[0].source;
    }
    if (this.group === "" && this.sort.key === "line" && !this.sort.descending) {
      for (let id = first; id < this.findings.length; id++) {
        if (this.matches(this.findings[id])) this.shown.push(this.findings[id]);
      }
      this.rows = this.shown;
      this.changed();
    } else {
      this.stale = true;
      this.changed();
    }
    return this.findings.length - first;
  }

  /** Filters, sorts and groups anew. */
  refresh() {
    this.stale = false;
    this.matches = matcher(this.filter);
    this.shown = this.findings.filter(this.matches);
    this.#sortShown();
    this.#groupShown();
    this.changed();
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }

  setFilter(part) {
    Object.assign(this.filter, part);
    this.refresh();
    this.dispatchEvent(new Event("order"));
  }

  clearFilter() {
    this.setFilter({ ...NO_FILTER });
  }

  get isFiltered() {
    return Object.keys(NO_FILTER).some((key) => this.filter[key] !== NO_FILTER[key]);
  }

  /** Sorts by a column; the same column again turns the order round. Probabilities begin with the greatest. */
  setSort(key) {
    const same = this.sort.key === key;
    this.sort = { key, descending: same ? !this.sort.descending : key === "attack" };
    this.refresh();
    this.dispatchEvent(new Event("order"));
  }

  /** The columns that there is something to sort by in. */
  get sortKeys() {
    const empty = { time: !this.hasTimes, host: !this.hasHosts, source: !this.hasSources };
    return Object.keys(SORTS).filter((key) => !empty[key]);
  }

  setGroup(group) {
    this.group = group;
    this.collapsed.clear();
    this.refresh();
    this.dispatchEvent(new Event("order"));
  }

  toggleGroup(key) {
    if (!this.collapsed.delete(key)) this.collapsed.add(key);
    this.#groupShown();
    this.changed();
  }

  /** What passes the filter without some of its parts: the matrix shows every technique though one is chosen. */
  without(...parts) {
    const loose = { ...this.filter };
    for (const part of parts) loose[part] = NO_FILTER[part];
    return this.findings.filter(matcher(loose));
  }

  #sortShown() {
    const { key, descending } = this.sort;
    if (key === "line" && !descending) return;
    const value = SORTS[key];
    const turn = descending ? -1 : 1;
    const keyed = this.shown.map((finding) => [value(finding), finding]);
    keyed.sort(([a, first], [b, second]) => {
      if (a === b) return first.id - second.id;
      if (a === undefined) return 1;
      if (b === undefined) return -1;
      if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
      return (a < b ? -1 : 1) * turn;
    });
    this.shown = keyed.map(([, finding]) => finding);
  }

  /** Rows are findings, or `{group, findings, ...}` before those of a group; the largest group of attacks stands first. */
  #groupShown() {
    if (this.group === "") {
      this.rows = this.shown;
      return;
    }
    const key = GROUPS[this.group];
    const groups = new Map();
    for (const finding of this.shown) {
      const name = key(finding);
      const group = groups.get(name) ?? { group: name, findings: [], attacks: 0, highest: 0 };
      groups.set(name, group);
      group.findings.push(finding);
      if (finding.kind === "attack") {
        group.attacks += 1;
        group.highest = Math.max(group.highest, finding.attack || 0);
      }
    }
    const order = [...groups.values()].sort((a, b) => b.attacks - a.attacks || b.findings.length - a.findings.length || (a.group < b.group ? -1 : 1));
    this.rows = order.flatMap((group) => {
      group.open = !this.collapsed.has(group.group);
      return group.open ? [group].concat(group.findings) : [group];
    });
  }
}
