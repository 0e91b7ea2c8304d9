// Elements without markup: whatever is said here, text only ever becomes a text node.

/**
 * Makes an element: `h("button.primary", { onclick }, "Save")`. Names that begin with `on` are listeners; true and false set and
 * leave out an attribute, but are said in words by those of ARIA. Children are nodes or strings.
 */
export function h(spec, attributes = {}, ...children) {
  const [name, ...classes] = spec.split(".");
  const element = document.createElement(name);
  if (classes.length > 0) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key.startsWith("aria-")) value !== undefined && element.setAttribute(key, value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== undefined && value !== null) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** The same for SVG. */
export function s(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== null) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/** The element with this id. */
export const by = (id) => document.getElementById(id);

/** A link to another site that learns nothing of this page; what is no https address is shown as text alone. */
export function outside(url, ...children) {
  if (typeof url !== "string" || !url.startsWith("https://")) return h("span", {}, ...children);
  return h("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, ...children);
}

const plainNumber = new Intl.NumberFormat("en-US");

/** 12,345 */
export const count = (value) => plainNumber.format(value);

/** "1 finding", "2 findings" */
export const plural = (value, word) => `${count(value)} ${word}${value === 1 ? "" : "s"}`;

/** Runs `task` at most once in `wait` milliseconds, the last call always. */
export function throttle(task, wait) {
  let timer = 0;
  let last = 0;
  return () => {
    if (timer) return;
    timer = setTimeout(() => {
      timer = 0;
      last = performance.now();
      task();
    }, Math.max(0, wait - (performance.now() - last)));
  };
}
