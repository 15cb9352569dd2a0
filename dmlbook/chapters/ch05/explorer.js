// Chapter 05 in the browser: drag samples and centroids of the plane, and watch the bound, the triplet loss and the gap.
//
// The same arithmetic, panels and words as explorer.py, which feeds it; a browser test compares the two.

import { MARKS, buttons, card, clamp, control, draw, fixed, handle, panel, put } from "../../book/kit.js";

/** What the reader moves, as it is at first; `what` is the sample, or behind them the centroid, that has the ring. */
export function start(data) {
  const { what, spread } = data.controls;
  return { samples: data.samples, centroids: data.centroids, what: what.value, spread: spread.value };
}

function distance([a, b], [c, d]) {
  return Math.hypot(a - c, b - d);
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** For each sample 3 times the distance to its own centroid, minus the mean distance to the others. */
function terms(points, centroids, labels) {
  return points.map((point, n) => {
    const others = centroids.filter((_, c) => c !== labels[n]).map((centroid) => distance(point, centroid));
    return 3 * distance(point, centroids[labels[n]]) - mean(others);
  });
}

/** d(i, j) - d(i, k) of every triplet: j of the class of i, k of another. */
function triplets(points, labels) {
  const found = [];
  for (const i of labels.keys())
    for (const j of labels.keys())
      for (const k of labels.keys())
        if (i !== j && labels[i] === labels[j] && labels[i] !== labels[k])
          found.push(distance(points[i], points[j]) - distance(points[i], points[k]));
  return found;
}

/** All numbers of the panels and the caption, per triplet, for classes of one size. */
export function compute(state, data) {
  const { centroids, spread } = state;
  const points = state.samples.map((sample, n) => {
    const own = centroids[data.labels[n]];
    return sample.map((at, axis) => own[axis] + spread * (at - own[axis])); // as drawn
  });
  const away = mean(points.map((point, n) => distance(point, centroids[data.labels[n]])));
  const bound = mean(terms(points, centroids, data.labels));
  return { points, away, bound, truth: mean(triplets(points, data.labels)), floor: bound - 4 * away };
}

/** One step of descent on the bound; at a centroid the slope has no direction, and is 0. */
export function step(state, data) {
  const share = 1 / (state.centroids.length - 1);
  const samples = state.samples.map((sample, n) => {
    const slope = [0, 0];
    state.centroids.forEach((centroid, c) => {
      const far = distance(sample, centroid);
      const weight = c === data.labels[n] ? 3 : -share;
      if (far > 0) for (const axis of [0, 1]) slope[axis] += (weight * (sample[axis] - centroid[axis])) / far;
    });
    return sample.map((at, axis) => clamp(at - data.rate * slope[axis], -data.reach, data.reach));
  });
  return { ...state, samples };
}

/** The difference of two numbers as told: that of the numbers as told, so that all three add up. */
const less = (one, other) => fixed(Number(fixed(one, 2)) - Number(fixed(other, 2)), 2);

/** The picture in words. */
export function say(state, data, found = compute(state, data)) {
  return (
    `Per triplet: bound ${fixed(found.bound, 2)}, triplet loss ${fixed(found.truth, 2)}, so the gap is ` +
    `${less(found.bound, found.truth)}; by the theorem at most ${less(found.bound, found.floor)}. ` +
    `The samples lie ${fixed(found.away, 2)} from their centroids on average.`
  );
}

/** Where a sample must be put so that it is drawn at a place; null where the spread is 0, and none will do. */
export function behind(place, centroid, spread) {
  return spread === 0 ? null : place.map((at, axis) => centroid[axis] + (at - centroid[axis]) / spread);
}

const minus = (value) => String(value).replace("-", "\u2212");

/** The plane: returns a function that draws it. `moved` is told what changes. */
function square(parent, state, data, moved) {
  const edge = 1.12 * data.reach;
  const margins = [28, 6, 6, 28];
  const plane = panel(parent, "Samples (o) and centroids (+)", { size: [340, 340], x: [-edge, edge], y: [-edge, edge], margins, still: false });
  const ticks = [-data.reach, 0, data.reach].map((at) => [at, minus(at)]);
  plane.axes(ticks, ticks, data.greys.pale);
  const color = (label) => data.colors[label];
  const legs = data.labels.map((label) => draw("line", { stroke: color(label), "stroke-width": 1.4, "stroke-opacity": 0.7 }, plane.svg));
  const within = (place) => place.map((at) => clamp(Math.round(at / data.little) * data.little, -data.reach, data.reach));
  /** Something to drag: the thing `what` of the menu, `n` of `group`, of the class `label`. */
  const thing = (group, n, what, label, shape, edge, hidden) => {
    const to = (place) => moved({ [group]: state[group].map((each, m) => (m === n ? within(place) : each)) });
    return handle(plane, shape, {
      name: data.controls.what.options[what][0],
      color: color(label),
      edge,
      low: -data.reach,
      high: data.reach,
      chosen: () => moved({ what }),
      drag: (x, y) => to(hidden([x, y])),
      push: (dx, dy, little) => {
        const far = little ? data.little : data.controls.east.step;
        to([state[group][n][0] + far * dx, state[group][n][1] + far * dy]);
      },
    });
  };
  const samples = data.labels.map((label, n) => {
    const hidden = (place) => behind(place, state.centroids[label], state.spread) ?? state.samples[n];
    return thing("samples", n, n, label, MARKS.circle(7.5), "#fff", hidden);
  });
  const centroids = state.centroids.map((_, c) => thing("centroids", c, samples.length + c, c, MARKS.centroid(11), "#000", (place) => place));
  const ring = draw("circle", { r: 15, fill: "none", stroke: "black", "stroke-width": 1.4, "pointer-events": "none" }, plane.svg);
  const words = ([x, y]) => `east ${fixed(x, 2)}, north ${fixed(y, 2)}`;
  return (found) => {
    found.points.forEach((place, n) => {
      const [own, put_] = [state.centroids[data.labels[n]], state.samples[n]];
      put(legs[n], { x1: plane.x(place[0]), y1: plane.y(place[1]), x2: plane.x(own[0]), y2: plane.y(own[1]) });
      samples[n](place, fixed(put_[0], 2), words(put_));
    });
    state.centroids.forEach((place, c) => centroids[c](place, fixed(place[0], 2), words(place)));
    const [x, y] = [...found.points, ...state.centroids][state.what];
    put(ring, { cx: plane.x(x), cy: plane.y(y) });
  };
}

/** Bound, triplet loss and floor on one scale; returns a function that draws them. */
function scale(parent, data) {
  const [size, margins] = [[440, 300], [92, 6, 10, 44]];
  const [low, high] = data.scale;
  const plane = panel(parent, "The bound is never below the triplet loss", { size, x: data.scale, y: [2.6, -0.8], margins });
  const ticks = [-3, -2, -1, 0, 1, 2, 3, 4];
  for (const at of ticks) draw("line", { x1: plane.x(at), x2: plane.x(at), y1: plane.y(-0.8), y2: plane.y(2.6), stroke: data.greys.shade }, plane.svg);
  plane.axes(ticks.map((at) => [at, minus(at)]), data.rows.map((name, row) => [row, name]), data.greys.pale);
  draw("text", { x: plane.x((low + high) / 2), y: 296, "text-anchor": "middle" }, plane.svg, "per triplet");
  const gap = draw("rect", { fill: data.greys.pale, y: plane.y(0), height: plane.y(1) - plane.y(0) }, plane.svg);
  const gapWords = draw("text", { style: `fill: ${data.greys.middle}` }, plane.svg);
  const marks = data.rows.map((_, row) => draw("circle", { r: 6.5, cy: plane.y(row) }, plane.svg));
  const words = data.rows.map((_, row) => draw("text", { y: plane.y(row) + (row === 1 ? 23 : -13), "text-anchor": "middle" }, plane.svg));
  return ({ bound, truth, floor }) => {
    [bound, truth, floor].forEach((value, row) => {
      put(marks[row], { cx: plane.x(clamp(value, low, high)) });
      const said = minus(fixed(value, 2)); // beyond the scale it is told at its end
      put(words[row], { x: plane.x(clamp(value, low + 0.5, high - 0.5)) }).textContent =
        value < low ? `\u2190 ${said}` : value > high ? `${said} \u2192` : said;
    });
    const [from, to] = [truth, bound].map((value) => plane.x(clamp(value, low, high)));
    put(gap, { x: from, width: Math.max(to - from, 0) }); // rounding may leave them a hair apart
    const beside = bound > high - 1.5 ? { x: from - 8, "text-anchor": "end" } : { x: to + 8, "text-anchor": "start" };
    put(gapWords, { ...beside, y: plane.y(0.5) + 5 }).textContent = `gap ${less(bound, truth)}`;
  };
}

function render({ model, el }) {
  const data = model.get("data");
  const state = { ...start(data), ...model.get("state") };
  const { bar, left, right, caption } = card(
    el,
    "Drag samples and centroids.",
    "The spread draws every sample towards its centroid (0) or leaves it where it was put (1). Keys: Tab goes from mark to " +
      "mark, arrow keys move it, with Shift by small steps.",
  );
  const update = (change) => {
    Object.assign(state, change);
    const found = compute(state, data);
    drawPlane(found);
    drawScale(found);
    caption.textContent = say(state, data, found);
    model.set("state", { ...state });
    model.save_changes();
  };
  control(bar, data.controls.spread, state.spread, (spread) => update({ spread }));
  const again = () => update({ samples: data.samples, centroids: data.centroids });
  const acts = [() => update(step(state, data)), again];
  buttons(bar, data.actions, acts);
  const drawPlane = square(left, state, data, update);
  const drawScale = scale(right, data);
  update({});
}

export default { render };
