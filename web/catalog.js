// ATT&CK as the server knows it, and what its models answer with.

/** The order in which ATT&CK sets out its tactics, for a server that doesn't tell. */
const TACTICS = ["reconnaissance", "resource-development", "initial-access", "execution", "persistence", "privilege-escalation", "defense-evasion",
  "credential-access", "discovery", "lateral-movement", "collection", "command-and-control", "exfiltration", "impact"];

export class Catalog {
  constructor() {
    this.tactics = TACTICS.map((shortname) => ({ shortname, name: titled(shortname), id: "" }));
    this.techniques = new Map();
    this.models = [];
    this.feedback = false;
    this.version = null;
  }

  setTechniques(answer) {
    if (Array.isArray(answer.tactics) && answer.tactics.length > 0) this.tactics = answer.tactics;
    for (const technique of answer.techniques ?? []) this.techniques.set(technique.id, technique);
    this.version = typeof answer.version === "string" ? answer.version : null;
  }

  setModels(answer) {
    this.models = Array.isArray(answer.models) ? answer.models : [];
    this.feedback = answer.feedback === true;
  }

  get defaultModel() {
    return this.models.find((model) => model.default) ?? this.models[0];
  }

  /** The model of this name, or the one that answers where none is named. */
  model(name) {
    return this.models.find((model) => model.name === name) ?? (name === "" ? this.defaultModel : undefined);
  }

  /** A label's own name, without its parent's. */
  name(label) {
    if (label === "Benign") return "Benign";
    const technique = this.techniques.get(label);
    return technique ? technique.name : "";
  }

  /** A label's name with its parent's before it. */
  fullName(label) {
    const technique = this.techniques.get(label);
    if (!technique) return "";
    const parent = technique.parent ? this.techniques.get(technique.parent) : undefined;
    return parent && !technique.name.startsWith(`${parent.name}:`) ? `${parent.name}: ${technique.name}` : technique.name;
  }

  tacticName(shortname) {
    return this.tactics.find((tactic) => tactic.shortname === shortname)?.name ?? titled(shortname);
  }

  /** Every label that any model can answer with, in the models' order. */
  modelLabels() {
    return [...new Set(this.models.flatMap((model) => model.labels ?? []))];
  }
}

/** credential-access: Credential Access */
function titled(shortname) {
  return shortname.split("-").map((word) => (word === "and" ? word : word.charAt(0).toUpperCase() + word.slice(1))).join(" ");
}
