// Findings as files: CSV, NDJSON, an ATT&CK Navigator layer, a page of HTML that stands alone. Each gives pieces of text, so that
// 50,000 findings need no string of their own size.

import { tally } from "./matrix.js";
import { visible } from "./text.js";

const NAVIGATOR = { attack: "18", navigator: "5.1.0", layer: "4.5" };

/** The formats on offer: what each is called, its file's ending and type, and its writer. */
export const FORMATS = [
  { key: "csv", title: "CSV", note: "for spreadsheets, without lines that were not answered; cells that begin like a formula get an apostrophe", omitsErrors: true, ending: "csv", type: "text/csv;charset=utf-8", write: csv },
  { key: "ndjson", title: "NDJSON", note: "exactly what the server answered, a finding a line", ending: "ndjson", type: "application/x-ndjson", write: ndjson },
  { key: "navigator", title: "ATT&CK Navigator layer", note: "techniques scored by their number of findings", ending: "layer.json", type: "application/json", write: navigator },
  { key: "html", title: "HTML report", note: "one page that opens anywhere, without scripts", ending: "html", type: "text/html;charset=utf-8", write: html },
];

/** The columns of `attackline classify --output-format csv --top`. */
const COLUMNS = ["line", "text", "label", "score", "attack", "abstained", "technique", "tactics", "url", "truncated", "file", "record", "timestamp", "host", "user", "image", "parent", "parent_attack", "top"];

export function* csv(findings) {
  yield `${COLUMNS.join(",")}\n`;
  for (const finding of findings) {
    if (finding.kind === "error") continue;
    const top = finding.top.map(({ label, score }) => `${label}=${score}`).join(";");
    const cells = [
      finding.line, finding.text, finding.label, finding.score, Number.isNaN(finding.attack) ? "" : finding.attack, finding.kind === "abstained", finding.name, finding.tactics.join(";"), finding.url, finding.truncated,
      finding.file, finding.record ?? "", finding.timestamp, finding.host, finding.user, finding.image, finding.parent, Number.isNaN(finding.parentAttack) ? "" : finding.parentAttack, top,
    ];
    yield `${cells.map(cell).join(",")}\n`;
  }
}

/** Spreadsheets run what begins with = + - @ (also after blanks, also in full width), and log text is an attacker's to choose. */
const FORMULA = /^[\s\u0000-\u001f]*[=+\-@\uff1d\uff0b\uff0d\uff20]|^[\t\r\n]/;

export function cell(value) {
  const text = typeof value === "string" && FORMULA.test(value) ? `'${value}` : String(value ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function* ndjson(findings) {
  for (const { raw } of findings) yield `${JSON.stringify(raw)}\n`;
}

export function* navigator(findings, { catalog, description }) {
  const entries = [...tally(findings, catalog).values()].filter((entry) => entry.attacks > 0 && /^T\d{4}(\.\d{3})?$/.test(entry.label)).sort((a, b) => (a.label < b.label ? -1 : 1));
  const most = Math.max(1, ...entries.map((entry) => entry.attacks));
  const layer = {
    name: "attackline findings",
    versions: { ...NAVIGATOR, attack: catalog.version?.split(".")[0] ?? NAVIGATOR.attack },
    domain: "enterprise-attack",
    description,
    sorting: 3,
    hideDisabled: false,
    gradient: { colors: ["#ffe3dc", "#c0362c"], minValue: 0, maxValue: most },
    showTacticRowBackground: false,
    selectTechniquesAcrossTactics: true,
    selectSubtechniquesWithParent: false,
    techniques: entries.map((entry) => ({
      techniqueID: entry.label,
      score: entry.attacks,
      enabled: true,
      comment: `${entry.attacks} ${entry.attacks === 1 ? "finding" : "findings"}, highest probability of an attack ${entry.highest.toFixed(3)}`,
      showSubtechniques: true,
      metadata: [],
      links: [],
    })),
  };
  yield `${JSON.stringify(layer, null, 1)}\n`;
}

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** Text for HTML: hidden characters as symbols, then every character that could be markup as an entity. */
export const escaped = (text) => visible(text).replace(/[&<>"']/g, (character) => ENTITIES[character]);

const STYLE = `:root{color-scheme:light dark}body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1400px;padding:0 1rem}
h1{font-size:1.4rem;margin-bottom:0}p{color:GrayText}table{border-collapse:collapse;width:100%;margin:1.5rem 0}
td{unicode-bidi:isolate-override;direction:ltr}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid color-mix(in srgb,CanvasText 15%,transparent)}
td.text{font:12px/1.5 ui-monospace,monospace;overflow-wrap:anywhere;}td.number{text-align:right;font-variant-numeric:tabular-nums}
td.short{white-space:nowrap}tr.attack td.label{color:light-dark(#b3261e,#ff8a7e);font-weight:600}tr.abstained td.label{color:light-dark(#8a5a00,#e3b341)}`;

export function* html(findings, { catalog, description }) {
  const found = [...tally(findings, catalog).values()].sort((a, b) => b.attacks - a.attacks);
  yield `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width"><title>attackline findings</title><style>${STYLE}</style></head><body>
<h1>attackline findings</h1><p>${escaped(description)}. Attack: the probability that the line is an attack of any kind, which the threshold is put to. Score: the label's own.</p>
<table><thead><tr><th>Technique</th><th>Name</th><th>Tactics</th><th>Findings</th><th>Abstained</th><th>Highest attack</th></tr></thead><tbody>
`;
  for (const entry of found) {
    const tactics = entry.tactics.map((tactic) => catalog.tacticName(tactic)).join(", ");
    yield `<tr><td>${escaped(entry.label)}</td><td>${escaped(catalog.fullName(entry.label) || entry.name)}</td><td>${escaped(tactics)}</td><td class="number">${entry.attacks}</td><td class="number">${entry.abstained}</td><td class="number">${entry.highest.toFixed(3)}</td></tr>\n`;
  }
  yield "</tbody></table>\n<table><thead><tr><th>Line</th><th>Time</th><th>Host</th><th>User</th><th>Attack</th><th>Label</th><th>Score</th><th>Text</th></tr></thead><tbody>\n";
  for (const finding of findings) {
    const label = finding.kind === "error" ? "Not answered" : finding.label + (finding.kind === "abstained" ? " (abstained)" : "");
    const [attack, score] = [finding.attack, finding.score].map((value) => (Number.isNaN(value) ? "" : value.toFixed(3)));
    const text = [finding.error, finding.text].filter(Boolean).join(": ");
    const name = finding.name ? ` title="${escaped(finding.name)}"` : "";
    yield `<tr class="${finding.kind}"><td class="number">${escaped(finding.line ?? "")}</td><td class="short">${escaped(finding.shownTime())}</td><td class="short">${escaped(finding.host)}</td><td>${escaped(finding.user)}</td><td class="number">${attack}</td><td class="label"${name}>${escaped(label)}</td><td class="number">${score}</td><td class="text">${escaped(text)}</td></tr>\n`;
  }
  yield "</tbody></table></body></html>\n";
}

/** Hands a file to the browser. `parts` are texts; they are put together a megabyte at a time. */
export function save(parts, name, type) {
  const chunks = [];
  let chunk = [];
  let size = 0;
  for (const part of parts) {
    chunk.push(part);
    size += part.length;
    if (size > 1_000_000) {
      chunks.push(new Blob([chunk.join("")]));
      chunk = [];
      size = 0;
    }
  }
  chunks.push(new Blob([chunk.join("")]));
  saveBlob(new Blob(chunks, { type }), name);
}

export function saveBlob(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 30_000);
}
