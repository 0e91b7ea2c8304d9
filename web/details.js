// The page of one finding: the whole text, why it was or was not reported, the runners-up, the context, and the analyst's mark.

import { h, outside, plural } from "./dom.js";
import { encodedCommand } from "./decode.js";
import { clipped, evidenceSpans, fill, visible } from "./text.js";

/** Longer texts are shown in part until asked for in full. */
const LONG_TEXT = 60_000;
/** So many of a row's own fields are listed. */
const MOST_FIELDS = 40;

const BADGES = { attack: "Attack", abstained: "Abstained", benign: "Benign", error: "Not answered" };

export class Details {
  /** `actions`: `close()`, `step(by)`, `filter(part)`, `mark(verdict)`, `undo(finding)`, `copy(text)`. */
  constructor(root, catalog, reviews, actions) {
    Object.assign(this, { root, catalog, reviews, actions, finding: null });
  }

  show(finding) {
    const same = this.finding === finding;
    this.finding = finding;
    const top = same ? this.root.scrollTop : 0;
    const focused = same ? this.root.contains(document.activeElement) && document.activeElement.dataset.key : null;
    this.root.replaceChildren(
      this.#head(finding),
      h("div.details-body", {}, this.#why(finding), this.#text(finding), this.#decoded(finding), this.#review(finding), this.#scores(finding), this.#context(finding)),
    );
    this.root.hidden = false;
    this.root.scrollTop = top;
    // In a long text, the evidence is what one wants to see first.
    const box = this.root.querySelector(".whole-text");
    const strongest = box?.querySelector(".level-4");
    if (strongest && strongest.offsetTop > box.clientHeight - 40) box.scrollTop = strongest.offsetTop - 40;
    if (focused) this.root.querySelector(`[data-key="${focused}"]`)?.focus();
  }

  hide() {
    this.finding = null;
    this.root.hidden = true;
    this.root.replaceChildren();
  }

  #head(finding) {
    const attack = finding.kind === "attack" || finding.kind === "abstained";
    const title = attack ? finding.name.split(": ").at(-1) || this.catalog.name(finding.label) || clipped(finding.label, 100) : BADGES[finding.kind];
    const parent = attack && finding.name.includes(": ") ? finding.name.split(": ")[0] : "";
    const button = (key, label, sign, run) => h("button.icon", { type: "button", "data-key": key, title: label, "aria-label": label, onclick: run }, sign);
    return h(
      "header.details-head",
      {},
      h(
        "div.details-bar",
        {},
        h(`span.badge.${finding.kind}`, {}, BADGES[finding.kind]),
        attack && outside(finding.url, h("span.identifier", {}, clipped(finding.label, 60)), finding.url ? h("span.out", { "aria-hidden": "true" }, " ↗") : null),
        h("span.grow"),
        button("previous", "Previous finding (k)", "↑", () => this.actions.step(-1)),
        button("next", "Next finding (j)", "↓", () => this.actions.step(1)),
        button("close", "Close (Esc)", "✕", () => this.actions.close()),
      ),
      h("h2", { id: "details-title" }, visible(title)),
      parent && h("p.parent", {}, `Sub-technique of ${clipped(parent, 100)}`),
      finding.tactics.length > 0 && h("p.tactics", {}, finding.tactics.map((tactic) => h("span.tag", {}, this.catalog.tacticName(tactic)))),
    );
  }

  /** The decision in words. */
  #why(finding) {
    const model = this.catalog.model(finding.model);
    const threshold = typeof model?.threshold === "number" ? model.threshold : null;
    // Thresholds lie close to 1, where a third decimal tells nothing.
    const attack = Number.isNaN(finding.attack) ? "" : ` (${finding.attack.toFixed(4)})`;
    const against = threshold === null ? "the model's threshold" : `the model's threshold of ${threshold.toFixed(4)}`;
    const label = `${clipped(finding.label, 60)} (${finding.score.toFixed(3)})`;
    const next = finding.top.find((entry) => entry.label !== finding.label);
    let words;
    if (finding.kind === "error") words = `No answer: ${clipped(finding.error || "the server sent no label", 600)}`;
    else if (finding.kind === "attack") words = `Reported: the probability of an attack${attack} reaches ${against}. The most probable technique is ${label}.`;
    else if (finding.kind === "abstained") words = `Not reported: an attack is more probable than not${attack}, but stays below ${against}, so the model abstains. The most probable technique is ${label}.`;
    else words = `Not reported: ${label} is more probable than an attack${attack}.`;
    const several = Array.isArray(finding.raw.labels) ? finding.raw.labels.filter((label) => typeof label === "string" && label !== finding.label) : [];
    if (several.length > 0) words += ` The line also reaches it with ${clipped(several.join(", "), 300)}.`;
    if (next && finding.kind !== "error") words += ` Next comes ${clipped(next.label, 60)} with ${next.score.toFixed(3)}.`;
    // It moves the line's own, up or down: without this, equal lines with unequal answers are a riddle.
    if (!Number.isNaN(finding.parentAttack) && finding.kind !== "error") words += ` What started the line was heard too: alone, its probability of an attack is ${finding.parentAttack.toFixed(4)}.`;
    return h("section", { "aria-label": "Why" }, h("p.why", {}, words), finding.truncated && h("p.note", {}, "✂ The line is longer than the model reads: its middle was not taken into account."));
  }

  #text(finding) {
    if (finding.text === "") return null;
    const spans = evidenceSpans(finding.text, finding.evidence);
    const box = h("pre.whole-text", { tabindex: 0, "aria-label": "Text of the line" });
    const long = finding.text.length > LONG_TEXT;
    const draw = (all) => fill(box, all ? finding.text : finding.text.slice(0, LONG_TEXT), all ? spans : spans.filter((span) => span.end <= LONG_TEXT), { lines: true, cutAfter: !all });
    draw(!long);
    const more = long && h("button.link", { type: "button", onclick: () => (draw(true), more.remove()) }, `Show all ${plural(finding.text.length, "character")}`);
    const strongest = [...spans].sort((a, b) => b.weight - a.weight).slice(0, 6);
    return h(
      "section",
      {},
      h("div.section-head", {}, h("h3", {}, "Text"), h("button.link", { type: "button", "data-key": "copy", title: "Copy the exact text (c)", onclick: () => this.actions.copy(finding.text) }, "Copy")),
      box,
      more,
      strongest.length > 0 &&
        h(
          "p.evidence-list",
          {},
          h("span.muted", {}, "Evidence"),
          strongest.map((span) => h("span.chip", {}, h(`mark.evidence.level-${span.level}`, {}, clipped(finding.text.slice(span.start, span.end), 40)), h("span.weight", {}, span.weight.toFixed(2)))),
        ),
    );
  }

  #decoded(finding) {
    const command = encodedCommand(finding.text);
    if (command === null) return null;
    const box = h("pre.whole-text.decoded", { tabindex: 0, "aria-label": "Decoded command" });
    fill(box, command.slice(0, LONG_TEXT), [], { lines: true });
    return h("section", {}, h("h3", {}, "Decoded command"), box);
  }

  #review(finding) {
    if (finding.kind === "error") return null;
    if (!this.catalog.feedback) return h("section", {}, h("h3", {}, "Review"), h("p.muted", {}, "This server keeps no marks."));
    const { mark } = finding;
    const button = (verdict, text, key) =>
      h(
        `button.verdict.${verdict}`,
        { type: "button", "data-key": verdict, "aria-pressed": mark?.verdict === verdict, "aria-keyshortcuts": key, onclick: () => this.actions.mark(verdict) },
        text,
        h("kbd", { "aria-hidden": "true" }, key),
      );
    const said = mark && h("p.said", {}, `Marked ${mark.verdict}${mark.correct ? `: it is ${mark.correct}` : ""}. `, h("button.link", { type: "button", "data-key": "undo", onclick: () => this.actions.undo(finding) }, "Undo"));
    const rate = finding.kind === "benign" ? null : this.#rate(finding.label);
    return h(
      "section",
      {},
      h("h3", {}, "Is this right?"),
      h("div.verdicts", { role: "group", "aria-label": "Your mark" }, button("right", "Right", "y"), button("wrong", finding.kind === "benign" ? "An attack…" : "Wrong…", "w"), finding.kind !== "benign" && button("benign", "Benign", "b")),
      said,
      rate,
    );
  }

  /** What was said before of this technique's findings. */
  #rate(label) {
    const known = this.reviews.summary.get(label);
    if (!known) return h("p.muted", {}, `No finding of ${clipped(label, 60)} has been marked yet.`);
    const rate = typeof known.false_positive_rate === "number" ? `, ${(known.false_positive_rate * 100).toFixed(1)} % false positives` : "";
    return h("p.muted", {}, `${clipped(label, 60)} so far: ${known.right} right, ${known.wrong} wrong, ${known.benign} benign${rate}.`);
  }

  /** The most probable labels with the threshold. */
  #scores(finding) {
    if (finding.top.length === 0) return null;
    const threshold = this.catalog.model(finding.model)?.threshold;
    const rows = finding.top.map((entry) => {
      const bar = h("i");
      bar.style.width = `${Math.max(0, Math.min(1, entry.score)) * 100}%`;
      const track = h("span.track", { "aria-hidden": "true" }, bar);
      const chosen = entry.label === finding.label;
      const name = this.catalog.fullName(entry.label);
      return h(
        `li${chosen ? ".chosen" : ""}${entry.label === "Benign" ? ".benign" : ""}`,
        {},
        h("span.score-label", {}, h("b", {}, clipped(entry.label, 60)), name && name !== entry.label ? ` ${name}` : ""),
        track,
        h("span.number", {}, entry.score.toFixed(3)),
      );
    });
    return h("section", {}, h("h3", {}, "Most probable labels"), h("ol.scores", {}, this.#attack(finding, threshold), rows), typeof threshold === "number" && h("p.muted.legend", {}, h("span.tick-sample", { "aria-hidden": "true" }), ` threshold for any attack ${threshold.toFixed(4)}`));
  }

  /** All attack labels together, which the threshold is put to. */
  #attack(finding, threshold) {
    if (Number.isNaN(finding.attack)) return null;
    const bar = h("i");
    bar.style.width = `${Math.max(0, Math.min(1, finding.attack)) * 100}%`;
    const track = h("span.track", { "aria-hidden": "true" }, bar);
    if (typeof threshold === "number") {
      const tick = h("span.tick", { title: `threshold ${threshold.toFixed(4)}` });
      tick.style.left = `${threshold * 100}%`;
      track.append(tick);
    }
    return h("li.any", {}, h("span.score-label", {}, h("b", {}, "Any attack")), track, h("span.number", {}, finding.attack.toFixed(4)));
  }

  #context(finding) {
    const place = finding.line === undefined ? "" : `${finding.line} of ${finding.input.name}`;
    const model = [finding.model, finding.modelVersion].filter(Boolean).join(" ");
    const entries = [
      ["Line", place], ["Time", finding.timestamp], ["Host", finding.host], ["User", finding.user], ["Image", finding.image], ["Parent", finding.parent],
      ["Parent’s attack", Number.isNaN(finding.parentAttack) ? "" : finding.parentAttack.toFixed(4)],
      ["File", finding.file], ["Record", finding.record === null ? "" : String(finding.record)], ["Model", model],
    ].filter(([, value]) => value !== "");
    // What else a row of NDJSON carried.
    const carried = finding.raw.input !== null && typeof finding.raw.input === "object" ? Object.entries(finding.raw.input).slice(0, MOST_FIELDS) : [];
    for (const [field, value] of carried) entries.push([clipped(field, 60), typeof value === "string" ? value : JSON.stringify(value)]);
    const more = [
      (finding.kind === "attack" || finding.kind === "abstained") && h("button.link", { type: "button", onclick: () => this.actions.filter({ technique: finding.label }) }, `All ${clipped(finding.label, 60)}`),
      finding.host && h("button.link", { type: "button", onclick: () => this.actions.filter({ host: finding.host }) }, `All of ${clipped(finding.host, 60)}`),
    ].filter(Boolean);
    return h(
      "section",
      {},
      h("h3", {}, "Context"),
      h("dl", {}, entries.flatMap(([term, value]) => [h("dt", {}, term), h("dd", {}, clipped(value, 2000))])),
      more.length > 0 && h("p.more", {}, "Show ", more),
    );
  }
}
