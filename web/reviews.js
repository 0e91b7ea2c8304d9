// What analysts say of findings: marks, undo, and the rates that follow from them.

import { count, h } from "./dom.js";
import { clipped } from "./text.js";

export class Reviews {
  /** `changed(finding)` is called after a mark was made or taken back. */
  constructor(api, catalog, changed) {
    Object.assign(this, { api, catalog, changed, summary: new Map(), made: [], busy: false });
  }

  async load() {
    if (!this.catalog.feedback) return;
    const { techniques } = await this.api.json("/api/v1/feedback/summary");
    this.summary = new Map((techniques ?? []).map((entry) => [entry.label, entry]));
  }

  /** Keeps a mark; an earlier one of the same finding is taken back. Gives whether it was kept. */
  async mark(finding, verdict, correct = "") {
    const body = { text: finding.text, label: finding.label, score: finding.score, verdict };
    if (correct !== "") body.correct_label = correct;
    if (finding.model !== "") body.model = finding.model;
    // A second key while the first is on its way would leave a mark that nothing takes back.
    if (this.busy) return false;
    this.busy = true;
    try {
      await this.#replace(finding, body, verdict, correct);
    } finally {
      this.busy = false;
    }
    await this.#after(finding);
    return true;
  }

  async #replace(finding, body, verdict, correct) {
    const earlier = finding.mark;
    const { id } = await this.api.post("/api/v1/feedback", body);
    finding.mark = { id, verdict, correct };
    this.made.push(finding);
    if (earlier) await this.#remove(earlier.id);
  }

  /** Takes back the mark of this finding, or the last one made. Gives the finding, or null where there was none. */
  async undo(finding = this.made.at(-1)) {
    if (!finding?.mark) return null;
    await this.#remove(finding.mark.id);
    finding.mark = null;
    this.made = this.made.filter((other) => other !== finding);
    await this.#after(finding);
    return finding;
  }

  forget() {
    this.made = [];
  }

  #remove(id) {
    return this.api.request(`/api/v1/feedback/${encodeURIComponent(id)}`, { method: "DELETE" });
  }

  async #after(finding) {
    // The mark is kept by now; rates that can't be had are no reason to say otherwise.
    await this.load().catch(() => {});
    this.changed(finding);
  }

  /** The table of marks and rates. */
  draw(root, { download, filter }) {
    if (!this.catalog.feedback) {
      root.replaceChildren(empty("This server keeps no marks", "Start it with a feedback database to mark findings right, wrong or benign and to train on the marks."));
      return;
    }
    const entries = [...this.summary.values()].sort((a, b) => (b.false_positive_rate ?? 0) - (a.false_positive_rate ?? 0) || (a.label < b.label ? -1 : 1));
    if (entries.length === 0) {
      root.replaceChildren(empty("Nothing marked yet", "Open a finding and press y for right, w for wrong or b for benign. The marks become training data and false-positive rates."));
      return;
    }
    const total = entries.reduce((sum, { right, wrong, benign }) => sum + right + wrong + benign, 0);
    const rows = entries.map((entry) => {
      const rate = typeof entry.false_positive_rate === "number" ? entry.false_positive_rate : null;
      const bar = h("i");
      bar.style.width = `${(rate ?? 0) * 100}%`;
      return h(
        "tr",
        {},
        h("th", { scope: "row" }, h("button.link", { type: "button", onclick: () => filter(entry.label) }, clipped(entry.label, 60)), " ", h("span.muted", {}, this.catalog.fullName(entry.label))),
        h("td.number", {}, count(entry.right)),
        h("td.number", {}, count(entry.wrong)),
        h("td.number", {}, count(entry.benign)),
        h("td.rate", {}, h("span.track", { "aria-hidden": "true" }, bar), h("span.number", {}, rate === null ? "–" : `${(rate * 100).toFixed(1)} %`)),
      );
    });
    const heads = ["Technique", "Right", "Wrong", "Benign", "False positives"].map((title, index) => h(`th${index > 0 && index < 4 ? ".number" : ""}`, { scope: "col" }, title));
    root.replaceChildren(
      h("div.view-head", {}, h("h2", {}, "Marks by technique"), h("span.muted", {}, `${count(total)} in all, from everybody who uses this server`), h("span.grow"), h("button", { type: "button", onclick: download }, "Download training data")),
      h("div.sheet", {}, h("table.rates", {}, h("thead", {}, h("tr", {}, heads)), h("tbody", {}, rows))),
    );
  }
}

/** What stands where nothing is to be shown. */
export function empty(title, text) {
  return h("div.empty", {}, h("h2", {}, title), h("p", {}, text));
}
