// Windows over the page: help, token, download, choice of a technique; and the short messages at its foot.

import { by, count, h } from "./dom.js";
import { FORMATS } from "./export.js";
import { HELP } from "./keys.js";
import { clipped } from "./text.js";

/** Shows a dialog; resolves to what it was closed with, null where it was dismissed. */
function ask(dialog) {
  dialog.returnValue = "";
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "" ? null : dialog.returnValue);
    });
  });
}

function frame(title, ...content) {
  const dialog = h("dialog", { "aria-label": title });
  dialog.append(h("header", {}, h("h2", {}, title), h("button.icon", { type: "button", "aria-label": "Close", onclick: () => dialog.close() }, "✕")), ...content.filter(Boolean));
  // A click beside the window dismisses it.
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  return dialog;
}

export function help() {
  const groups = HELP.map(([title, keys]) => h("section", {}, h("h3", {}, title), h("dl", {}, keys.flatMap(([key, meaning]) => [h("dt", {}, key.split(" / ").flatMap((part, index) => [index > 0 ? " " : null, h("kbd", {}, part)])), h("dd", {}, meaning)]))));
  const words = h("section.wide", {}, h("h3", {}, "In the filter box"), h("p", {}, "Words must all occur; ", h("code", {}, '"a phrase"'), " keeps together, ", h("code", {}, "-word"), " leaves out. Fields: ", h("code", {}, "technique:T1003 tactic:discovery host:web-01 user:root image:cmd parent:winword file:audit attack:>0.99 score:>0.9 is:marked"), ". ", h("code", {}, "attack:"), " is the probability of an attack of any kind, ", h("code", {}, "score:"), " the label's own."));
  return ask(frame("Keys", h("div.help", {}, groups, words)));
}

/** Asks for a bearer token. */
export async function token(reason) {
  const field = h("input", { type: "password", autocomplete: "off", spellcheck: "false", id: "token-field", required: true, autofocus: true });
  const kept = h("input", { type: "checkbox", id: "token-keep" });
  const form = h("form", {}, h("label", { for: "token-field" }, "Bearer token"), field, h("label.check", {}, kept, "Keep it until this tab is closed"), h("footer", {}, h("button.primary", { type: "submit" }, "Continue")));
  const dialog = frame(reason === "" ? "This server asks for a token" : "This server asks for another token", h("p", {}, reason === "" ? "Whoever runs it can give you one." : clipped(`${reason.charAt(0).toUpperCase()}${reason.slice(1)}`, 300)), form);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (field.value.trim() !== "") dialog.close("given");
  });
  const answer = await ask(dialog);
  return answer === null ? null : { token: field.value.trim(), keep: kept.checked };
}

/** Asks which format, and of what; resolves to `{format, all}`. */
export async function download(shown, all) {
  const scope = (value, text, checked) => h("label.check", {}, h("input", { type: "radio", name: "scope", value, checked }), text);
  const scopes = shown === all ? null : h("div.scopes", { role: "radiogroup", "aria-label": "Findings" }, scope("shown", `The ${count(shown)} shown`, true), scope("all", `All ${count(all)}`, false));
  const dialog = frame(`Download ${count(shown)} findings`, scopes, h("div.formats", {}, FORMATS.map((format) => h("button", { type: "button", onclick: () => dialog.close(format.key) }, h("b", {}, format.title), h("span.muted", {}, format.note)))));
  const title = dialog.querySelector("h2");
  scopes?.addEventListener("change", () => (title.textContent = `Download ${count(whole() ? all : shown)} findings`));
  const whole = () => dialog.querySelector("input[value=all]")?.checked ?? false;
  const key = await ask(dialog);
  return key === null ? null : { format: FORMATS.find((format) => format.key === key), all: whole() };
}

export async function confirm(title, text, action) {
  const dialog = frame(title, h("p", {}, text), h("footer", {}, h("button", { type: "button", autofocus: true, onclick: () => dialog.close() }, "Keep"), h("button.primary", { type: "button", onclick: () => dialog.close("yes") }, action)));
  return (await ask(dialog)) === "yes";
}

/** So many matches are listed. */
const MOST_CHOICES = 60;

/** Asks for a technique: the runners-up first, then the model's labels, then all of ATT&CK. Resolves to its id or null. */
export async function chooseTechnique(finding, catalog) {
  const first = [...finding.top.map(({ label }) => label), ...catalog.modelLabels()].filter((label) => label !== "Benign");
  const ids = [...new Set([...first, ...[...catalog.techniques.keys()].sort()])].filter((label) => label !== finding.label);
  const options = ids.map((id) => ({ id, name: catalog.fullName(id), words: `${id} ${catalog.fullName(id)}`.toLowerCase() }));
  const field = h("input", { type: "search", placeholder: "T1003 or a word of its name", role: "combobox", "aria-expanded": "true", "aria-controls": "choices", "aria-label": "Technique", autocomplete: "off", spellcheck: "false", autofocus: true });
  const list = h("ul.choices", { role: "listbox", id: "choices", "aria-label": "Techniques" });
  const dialog = frame("Which technique is it?", h("p.muted.quoted", {}, clipped(finding.text, 160)), field, list);
  let matches = [];
  let active = 0;
  const draw = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    matches = options.filter((option) => words.every((word) => option.words.includes(word))).slice(0, MOST_CHOICES);
    active = Math.max(0, Math.min(active, matches.length - 1));
    list.replaceChildren(...matches.map((option, index) => h("li", { role: "option", id: `choice-${index}`, "aria-selected": index === active, onclick: () => dialog.close(option.id) }, h("b", {}, option.id), ` ${option.name}`)));
    if (matches.length === 0) list.append(h("li.muted", {}, "No technique has these words."));
    field.setAttribute("aria-activedescendant", matches.length > 0 ? `choice-${active}` : "");
    list.children[active]?.scrollIntoView({ block: "nearest" });
  };
  field.addEventListener("input", () => ((active = 0), draw()));
  field.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") active += event.key === "ArrowDown" ? 1 : -1;
    else if (event.key === "Enter" && matches[active]) dialog.close(matches[active].id);
    else return;
    event.preventDefault();
    draw();
  });
  draw();
  return ask(dialog);
}

/** A short message, with an action where one is given; gives what closes it. Errors stay until they are closed, `stays` until the next message. */
export function toast(text, { error = false, stays = error, action = null } = {}) {
  const message = h(`div.toast${error ? ".error" : ""}${error && action ? ".asks" : ""}`, { role: error ? "alert" : "status" }, h("span", {}, clipped(text, 600)));
  const close = () => message.remove();
  if (action) message.append(h("button.link", { type: "button", onclick: () => (close(), action.run()) }, action.title));
  message.append(h("button.icon", { type: "button", "aria-label": "Dismiss", onclick: close }, "✕"));
  // One message is enough, except for errors; what an error offers is never taken away.
  const toasts = by("toasts");
  const isSaid = (old) => !old.classList.contains("asks") && old.firstChild.textContent === message.firstChild.textContent;
  for (const old of [...toasts.children]) if (isSaid(old) || !old.classList.contains("error") || (toasts.children.length > 3 && !old.classList.contains("asks"))) old.remove();
  toasts.append(message);
  if (!stays) setTimeout(close, 6000);
  return close;
}
