// What the chapters' explorers share in the browser: a card of panels, native controls, things to drag, and numbers that
// read as Python writes them.
//
// A page that is opened from the file system may import nothing, so dmlbook/book/web.py puts this text in the place of
// the line that imports it. Colors, ranges and names come from Python, as data.

const NS = "http://www.w3.org/2000/svg";
const INK = "#1a1a1a";
const FOCUS = "#1a5fb4";
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

const STYLE = `
.dmlx { width: 100%; color: ${INK}; background: #fff; color-scheme: light; font: 15px/1.45 system-ui, sans-serif; padding: 12px 14px; max-width: 960px; box-sizing: border-box; border: 1px solid #e6e6e6; border-radius: 6px; }
.dmlx * { box-sizing: border-box; }
.dmlx-bar { display: flex; flex-wrap: wrap; gap: 8px 20px; align-items: center; margin-bottom: 10px; }
.dmlx-buttons { display: flex; flex-wrap: wrap; gap: 8px 10px; }
.dmlx-bar label { display: inline-flex; flex-wrap: wrap; gap: 2px 10px; align-items: center; margin: 0; }
.dmlx-bar :is(button, .dmlx-word) { font: inherit; color: inherit; background: #fff; border: 1px solid #8f8f8f; border-radius: 4px; padding: 3px 10px; margin: 0; cursor: pointer; }
.dmlx-bar :is(button, .dmlx-word):hover { background: #f2f2f2; }
.dmlx-bar .dmlx-range { width: 180px; margin: 0; accent-color: #444; cursor: pointer; }
.dmlx-bar output { min-width: var(--longest); font-variant-numeric: tabular-nums; } /* nothing beside it shifts */
.dmlx-choice { display: flex; flex-wrap: wrap; gap: 4px 10px; align-items: center; min-width: 0; border: 0; margin: 0; padding: 0; }
.dmlx-choice legend { float: left; padding: 0; } /* else it is no part of the row */
.dmlx-options { display: flex; flex-wrap: wrap; gap: 4px; min-width: 0; }
.dmlx-bar .dmlx-option { position: relative; }
.dmlx-option input { position: absolute; inset: 0; width: 100%; height: 100%; opacity: 0; margin: 0; cursor: pointer; }
.dmlx-bar .dmlx-word { border-radius: 15px; }
.dmlx-bar .dmlx-option input:checked + .dmlx-word { color: #fff; background: #444; border-color: #444; }
.dmlx :is(input, button):focus-visible, .dmlx-option input:focus-visible + .dmlx-word { outline: 3px solid ${FOCUS}; outline-offset: 1px; }
.dmlx-picture { display: block; max-width: 100%; height: auto; margin: 0 auto; }
.dmlx-controls, .dmlx-panels { container-type: inline-size; }
@container (max-width: 560px) {
  .dmlx-bar { display: grid; grid-template-columns: fit-content(9em) minmax(150px, 1fr) fit-content(9em); gap: 8px 12px; }
  .dmlx-bar .dmlx-control { display: contents; }
  .dmlx-bar .dmlx-range { width: 100%; }
  .dmlx-bar .dmlx-control output { min-width: 0; }
  .dmlx-bar .dmlx-wordy > :not(.dmlx-name) { grid-column: 2 / -1; }
  .dmlx-bar .dmlx-wordy output { margin-top: -10px; }
  .dmlx-choice { grid-column: 1 / -1; }
  .dmlx-buttons { grid-column: 1 / -1; }
}
.dmlx-pair { display: flex; flex-wrap: wrap; gap: 12px 22px; align-items: flex-start; }
.dmlx-left { flex: 1 1 280px; min-width: 0; max-width: 400px; }
.dmlx-right { flex: 1.3 1 320px; min-width: 0; display: flex; flex-wrap: wrap; gap: 10px 16px; }
.dmlx-panel { flex: 1 1 100%; min-width: 0; margin: 0; }
.dmlx-half { flex: 1 1 130px; }
.dmlx-title { font-weight: 600; margin: 0 0 2px; }
.dmlx-hint { max-width: none; margin: 0 0 8px; color: #555; }
.dmlx svg { display: block; max-width: none; width: 100%; height: auto; overflow: visible; font: 15px system-ui, sans-serif; user-select: none; -webkit-user-select: none; }
.dmlx svg text { fill: ${INK}; stroke: #fff; stroke-width: 3px; stroke-linejoin: round; paint-order: stroke; }
@container (min-width: 800px) { .dmlx svg { font-size: 12.5px; } }
@container (max-width: 400px) { .dmlx svg { font-size: 16px; } }
.dmlx-handle { cursor: grab; touch-action: none; outline: none; }
.dmlx-handle:active { cursor: grabbing; }
.dmlx-halo { fill: transparent; stroke: none; }
.dmlx-handle:hover .dmlx-halo { stroke: #8f8f8f; stroke-width: 1.5; }
.dmlx-handle:focus-visible .dmlx-halo { stroke: ${FOCUS}; stroke-width: 3; }
.dmlx-caption { max-width: none; margin: 10px 0 0; min-height: 2.9em; font-variant-numeric: tabular-nums; }
.dmlx-help { max-width: none; margin: 6px 0 0; color: #555; font-size: 13px; }
`;

/** A number as Python's format "z.2f" writes it: a tie goes to the even digit, and a zero has no sign. */
export function fixed(value, digits) {
  const [size, halves] = [Math.abs(value), Math.abs(value) * 2 ** (digits + 1)];
  const tie = Number.isInteger(halves) && halves % 2 === 1; // only such numbers lie exactly between two decimals
  const said = (tie ? (2 * Math.round((size * 10 ** digits) / 2)) / 10 ** digits : size).toFixed(digits);
  return value < 0 && Number(said) !== 0 ? `-${said}` : said;
}

/** The same with its sign, as "+z.2f" writes it. */
export function signed(value, digits) {
  const said = fixed(value, digits);
  return said.startsWith("-") ? said : `+${said}`;
}

export function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}

/** exp of each, divided by their sum. */
export function softmax(values) {
  const top = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - top));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

export function logsumexp(values) {
  const top = Math.max(...values);
  return top + Math.log(values.reduce((sum, value) => sum + Math.exp(value - top), 0));
}

export function put(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

/** An element of SVG. */
export function draw(tag, attributes, parent, text = "") {
  const made = put(document.createElementNS(NS, tag), attributes);
  made.textContent = text;
  parent.append(made);
  return made;
}

function element(tag, style, parent, text = "") {
  const made = document.createElement(tag);
  [made.className, made.textContent] = [`dmlx-${style}`, text];
  made.dataset.lmSuppressShortcuts = ""; // JupyterLab would take the arrow keys and Enter for its cells
  parent.append(made);
  return made;
}

/** An empty explorer: a bar for controls, what is dragged left, what follows right, and its caption. */
export function card(el, hint, help) {
  const root = element("div", "card", el);
  root.classList.add("dmlx");
  element("style", "", root, STYLE);
  const bar = element("div", "bar", element("div", "controls", root));
  if (hint) element("p", "hint", root, hint);
  const pair = element("div", "pair", element("div", "panels", root));
  const [left, right] = [element("div", "left", pair), element("div", "right", pair)];
  const caption = element("p", "caption", root);
  caption.setAttribute("aria-live", "polite");
  element("p", "help", root, help);
  return { bar, pair, left, right, caption };
}

/** A slider, or a row of buttons, made of what Python's control is. Returns a function that shows another value. */
export function control(bar, spec, value, act) {
  return (spec.buttons ? choice : slider)(bar, spec, value, act);
}

function choice(bar, { label, options }, value, act) {
  const box = element("fieldset", "choice", bar);
  element("legend", "name", box, label);
  const name = `dmlx-${Math.random()}`; // a group of its own: arrow keys go around in it
  const row = element("div", "options", box);
  const all = options.map(([word, option]) => {
    const place = element("label", "option", row);
    const input = put(element("input", "radio", place), { type: "radio", name });
    element("span", "word", place, word);
    input.addEventListener("change", () => act(option));
    return input;
  });
  const show = (now) => options.forEach(([, option], n) => (all[n].checked = option === now));
  show(value);
  return show;
}

function slider(bar, { label, options, min, max, step }, value, act) {
  const place = element("label", "control", bar);
  element("span", "name", place, label);
  const ends = options ? { min: 0, max: options.length - 1 } : { min, max, step };
  const node = put(element("input", "range", place), { type: "range", "aria-label": label, ...ends });
  const shown = element("output", "value", place);
  const digits = String(step ?? "").split(".")[1]?.length ?? 0;
  const words = (now) => (options ? options.find(([, each]) => each === now)[0] : fixed(now, digits));
  const longest = Math.max(...(options ?? [[0, min], [0, max]]).map(([, each]) => words(each).length));
  shown.style.setProperty("--longest", `${longest}ch`);
  if (longest > 8) place.classList.add("dmlx-wordy");
  const show = (now) => {
    node.value = options ? options.findIndex(([, each]) => each === now) : now;
    shown.textContent = words(now);
    node.setAttribute("aria-valuetext", words(now));
  };
  node.addEventListener("input", () => {
    const now = options ? options[node.value][1] : Number(node.value);
    show(now);
    act(now);
  });
  show(value);
  return show;
}

export function buttons(bar, names, acts) {
  if (!names.length) return;
  const group = element("div", "buttons", bar);
  names.forEach((name, n) => {
    const node = element("button", "button", group, name);
    node.type = "button";
    node.addEventListener("click", acts[n]);
  });
}

/** A titled panel whose plane goes from x[0] to x[1] and from y[0] to y[1], inside margins [left, top, right, bottom]. */
export function panel(parent, title, { size: [width, height], x, y, margins = [0, 0, 0, 0], log = false, style = "", still = true }) {
  const figure = element("div", `panel ${style && `dmlx-${style}`}`, parent);
  const heading = element("div", "title", figure);
  heading.append(...[title].flat());
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}` }, figure);
  put(svg, still ? { "aria-hidden": "true" } : { role: "group" }); // what stands still is told by the caption
  const [left, top, right, bottom] = margins;
  const along = log ? Math.log : (value) => value;
  const across = (width - left - right) / (along(x[1]) - along(x[0]));
  const up = (height - top - bottom) / (y[1] - y[0]);
  const [toX, toY] = [(value) => left + (along(value) - along(x[0])) * across, (value) => height - bottom - (value - y[0]) * up];
  return {
    heading,
    svg,
    x: toX,
    y: toY,
    /** "x,y x,y ..." of places in the plane. */
    line: (points) => points.map(([a, b]) => `${toX(a).toFixed(2)},${toY(b).toFixed(2)}`).join(" "),
    /** Where in the plane an event of the pointer is. */
    under: (event) => {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      return [(at.x - left) / across + x[0], (height - bottom - at.y) / up + y[0]];
    },
    /** Ticks with their words below, or left of, a line. */
    axes: (below, beside, grey) => {
      const [floor, wall] = [height - bottom, left];
      draw("path", { d: `M${wall},${top}V${floor}H${width - right}`, fill: "none", stroke: grey }, svg);
      for (const [value, word] of below) draw("text", { x: toX(value), y: floor + 18, "text-anchor": "middle" }, svg, word);
      for (const [value, word] of beside) draw("text", { x: wall - 7, y: toY(value) + 5, "text-anchor": "end" }, svg, word);
    },
  };
}

/** A word with an italic letter and a number below it, as in "w0". */
export function subscript(svg, attributes, letter, number) {
  const text = draw("text", { "text-anchor": "middle", ...attributes }, svg);
  draw("tspan", { "font-style": "italic" }, text, letter);
  draw("tspan", { dy: 4, "font-size": 10 }, text, number);
}

/** Paths of the book's markers around the origin: circle sample, X center, + centroid. */
export const MARKS = {
  circle: (r) => `M${-r},0a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0z`,
  center: (r) => barred(r, Math.PI / 4),
  centroid: (r) => barred(r, 0),
};

function barred(r, turn) {
  const [long, thin] = [r, 0.36 * r];
  const corners = [];
  for (let arm = 0; arm < 4; arm++)
    for (const [a, b] of [[thin, thin], [long, thin], [long, -thin]]) {
      const way = turn - (arm * Math.PI) / 2;
      corners.push(`${(a * Math.cos(way) - b * Math.sin(way)).toFixed(2)},${(a * Math.sin(way) + b * Math.cos(way)).toFixed(2)}`);
    }
  return `M${corners.join("L")}z`;
}

/** A mark that is dragged by the pointer, and moved by the arrow keys when it has the focus.
 *
 * `drag` is told where in the plane the pointer is; `push` the arrow's direction, and whether Shift asks for a small step.
 * Returns a function that puts the mark at a place of the plane and says its value, in a number and in words.
 */
export function handle(plane, shape, { name, color, edge = "#fff", low, high, drag, push, chosen = () => {} }) {
  const mark = draw("g", { class: "dmlx-handle", tabindex: 0, role: "slider", "data-lm-suppress-shortcuts": "" }, plane.svg);
  put(mark, { "aria-label": name, "aria-valuemin": low, "aria-valuemax": high });
  draw("title", {}, mark, name);
  draw("circle", { class: "dmlx-halo", r: 17 }, mark);
  const body = draw("path", { d: shape, fill: color, stroke: edge, "stroke-width": 1.3 }, mark);
  mark.addEventListener("focus", chosen);
  mark.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false }); // a page would scroll
  mark.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    mark.setPointerCapture(event.pointerId);
    mark.focus();
    event.preventDefault();
  });
  mark.addEventListener("pointermove", (event) => {
    if (mark.hasPointerCapture(event.pointerId)) drag(...plane.under(event));
  });
  mark.addEventListener("keydown", (event) => {
    if (!ARROWS[event.key]) return;
    event.preventDefault();
    push(...ARROWS[event.key], event.shiftKey);
  });
  return ([x, y], value, words, fill = color) => {
    put(mark, { transform: `translate(${plane.x(x).toFixed(2)},${plane.y(y).toFixed(2)})`, "aria-valuenow": value, "aria-valuetext": words });
    body.setAttribute("fill", fill);
  };
}

export function onCircle(degrees, length = 1) {
  const way = (degrees * Math.PI) / 180;
  return [length * Math.cos(way), length * Math.sin(way)];
}

/** The same angle in [-180, 180). */
export function turned(degrees) {
  return ((((degrees + 180) % 360) + 360) % 360) - 180;
}

/** `handle` for what stands on a circle around the origin: it is told, and tells, whole degrees. */
export function turning(plane, shape, { length = 1, from, to, chosen, ...rest }) {
  const whole = (degrees) => turned(Math.round(degrees));
  const place = handle(plane, shape, {
    ...rest,
    low: -180,
    high: 180,
    chosen,
    drag: (x, y) => to(whole((Math.atan2(y, x) * 180) / Math.PI)),
    push: (dx, dy, little) => to(whole(from() + (dx + dy) * (little ? 1 : 5))),
  });
  return (degrees, fill) => place(onCircle(degrees, length), Math.round(degrees), `${Math.round(degrees)} degrees`, fill);
}
