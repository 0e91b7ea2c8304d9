// The console: puts the parts together, decides which view is shown, and redraws it when findings arrive.

import { Api } from "./client.js";
import { Catalog } from "./catalog.js";
import { Details } from "./details.js";
import * as dialogs from "./dialogs.js";
import { by, count, plural, throttle } from "./dom.js";
import { save, saveBlob } from "./export.js";
import { FilterBar, KINDS } from "./filterbar.js";
import { Intake } from "./intake.js";
import { Jobs } from "./jobs.js";
import { Keys } from "./keys.js";
import { Matrix } from "./matrix.js";
import { Reviews } from "./reviews.js";
import { MOST_FINDINGS, Store } from "./store.js";
import { barrenWords, Table } from "./table.js";
import { clipped } from "./text.js";
import * as theme from "./theme.js";
import { Timeline } from "./timeline.js";

const VIEWS = ["new", "findings", "matrix", "timeline", "marks"];
/** While findings arrive, the page is drawn at most so often (milliseconds). */
const REDRAW = 150;

theme.restore();
const store = new Store();
const catalog = new Catalog();
const api = new Api(dialogs.token);
const jobs = new Jobs(api, store);
const reviews = new Reviews(api, catalog, (finding) => {
  table.redraw(finding);
  if (details.finding === finding) details.show(finding);
  if (route().view === "marks") drawView();
});
const table = new Table(by("table"), store, catalog, { open: (finding) => openFinding(finding), select: (finding) => details.finding && openFinding(finding, true) });
const details = new Details(by("details"), catalog, reviews, {
  close: closeFinding, step: (by) => table.step(by), filter: (part) => choose(part), mark, undo: (finding) => undo(finding), copy: (text) => copy(text),
});
const bar = new FilterBar(store, catalog);
const matrix = new Matrix(by("view-matrix"), store, catalog, choose);
const timeline = new Timeline(by("view-timeline"), store, catalog, choose);
const intake = new Intake(jobs, catalog, { started, tell: dialogs.toast, open: () => go("new") });

// Views and the address: #/findings, #/findings/12 (a finding's page), #/matrix and so on.

function route() {
  const [, view, id] = location.hash.match(/^#\/(\w+)(?:\/(\d+))?$/) ?? [];
  return { view: VIEWS.includes(view) ? view : store.findings.length > 0 || jobs.current ? "findings" : "new", finding: store.findings[id] ?? null };
}

function go(view, id = null, replace = false) {
  const hash = `#/${view}${id === null ? "" : `/${id}`}`;
  if (location.hash === hash) return;
  history[replace ? "replaceState" : "pushState"](null, "", hash);
  showView();
}

let shownView = null;

function showView() {
  const { view, finding } = route();
  for (const name of VIEWS) by(`view-${name}`).hidden = name !== view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const closing = details.finding && (view !== "findings" || !finding);
  if (view === "findings" && finding) {
    details.show(finding);
    by("announce").textContent = finding.kind === "error" ? "not answered" : clipped(`${finding.kind}, ${finding.label} ${catalog.name(finding.label)}, attack ${finding.attack.toFixed(3)}, score ${finding.score.toFixed(3)}`, 200);
    document.body.classList.add("has-details");
  } else {
    details.hide();
    document.body.classList.remove("has-details");
  }
  if (view === "findings" && (closing || shownView !== view)) by("grid").focus({ preventScroll: true });
  if (view === "new" && shownView !== view) by("lines").focus();
  shownView = view;
  drawView();
}

function drawView() {
  const { view } = route();
  if (view === "findings") table.refresh(details.finding);
  else if (view === "matrix") matrix.draw();
  else if (view === "timeline") timeline.draw();
  else if (view === "marks") reviews.draw(by("view-marks"), { download: downloadTraining, filter: (label) => choose({ technique: label }) });
}

function openFinding(finding, replace = false) {
  go("findings", finding.id, replace || details.finding !== null);
}

function closeFinding() {
  if (details.finding) go("findings");
}

/** Filters and shows what is left; what was open is closed. */
function choose(part) {
  store.setFilter({ kind: "all", ...part });
  go("findings");
  by("grid").focus({ preventScroll: true });
}

// Models, techniques and marks are fetched once; again after a token was refused at first.

let loaded = false;

async function load() {
  await attempt(async () => {
    catalog.setModels(await api.json("/api/v1/models"));
    intake.models();
    catalog.setTechniques(await api.json("/api/v1/techniques"));
    loaded = true;
    await reviews.load();
  });
  if (details.finding) details.show(details.finding);
  drawView();
}

// Findings arrive.

const redraw = throttle(() => {
  if (store.stale) store.refresh();
  bar.counts();
  document.title = store.findings.length === 0 ? "attackline" : `${plural(store.counts.attack, "attack")} · attackline`;
  by("download").disabled = store.findings.length === 0;
  by("so-far").hidden = store.findings.length === 0;
  by("so-far-text").textContent = `What you add joins the ${plural(store.findings.length, "finding")} on this page.`;
  drawView();
}, REDRAW);
store.addEventListener("change", redraw);
store.addEventListener("order", () => table.reveal(details.finding));

jobs.addEventListener("progress", ({ detail: job }) => progress(job));
jobs.addEventListener("end", ({ detail: job }) => {
  by("progress").hidden = jobs.queue.length === 0;
  if (!loaded && job.done > 0) load();
  redraw();
  const rate = job.seconds > 0.5 ? ` (${count(Math.round(job.done / job.seconds))} lines/s)` : "";
  const name = clipped(job.name, 80);
  if (job.state === "done") {
    const text = `${name}: ${plural(job.done, "line")} answered${job.seconds >= 0.1 ? ` in ${job.seconds.toFixed(1)} s` : ""}${rate}`;
    by("announce").textContent = text;
    if (job.done === 0) table.barren.push(job.name);
    const barren = table.barren.length > 0 ? barrenWords(table.barren) : "";
    dialogs.toast([job.done > 0 && text, barren].filter(Boolean).join(". "), { stays: barren !== "" });
  } else if (job.state === "cancelled") unfinished(job, `${name}: cancelled after ${plural(job.done, "line")}; what had come is kept.`);
  else if (job.state === "full") unfinished(job, `This page holds no more than ${count(MOST_FINDINGS)} findings. For more, run attackline classify.`);
  else unfinished(job, `${name}: ${job.error.message}${job.done > 0 ? ` ${plural(job.done, "line")} had been answered and ${job.done === 1 ? "is" : "are"} kept.` : ""}`);
});

/** Something is on its way. */
function started() {
  table.barren = [];
  go("findings");
}

/** Says why a job ended early. What was not answered is put back into the box, or offered to be sent again. */
function unfinished(job, reason) {
  const lines = job.left.filter((other) => other.lines);
  const left = job.state === "failed" ? job.left : lines;
  const isBack = intake.putBack(lines);
  if (isBack && job.done === 0 && route().view === "findings") go("new", null, true);
  const action = left.length > 0 && (job.state === "failed" || !isBack) ? { title: "Retry", run: () => intake.again(left) } : null;
  const close = dialogs.toast([reason, leftWords(lines, isBack, left.length - lines.length)].filter(Boolean).join(" "), { error: job.state !== "cancelled" || action !== null, action });
  if (left.length === lines.length) for (const other of lines) other.dismiss = close;
}

/** What became of lines and files that were not answered, in words. */
function leftWords(lines, isBack, files) {
  const number = lines.reduce((sum, job) => sum + job.lines.length - job.done, 0);
  const said = number === 1 ? "The line without an answer" : `The ${count(number)} lines without an answer`;
  const place = isBack ? `${number === 1 ? "stands" : "stand"} in the box again.` : "can be sent again.";
  return [number > 0 && `${said} ${place}`, files > 1 && `${count(files)} files can be sent again.`].filter(Boolean).join(" ");
}

let progressDue = 0;

function progress(job) {
  const now = performance.now();
  if (job.done > 0 && now < progressDue) return;
  progressDue = now + REDRAW;
  by("progress").hidden = false;
  const meter = by("progress-bar");
  if (job.total === null) meter.removeAttribute("value");
  else {
    meter.max = job.total;
    meter.value = job.done;
  }
  const waiting = jobs.queue.length > 0 ? `, ${plural(jobs.queue.length, "more file")}` : "";
  const seconds = (now - job.started) / 1000;
  const rate = seconds > 0.5 && job.done > 0 ? ` · ${count(Math.round(job.done / seconds))}/s` : "";
  by("progress-text").textContent = job.waits > 0 ? `the server is busy; trying again in ${job.waits} s` : `${count(job.done)}${job.total === null ? "" : ` of ${count(job.total)}`}${rate}${waiting}`;
}

// Marks.

async function mark(verdict) {
  const finding = details.finding ?? table.selected;
  if (!finding || finding.kind === "error") return;
  if (!catalog.feedback) return dialogs.toast("This server keeps no marks.");
  // A benign line that is benign was judged right.
  const said = verdict === "benign" && finding.kind === "benign" ? "right" : verdict;
  const correct = said === "wrong" ? await dialogs.chooseTechnique(finding, catalog) : "";
  if (correct === null) return;
  const before = finding.mark;
  await attempt(async () => {
    if (!(await reviews.mark(finding, said, correct))) return;
    dialogs.toast(`Line ${finding.line ?? "?"} marked ${said}${correct ? `: it is ${correct}` : ""}`, { action: { title: "Undo (u)", run: () => undo(finding) } });
  }, ({ status }) => (finding.mark === before ? `Mark of line ${finding.line ?? "?"}${status > 0 ? "" : ", which may not have been kept"}: ` : ""));
}

async function undo(finding) {
  await attempt(async () => {
    const undone = await reviews.undo(finding);
    dialogs.toast(undone ? `Mark of line ${undone.line ?? "?"} taken back` : "There is no mark to take back.");
  });
}

/** Says what went wrong, after what that means. */
async function attempt(task, meaning = () => "") {
  try {
    await task();
  } catch (error) {
    dialogs.toast(`${meaning(error)}${error.message}`, { error: true });
  }
}

const downloadTraining = () => attempt(async () => saveBlob(await (await api.request("/api/v1/feedback")).blob(), "attackline-feedback.ndjson"));

// The rest of what buttons and keys do.

async function download() {
  if (store.findings.length === 0) return;
  const answer = await dialogs.download(store.shown.length, store.findings.length);
  if (answer === null) return;
  const { format, all } = answer;
  const findings = all ? store.findings : store.shown;
  const now = new Date().toISOString();
  const description = `${plural(findings.length, "finding")} of ${plural(store.findings.length, "line")}, ${now.slice(0, 16).replace("T", " ")} UTC`;
  save(format.write(findings, { catalog, description }), `attackline-${now.slice(0, 19).replaceAll(":", "")}.${format.ending}`, format.type);
  const omitted = format.omitsErrors ? findings.filter((finding) => finding.kind === "error").length : 0;
  if (omitted > 0) dialogs.toast(`${plural(omitted, "line")} without an answer ${omitted === 1 ? "is" : "are"} not in the ${format.title}; NDJSON and HTML have ${omitted === 1 ? "it" : "them"}, with the reason.`, { stays: true });
}

async function copy(text) {
  await attempt(async () => {
    await navigator.clipboard.writeText(text);
    dialogs.toast("Text copied");
  });
}

async function clear() {
  if (store.findings.length === 0) return;
  if (!(await dialogs.confirm("Start over?", `${plural(store.findings.length, "finding")} will leave this page. Marks stay with the server.`, "Start over"))) return;
  jobs.cancel();
  table.barren = [];
  reviews.forget();
  store.clear();
  store.clearFilter();
  go("new");
}

function escape() {
  if (document.activeElement === by("query")) by("grid").focus();
  else closeFinding();
}

const inFindings = (run) => () => (route().view === "findings" ? run() : undefined);
const moves = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 };
const sort = (key) => {
  store.setSort(key);
  by("announce").textContent = `sorted by ${key}, ${store.sort.descending ? "descending" : "ascending"}`;
};
const sortNext = () => {
  const keys = store.sortKeys;
  sort(keys[(keys.indexOf(store.sort.key) + 1) % keys.length]);
};
const search = () => {
  go("findings");
  by("query").focus();
  by("query").select();
};
new Keys({
  ...Object.fromEntries(Object.entries(moves).map(([key, by]) => [key, inFindings(() => table.step(by))])),
  PageDown: inFindings(() => table.step(table.page)), PageUp: inFindings(() => table.step(-table.page)),
  Home: inFindings(() => table.move(0)), End: inFindings(() => table.move(store.rows.length - 1)),
  ArrowLeft: inFindings(() => table.fold(false)), ArrowRight: inFindings(() => table.fold(true)),
  Enter: inFindings(() => table.openActive()), Escape: escape,
  y: inFindings(() => mark("right")), w: inFindings(() => mark("wrong")), b: inFindings(() => mark("benign")), u: () => undo(),
  c: inFindings(() => (details.finding ?? table.selected) && copy((details.finding ?? table.selected).text)),
  "/": search, x: () => store.clearFilter(), s: inFindings(sortNext), S: inFindings(() => sort(store.sort.key)),
  ...Object.fromEntries(KINDS.map(([kind], index) => [String(index + 1), inFindings(() => store.setFilter({ kind }))])),
  "g f": () => go("findings"), "g m": () => go("matrix"), "g t": () => go("timeline"), "g r": () => go("marks"),
  n: () => go("new"), d: download, l: theme.toggle, "?": dialogs.help,
});
by("add").addEventListener("click", () => go("new"));
by("download").addEventListener("click", download);
by("theme").addEventListener("click", theme.toggle);
by("help").addEventListener("click", dialogs.help);
by("cancel").addEventListener("click", () => jobs.cancel());
by("clear").addEventListener("click", clear);
addEventListener("popstate", showView);
matchMedia("(max-width: 760px)").addEventListener("change", () => table.refresh(details.finding));

bar.draw();
bar.counts();
showView();
await load();
