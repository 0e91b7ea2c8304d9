// A line of the answer, checked: a server that sends something else must not break the page.

const string = (value) => (typeof value === "string" ? value : "");
const object = (value) => (value !== null && typeof value === "object" ? value : {});

const ISO = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d+))?\s*(Z|UTC|[+-]\d\d:?\d\d)?$/i;
const ZONE = /(?:Z|UTC|GMT|[+-]\d\d:?\d\d)$/i;

/** A time in milliseconds, NaN where it is none. One without a zone counts as UTC: where the browser stands says nothing about the log. */
export function instant(timestamp) {
  const text = timestamp.trim();
  const [, date, time, fraction = "0", zone = "Z"] = text.match(ISO) ?? [];
  if (date) return Date.parse(`${date}T${time}.${fraction.slice(0, 3)}${zone.toUpperCase() === "UTC" ? "Z" : zone.replace(/(\d\d)(\d\d)$/, "$1:$2")}`);
  // Without a year, browsers make one up.
  if (!/\d{4}/.test(text)) return NaN;
  return Date.parse(ZONE.test(text) ? text : `${text} UTC`);
}

/** A finding as the console holds it. `raw` is the answer as it came, `text` what was sent, where that is known: an error has no text. */
export class Finding {
  constructor(raw, id, input, line, text = "") {
    const technique = object(raw.technique);
    const event = object(raw.event);
    const source = object(raw.source);
    this.raw = raw;
    this.id = id;
    this.input = input;
    this.line = line;
    this.order = id;
    this.error = typeof raw.error === "string" ? raw.error : "";
    this.label = string(raw.label);
    this.text = typeof raw.text === "string" ? raw.text : text;
    /** The probability of the label. */
    this.score = typeof raw.score === "number" ? raw.score : NaN;
    /** The probability that the line is an attack of any kind: what the threshold is put to. */
    this.attack = typeof raw.attack === "number" ? raw.attack : NaN;
    /** The probability that what started it is an attack itself, where that was heard. */
    this.parentAttack = typeof raw.parent_attack === "number" ? raw.parent_attack : NaN;
    this.kind = this.error !== "" || this.label === "" ? "error" : this.label === "Benign" ? "benign" : raw.abstained === true ? "abstained" : "attack";
    this.name = string(technique.name);
    this.url = string(technique.url);
    this.tactics = Array.isArray(technique.tactics) ? technique.tactics.filter((tactic) => typeof tactic === "string") : [];
    this.top = Array.isArray(raw.top) ? raw.top.filter((entry) => typeof entry?.label === "string" && typeof entry.score === "number") : [];
    this.truncated = raw.truncated === true;
    this.timestamp = string(event.timestamp);
    this.time = instant(this.timestamp);
    this.host = string(event.host);
    this.user = string(event.user);
    this.image = string(event.image);
    this.parent = string(event.parent);
    this.file = string(source.file);
    this.record = Number.isInteger(source.record) ? source.record : null;
    this.model = string(object(raw.model).name);
    this.modelVersion = string(object(raw.model).version);
    /** What an analyst said of it: `{id, verdict, correct}`. */
    this.mark = null;
  }

  /** What the filter's words are looked for in, made when first needed. */
  haystack() {
    this.lower ??= [this.text, this.label, this.name, this.host, this.user, this.image, this.parent, this.file, this.error].join("\n").toLowerCase();
    return this.lower;
  }

  /** The file or the paste that it is of, with its place in an archive; of two with the same name the second says so. */
  get source() {
    const { given, name } = this.input;
    return this.file.startsWith(given) ? name + this.file.slice(given.length) : this.file || name;
  }

  /** The evidence as it came, or nothing. */
  get evidence() {
    return this.raw.evidence;
  }

  /** The time as the log wrote it, without the letters that ISO 8601 puts in; a zone other than UTC stays. */
  shownTime() {
    const [, date, time, , zone = ""] = this.timestamp.trim().match(ISO) ?? [];
    if (!date) return this.timestamp;
    return `${date} ${time}${/[1-9]/.test(zone) ? ` ${zone}` : ""}`;
  }

  /** Whether the log wrote a time without saying of which zone. */
  get isZoneless() {
    return !Number.isNaN(this.time) && !ZONE.test(this.timestamp.trim());
  }
}
