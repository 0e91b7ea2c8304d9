// Keys, where no text is being written: single ones, and two in a row that begin with g.

/** How long a g waits for its second key, in milliseconds. */
const PATIENCE = 1200;

/** What the keys do, as the help shows it. */
export const HELP = [
  ["Findings", [["j / ↓", "next"], ["k / ↑", "previous"], ["PgDn / PgUp", "a page on, back"], ["Home / End", "first, last"], ["Enter", "open the finding, or a group"], ["← / →", "close, open a group"], ["Esc", "close the finding"], ["c", "copy its text"]]],
  ["Marks", [["y", "right"], ["w", "wrong: choose the technique"], ["b", "benign"], ["u", "take the last mark back"]]],
  ["Filter", [["/", "filter box"], ["1 – 5", "all, attacks, abstained, benign, not answered"], ["x", "clear the filter"], ["s / S", "sort by the next column, turn the order round"]]],
  ["Go to", [["g f", "findings"], ["g m", "ATT&CK matrix"], ["g t", "timeline"], ["g r", "marks"], ["n", "add lines or files"]]],
  ["More", [["d", "download"], ["l", "light or dark"], ["?", "this help"]]],
];

export class Keys {
  /** `bindings`: a key, or "g m", to what it does. */
  constructor(bindings) {
    this.bindings = bindings;
    this.pending = -Infinity;
    document.addEventListener("keydown", (event) => this.#press(event));
  }

  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]")) return;
    const { target } = event;
    const writes = target.closest?.("input:not([type=radio], [type=checkbox], [type=range]), textarea, select");
    if (writes && event.key !== "Escape") return;
    // What has the focus has its own use for these.
    if (["Enter", " "].includes(event.key) && target.closest?.("button, a, summary")) return;
    if (/^(Arrow|Page|Home|End)/.test(event.key) && target.closest?.("input, pre, .matrix, svg")) return;
    const after = performance.now() - this.pending < PATIENCE;
    this.pending = -Infinity;
    const run = this.bindings[after ? `g ${event.key}` : event.key];
    if (!after && event.key === "g") this.pending = performance.now();
    if (!run) return;
    event.preventDefault();
    run(event);
  }
}
