// The server's interface: bearer token, errors with their reason, answers line by line.

/** An answer that refuses: its HTTP status (0: no answer at all), its type, and seconds to wait where the server says so. */
export class ApiError extends Error {
  constructor(status, type, message, retryAfter = null) {
    super(message);
    this.status = status;
    this.type = type;
    this.retryAfter = retryAfter;
  }
}

const KEY = "attackline-token";
/** How often a busy server is asked again, and the longest wait between, in seconds. */
const TRIES = 5;
const LONGEST_WAIT = 15;

export class Api {
  /** `askForToken(reason)` resolves to `{token, keep}`, or to null where the user gave up. */
  constructor(askForToken) {
    this.askForToken = askForToken;
    this.token = readKept();
    this.asking = null;
  }

  /** A request whose answer is a success; where a token is wanted, or another one, the user is asked for it and it is tried again. */
  async request(path, options = {}) {
    for (;;) {
      const used = this.token;
      const headers = { ...options.headers };
      if (used !== null) headers.Authorization = `Bearer ${used}`;
      const response = await reach(path, { cache: "no-store", ...options, headers });
      if (response.ok) return response;
      const error = await refusal(response);
      const isLow = error.status === 403 && error.type === "role";
      if (error.status !== 401 && !isLow) throw error;
      // Another request may have asked meanwhile.
      if (this.token === used) await this.#ask(used === null ? "" : isLow ? `${error.message}; another token's may` : error.message, error);
    }
  }

  async json(path, options) {
    return (await this.request(path, options)).json();
  }

  post(path, body) {
    return this.json(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  }

  /** A request that may be too much for the server now: waits as long as it says, then tries again. */
  async patient(path, options, onWait) {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.request(path, options);
      } catch (error) {
        const busy = error instanceof ApiError && (error.status === 429 || error.status === 503);
        if (!busy || attempt === TRIES) throw error;
        const seconds = Math.min(LONGEST_WAIT, error.retryAfter ?? attempt);
        onWait(seconds);
        await pause(seconds * 1000, options.signal);
      }
    }
  }

  async #ask(reason, error) {
    this.asking ??= this.askForToken(reason).finally(() => (this.asking = null));
    const given = await this.asking;
    if (given === null) throw error;
    this.token = given.token;
    keep(given.keep ? given.token : null);
  }
}

/** A batch of answers at a time, in the order in which they come. Throws where the stream ends within a line. */
export async function* answers(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read().catch(broken);
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      const batch = lines.filter((line) => line.trim() !== "").map(answer);
      if (batch.length > 0) yield batch;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
  if (rest.trim() === "") return;
  try {
    yield [JSON.parse(rest)];
  } catch {
    throw new ApiError(0, "cut_off", "The answer ended in the middle of a line.");
  }
}

function broken(error) {
  if (error.name === "AbortError") throw error;
  throw new ApiError(0, "cut_off", "The connection broke before the last answer.");
}

function answer(line) {
  try {
    const value = JSON.parse(line);
    if (value !== null && typeof value === "object") return value;
  } catch {
    // Said below.
  }
  return { error: "The server's answer for this line is no JSON object.", error_type: "bad_answer" };
}

async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "unreachable", "The server does not answer. Is `attackline serve` still running?");
  }
}

async function refusal(response) {
  const seconds = Number(response.headers.get("Retry-After"));
  const wait = response.headers.has("Retry-After") && seconds >= 0 ? seconds : null;
  try {
    const { error, error_type: type } = await response.json();
    return new ApiError(response.status, type, error, wait);
  } catch {
    return new ApiError(response.status, "unknown", `The server answered ${response.status} ${response.statusText}`.trim() + ".", wait);
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("cancelled", "AbortError"));
    });
  });
}

// Storage can be switched off; then nothing is kept.
function readKept() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function keep(token) {
  try {
    if (token === null) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, token);
  } catch {
    // Kept in memory alone.
  }
}
