// What the filter box understands: words that must all occur, "phrases in quotes", -words that must not, and field:word.

const FIELDS = ["technique", "tactic", "host", "user", "file", "image", "parent", "text", "score", "attack", "is"];

/** `C:\Users` is no field: only the names above are. */
const TERM = new RegExp(`(-)?(?:(${FIELDS.join("|")}):)?(?:"([^"]*)"?|(\\S+))`, "gi");

/** Reads a query; gives its terms and, where one makes no sense, why. */
export function parse(query) {
  const terms = [];
  let problem = "";
  for (const [, minus, field, phrase, word] of query.matchAll(TERM)) {
    const value = (phrase ?? word).toLowerCase();
    const term = { field: field?.toLowerCase(), value, negated: Boolean(minus) };
    if (value === "") continue;
    if (term.field === "score" || term.field === "attack") {
      const [, comparison, number] = value.match(/^(>=|<=|>|<)?(\d*\.?\d+)$/) ?? [];
      if (number === undefined) {
        problem = `${term.field}:${value} is no comparison; write ${term.field}:>0.9 or ${term.field}:<0.5`;
        continue;
      }
      Object.assign(term, { comparison: comparison ?? ">=", number: Number(number) });
    }
    if (term.field === "is" && !["attack", "abstained", "benign", "error", "marked", "truncated"].includes(value)) {
      problem = `is:${value} is not known; write is:attack, abstained, benign, error, marked or truncated`;
      continue;
    }
    terms.push(term);
  }
  return { terms, problem };
}

/** A test of records for the terms of a query and the chosen kind, least probability of an attack, technique, tactic, host and range. */
export function matcher(filter) {
  const { terms } = parse(filter.query);
  const tests = terms.map((term) => (term.negated ? negate(single(term)) : single(term)));
  if (filter.kind !== "all") tests.push((record) => record.kind === filter.kind);
  // A line without an answer has no probability.
  if (filter.minimum > 0) tests.push((record) => record.attack >= filter.minimum);
  if (filter.technique) tests.push((record) => record.kind !== "benign" && isOrBelow(record.label, filter.technique));
  if (filter.tactic) tests.push((record) => record.tactics.includes(filter.tactic));
  if (filter.host) tests.push((record) => record.host === filter.host);
  if (filter.range) {
    const { axis, from, to } = filter.range;
    tests.push((record) => record[axis] >= from && record[axis] <= to);
  }
  return (record) => tests.every((test) => test(record));
}

const negate = (test) => (record) => !test(record);

/** Whether a label is the technique or one of its sub-techniques. */
export const isOrBelow = (label, technique) => label === technique || label.startsWith(`${technique}.`);

function single({ field, value, comparison, number }) {
  switch (field) {
    case "technique":
      return (record) => record.label.toLowerCase().startsWith(value) || record.name.toLowerCase().includes(value);
    case "tactic":
      return (record) => record.tactics.some((tactic) => tactic.includes(value.replaceAll(" ", "-")));
    case "score":
    case "attack":
      return (record) => compare(record[field], comparison, number);
    case "is":
      if (value === "marked") return (record) => record.mark !== null;
      if (value === "truncated") return (record) => record.truncated;
      return (record) => record.kind === value;
    case undefined:
      return (record) => record.haystack().includes(value);
    default:
      return (record) => record[field].toLowerCase().includes(value);
  }
}

function compare(score, comparison, number) {
  if (comparison === ">") return score > number;
  if (comparison === "<") return score < number;
  return comparison === "<=" ? score <= number : score >= number;
}
