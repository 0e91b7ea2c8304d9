// Chromium for the tests. CHROMIUM names the browser's program, PLAYWRIGHT a folder where `npm install playwright-core` was run
// (otherwise it is looked for as usual), BASE_URL a server to test instead of the stand-in.

import { accessSync, constants } from "node:fs";
import { createRequire } from "node:module";
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
export const isStandIn = !env.BASE_URL;

export const launch = () => playwright.chromium.launch({ executablePath: program, args: env.CI || process.getuid?.() === 0 ? ["--no-sandbox"] : [] });

/** The server under test. */
export async function serve(options) {
  return isStandIn ? start(options) : { url: env.BASE_URL, seen: null, stop() {} };
}

/** A page of its own; `page.problems` gathers what the browser complains of, refused content above all. */
export async function open(browser, url, { ready = true, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, acceptDownloads: true, ...options });
  const page = await context.newPage();
  page.problems = [];
  page.on("pageerror", (error) => page.problems.push(String(error)));
  page.on("dialog", (dialog) => (page.problems.push(`a dialog was opened: ${dialog.message()}`), dialog.dismiss()));
  page.on("console", (message) => message.type() === "error" && !/status of (401|503|415|422)/.test(message.text()) && page.problems.push(message.text()));
  await page.goto(url);
  if (ready) await page.waitForFunction(() => document.getElementById("model-note").textContent !== "");
  return page;
}

/** Pastes lines and waits for their answers. */
export async function paste(page, text) {
  const before = await total(page);
  const lines = text.split("\n").filter((line) => line.trim() !== "").length;
  await page.click("#add");
  await page.fill("#lines", text);
  await page.click("#classify");
  await page.waitForFunction((wanted) => Number(document.querySelector("[data-kind=all] .count").textContent.replaceAll(",", "")) >= wanted, before + lines);
}

/** Uploads a file and waits for the message that it is done. */
export async function upload(page, name, content = "x") {
  await page.setInputFiles("#files", { name, mimeType: "application/octet-stream", buffer: Buffer.from(content) });
  await page.waitForFunction((wanted) => document.getElementById("toasts").textContent.includes(wanted), name, { timeout: 90_000 });
  // Counts are drawn a moment after the last answer.
  await page.waitForTimeout(200);
}

/** How many findings the page says it has. */
export const total = (page, kind = "all") => page.$eval(`[data-kind=${kind}] .count`, (element) => Number(element.textContent.replaceAll(",", "")));

/** The rows in sight, top to bottom, as text of their cells. */
export function rows(page) {
  return page.$$eval(".space .row:not([hidden])", (elements) =>
    elements
      .sort((a, b) => Number(a.dataset.index) - Number(b.dataset.index))
      .map((element) => ({
        index: Number(element.dataset.index), kind: element.className, line: element.querySelector(".line").textContent, host: element.querySelector(".host").textContent,
        technique: element.querySelector(".identifier").textContent, name: element.querySelector(".name").textContent, score: Number(element.querySelector(".number").textContent),
        text: element.querySelector(".cell.text").textContent, mark: element.querySelector(".mark").textContent,
      })),
  );
}
