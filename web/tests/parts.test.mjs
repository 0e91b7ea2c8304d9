// The parts that need no browser: text, filter, store, answers, files for download.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Catalog } from "../catalog.js";
import { answers, ApiError } from "../client.js";
import { encodedCommand } from "../decode.js";
import { cell, csv, escaped, FORMATS, html, navigator } from "../export.js";
import { parse } from "../filter.js";
import { Finding, instant } from "../finding.js";
import { dropped } from "../intake.js";
import { Jobs, rest } from "../jobs.js";
import { Store } from "../store.js";
import { evidenceSpans, listed, runs, shortened, snippet, visible } from "../text.js";
import { spread } from "../timeline.js";

/** A store with these answers in it. */
function filled(...found) {
  const store = new Store();
  store.add(found.map((raw, index) => ({ line: index + 1, score: 0.9, top: [], ...raw })), store.open("test"), (line) => line);
  return store;
}

const shown = (store) => store.shown.map((finding) => finding.line);
const technique = (id, ...tactics) => ({ label: id, technique: { id, name: `Name of ${id}`, tactics, url: `https://attack.mitre.org/techniques/${id}/` } });

test("hidden characters are shown by name, others stay", () => {
  assert.equal(visible("a\x1b[31mb\x07\x00"), "a‹ESC›[31mb‹BEL›‹NUL›");
  assert.equal(visible("x\u202egnp.exe\u2066\u2069\u200b\ufeff"), "x‹RLO›gnp.exe‹LRI›‹PDI›‹ZWSP›‹BOM›");
  assert.equal(visible("a\tb\nc\r"), "a⇥b↵c‹CR›");
  assert.equal(visible("\ud800 \u{e0041} \u009b"), "‹U+D800› ‹U+E0041› ‹CSI›");
  assert.equal(visible("net\ufe0f u\u{e0100}ser\u180f\u034f"), "net‹VS16› u‹VS17›ser‹FVS4›‹CGJ›");
  assert.equal(visible("a\u{1d173}b\u{1bca0}c\u{13430}d\u0600e\ufffff"), "a‹U+1D173›b‹U+1BCA0›c‹U+13430›d‹U+0600›e‹U+FFFF›f");
  assert.equal(visible("żółw 日本 שלום 🙂 é नि"), "żółw 日本 שלום 🙂 é नि");
});

test("no character that a font may ignore stays", () => {
  for (let code = 0; code < 0x110000; code++) {
    const character = String.fromCodePoint(code);
    if (/[\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}]/u.test(character) || (character !== " " && /\p{Z}/u.test(character))) assert.notEqual(visible(character), character, code.toString(16));
  }
});

test("long names keep their ends, long lists their beginning", () => {
  assert.equal(shortened("sysmon.evtx", 26), "sysmon.evtx");
  assert.equal(shortened("collected/2026-03-09/dc01/security.zip!security.json", 26), "collecte…zip!security.json");
  assert.equal(listed(["a", "b\u202e", "c", "d", "e", "f", "g"]), "a, b‹RLO›, c, d, e and 2 more");
});

test("evidence comes as bytes and is drawn by characters", () => {
  const text = "żółw 🙂 reg save";
  const start = Buffer.byteLength("żółw 🙂 ");
  const [span] = evidenceSpans(text, [{ start, end: start + 3, weight: 0.5 }]);
  assert.equal(text.slice(span.start, span.end), "reg");
  assert.equal(evidenceSpans(text, [{ start: 0, end: Buffer.byteLength(text), weight: 1 }])[0].end, text.length);
});

test("evidence that makes no sense is left out", () => {
  const text = "reg save";
  for (const evidence of [null, "x", [null], [{ start: 3, end: 1, weight: 1 }], [{ start: 0, end: 99, weight: 1 }], [{ start: -1, end: 3, weight: 1 }], [{ start: 0, end: 3, weight: -1 }], [{ start: 0.5, end: 3, weight: 1 }]]) {
    assert.deepEqual(evidenceSpans(text, evidence), [], JSON.stringify(evidence));
  }
});

test("where evidence overlaps the heavier counts", () => {
  const spans = evidenceSpans("abcdefgh", [{ start: 0, end: 6, weight: 0.2 }, { start: 2, end: 4, weight: 0.8 }]);
  assert.deepEqual(spans.map(({ start, end, level }) => [start, end, level]), [[0, 2, 1], [2, 4, 4], [4, 6, 1]]);
});

test("runs give the whole text back", () => {
  const text = "a\x1bbc\u202ed";
  const all = runs(text, [{ start: 1, end: 3, level: 2 }]);
  assert.equal(all.map((run) => run.hidden ?? run.text).join(""), text);
  assert.deepEqual(all.filter((run) => run.level === 2).map((run) => run.text), ["‹ESC›", "b"]);
});

test("a snippet shows evidence that lies far back and tears no character", () => {
  const text = `${"🙂".repeat(500)} netstat ${"y".repeat(500)}`;
  const place = text.indexOf("netstat");
  const cut = snippet(text, [{ start: place, end: place + 7, level: 4 }], 201);
  assert.ok(cut.cutBefore && cut.cutAfter);
  assert.equal(cut.text.slice(cut.spans[0].start, cut.spans[0].end), "netstat");
  assert.ok(cut.text.isWellFormed?.() ?? true);
});

test("the filter knows words, phrases, fields and their negation", () => {
  const store = filled(
    { text: "reg save HKLM\\SAM", ...technique("T1003.002", "credential-access"), score: 0.99, attack: 0.995, event: { host: "dc01", user: "SYSTEM" } },
    { text: "net user", ...technique("T1087.001", "discovery"), score: 0.7, event: { host: "web-01" } },
    { text: "dir C:\\Users", label: "Benign", score: 0.8, event: { host: "web-01" } },
    { text: "ipconfig", ...technique("T1016", "discovery"), abstained: true, score: 0.4 },
    { error: "no UTF-8", error_type: "bad_record", score: undefined },
  );
  const cases = [
    ["", [1, 2, 3, 4, 5]], ["reg sam", [1]], ['"net user"', [2]], ["-reg", [2, 3, 4, 5]], ["c:\\users", [3]], ["technique:t1003", [1]], ["tactic:discovery", [2, 4]], ["host:web-01 -is:benign", [2]],
    ["user:system", [1]], ["score:>0.7", [1, 3]], ["score:0.7", [1, 2, 3]], ["score:<0.5", [4]], ["attack:>0.95", [1]], ["is:abstained", [4]], ["is:error", [5]], ["is:marked", []], ["T1087.001", [2]],
  ];
  for (const [query, lines] of cases) {
    store.setFilter({ query });
    assert.deepEqual(shown(store), lines, query);
  }
  assert.match(parse("score:high").problem, /write score:>0.9/);
  assert.match(parse("is:bad").problem, /is:attack/);
});

test("a technique's filter takes in its sub-techniques, not its namesakes", () => {
  const store = filled(technique("T1003"), technique("T1003.002"), technique("T1003.0021"), technique("T10031"), { label: "Benign", text: "" });
  store.setFilter({ technique: "T1003" });
  assert.deepEqual(shown(store), [1, 2, 3]);
  store.setFilter({ technique: "T1003.002" });
  assert.deepEqual(shown(store), [2]);
});

test("rows sort by every column, what is missing last", () => {
  const store = filled(
    { label: "B", event: { timestamp: "2026-03-09T10:00:00Z" }, attack: 0.2 },
    { label: "A", event: { host: "h" }, attack: 0.9, score: 0.3 },
    { label: "C", event: { timestamp: "2026-03-09T09:00:00+02:00", host: "a" }, attack: 0.5 },
  );
  const cases = [["time", [3, 1, 2]], ["time", [1, 3, 2]], ["host", [3, 2, 1]], ["technique", [2, 1, 3]], ["attack", [2, 3, 1]], ["attack", [1, 3, 2]], ["line", [1, 2, 3]], ["line", [3, 2, 1]]];
  for (const [key, lines] of cases) {
    store.setSort(key);
    assert.deepEqual(shown(store), lines, key);
  }
});

test("findings that arrive after a filter or a sort was set are filtered and sorted too", () => {
  const store = filled({ text: "one" });
  store.setFilter({ query: "one" });
  store.add([{ line: 2, text: "two" }, { line: 3, text: "one" }], store.inputs[0], (line) => line);
  assert.deepEqual(shown(store), [1, 3]);
  store.setSort("attack");
  store.add([{ line: 4, text: "one", label: "X", attack: 1 }], store.inputs[0], (line) => line);
  store.refresh();
  assert.deepEqual(shown(store)[0], 4);
});

test("what decides is the probability of an attack, not the label's score", () => {
  const store = filled({ ...technique("T1"), score: 0.249, attack: 0.98 }, { label: "Benign", score: 0.519, attack: 0.48 }, { ...technique("T2"), score: 0.9, attack: 0.95 });
  store.setFilter({ minimum: 0.96 });
  assert.deepEqual(shown(store), [1]);
  store.clearFilter();
  store.setSort("attack");
  assert.deepEqual(shown(store), [1, 3, 2]);
  store.setSort(store.sort.key);
  assert.deepEqual(shown(store), [2, 3, 1]);
  store.setGroup("technique");
  assert.deepEqual(store.rows.filter((row) => row.group).map((row) => row.highest), [0.98, 0.95, 0]);
});

test("sources tell lines of several inputs apart", () => {
  const store = filled({ text: "a" });
  assert.deepEqual([store.hasSources, store.sortKeys], [false, ["line", "technique", "tactic", "attack"]]);
  store.add([{ line: 1, source: { file: "test!b.json" } }, { line: 2, source: { file: "elsewhere.log" } }], store.open("test"), (line) => line);
  assert.deepEqual(store.findings.map((finding) => finding.source), ["test", "test (2)!b.json", "elsewhere.log"]);
  assert.ok(store.hasSources && store.sortKeys.includes("source"));
});

test("groups stand by attacks and fold", () => {
  const store = filled({ label: "Benign", text: "" }, { label: "Benign", text: "" }, technique("T1"), technique("T2"), technique("T2"));
  store.setGroup("technique");
  assert.deepEqual(store.rows.filter((row) => row.group).map((row) => [row.group, row.findings.length, row.attacks]), [["T2", 2, 2], ["T1", 1, 1], ["Benign", 2, 0]]);
  store.toggleGroup("T2");
  assert.equal(store.rows.length, 3 + 3);
});

test("an answer of any shape is taken without harm", () => {
  const odd = [{}, { line: "x", text: 5, label: null }, { label: "T1", score: "0.9", top: "no", technique: [], event: 3, evidence: {} }, { label: "__proto__", technique: { tactics: [1, "x"] } }];
  const store = filled(...odd.map((raw) => ({ score: undefined, ...raw })));
  assert.equal(store.counts.error, 2);
  for (const sort of ["time", "attack", "technique", "tactic", "host", "source"]) store.setSort(sort);
  store.setGroup("technique");
  assert.equal(store.rows.filter((row) => !row.group).length, 4);
});

test("answers are read across chunks; broken lines are said and the rest goes on", async () => {
  const bytes = new TextEncoder().encode('{"line":1,"text":"żółw"}\n\n{"line":2\n{"line":3}');
  const stream = new ReadableStream({
    start(controller) {
      for (const byte of bytes) controller.enqueue(new Uint8Array([byte]));
      controller.close();
    },
  });
  const all = [];
  for await (const batch of answers(new Response(stream))) all.push(...batch);
  assert.deepEqual(all.map((value) => value.text ?? value.error_type ?? value.line), ["żółw", "bad_answer", 3]);
  const cut = async () => {
    for await (const batch of answers(new Response('{"line":1}\n{"line":2'))) assert.equal(batch.length, 1);
  };
  await assert.rejects(cut, /middle of a line/);
});

/** A server of `answer(texts)`: an error is thrown, texts are the stream. */
function jobsWith(store, answer) {
  const jobs = new Jobs({ patient: async (path, { body }) => new Response(answer(body.size === undefined ? JSON.parse(body).texts : null)) }, store);
  jobs.explain = false;
  return jobs;
}

const answered = (texts) => texts.map((text, index) => `${JSON.stringify({ line: index + 1, text, label: "Benign" })}\n`).join("");
const fail = (status, type) => {
  throw new ApiError(status, type, type);
};

/** Runs what the jobs were given; gives the jobs that ended. */
async function ended(jobs, many = 1) {
  const all = [];
  await new Promise((resolve) => jobs.addEventListener("end", ({ detail }) => all.push(detail) === many && resolve()));
  return all;
}

test("lines that were not answered are handed back, and go on under their numbers", async () => {
  const store = new Store();
  let broken = true;
  const jobs = jobsWith(store, (texts) => (broken ? answered(texts.slice(0, 2)) : answered(texts)));
  jobs.text("one\r\n\ntwo\nthree\n\nfour\n", {});
  const [job] = await ended(jobs);
  assert.deepEqual([job.state, job.done, job.error.type, job.left], ["failed", 2, "cut_off", [job]]);
  assert.equal(rest(job), "three\n\nfour\n");
  broken = false;
  jobs.again(job.left);
  jobs.again(job.left);
  const [again] = await ended(jobs);
  assert.deepEqual([again.state, again.left, store.inputs.length], ["done", [], 1]);
  assert.deepEqual(store.findings.map(({ line, text }) => [line, text]), [[1, "one"], [3, "two"], [4, "three"], [6, "four"]]);
});

test("what waits behind a server that is gone is handed back too", async () => {
  const jobs = jobsWith(new Store(), () => fail(0, "unreachable"));
  jobs.text("one", {});
  jobs.text("two", {});
  jobs.files([new File(["x"], "three.txt")], {});
  const [job] = await ended(jobs);
  assert.deepEqual(job.left.map((other) => other.pasted ?? other.file.name), ["one", "two", "three.txt"]);
  const wrongRole = jobsWith(new Store(), () => fail(403, "role"));
  wrongRole.text("one", {});
  wrongRole.text("two", {});
  assert.equal((await ended(wrongRole))[0].left.length, 2);
});

test("a file that can't be read holds nothing up", async () => {
  const store = new Store();
  const jobs = jobsWith(store, () => answered(["x"]));
  const unreadable = { name: "locked.log", slice: () => ({ arrayBuffer: () => Promise.reject(new Error("NotReadableError")) }) };
  jobs.files([unreadable, new File(["x"], "good.log")], {});
  const [first, second] = await ended(jobs, 2);
  assert.deepEqual([first.error.type, first.left, second.state, store.findings.length], ["unreadable", [], "done", 1]);
});

test("a refused file is not offered again, its line keeps its text where it is known", async () => {
  const jobs = jobsWith(new Store(), () => fail(415, "unknown_format"));
  jobs.files([new File(["x"], "tool.exe")], {});
  assert.deepEqual((await ended(jobs))[0].left, []);
  const store = new Store();
  const refused = jobsWith(store, () => '{"line":1,"error":"too long","error_type":"too_large"}\n');
  refused.text("a line", {});
  await ended(refused);
  assert.deepEqual([store.findings[0].kind, store.findings[0].text], ["error", "a line"]);
});

test("of a dropped folder, what can't be read is named and the rest is taken", async () => {
  const file = (name, readable = true) => ({ name, fullPath: `/logs/${name}`, isFile: true, file: (take, refuse) => (readable ? take({ name }) : refuse(new Error("NotFoundError"))) });
  const refusal = new Error("NotReadableError");
  const folder = (name, ...parts) => ({ name, fullPath: `/${name}`, isDirectory: true, createReader: () => ({ readEntries: (take, refuse) => (parts[0] === refusal ? refuse(refusal) : take(parts.shift() ?? [])) }) });
  const logs = folder("logs", [file("b.log", false), file("a.log")], [folder("torn", [file("kept.log")], refusal)]);
  const { files, unread } = await dropped({ items: [{ webkitGetAsEntry: () => logs }], files: [] });
  assert.deepEqual(files.map(({ name }) => name), ["a.log", "kept.log"]);
  assert.deepEqual(unread, ["logs/b.log", "torn"]);
});

test("no cell of the CSV is a formula", () => {
  for (const text of ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n=1", "＝1"]) assert.match(cell(text), /^"?'/, JSON.stringify(text));
  assert.equal(cell('say "hi", now'), '"say ""hi"", now"');
  assert.equal(cell(-0.5), "-0.5", "numbers of ours are numbers");
  const store = filled({ text: "=cmd|' /C calc'!A1", label: "Benign", event: { host: "@host" } }, { error: "bad" });
  const [header, row, ...others] = [...csv(store.findings)];
  assert.equal(others.length, 0, "what was not answered has no columns; the page says so");
  assert.deepEqual(FORMATS.filter((format) => format.omitsErrors).map(({ key }) => key), ["csv"]);
  assert.ok(header.startsWith("line,text,label,score,attack,abstained,technique,tactics,url,truncated,file,record,timestamp,host"));
  assert.ok(row.includes("'=cmd|' /C calc'!A1") && row.includes(",'@host,"), row);
});

test("the HTML report holds text alone", () => {
  const store = filled({ text: '<script>alert(1)</script>"\x1b[2J\u202e', ...technique("T1<b>", "x<i>"), event: { host: "<img src=x onerror=alert(1)>", user: "'\"" } });
  const page = [...html(store.findings, { catalog: new Catalog(), description: "<1>" })].join("");
  assert.ok(!/<script|<img|<b>|<i>|<1>|\x1b|\u202e/.test(page), page);
  const plain = filled({ text: "x", ...technique("T1003"), attack: 0.981, score: 0.249 }, { error: "bad" });
  const report = [...html(plain.findings, { catalog: new Catalog(), description: "" })].join("");
  assert.ok(report.includes('<td class="number">0.981</td><td class="label" title="Name of T1003">T1003</td><td class="number">0.249</td>') && report.includes(">bad<"), report);
  assert.ok(report.includes("unicode-bidi:isolate-override"));
  assert.equal(escaped("<a href='x'>&"), "&lt;a href=&#39;x&#39;&gt;&amp;");
});

test("the Navigator layer counts attacks of ATT&CK alone", () => {
  const store = filled(technique("T1003.002"), technique("T1003.002"), { ...technique("T1049"), abstained: true }, { label: "Own-Label" }, { label: "Benign" });
  const layer = JSON.parse([...navigator(store.findings, { catalog: new Catalog(), description: "" })].join(""));
  assert.equal(layer.versions.layer, "4.5");
  assert.equal(layer.domain, "enterprise-attack");
  assert.deepEqual(layer.techniques.map(({ techniqueID, score }) => [techniqueID, score]), [["T1003.002", 2]]);
  assert.equal(layer.gradient.maxValue, 2);
});

test("encoded commands are decoded, other words are not", () => {
  const encoded = Buffer.from("Get-LocalUser | Out-Null", "utf16le").toString("base64");
  assert.equal(encodedCommand(`powershell -nop -enc ${encoded}`), "Get-LocalUser | Out-Null");
  assert.equal(encodedCommand(`pwsh /EncodedCommand "${encoded}"`), "Get-LocalUser | Out-Null");
  for (const text of ["powershell -enc", "powershell -ExecutionPolicy Unrestricted1234567890", `powershell -enc ${"A".repeat(17)}`, "tar -e AAAAAAAAAAAAAAAAAAAAAAAA"]) assert.equal(encodedCommand(text), null, text);
});

test("times are the same wherever the browser stands", () => {
  const utc = Date.UTC(2026, 2, 9, 8, 18, 32);
  const { TZ } = process.env;
  try {
    for (const zone of ["America/New_York", "Asia/Tokyo", "UTC"]) {
      process.env.TZ = zone;
      for (const text of ["2026-03-09 08:18:32", "2026-03-09T08:18:32", "2026-03-09T08:18:32Z", "2026-03-09 08:18:32 UTC", "2026-03-09T09:18:32+01:00", "2026-03-09T09:18:32+0100", "3/9/2026 8:18:32 AM", "Mar 9, 2026 08:18:32 GMT"])
        assert.equal(instant(text), utc, `${text} in ${zone}`);
      assert.equal(instant("2026-03-09T08:18:32.1234567Z"), utc + 123);
      for (const text of ["", "Mar  9 08:18:32", "yesterday", "08:18:32"]) assert.ok(Number.isNaN(instant(text)), text);
    }
  } finally {
    if (TZ === undefined) delete process.env.TZ;
    else process.env.TZ = TZ;
  }
});

test("a time says of which zone it is where that is not UTC", () => {
  const shown = (timestamp) => new Finding({ label: "Benign", event: { timestamp } }, 0, { given: "", name: "" }, 1);
  assert.equal(shown("2026-03-09T08:18:32.5Z").shownTime(), "2026-03-09 08:18:32");
  assert.equal(shown("2026-03-09T08:18:32+00:00").shownTime(), "2026-03-09 08:18:32");
  assert.equal(shown("2026-03-09T10:18:32+02:00").shownTime(), "2026-03-09 10:18:32 +02:00");
  assert.equal(shown("9 March").shownTime(), "9 March");
  assert.deepEqual(["2026-03-09 08:18:32", "2026-03-09T08:18:32Z", "2026-03-09T08:18:32-05:00", "", "soon"].map((time) => shown(time).isZoneless), [true, false, false, false, false]);
});

test("findings are spread over time, those without one left out", () => {
  const store = filled({ label: "T1", event: { timestamp: "2026-03-09T00:00:00Z" } }, { label: "Benign", event: { timestamp: "2026-03-09T01:00:00Z" } }, { label: "T1", event: { timestamp: "2026-03-09T01:00:00Z" } }, { label: "T1" });
  const data = spread(store.findings, "time", 10);
  assert.deepEqual([data.placed, data.all[0], data.all[9], data.attack[9], data.lanes.get("T1").total], [3, 1, 2, 1, 2]);
  assert.equal(spread([], "time", 10), null);
  assert.equal(spread(store.findings.slice(3), "time", 10), null);
});
