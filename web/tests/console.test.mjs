// The console in Chromium: what an analyst does with it, from pasting to the last download.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { isStandIn, launch, missing, open, paste, rows, serve, settle, total, upload } from "./browser.mjs";

if (missing) console.error(`SKIPPED, all tests in the browser: ${missing}`);
const standInOnly = missing || (isStandIn ? false : "a real server: needs the stand-in's answers");
if (!missing && !isStandIn) console.error("SKIPPED: the tests that need the stand-in's answers, since a real server is tested");

const LINES = ["ipconfig /all", "", "git pull --rebase origin main", "reg save HKLM\\SAM C:\\Users\\Public\\s.dat", "net user /domain", "netstat -ano"].join("\n");
const HOSTILE = [
  "<script>window.hit = 1</script> reg save HKLM\\SAM <img src=x onerror=\"window.hit = 1\">", "echo \x1b[31mred\x1b[0m \x07", "copy invoice\u202efdp.exe \u2066a\u2069", "javascript:window.hit=1 ${window.hit=1} {{1}} &lt;b&gt;",
].join("\n");

let browser;
let server;

before(async () => {
  if (missing) return;
  browser = await launch();
  server = await serve();
});

after(async () => {
  await browser?.close();
  server?.stop();
});

/** A test with a page of its own, on which the browser must have nothing to complain of. */
function onPage(name, { skip = missing || false, setup = (page) => paste(page, LINES), ...options }, run) {
  test(name, { skip }, async () => {
    const page = await open(browser, server.url, options);
    try {
      await setup(page);
      await run(page);
      assert.deepEqual(page.problems, []);
    } finally {
      await page.context().close();
    }
  });
}

const big = (page) => upload(page, "big-50000.evtx");
const some = (page) => upload(page, "big-3000.evtx");
const active = (page) => page.$eval(".row.active", (row) => Number(row.dataset.index));

onPage("pasted lines are answered under the numbers that they were pasted with", {}, async (page) => {
  assert.equal(await total(page), 5);
  assert.deepEqual((await rows(page)).map((row) => row.line), ["1", "3", "4", "5", "6"]);
});

onPage("more lines than go into one request keep their numbers", { setup: (page) => paste(page, Array.from({ length: 6000 }, (_, line) => `whoami /${line + 1}`).join("\n")) }, async (page) => {
  await page.keyboard.press("End");
  await settle(page);
  const last = (await rows(page)).at(-1);
  assert.deepEqual([last.line, last.text], ["6000", "whoami /6000"]);
});

onPage("evidence is marked in the line", { skip: standInOnly }, async (page) => {
  const row = (await rows(page)).find((row) => row.line === "4");
  assert.equal(row.technique, "T1003.002");
  const marked = await page.$$eval(`#row-${row.index} mark`, (marks) => marks.map((mark) => mark.textContent));
  assert.deepEqual(marked, ["save", "HKLM\\SAM"]);
});

onPage("a file is uploaded, with its context", { skip: standInOnly, setup: (page) => upload(page, "events.ndjson", '{"text":"ss -antp","host":"web-01","user":"www-data","time":"2026-03-09T08:12:04Z"}\n{"text":"git pull"}\n') }, async (page) => {
  const [first] = await rows(page);
  assert.deepEqual([first.technique, first.host], ["T1049", "web-01"]);
  await page.keyboard.press("Enter");
  const context = await page.textContent("#details dl");
  for (const words of ["web-01", "www-data", "2026-03-09T08:12:04Z", "events.ndjson", "mock 0.1.0"]) assert.ok(context.includes(words), context);
});

onPage("words, kinds and the least probability filter", { skip: standInOnly, setup: some }, async (page) => {
  await page.click("[data-kind=attack]");
  await settle(page);
  assert.ok((await rows(page)).every((row) => row.kind.includes("attack")));
  await page.keyboard.press("/");
  await page.keyboard.type("technique:T1003 host:dc01");
  await settle(page);
  const found = await rows(page);
  assert.ok(found.length > 0 && found.every((row) => row.technique.startsWith("T1003") && row.host === "dc01"));
  await page.fill("#query", "score:nonsense");
  await page.waitForSelector(".problem");
  await page.fill("#query", "");
  await page.fill("#minimum", "0.9");
  await settle(page);
  assert.ok((await rows(page)).every((row) => row.attack >= 0.9));
  await page.click("#chips .link");
  await settle(page);
  assert.ok((await page.isHidden("#chips")) && (await rows(page))[0].line === "1");
});

onPage("columns sort both ways and say so", { skip: standInOnly, setup: some }, async (page) => {
  await page.click(".head .attack .sort");
  await settle(page);
  const down = (await rows(page)).map((row) => row.attack);
  assert.deepEqual(down, [...down].sort((a, b) => b - a));
  assert.equal(await page.getAttribute(".head .attack", "aria-sort"), "descending");
  await page.click(".head .attack .sort");
  await settle(page);
  const up = (await rows(page)).map((row) => row.attack);
  assert.deepEqual(up, [...up].sort((a, b) => a - b));
  await page.focus("#grid");
  await page.keyboard.press("S");
  await settle(page);
  assert.equal(await page.getAttribute(".head .attack", "aria-sort"), "descending");
  assert.equal(await page.textContent("#announce"), "sorted by attack, descending");
  await page.keyboard.press("s");
  await settle(page);
  assert.equal(await page.getAttribute(".head .line", "aria-sort"), "ascending", "columns without anything in them are passed over");
});

onPage("the column shows what the threshold is put to, the details the label's own score too", { skip: standInOnly }, async (page) => {
  const row = (await rows(page))[0];
  assert.deepEqual([row.technique, row.attack], ["T1016", 0.584]);
  assert.match(await page.getAttribute(".head .attack .sort", "title"), /probability that the line is an attack of any kind/);
  await page.keyboard.press("Enter");
  assert.match(await page.textContent("#details"), /\(0\.5840\).*T1016 \(0\.480\)/);
});

onPage("lines that a server does not answer are back in the box, and Retry sends them", { setup: async () => {} }, async (page) => {
  await page.fill("#lines", LINES);
  await page.context().setOffline(true);
  await page.click("#classify");
  await page.waitForSelector(".toast.error:has-text('The 5 lines without an answer stand in the box again.')");
  assert.ok(await page.isVisible("#view-new"));
  assert.equal(await page.inputValue("#lines"), LINES);
  await page.context().setOffline(false);
  await page.click(".toast.error .link");
  await page.waitForFunction(() => document.querySelector("[data-kind=all] .count").textContent === "5");
  assert.deepEqual([await page.inputValue("#lines"), await page.locator(".toast.error").count()], ["", 0]);
  assert.deepEqual((await rows(page)).map((row) => row.line), ["1", "3", "4", "5", "6"]);
});

onPage("where a connection breaks, the rest is back in the box and goes on under its numbers", { skip: standInOnly, setup: async () => {} }, async (page) => {
  await page.fill("#lines", "net user\n\nnetstat -ano\nwhoami #die\n\nipconfig /all");
  await page.click("#classify");
  await page.waitForSelector(".toast.error:has-text('2 lines had been answered and are kept. The 2 lines without an answer stand in the box again.')");
  assert.ok(await page.isVisible("#view-findings"));
  await page.click("#add");
  assert.equal(await page.inputValue("#lines"), "whoami #die\n\nipconfig /all");
  await page.click("#classify");
  await page.waitForFunction(() => document.querySelector("[data-kind=all] .count").textContent === "4");
  await settle(page);
  assert.deepEqual((await rows(page)).map((row) => row.line), ["1", "3", "4", "6"]);
  assert.equal(await page.locator(".toast.error").count(), 0);
});

onPage("what is written meanwhile stays; lines without an answer are offered again", { setup: async () => {} }, async (page) => {
  let typed = () => {};
  const wait = new Promise((resolve) => (typed = resolve));
  await page.route("**/api/v1/classify", (route) => wait.then(() => route.abort()));
  await page.fill("#lines", "net user\nwhoami");
  await page.click("#classify");
  await page.click("#add");
  await page.fill("#lines", "another line");
  typed();
  await page.waitForSelector(".toast.error:has-text('The 2 lines without an answer can be sent again.')");
  assert.equal(await page.inputValue("#lines"), "another line");
  await page.unroute("**/api/v1/classify");
  await page.click(".toast.error .link");
  await page.waitForFunction(() => document.querySelector("[data-kind=all] .count").textContent === "2");
  assert.equal(await page.inputValue("#lines"), "another line");
});

onPage("an example and a paste beside the box join what is in it", { setup: async () => {} }, async (page) => {
  await page.fill("#lines", "mine");
  await page.click("#try");
  assert.match(await page.inputValue("#lines"), /^mine\nipconfig/);
  await page.evaluate(() => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", "ss -antp");
    document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
  });
  assert.match(await page.inputValue("#lines"), /^mine\n[^]*\nss -antp$/);
});

onPage("right-to-left letters move nothing", { skip: standInOnly, setup: (page) => paste(page, "reg save HKLM\\SAM \u05d0\u05d1 12 C:\\x \u05d2\u0627\u0628") }, async (page) => {
  await page.keyboard.press("Enter");
  for (const selector of [".space .cell.text", "#details .whole-text"]) {
    const places = await page.$eval(selector, (element) => {
      const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
      const lefts = [];
      for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        for (let index = 0; index < node.length; index++) {
          const range = document.createRange();
          range.setStart(node, index);
          range.setEnd(node, index + 1);
          lefts.push(range.getBoundingClientRect().left);
        }
      }
      return lefts;
    });
    assert.ok(places.length > 20);
    assert.deepEqual(places, [...places].sort((a, b) => a - b), selector);
  }
});

onPage("times, hosts and sources are shown whole where there is room", { skip: standInOnly, viewport: { width: 1280, height: 800 }, setup: (page) => upload(page, "sysmon.ndjson", '{"text":"ss -antp","host":"WS-0311.corp.example.com","time":"2026-03-09T08:12:04Z"}\n') }, async (page) => {
  assert.ok(await page.isHidden(".head .source"), "one source needs no column");
  await upload(page, "second.ndjson", '{"text":"whoami","host":"web-01"}\n');
  const cut = await page.$$eval(".space .row:not([hidden]) :is(.line, .source, .time, .host)", (cells) => cells.filter((cell) => cell.scrollWidth > cell.clientWidth || cell.clientWidth === 0).map((cell) => cell.textContent));
  assert.deepEqual(cut, []);
  assert.deepEqual((await rows(page)).map((row) => [row.line, row.source]), [["1", "sysmon.ndjson"], ["1", "second.ndjson"]]);
  assert.ok(await page.$eval("#grid", (grid) => grid.scrollWidth <= grid.clientWidth), "the table is no wider than its room");
});

onPage("a file with nothing to classify is named until something else happens", { skip: standInOnly, setup: (page) => upload(page, "logons.evtx", "\n") }, async (page) => {
  await page.click(".toast .icon");
  assert.match(await page.textContent("#table .empty"), /No line to classify.*logons\.evtx: no line in it was found/);
  await upload(page, "good.txt", "net user\n");
  assert.ok(await page.isHidden("#table .empty"));
  await page.setInputFiles("#files", ["none.txt", "some.txt"].map((name, index) => ({ name, mimeType: "text/plain", buffer: Buffer.from(index === 0 ? "\n" : "whoami\n") })));
  await page.waitForSelector(".toast:has-text('some.txt: 1 line answered'):has-text('none.txt: no line in it was found')");
});

onPage("groups by technique and host open and close", { skip: standInOnly, setup: some }, async (page) => {
  await page.click("[data-kind=attack]");
  await page.selectOption("#group", "technique");
  await settle(page);
  const [head, next] = await rows(page);
  assert.ok(head.kind.includes("group") && head.technique.includes("T1003.002") && next.technique === "T1003.002", JSON.stringify(head));
  await page.focus("#grid");
  await page.keyboard.press("Home");
  await page.keyboard.press("Enter");
  await settle(page);
  assert.ok((await rows(page))[1].kind.includes("group"));
  await page.selectOption("#group", "host");
  await settle(page);
  assert.match((await rows(page))[0].name, /findings?, .*highest/);
});

onPage("the matrix counts and filters", { skip: standInOnly, setup: some }, async (page) => {
  await page.keyboard.press("g");
  await page.keyboard.press("m");
  const cell = page.locator('[data-key="credential-access T1003.002"]');
  const counted = Number(await cell.locator(".count").textContent());
  assert.ok(counted > 0);
  await cell.click();
  await settle(page);
  assert.match(await page.textContent("#chips"), new RegExp(`T1003.002.*${counted} of 3,000 shown`));
  await page.keyboard.press("g");
  await page.keyboard.press("m");
  await page.click("[data-key=scope-all]");
  assert.equal(await page.locator(".matrix section").count(), 14);
  assert.ok((await page.locator(".matrix .technique").count()) > 200);
});

onPage("the timeline draws times and chooses a stretch", { skip: standInOnly, setup: some }, async (page) => {
  await page.click("[data-view=timeline]");
  const chart = page.locator("svg.timeline");
  const { x, y, width } = await chart.boundingBox();
  await page.mouse.move(x + width * 0.5, y + 50);
  await page.mouse.down();
  await page.mouse.move(x + width * 0.6, y + 50, { steps: 4 });
  await page.mouse.up();
  await settle(page);
  assert.match(await page.textContent("#chips"), /2026-03-09 .* UTC/);
  const left = Number((await page.textContent("#chips [role=status]")).split(" ")[0].replace(",", ""));
  assert.ok(left > 100 && left < 1000, String(left));
  await page.keyboard.press("x");
  await page.click("[data-view=timeline]");
  await chart.focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Shift+ArrowRight");
  assert.match(await page.textContent(".readout"), /attacks?, .* lines/);
  await page.keyboard.press("Enter");
  await settle(page);
  assert.match(await page.textContent("#chips"), /UTC/);
});

onPage("an empty table says why and what to do", {}, async (page) => {
  await page.fill("#query", "no line has these words");
  await page.waitForSelector("#table .empty:has-text('No finding passes the filter')");
  await page.click("#table .empty button");
  await page.waitForSelector("#table .empty", { state: "hidden" });
  assert.equal((await rows(page)).length, 5);
});

onPage("lines without times are drawn by their order", {}, async (page) => {
  await page.click("[data-view=timeline]");
  assert.match(await page.textContent(".readout"), /line 1 to line 5/);
});

onPage("a finding's page says why, with the runners-up and a link", { skip: standInOnly }, async (page) => {
  await page.click("text=reg save");
  const details = await page.textContent("#details");
  assert.match(details, /Reported: the probability of an attack \(0\.9984\) reaches the model's threshold of 0\.6200\. The most probable technique is T1003\.002 \(0\.998\)/);
  assert.ok((await page.locator("#details .scores li").count()) >= 3);
  assert.equal(await page.getAttribute(".details-bar a", "href"), "https://attack.mitre.org/techniques/T1003/002/");
  assert.match(await page.getAttribute(".details-bar a", "rel"), /noopener/);
  await page.click("text=ipconfig");
  assert.match(await page.textContent("#details"), /Not reported: an attack is more probable than not \(0\.5840\), but stays below .* abstains\. The most probable technique is T1016/);
  await page.goBack();
  await page.keyboard.press("Escape");
  assert.ok(await page.isHidden("#details"));
});

onPage("marks are kept, shown with rates, and taken back", { skip: standInOnly }, async (page) => {
  server.seen.marks.clear();
  await page.click("text=reg save");
  await page.keyboard.press("b");
  await page.waitForSelector(".verdict.benign[aria-pressed=true]");
  assert.deepEqual([...server.seen.marks.values()], [{ text: "reg save HKLM\\SAM C:\\Users\\Public\\s.dat", label: "T1003.002", score: 0.998, verdict: "benign", model: "mock" }]);
  await page.waitForSelector("text=1 benign, 100.0 % false positives");
  await page.keyboard.press("w");
  await page.keyboard.type("lsass");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".verdict.wrong[aria-pressed=true]");
  assert.deepEqual([...server.seen.marks.values()].map((mark) => [mark.verdict, mark.correct_label]), [["wrong", "T1003.001"]], "the second mark takes the first one's place");
  assert.equal((await rows(page))[2].mark, "✗");
  await page.keyboard.press("u");
  await page.waitForSelector(".verdict.wrong[aria-pressed=false]");
  assert.equal(server.seen.marks.size, 0);
  await page.keyboard.press("y");
  await page.waitForSelector(".verdict.right[aria-pressed=true]");
  await page.click("[data-view=marks]");
  assert.match(await page.textContent(".rates tbody"), /T1003\.002.*0\.0 %/);
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("text=Download training data")]);
  assert.equal(JSON.parse(readFileSync(await download.path(), "utf8")).verdict, "right");
});

onPage("keys move, open, close, filter and help", { setup: (page) => paste(page, LINES) }, async (page) => {
  await page.keyboard.press("j");
  await page.keyboard.press("ArrowDown");
  assert.equal(await active(page), 2);
  await page.keyboard.press("k");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#details:not([hidden])");
  const first = await page.textContent("#details .whole-text");
  await page.keyboard.press("j");
  assert.notEqual(await page.textContent("#details .whole-text"), first);
  await page.keyboard.press("Escape");
  await page.waitForSelector("#details", { state: "hidden" });
  await page.keyboard.press("End");
  assert.equal(await active(page), 4);
  assert.equal(await page.getAttribute("#grid", "aria-activedescendant"), "row-4");
  await page.keyboard.press("?");
  await page.waitForSelector("dialog .help");
  await page.keyboard.press("j");
  assert.equal(await active(page), 4, "a dialog has the keys to itself");
  await page.keyboard.press("Escape");
  for (const [keys, view] of [["gm", "matrix"], ["gt", "timeline"], ["gr", "marks"], ["gf", "findings"], ["n", "new"]]) {
    for (const key of keys) await page.keyboard.press(key);
    await page.waitForSelector(`#view-${view}:not([hidden])`);
  }
});

onPage("hostile text stays text", { setup: (page) => paste(page, HOSTILE) }, async (page) => {
  const shown = (await rows(page)).map((row) => row.text);
  assert.ok(shown[0].startsWith("<script>window.hit"));
  assert.equal(shown[1], "echo ‹ESC›[31mred‹ESC›[0m ‹BEL›");
  assert.equal(shown[2], "copy invoice‹RLO›fdp.exe ‹LRI›a‹PDI›");
  for (let row = 0; row < 4; row++) {
    await page.keyboard.press(row === 0 ? "Enter" : "j");
    await page.waitForTimeout(60);
  }
  for (const view of ["matrix", "timeline", "marks", "findings"]) await page.click(`[data-view=${view}]`);
  assert.equal(await page.evaluate(() => window.hit), undefined);
  assert.equal(await page.locator("main script, main img").count(), 0);
  const raw = await page.evaluate(() => /[\u0000-\u0008\u000b-\u001f\u202a-\u202e\u2066-\u2069]/.test(document.body.textContent));
  assert.equal(raw, false);
});

onPage("every field of an answer may be hostile", { setup: async () => {} }, async (page) => {
  const evil = '<img src=x onerror="window.hit=1">\u202e\u001b[2J';
  const finding = {
    line: 1, text: evil, label: evil, score: 0.9, abstained: false, technique: { id: evil, name: `${evil}: ${evil}`, tactics: [evil, "discovery"], url: "javascript:window.hit=1" }, top: [{ label: evil, score: 0.9 }],
    truncated: true, source: { file: evil, record: 1 }, event: { timestamp: evil, host: evil, user: evil, image: evil, parent: evil }, evidence: [{ start: 0, end: 4, weight: 1 }], model: { name: evil, version: evil }, input: { [evil]: evil },
  };
  await page.route("**/api/v1/classify", (route) => route.fulfill({ contentType: "application/x-ndjson", body: `${JSON.stringify(finding)}\n${JSON.stringify({ line: 2, error: evil, error_type: evil })}\n` }));
  await paste(page, "a\nb");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#details:not([hidden])");
  assert.equal(await page.locator("#details a").count(), 0, "no link but to https");
  for (const group of ["technique", "host", "input"]) await page.selectOption("#group", group);
  for (const view of ["matrix", "timeline", "findings"]) {
    await page.click(`[data-view=${view}]`);
    const raw = await page.evaluate(() => /[\u001b\u202e]/.test(document.body.textContent + [...document.querySelectorAll("[title], [aria-label]")].map((element) => element.title + element.ariaLabel).join("")));
    assert.equal(raw, false, view);
  }
  assert.equal(await page.evaluate(() => window.hit), undefined);
  assert.equal(await page.locator("main img").count(), 0);
});

onPage("files that are dropped and lines that are pasted anywhere are taken", { setup: async () => {} }, async (page) => {
  const files = await page.evaluateHandle(() => {
    const transfer = new DataTransfer();
    transfer.items.add(new File(["netstat -ano\nnet user\n"], "one.txt"));
    transfer.items.add(new File(["whoami\n"], "two.txt"));
    return transfer;
  });
  await page.dispatchEvent("body", "dragenter", { dataTransfer: files });
  assert.ok(await page.isVisible("#drop"));
  await page.dispatchEvent("body", "drop", { dataTransfer: files });
  await page.waitForFunction(() => document.querySelector("[data-kind=all] .count").textContent === "3");
  assert.ok(await page.isHidden("#drop"));
  await page.evaluate(() => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", "ss -antp");
    document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
  });
  assert.equal(await page.inputValue("#lines"), "ss -antp");
});

onPage("a huge line is clipped in the table and shown on demand", { skip: standInOnly, setup: (page) => paste(page, `${"x".repeat(4000)} netstat -ano ${"y".repeat(400_000)}\nnext`) }, async (page) => {
  const [row] = await rows(page);
  assert.ok(row.text.length < 500 && row.text.includes("netstat"), row.text);
  await page.keyboard.press("Home");
  await page.keyboard.press("Enter");
  assert.ok((await page.textContent("#details .whole-text")).length < 100_000);
  assert.match(await page.textContent("#details"), /longer than the model reads/);
  await page.click("text=Show all 404,014 characters");
  assert.equal((await page.textContent("#details .whole-text")).length, 404_014);
  assert.ok((await page.locator("#details .whole-text").boundingBox()).height < 500, "it scrolls in its box");
});

onPage("50,000 findings scroll with a small document", { skip: standInOnly, setup: big }, async (page) => {
  assert.equal(await total(page), 50_000);
  const elements = () => page.evaluate(() => document.querySelectorAll("*").length);
  assert.ok((await elements()) < 1500, String(await elements()));
  await page.mouse.move(600, 500);
  for (let turn = 0; turn < 20; turn++) {
    await page.mouse.wheel(0, 3000);
    await page.waitForTimeout(16);
  }
  await settle(page);
  const first = (await rows(page))[0].index;
  assert.ok(first > 1900, String(first));
  await page.focus("#grid");
  await page.keyboard.press("End");
  await settle(page);
  assert.equal((await rows(page)).at(-1).line, "50000");
  assert.ok((await elements()) < 1500);
  await page.fill("#query", "vssadmin");
  await settle(page);
  assert.ok((await rows(page)).every((row) => row.text.includes("vssadmin")));
});

onPage("findings are seen while more arrive, and cancelling keeps them", { skip: standInOnly, setup: async () => {} }, async (page) => {
  await page.setInputFiles("#files", { name: "slow-big-9000.evtx", mimeType: "text/plain", buffer: Buffer.from("x") });
  await page.waitForFunction(() => document.querySelectorAll(".space .row:not([hidden])").length > 5);
  assert.ok(await page.isVisible("#progress"));
  await page.click("#cancel");
  await page.waitForSelector("text=cancelled after");
  await settle(page);
  const kept = await total(page);
  assert.ok(kept > 5 && kept < 9000, String(kept));
  await settle(page);
  assert.equal(await total(page), kept);
});

onPage("a busy server is asked again; a cut answer and an unknown format are said", { skip: standInOnly, setup: async () => {} }, async (page) => {
  await upload(page, "busy.txt", "netstat -ano\n");
  assert.equal(await total(page), 1);
  await upload(page, "cut.txt", "a\nb\nc\nd\n");
  assert.match(await page.textContent("#toasts"), /middle of a line\. 2 lines had been answered/);
  await upload(page, "tool.exe");
  assert.match(await page.textContent("#toasts"), /tool\.exe: attackline does not know this format/);
  await paste(page, "#refuse this\nnet user");
  assert.equal(await total(page, "error"), 1);
});

onPage("downloads hold what is shown", { skip: standInOnly, setup: some }, async (page) => {
  await page.click("[data-kind=attack]");
  await settle(page);
  const attacks = await total(page, "attack");
  const save = async (format) => {
    await page.click("#download");
    const [download] = await Promise.all([page.waitForEvent("download"), page.click(`.formats button:has-text("${format}")`)]);
    return readFileSync(await download.path(), "utf8");
  };
  assert.equal((await save("CSV")).trim().split("\n").length, attacks + 1);
  const found = (await save("NDJSON")).trim().split("\n").map((line) => JSON.parse(line));
  assert.ok(found.length === attacks && found.every((finding) => finding.label !== "Benign" && !finding.abstained));
  const layer = JSON.parse(await save("Navigator"));
  assert.equal(layer.techniques.reduce((sum, technique) => sum + technique.score, 0), attacks);
  assert.match(await save("HTML"), /^<!doctype html>/);
  await paste(page, "net user\n#refuse this");
  await page.keyboard.press("x");
  await page.fill("#query", "-host:0 -host:s");
  await settle(page);
  assert.equal((await save("CSV")).trim().split("\n").length, 2);
  assert.match(await page.textContent("#toasts"), /1 line without an answer is not in the CSV/);
});

test("a token is asked for, sent, and forgotten with the page", { skip: standInOnly }, async () => {
  const guarded = await serve({ token: "secret" });
  const page = await open(browser, guarded.url, { ready: false });
  try {
    await page.fill("#token-field", "wrong");
    await page.keyboard.press("Enter");
    await page.waitForSelector("text=the token is not known");
    await page.fill("#token-field", "secret");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.getElementById("model-note").textContent !== "");
    await paste(page, "net user");
    assert.equal(await page.evaluate(() => sessionStorage.length + localStorage.length), 0);
    await page.reload();
    await page.waitForSelector("#token-field");
    await page.fill("#token-field", "secret");
    await page.check("#token-keep");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.getElementById("model-note").textContent !== "");
    await page.reload();
    await page.waitForFunction(() => document.getElementById("model-note").textContent !== "");
    assert.deepEqual(page.problems, []);
  } finally {
    await page.context().close();
    guarded.stop();
  }
});

test("a token that may only read is not the end: another one is asked for, and the lines are kept", { skip: standInOnly }, async () => {
  const guarded = await serve({ token: "secret", reader: "look" });
  const page = await open(browser, guarded.url, { ready: false });
  try {
    await page.fill("#token-field", "look");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.getElementById("model-note").textContent !== "");
    await page.fill("#lines", "net user\nwhoami");
    await page.click("#classify");
    await page.waitForSelector("dialog:has-text('role does not allow it')");
    await page.keyboard.press("Escape");
    await page.waitForSelector(".toast.error:has-text('stand in the box again')");
    assert.equal(await page.inputValue("#lines"), "net user\nwhoami");
    await page.click("#classify");
    await page.fill("#token-field", "secret");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.querySelector("[data-kind=all] .count").textContent === "2");
    assert.deepEqual(page.problems, []);
  } finally {
    await page.context().close();
    guarded.stop();
  }
});

test("a model without evidence and a server without marks are lived with", { skip: standInOnly }, async () => {
  const plain = await serve({ explain: false, feedback: false });
  const page = await open(browser, plain.url);
  try {
    await paste(page, LINES);
    await paste(page, LINES);
    assert.equal(plain.seen.requests.filter((request) => request.startsWith("POST /api/v1/classify")).length, 3, "refused once, then not asked for");
    await page.click("text=reg save");
    await page.keyboard.press("y");
    assert.match(await page.textContent("#details"), /keeps no marks/);
    assert.deepEqual(page.problems, []);
  } finally {
    await page.context().close();
    plain.stop();
  }
});

onPage("a narrow screen has one column", { viewport: { width: 390, height: 800 } }, async (page) => {
  const wide = () => page.evaluate(() => document.documentElement.scrollWidth);
  assert.equal(await wide(), 390);
  await paste(page, "#refuse this");
  await settle(page);
  const inRow = await page.$$eval("#add, #download, #theme, #help", (buttons) => new Set(buttons.map((button) => Math.round(button.getBoundingClientRect().top))).size);
  assert.ok(inRow <= 2 && (await page.locator("#help").boundingBox()).y < 40, "the bar's buttons stand in one row");
  const cut = await page.$$eval("#kinds button", (buttons) => buttons.filter((button) => button.scrollWidth > button.clientWidth || button.getBoundingClientRect().right > 390).length);
  assert.equal(cut, 0, "every kind can be read");
  const table = await page.$eval(".space .row", (row) => row.getBoundingClientRect().width);
  assert.ok(table <= 390);
  await page.click(".space .row");
  const box = await page.locator("#details").boundingBox();
  assert.ok(box.width >= 380, "a finding takes the whole width");
  await page.click("[data-key=close]");
  for (const view of ["matrix", "timeline", "marks"]) {
    await page.click(`[data-view=${view}]`);
    assert.equal(await wide(), 390, view);
  }
});

onPage("dark follows the system and the switch", { colorScheme: "dark" }, async (page) => {
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await ground();
  await page.click("#theme");
  const light = await ground();
  assert.notEqual(light, dark);
  await page.reload();
  assert.equal(await ground(), light, "the choice is kept");
});

/** The contrast of an element's text with what it stands on, as WCAG counts it. */
const contrast = (page, selector) =>
  page.locator(selector).first().evaluate((element) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
    const light = (color, opacity = 1) => {
      canvas.globalAlpha = opacity;
      canvas.fillStyle = color;
      canvas.fillRect(0, 0, 1, 1);
      const [red, green, blue] = [...canvas.getImageData(0, 0, 1, 1).data].map((value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const around = [];
    for (let at = element; at; at = at.parentElement) around.unshift(getComputedStyle(at));
    let ground = 0;
    for (const style of around) ground = light(style.backgroundColor);
    const text = light(around.at(-1).color, around.reduce((opacity, style) => opacity * style.opacity, 1));
    return (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
  });

for (const colorScheme of ["light", "dark"]) {
  onPage(`what decides can be read, ${colorScheme}`, { colorScheme, skip: standInOnly, setup: (page) => paste(page, `${"reg save HKLM\\SAM x\n".repeat(9)}whoami\nipconfig\ndir`) }, async (page) => {
    const read = async (...selectors) => {
      for (const selector of selectors) assert.ok((await contrast(page, selector)) >= 4.5, `${selector}: ${await contrast(page, selector)}`);
    };
    await read(".row.active mark.level-4", ".row:not(.active) mark.level-4", ".row.attack .identifier", ".row.abstained .identifier", ".row.benign .text");
    await page.click("[data-view=matrix]");
    await read(".matrix .shade-6 .identifier", ".matrix .shade-1 .identifier");
    await page.click("text=Model's labels");
    await read(".matrix .shade-0 .identifier");
    await page.click("#add");
    await read("#classify kbd");
  });
}

onPage("a line's page says that its parent was heard", {}, async (page) => {
  const finding = { line: 1, text: "net user", label: "T1087.001", score: 0.95, attack: 0.9779, parent_attack: 0.9943, abstained: false, top: [], truncated: false, event: { parent: "powershell -enc AAAA" } };
  await page.route("**/api/v1/classify", (route) => route.fulfill({ contentType: "application/x-ndjson", body: `${JSON.stringify(finding)}\n` }));
  await paste(page, "net user");
  await page.keyboard.press("End");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#details:not([hidden])");
  assert.match(await page.textContent(".why"), /What started the line was heard too: alone, its probability of an attack is 0\.9943\./);
});

onPage("a mark that is not kept says so, once", { skip: standInOnly }, async (page) => {
  await page.click("text=reg save");
  const said = () => page.$$eval(".toast.error", (toasts) => toasts.map((toast) => toast.firstChild.textContent));
  await page.route("**/api/v1/feedback", (route) => route.abort());
  for (const key of ["y", "b"]) {
    await page.keyboard.press(key);
    await page.waitForSelector(".toast.error");
    await page.waitForTimeout(200);
  }
  assert.deepEqual(await said(), ["Mark of line 4, which may not have been kept: The server does not answer. Is `attackline serve` still running?"]);
  await page.unroute("**/api/v1/feedback");
  await page.route("**/api/v1/feedback", (route) => route.fulfill({ status: 503, json: { error: "the mark was not kept: the disk is full", error_type: "storage" } }));
  await page.keyboard.press("y");
  await page.waitForFunction(() => document.querySelectorAll(".toast.error").length === 2);
  assert.equal((await said())[1], "Mark of line 4: the mark was not kept: the disk is full");
  assert.equal(await page.locator(".verdict[aria-pressed=true]").count(), 0);
});

onPage("what the page needs for a screen reader is there", {}, async (page) => {
  assert.equal(await page.getAttribute("#grid", "role"), "grid");
  assert.equal(await page.getAttribute("#grid", "aria-rowcount"), "6");
  assert.equal(await page.locator(".space [role=row] [role=gridcell]").first().count(), 1);
  const nameless = await page.$$eval("button, a, input, select, textarea", (elements) => elements.filter((element) => element.checkVisibility() && !(element.textContent.trim() || element.ariaLabel || element.labels?.length || element.title)).map((element) => element.outerHTML));
  assert.deepEqual(nameless, []);
});
