// Where lines come in: the text area, chosen files, and what is dropped or pasted anywhere on the page.

import { by, h, plural } from "./dom.js";
import { rest } from "./jobs.js";
import { samples } from "./samples.js";
import { listed } from "./text.js";

/** A dropped folder gives at most so many files. */
const MOST_FILES = 2000;

export class Intake {
  /** `started()` is called when something is on its way, `open()` to show this view; `tell(text, options)` shows a message. */
  constructor(jobs, catalog, { started, tell, open }) {
    Object.assign(this, { jobs, catalog, started, tell, open, returned: null });
    const lines = by("lines");
    by("paste-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    lines.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.#submit();
    });
    by("choose-files").addEventListener("click", () => by("files").click());
    by("files").addEventListener("change", (event) => {
      this.#files([...event.target.files]);
      event.target.value = "";
    });
    by("try").addEventListener("click", () => this.#append(samples()));
    this.#drops();
    document.addEventListener("paste", (event) => {
      if (event.target.closest?.("input, textarea, dialog")) return;
      const text = event.clipboardData?.getData("text/plain") ?? "";
      if (event.clipboardData?.files.length > 0) this.#files([...event.clipboardData.files]);
      else if (text.trim() !== "") {
        open();
        this.#append(text);
      }
    });
  }

  /** What the models' list says: which one answers, and a choice where there are several. */
  models() {
    const { models, defaultModel } = this.catalog;
    by("model-choice").hidden = models.length < 2;
    by("model").replaceChildren(...models.map((model) => h("option", { value: model.default ? "" : model.name, selected: model === defaultModel }, `${model.name} ${model.version ?? ""}`.trim())));
    const labels = (defaultModel?.labels ?? []).filter((label) => label !== "Benign").length;
    const threshold = typeof defaultModel?.threshold === "number" ? `, reports from a probability of an attack of ${defaultModel.threshold.toFixed(4)}` : "";
    by("model-note").textContent = defaultModel ? `Model ${defaultModel.name} ${defaultModel.version ?? ""}: tells ${plural(labels, "technique")} from benign${threshold}.`.replace(" :", ":") : "";
  }

  get options() {
    return { model: by("model-choice").hidden ? "" : by("model").value };
  }

  #submit() {
    const lines = by("lines");
    if (this.returned?.text === lines.value) return this.again(this.returned.jobs, this.options);
    if (this.jobs.text(lines.value, this.options) === 0) {
      this.tell("There is no line yet: paste some, or choose a file.");
      lines.focus();
      return;
    }
    lines.value = "";
    this.started();
  }

  /** Puts text into the box, after what is there. */
  #append(text) {
    const lines = by("lines");
    lines.value = lines.value.trim() === "" ? text : `${lines.value.replace(/\n*$/, "\n")}${text}`;
    lines.focus();
    lines.setSelectionRange(lines.value.length, lines.value.length);
    lines.scrollTop = lines.scrollHeight;
  }

  /** Puts back lines that were not answered, where the box is empty; gives whether it was. */
  putBack(jobs) {
    const lines = by("lines");
    if (jobs.length === 0 || lines.value.trim() !== "") return false;
    lines.value = jobs.map(rest).join("\n");
    this.returned = { text: lines.value, jobs };
    return true;
  }

  /** Sends once more what was not answered; what of it stands in the box as it was put back goes from there. */
  again(jobs, options) {
    const { returned } = this;
    if (returned?.jobs.every((job) => jobs.includes(job))) {
      if (by("lines").value === returned.text) by("lines").value = "";
      this.returned = null;
    }
    for (const job of jobs) job.dismiss?.();
    this.jobs.again(jobs, options);
    this.started();
  }

  #files(files) {
    if (files.length === 0) return;
    this.jobs.files(files, this.options);
    this.started();
  }

  #drops() {
    let depth = 0;
    const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    const show = (shown) => (by("drop").hidden = !shown);
    addEventListener("dragenter", (event) => hasFiles(event) && (depth++, show(true)));
    addEventListener("dragleave", (event) => hasFiles(event) && --depth <= 0 && ((depth = 0), show(false)));
    addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
    addEventListener("drop", async (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      depth = 0;
      show(false);
      const { files, unread } = await dropped(event.dataTransfer);
      if (unread.length > 0) this.tell(`The browser can't read ${listed(unread)}.${files.length > 0 ? " What else you dropped is taken." : ""}`, { error: true });
      else if (files.length === 0) this.tell("There is no file in what you dropped.");
      if (files.length === MOST_FILES) this.tell(`Only the first ${MOST_FILES} files are taken; for more, run attackline classify on the folder.`);
      this.#files(files);
    });
  }
}

/** The files of a drop, those in folders too, and the names of those that can't be read. */
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return { files: [...transfer.files], unread: [] };
  const files = [];
  const unread = [];
  const queue = entries;
  while (queue.length > 0 && files.length < MOST_FILES) {
    const entry = queue.shift();
    try {
      if (entry.isFile) files.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
      else await children(entry, queue);
    } catch {
      unread.push(entry.fullPath?.replace(/^\//, "") || entry.name);
    }
  }
  return { files, unread };
}

/** Adds what is in a folder to the queue. It is read in parts until a part is empty; what came before one that can't be read is kept. */
async function children(folder, queue) {
  const reader = folder.createReader();
  const all = [];
  try {
    for (;;) {
      const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (part.length === 0 || all.length >= MOST_FILES) break;
      all.push(...part);
    }
  } finally {
    queue.push(...all.sort((a, b) => (a.name < b.name ? -1 : 1)));
  }
}
