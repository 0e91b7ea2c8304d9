// Log text made safe to look at. Whoever writes a log line chooses its bytes: controls, escape sequences and marks that turn the
// reading direction round are shown as symbols, so that a line can't look like another.

// What is invisible or looks like a blank: controls, marks of format and direction, lone surrogates, whatever Unicode lets a font ignore,
// every blank but the one of ASCII, and a few signs that are drawn empty.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\u2800\ufffc\u{16fe4}\u{1d159}]/gu;

const CONTROLS = ["NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "TAB", "LF", "VT", "FF", "CR", "SO", "SI", "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS", "RS", "US"];
const NAMES = new Map([
  ...CONTROLS.map((name, code) => [code, name]),
  ...Array.from({ length: 256 }, (_, index) => [index < 16 ? 0xfe00 + index : 0xe00f0 + index, `VS${index + 1}`]),
  [0x7f, "DEL"], [0x85, "NEL"], [0x9b, "CSI"], [0xa0, "NBSP"], [0xad, "SHY"], [0x34f, "CGJ"], [0x61c, "ALM"],
  [0x180b, "FVS1"], [0x180c, "FVS2"], [0x180d, "FVS3"], [0x180e, "MVS"], [0x180f, "FVS4"], [0x200b, "ZWSP"], [0x200c, "ZWNJ"], [0x200d, "ZWJ"],
  [0x200e, "LRM"], [0x200f, "RLM"], [0x2028, "LS"], [0x2029, "PS"], [0x202a, "LRE"], [0x202b, "RLE"], [0x202c, "PDF"],
  [0x202d, "LRO"], [0x202e, "RLO"], [0x202f, "NNBSP"], [0x2060, "WJ"], [0x2066, "LRI"], [0x2067, "RLI"], [0x2068, "FSI"],
  [0x2069, "PDI"], [0x3000, "IDSP"], [0xfeff, "BOM"],
]);

/** What stands for a hidden character: an arrow for a tab or a line feed, otherwise its short name. */
export function symbol(character) {
  const code = character.codePointAt(0);
  if (code === 0x09) return "⇥";
  if (code === 0x0a) return "↵";
  return `‹${NAMES.get(code) ?? hexadecimal(code)}›`;
}

const hexadecimal = (code) => `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;

/** The text with a symbol for every hidden character. */
export const visible = (text) => String(text).replace(HIDDEN, symbol);

/** The first `most` characters of the text, made visible, with … where something is missing. */
export function clipped(text, most) {
  const whole = String(text);
  return whole.length <= most ? visible(whole) : `${visible(whole.slice(0, boundary(whole, most)))}…`;
}

/** A name of at most so many characters: its beginning and its end, which tells files apart. */
export function shortened(text, most) {
  if (text.length <= most) return visible(text);
  const first = boundary(text, Math.floor(most / 3));
  return `${visible(text.slice(0, first))}…${visible(text.slice(boundary(text, text.length - (most - first - 1))))}`;
}

/** So many names are listed. */
const MOST_NAMES = 5;

/** Names in a sentence, the first few of many. */
export function listed(names) {
  const first = names.slice(0, MOST_NAMES).map((name) => clipped(name, 80)).join(", ");
  return names.length > MOST_NAMES ? `${first} and ${names.length - MOST_NAMES} more` : first;
}

/** The index itself, or the one before where it would tear a surrogate pair. */
function boundary(text, index) {
  const code = text.charCodeAt(index);
  const before = text.charCodeAt(index - 1);
  return code >= 0xdc00 && code < 0xe000 && before >= 0xd800 && before < 0xdc00 ? index - 1 : index;
}

/** Evidence beyond so many spans is not drawn; the strongest are. */
const MOST_SPANS = 200;

/**
 * Evidence as `{start, end, level, weight}`, sorted, without overlaps: indexes into the string (they come as UTF-8 byte offsets),
 * levels 1 to 4 in proportion to the greatest weight. What doesn't fit the text, or speaks for nothing, is left out.
 */
export function evidenceSpans(text, evidence) {
  if (!Array.isArray(evidence) || typeof text !== "string") return [];
  const spans = evidence
    .filter((span) => span && Number.isInteger(span.start) && Number.isInteger(span.end) && span.start >= 0 && span.start < span.end && span.weight > 0)
    .sort((a, b) => b.weight - a.weight)
    .slice(0, MOST_SPANS);
  if (spans.length === 0) return [];
  const index = stringIndexes(text, spans);
  const greatest = spans[0].weight;
  const placed = spans.map((span) => ({ start: index.get(span.start), end: index.get(span.end), weight: span.weight }));
  return flatten(placed.filter((span) => span.start !== undefined && span.end !== undefined)).map((span) => ({
    ...span,
    level: Math.min(4, Math.max(1, Math.ceil((span.weight / greatest) * 4))),
  }));
}

/** The string index of every byte offset that the spans name; an offset inside a character counts as its beginning. */
function stringIndexes(text, spans) {
  const offsets = [...new Set(spans.flatMap((span) => [span.start, span.end]))].sort((a, b) => a - b);
  const found = new Map();
  let next = 0;
  let bytes = 0;
  for (let index = 0; index < text.length && next < offsets.length; ) {
    const code = text.codePointAt(index);
    const width = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    while (next < offsets.length && offsets[next] < bytes + width) found.set(offsets[next++], index);
    bytes += width;
    index += code > 0xffff ? 2 : 1;
  }
  while (next < offsets.length && offsets[next] === bytes) found.set(offsets[next++], text.length);
  return found;
}

/** Overlaps resolved: where several spans cover a place, the heaviest counts. */
function flatten(spans) {
  const edges = [...new Set(spans.flatMap((span) => [span.start, span.end]))].sort((a, b) => a - b);
  const flat = [];
  for (let edge = 0; edge + 1 < edges.length; edge++) {
    const [start, end] = [edges[edge], edges[edge + 1]];
    const weight = Math.max(0, ...spans.filter((span) => span.start <= start && span.end >= end).map((span) => span.weight));
    const last = flat.at(-1);
    if (weight === 0) continue;
    if (last && last.end === start && last.weight === weight) last.end = end;
    else flat.push({ start, end, weight });
  }
  return flat;
}

/** A piece of a long text that shows its beginning, or its first strong evidence where that lies further back. */
export function snippet(text, spans, most) {
  const strong = spans.find((span) => span.level >= 3) ?? spans[0];
  const wanted = strong && strong.start > most * 0.4 ? strong.start - Math.floor(most * 0.15) : 0;
  const start = boundary(text, wanted);
  const end = boundary(text, Math.min(text.length, start + most));
  const shifted = spans
    .filter((span) => span.end > start && span.start < end)
    .map((span) => ({ ...span, start: Math.max(0, span.start - start), end: Math.min(end, span.end) - start }));
  return { text: text.slice(start, end), spans: shifted, cutBefore: start > 0, cutAfter: end < text.length };
}

/** The text as runs `{text, level, hidden}`: level 0 is no evidence, `hidden` is the character that a symbol stands for. */
export function runs(text, spans) {
  const out = [];
  const plain = (from, to, level) => {
    let at = from;
    for (const match of text.slice(from, to).matchAll(HIDDEN)) {
      const place = from + match.index;
      if (place > at) out.push({ text: text.slice(at, place), level });
      out.push({ text: symbol(match[0]), level, hidden: match[0] });
      at = place + match[0].length;
    }
    if (to > at) out.push({ text: text.slice(at, to), level });
  };
  let at = 0;
  for (const span of spans) {
    plain(at, span.start, 0);
    plain(span.start, span.end, span.level);
    at = span.end;
  }
  plain(at, text.length, 0);
  return out;
}

/** Fills an element with the text. With `lines`, a line feed is shown and also breaks the line. */
export function fill(element, text, spans = [], { lines = false, cutBefore = false, cutAfter = false } = {}) {
  const nodes = [];
  if (cutBefore) nodes.push("…");
  for (const run of runs(text, spans)) {
    const classes = [run.level > 0 ? `evidence level-${run.level}` : "", run.hidden ? "symbol" : ""].filter(Boolean).join(" ");
    if (classes === "") {
      nodes.push(run.text);
      continue;
    }
    const node = document.createElement(run.level > 0 ? "mark" : "span");
    node.className = classes;
    node.textContent = run.text;
    if (run.hidden) node.title = hexadecimal(run.hidden.codePointAt(0));
    nodes.push(node);
    if (lines && run.hidden === "\n") nodes.push("\n");
  }
  if (cutAfter) nodes.push("…");
  element.replaceChildren(...nodes);
}
