// Pasted lines and files on their way to the server, one after another, and their answers on the way back.

import { ApiError, answers } from "./client.js";

/** So many lines, or about so many characters, go into one request; a refused or cut one loses no more than these. */
const MOST_LINES = 5000;
const MOST_CHARACTERS = 1_000_000;

export class Jobs extends EventTarget {
  constructor(api, store) {
    super();
    this.api = api;
    this.store = store;
    this.queue = [];
    this.current = null;
    this.explain = true;
  }

  /** Lines as they were pasted; empty ones are left out but counted, so that line numbers are those of the paste. */
  text(pasted, options) {
    const lines = pasted.split(/\r\n|\n|\r/).map((text, index) => ({ text, number: index + 1 })).filter(({ text }) => text.trim() !== "");
    if (lines.length > 0) this.#enqueue({ name: "Pasted lines", lines, total: lines.length, options });
    return lines.length;
  }

  files(files, options) {
    for (const file of files) this.#enqueue({ name: file.name, file, total: null, options });
  }

  /** Stops what runs and what waits; what has arrived stays. */
  cancel() {
    this.queue.length = 0;
    this.current?.abort.abort();
  }

  #enqueue(job) {
    Object.assign(job, { done: 0, started: 0, state: "waiting", waits: 0, abort: new AbortController() });
    this.queue.push(job);
    if (this.current === null) this.#run();
  }

  async #run() {
    while (this.queue.length > 0) {
      const job = this.queue.shift();
      this.current = job;
      job.started = performance.now();
      job.state = "running";
      job.input = this.store.open(job.name);
      this.#tell("progress", job);
      try {
        await (job.file ? this.#file(job) : this.#lines(job));
        job.state = this.store.full ? "full" : "done";
      } catch (error) {
        job.state = job.abort.signal.aborted ? "cancelled" : "failed";
        job.error = error;
      }
      // What would fail alike is not tried.
      if (job.state === "full" || job.error?.status === 401 || job.error?.type === "unreachable") this.queue.length = 0;
      job.seconds = (performance.now() - job.started) / 1000;
      this.current = null;
      this.#tell("end", job);
    }
  }

  async #lines(job) {
    for (let from = 0; from < job.lines.length && !this.store.full; ) {
      const part = [];
      for (let characters = 0; from < job.lines.length && part.length < MOST_LINES && (part.length === 0 || characters < MOST_CHARACTERS); from++) {
        part.push(job.lines[from]);
        characters += job.lines[from].text.length;
      }
      const send = (explain) =>
        this.#ask(job, "/api/v1/classify", {
          method: "POST",
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify({ texts: part.map(({ text }) => text), top: 5, explain, ...chosen(job.options) }),
        });
      await this.#take(job, await this.#explained(send), (line) => part[line - 1]?.number ?? line);
    }
  }

  async #file(job) {
    const send = (explain) => {
      const query = new URLSearchParams({ name: job.file.name, top: 5, explain, ...chosen(job.options) });
      return this.#ask(job, `/api/v1/files?${query}`, { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: job.file });
    };
    await this.#take(job, await this.#explained(send), (line) => line);
  }

  /** With evidence where the server gives it. */
  async #explained(send) {
    if (!this.explain) return send(false);
    try {
      return await send(true);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 422) throw error;
      const response = await send(false);
      this.explain = false;
      return response;
    }
  }

  #ask(job, path, options) {
    return this.api.patient(path, { ...options, signal: job.abort.signal }, (seconds) => {
      job.waits = seconds;
      this.#tell("progress", job);
    });
  }

  async #take(job, response, lineOf) {
    job.waits = 0;
    for await (const batch of answers(response)) {
      if (job.abort.signal.aborted || this.store.full) break;
      job.done += batch.length;
      this.store.add(batch, job.input, lineOf);
      this.#tell("progress", job);
    }
    if (job.abort.signal.aborted) throw new DOMException("cancelled", "AbortError");
  }

  #tell(type, job) {
    this.dispatchEvent(new CustomEvent(type, { detail: job }));
  }
}

/** What the user chose beyond the server's own settings. */
function chosen({ model }) {
  return model ? { model } : {};
}
