// Chapter 03 in the browser: drag images and centers around the circle, and see what SoftTriple does.
//
// The same arithmetic, panels and words as explorer.py, which feeds it; a browser test compares the two.

import { MARKS, buttons, card, clamp, control, draw, fixed, logsumexp, onCircle, panel, put, signed, softmax, turned, turning } from "../../book/kit.js";

const DEGREE = Math.PI / 180;

/** What the reader moves, as it is at first: angles in degrees, and how many random starts were drawn. */
export function start(data) {
  const { gamma, margin } = data.controls;
  const values = (names) => names.map((name) => data.controls[name].value);
  return { images: values(data.images), centers: values(data.centers), gamma: gamma.value, margin: margin.value, draws: 0 };
}

/** SoftTriple's similarity of a direction to a class, and its slope in the cosine to each of the class's centers. */
export function similarity(cosines, gamma) {
  const weights = softmax(cosines.map((cosine) => cosine / gamma));
  const value = weights.reduce((sum, weight, k) => sum + weight * cosines[k], 0);
  return { value, slopes: weights.map((weight, k) => weight * (1 + (cosines[k] - value) / gamma)) };
}

function byClass(values, data) {
  const each = values.length / data.colors.length;
  return data.colors.map((_, c) => values.slice(c * each, (c + 1) * each));
}

/** The similarity of a direction, in degrees, to every class. */
function similarities(degrees, state, data) {
  const cosines = state.centers.map((center) => Math.cos((degrees - center) * DEGREE));
  return byClass(cosines, data).map((of) => similarity(of, state.gamma));
}

/** All numbers of the panels and the caption. */
export function compute(state, data) {
  const values = (degrees) => similarities(degrees, state, data).map((each) => each.value);
  const count = state.images.length;
  const slopes = state.centers.map(() => 0);
  let loss = 0;
  const own = state.images.map((degrees, n) => {
    const found = similarities(degrees, state, data);
    const logits = found.map((each, c) => data.scale * (each.value - (c === data.labels[n] ? state.margin : 0)));
    loss += (logsumexp(logits) - logits[data.labels[n]]) / count;
    const wrong = softmax(logits).map((share, c) => share - (c === data.labels[n]));
    const through = found.flatMap((each, c) => each.slopes.map((slope) => wrong[c] * slope));
    state.centers.forEach((center, m) => (slopes[m] += (data.scale * through[m] * Math.sin((degrees - center) * DEGREE)) / count));
    return found.map((each) => each.value);
  });
  const wins = own.map((both, n) => both[data.labels[n]] - both[1 - data.labels[n]]);
  return {
    loss,
    slopes, // of the loss in each center's angle, in radians
    turns: slopes.map((slope) => clamp(-data.longest * slope, -data.longest, data.longest)),
    own,
    wins,
    goals: own.map((both, n) => both[1 - data.labels[n]] + state.margin),
    right: wins.filter((win) => win > data.tie).length,
    curves: data.across.map(values),
    ring: data.around.map(values),
  };
}

/** Turn the centers down the gradient, `count` times. */
export function step(state, data, count) {
  let centers = state.centers;
  for (let n = 0; n < count; n++) {
    const { slopes } = compute({ ...state, centers }, { ...data, across: [], around: [] });
    centers = centers.map((center, m) => center + clamp((-data.rate * slopes[m]) / DEGREE, -data.most, data.most));
  }
  return { ...state, centers: centers.map(turned) };
}

/** The picture in words. */
export function say(state, data, found = compute(state, data)) {
  const each = data.names.map((name, n) => `${name} ${signed(found.wins[n], 2)}`).join(", ");
  return (
    `Mean loss ${fixed(found.loss, 3)} at gamma ${state.gamma} and margin ${fixed(state.margin, 2)}. Wins: ${each}. ` +
    `${found.right} of ${found.wins.length} images are on their class's side.`
  );
}

const winner = (values) => values.indexOf(Math.max(...values));

/** The color of the class that wins, paler the less it wins. */
export function shade(values, data) {
  const best = winner(values);
  const win = Math.min(values[best] - values[1 - best], data.shades.full) / data.shades.full;
  const strength = data.shades.least + (data.shades.most - data.shades.least) * win;
  const hue = [1, 3, 5].map((at) => parseInt(data.colors[best].slice(at, at + 2), 16));
  return hue.map((channel) => 1 - strength * (1 - channel / 255));
}

/** An arrow along the circle, out of a center; short ones vanish. */
function arrow(plane, degrees, turn, length) {
  if (Math.abs(turn) < 0.5) return "";
  const ways = Array.from({ length: 16 }, (_, n) => onCircle(degrees + (turn * n) / 15, length));
  const back = degrees + turn - Math.sign(turn) * Math.min(7, Math.abs(turn));
  const end = onCircle(degrees + turn, length);
  return plane.line([...ways, onCircle(back, length + 0.055), end, onCircle(back, length - 0.055)]);
}

/** The circle: returns a function that draws it. `moved` is told what is dragged. */
function circle(parent, state, data, moved) {
  const plane = panel(parent, "The ring shows who wins", { size: [340, 340], x: [-1.36, 1.36], y: [-1.36, 1.36], still: false });
  const half = 180 / data.around.length;
  const [inside, rim] = data.rim;
  const ring = data.around.map((degrees) => {
    const corners = [[-half, inside], [-half, rim], [half, rim], [half, inside]];
    return draw("polygon", { "stroke-width": 0.6, points: plane.line(corners.map(([off, r]) => onCircle(degrees + off, r))) }, plane.svg);
  });
  const edges = data.around.map((degrees) => {
    const ends = [-half, half].map((off) => onCircle(degrees + off, inside));
    return draw("polyline", { fill: "none", "stroke-width": 3.5, points: plane.line(ends) }, plane.svg);
  });
  draw("circle", { cx: 170, cy: 170, r: plane.x(1) - plane.x(0), fill: "none", stroke: data.greys.pale }, plane.svg);
  const color = (n, all) => data.colors[Math.floor((n * data.colors.length) / all.length)];
  const spokes = state.centers.map((_, m) => draw("line", { x1: 170, y1: 170, stroke: color(m, state.centers), "stroke-opacity": 0.5 }, plane.svg));
  const set = (name, n, degrees) => moved({ [name]: state[name].map((each, m) => (m === n ? degrees : each)) });
  const handles = (name, shape, length) =>
    state[name].map((_, n) =>
      turning(plane, shape, {
        name: data.controls[data[name][n]].label,
        color: color(n, state[name]),
        length,
        from: () => state[name][n],
        to: (degrees) => set(name, n, degrees),
      }),
    );
  const images = handles("images", MARKS.circle(7.5), 1);
  const centers = handles("centers", MARKS.center(10), data.radius);
  const line = { fill: "none", stroke: "black", "stroke-width": 2, "stroke-linejoin": "round", "pointer-events": "none" };
  const arrows = state.centers.map(() => draw("polyline", line, plane.svg));
  return (found) => {
    ring.forEach((piece, n) => {
      const paint = `rgb(${shade(found.ring[n], data).map((channel) => Math.round(255 * channel))})`;
      put(piece, { fill: paint, stroke: paint });
      put(edges[n], { stroke: data.colors[winner(found.ring[n])] });
    });
    state.images.forEach((degrees, n) => images[n](degrees));
    state.centers.forEach((degrees, m) => {
      const [x, y] = onCircle(degrees, data.radius);
      put(spokes[m], { x2: plane.x(x), y2: plane.y(y) });
      put(arrows[m], { points: arrow(plane, degrees, found.turns[m], data.radius + 0.12) });
      centers[m](degrees);
    });
  };
}

/** The similarity to both classes in every direction; returns a function that draws it. */
function curves(parent, state, data) {
  const plane = panel(parent, "", { size: [440, 330], x: [-180, 180], y: [-1.08, 1.12], margins: [28, 10, 16, 44] });
  const words = (values) => values.map((value) => [value, String(value).replace("-", "\u2212")]);
  plane.axes(words([-180, -90, 0, 90, 180]), words([-1, 0, 1]), data.greys.pale);
  draw("text", { x: plane.x(0), y: 326, "text-anchor": "middle" }, plane.svg, "direction in degrees");
  const black = { stroke: "black", "stroke-width": 2.2 };
  const bars = state.images.map(() => draw("line", black, plane.svg));
  const lines = data.colors.map((color) => draw("polyline", { fill: "none", stroke: color, "stroke-width": 2.4 }, plane.svg));
  const goals = state.images.map(() => draw("line", black, plane.svg));
  const dots = data.labels.map((label) => draw("circle", { r: 6.5, fill: data.colors[label], stroke: "#fff", "stroke-width": 1.3 }, plane.svg));
  return (found) => {
    plane.heading.textContent = `Similarity to each class, gamma ${state.gamma}`;
    lines.forEach((line, c) => put(line, { points: plane.line(data.across.map((degrees, n) => [degrees, found.curves[n][c]])) }));
    state.images.forEach((degrees, n) => {
      const [x, [low, high]] = [plane.x(degrees), found.own[n]];
      put(bars[n], { x1: x, x2: x, y1: plane.y(low), y2: plane.y(high) });
      put(goals[n], { x1: plane.x(degrees - 9), x2: plane.x(degrees + 9), y1: plane.y(found.goals[n]), y2: plane.y(found.goals[n]) });
      put(dots[n], { cx: x, cy: plane.y(found.own[n][data.labels[n]]) });
    });
  };
}

function render({ model, el }) {
  const data = model.get("data");
  const state = { ...start(data), ...model.get("state") };
  const { bar, left, right, caption } = card(
    el,
    "Drag the dots (images) and the crosses (centers) around the circle.",
    "Arrows say which way a step turns each center. A bar between the curves is an image's win, a tick the height that the " +
      "margin asks for. Keys: Tab goes from mark to mark, arrow keys turn it, with Shift by single degrees.",
  );
  let run = 0; // a new move stops the steps that are still to come
  const update = (change) => {
    Object.assign(state, change);
    const found = compute(state, data);
    drawCircle(found);
    drawCurves(found);
    caption.textContent = say(state, data, found);
    model.set("state", { ...state });
    model.save_changes();
  };
  const moved = (change) => {
    run += 1;
    update(change);
  };
  const walk = (count) => {
    const here = ++run;
    if (window.matchMedia("(prefers-reduced-motion: reduce)").matches) return update(step(state, data, count));
    const next = (left) => {
      if (here !== run) return;
      update(step(state, data, 1));
      if (left > 1) requestAnimationFrame(() => next(left - 1));
    };
    next(count);
  };
  const restart = () => {
    const centers = data.starts[state.draws % data.starts.length];
    moved({ draws: state.draws + 1, centers: [...centers] });
  };
  for (const name of ["gamma", "margin"]) control(bar, data.controls[name], state[name], (value) => moved({ [name]: value }));
  const acts = [...data.steps.map((count) => () => walk(count)), restart];
  buttons(bar, data.actions, acts);
  const drawCircle = circle(left, state, data, moved);
  const drawCurves = curves(right, state, data);
  update({});
  return () => (run += 1);
}

export default { render };
