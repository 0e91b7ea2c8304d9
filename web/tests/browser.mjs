// Chromium for the tests. CHROMIUM names the browser's program, PLAYWRIGHT a folder where `npm install playwright-core` was run
// (otherwise it is looked for as usual). Instead of the stand-in: ATTACKLINE names a program whose server is tested, BASE_URL a running one.

import { spawn } from "node:child_process";
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { start } from "./mock_server.mjs";

const { env } = process;
const PROGRAMS = [env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].filter(Boolean);

function library() {
  try {
    return createRequire(env.PLAYWRIGHT ? join(env.PLAYWRIGHT, "index.js") : import.meta.url)("playwright-core");
  } catch {
    return null;
  }
}

function runs(program) {
  try {
    accessSync(program, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const playwright = library();
const program = PROGRAMS.find(runs);

/** Why no browser can be had, or an empty text. */
export const missing = !playwright
  ? "playwright-core is not installed: npm install --prefix DIR playwright-core, then PLAYWRIGHT=DIR"
  : !program
    ? "no Chromium was found: apt-get install chromium, or set CHROMIUM to its path"
    : "";

/** Whether the stand-in answers, so that answers are known. */
export const isStandIn = !env.BASE_URL && !env.ATTACKLINE;

export const launch = () => playwright.chromium.launch({ executablePath: program, args: env.CI || process.getuid?.() === 0 ? ["--no-sandbox"] : [] });

/** The server under test. */
export async function serve(options) {
  if (env.BASE_URL) return { url: env.BASE_URL, seen: null, stop() {} };
  return env.ATTACKLINE ? real(env.ATTACKLINE) : start(options);
}

/** `attackline serve` on a free port, with a database of its own. */
function real(program) {
  const folder = mkdtempSync(join(tmpdir(), "attackline-"));
  const server = spawn(program, ["serve", "--listen", "127.0.0.1:0", "--feedback", join(folder, "marks.db")], { stdio: ["ignore", "ignore", "pipe"] });
  const stop = () => {
    server.kill();
    rmSync(folder, { recursive: true, force: true });
  };
  return new Promise((resolve, reject) => {
    let said = "";
    server.on("error", reject);
    server.on("exit", (code) => reject(new Error(`${program} serve ended with ${code}: ${said}`)));
    server.stderr.on("data", (piece) => {
      said += piece;
      const found = /listening on (http:\S+)/.exec(said);
      if (found) resolve({ url: found[1], seen: null, stop });
    });
  });
}

/** A page of its own; `page.problems` gathers what the browser complains of, refused content above all. */
export async function open(browser, url, { ready = true, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, acceptDownloads: true, ...options });
  const page = await context.newPage();
  // The machine may be busy with other things.
  page.setDefaultTimeout(120_000);
  page.problems = [];
  page.on("pageerror", (error) => page.problems.push(String(error)));
  page.on("dialog", (dialog) => (page.problems.push(`a dialog was opened: ${dialog.message()}`), dialog.dismiss()));
  page.on("console", (message) => message.type() === "error" && !/status of (401|403|503|415|422)|net::ERR_/.test(message.text()) && page.problems.push(message.text()));
  await page.goto(url);
  if (ready) await page.waitForFunction(() => document.getElementById("model-note").textContent !== "");
  return page;
}

/**
 * Waits until the page has drawn what it was told. Its own timers (140 ms after a key, 150 ms between drawings) run before one
 * that is set later for longer, however slow the machine is.
 */
export const settle = (page) => page.evaluate(() => new Promise((resolve) => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(resolve)), 400)));

/** Pastes lines and waits for their answers. */
export async function paste(page, text) {
  const before = await total(page);
  const lines = text.split("\n").filter((line) => line.trim() !== "").length;
  await page.click("#add");
  // Typing thousands of lines takes Chromium minutes, pasting them does not.
  await page.$eval("#lines", (area, value) => (area.value = value), text);
  await page.click("#classify");
  await page.waitForFunction((wanted) => Number(document.querySelector("[data-kind=all] .count").textContent.replaceAll(",", "")) >= wanted, before + lines);
}

/** Uploads a file and waits for the message that it is done. */
export async function upload(page, name, content = "x") {
  await page.setInputFiles("#files", { name, mimeType: "application/octet-stream", buffer: Buffer.from(content) });
  await page.waitForFunction((wanted) => document.getElementById("toasts").textContent.includes(wanted), name);
  await settle(page);
}

/** How many findings the page says it has. */
export const total = (page, kind = "all") => page.$eval(`[data-kind=${kind}] .count`, (element) => Number(element.textContent.replaceAll(",", "")));

/** The rows in sight, top to bottom, as text of their cells. */
export function rows(page) {
  return page.$$eval(".space .row:not([hidden])", (elements) =>
    elements
      .sort((a, b) => Number(a.dataset.index) - Number(b.dataset.index))
      .map((element) => ({
        index: Number(element.dataset.index), kind: element.className, line: element.querySelector(".line").textContent, host: element.querySelector(".host").textContent, source: element.querySelector(".source").textContent,
        technique: element.querySelector(".identifier").textContent, name: element.querySelector(".name").textContent, attack: Number(element.querySelector(".number").textContent),
        text: element.querySelector(".cell.text").textContent, mark: element.querySelector(".mark").textContent,
      })),
  );
}
