// Pasted lines and files on their way to the server, one after another, and their answers on the way back. What was not answered is
// handed back when a job ends (`left`), so that nothing is lost.

import { ApiError, answers } from "./client.js";

/** So many lines, or about so many characters, go into one request; a refused or cut one loses no more than these. */
const MOST_LINES = 5000;
const MOST_CHARACTERS = 1_000_000;

const LINE_END = /\r\n|\n|\r/;

export class Jobs extends EventTarget {
  constructor(api, store) {
    super();
    this.api = api;
    this.store = store;
    this.queue = [];
    /** What waited and will not be sent. */
    this.dropped = [];
    this.current = null;
    this.explain = true;
  }

  /** Lines as they were pasted; empty ones are left out but counted, so that line numbers are those of the paste. */
  text(pasted, options) {
    const lines = pasted.split(LINE_END).map((text, index) => ({ text, number: index + 1 })).filter(({ text }) => text.trim() !== "");
    if (lines.length > 0) this.#enqueue({ name: "Pasted lines", pasted, lines, total: lines.length, options });
    return lines.length;
  }

  files(files, options) {
    for (const file of files) this.#enqueue({ name: file.name, file, total: null, options });
  }

  /** Sends what was not answered of these jobs once more, under the names and numbers that it had. */
  again(jobs, options) {
    for (const job of jobs) {
      if (job.isResumed) continue;
      job.isResumed = true;
      const { name, input, file, pasted } = job;
      const lines = job.lines?.slice(job.done);
      this.#enqueue({ name, input, file, pasted, lines, total: lines?.length ?? null, options: options ?? job.options });
    }
  }

  /** Stops what runs and what waits; what has arrived stays. */
  cancel() {
    this.#drop();
    this.current?.abort.abort();
  }

  #drop() {
    this.dropped.push(...this.queue.splice(0));
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
      if (!this.store.inputs.includes(job.input)) job.input = this.store.open(job.name);
      this.#tell("progress", job);
      try {
        await (job.file ? this.#file(job) : this.#lines(job));
        job.state = this.store.full ? "full" : "done";
      } catch (error) {
        job.state = job.abort.signal.aborted ? "cancelled" : "failed";
        job.error = error;
      }
      // What would fail alike is not tried.
      if (job.state === "full" || job.error?.status === 401 || ["unreachable", "role"].includes(job.error?.type)) this.#drop();
      job.left = [job, ...this.dropped.splice(0)].filter(isLeft);
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
      const before = job.done;
      await this.#take(job, await this.#explained(send), (line) => part[line - 1]?.number ?? line, (line) => part[line - 1]?.text);
      if (job.done - before < part.length && !this.store.full) throw new ApiError(0, "cut_off", "The answer ended before the last line.");
    }
  }

  async #file(job) {
    // What can't be read would fail like a server that does not answer.
    await job.file.slice(0, 1).arrayBuffer().catch(() => {
      throw new ApiError(0, "unreadable", "The browser can't read this file.");
    });
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

  async #take(job, response, lineOf, textOf) {
    job.waits = 0;
    for await (const batch of answers(response)) {
      if (job.abort.signal.aborted || this.store.full) break;
      job.done += this.store.add(batch, job.input, lineOf, textOf);
      this.#tell("progress", job);
    }
    if (job.abort.signal.aborted) throw new DOMException("cancelled", "AbortError");
  }

  #tell(type, job) {
    this.dispatchEvent(new CustomEvent(type, { detail: job }));
  }
}

/** Whether a job has something that was not answered and may be another time. */
function isLeft(job) {
  if (job.lines) return job.done < job.lines.length;
  const { status, type } = job.error ?? {};
  const passes = !status || status === 401 || status === 403 || status === 429 || status >= 500;
  return job.state === "waiting" || (job.state === "failed" && job.done === 0 && passes && type !== "unreadable");
}

/** The pasted text from the first line that was not answered. */
export const rest = (job) => job.pasted.split(LINE_END).slice(job.lines[job.done].number - 1).join("\n");

/** What the user chose beyond the server's own settings. */
function chosen({ model }) {
  return model ? { model } : {};
}
