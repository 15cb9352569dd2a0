// Chapter 02 in the browser: drag the image around the circle, change lambda, and watch weights, gradient and loss.
//
// The same arithmetic, panels and words as explorer.py, which feeds it; a browser test compares the two.

import { MARKS, card, control, draw, fixed, logsumexp, onCircle, panel, put, softmax, subscript, turning } from "../../book/kit.js";

/** What the reader moves, as it is at first. */
export function start(data) {
  return Object.fromEntries(Object.entries(data.controls).map(([name, spec]) => [name, spec.value]));
}

/** All numbers of the panels and the caption. */
export function compute(state, data) {
  const { scale, own } = state;
  const image = onCircle(state.angle);
  const similarities = data.centers.map(([x, y]) => image[0] * x + image[1] * y);
  const violations = similarities.map((similarity) => similarity - similarities[own]);
  const weights = softmax(similarities.map((similarity) => scale * similarity));
  const smoothed = (at) => logsumexp(violations.map((violation) => at * violation)) / at;
  const top = Math.max(...violations);
  const room = Math.log(data.centers.length);
  return {
    image,
    weights,
    slopes: weights.map((weight, c) => weight - (c === own)), // of the loss, divided by lambda
    top,
    loss: smoothed(scale),
    limit: room / scale,
    pulls: weights.map((weight, c) => image.map((at, axis) => at + weight * (data.centers[own][axis] - data.centers[c][axis]))),
    losses: data.scales.map(smoothed),
    ceiling: data.scales.map((at) => top + room / at),
  };
}

/** The picture in words. */
export function say(state, data, found = compute(state, data)) {
  const weights = found.weights.map((weight) => fixed(weight, 2)).join(", ");
  return (
    `lambda ${state.scale}, image at ${state.angle} degrees, class ${state.own}: weights ${weights}. Hardest violation ` +
    `${fixed(found.top, 3)}, loss / lambda ${fixed(found.loss, 3)}, ${fixed(found.loss - found.top, 3)} above it ` +
    `(at most log(${data.centers.length}) / lambda = ${fixed(found.limit, 3)}).`
  );
}

function italic(...parts) {
  return parts.map((part, n) => (n % 2 ? Object.assign(document.createElement("i"), { textContent: part }) : part));
}

/** Bars over the centers; returns a function that sets their heights. */
function bars(parent, title, y, ticks, data) {
  const plane = panel(parent, title, { size: [190, 165], x: [-0.6, 2.6], y, margins: [30, 8, 4, 24], style: "half" });
  plane.axes([], ticks.map((value) => [value, String(value).replace("-", "\u2212")]), data.greys.pale);
  draw("line", { x1: plane.x(-0.6), x2: plane.x(2.6), y1: plane.y(0), y2: plane.y(0), stroke: data.greys.soft }, plane.svg);
  const all = data.colors.map((color, c) => {
    subscript(plane.svg, { x: plane.x(c), y: 159 }, "w", c);
    return draw("rect", { x: plane.x(c - 0.35), width: plane.x(0.7) - plane.x(0), fill: color }, plane.svg);
  });
  return (heights) =>
    heights.forEach((height, c) => {
      const ends = [plane.y(Math.max(height, 0)), plane.y(Math.min(height, 0))];
      put(all[c], { y: ends[0], height: ends[1] - ends[0] });
    });
}

/** The loss divided by lambda, over lambda; returns a function that draws it. */
function curve(parent, data) {
  const ends = [data.scales[0], data.scales.at(-1)];
  const title = italic("loss / ", "λ");
  const plane = panel(parent, title, { size: [400, 200], x: ends, y: [-0.15, 4.4], margins: [24, 8, 8, 42], log: true });
  const band = draw("polygon", { fill: data.greys.shade }, plane.svg);
  plane.axes([1, 10, 100].map((at) => [at, at]), [0, 1, 2, 3, 4].map((at) => [at, at]), data.greys.pale);
  draw("text", { x: plane.x(10), y: 196, "text-anchor": "middle" }, plane.svg, "scale λ; dashed: hardest violation");
  const hardest = draw("polyline", { fill: "none", stroke: data.greys.middle, "stroke-dasharray": "6 4", "stroke-width": 1.3 }, plane.svg);
  const line = draw("polyline", { fill: "none", stroke: "black", "stroke-width": 2.2 }, plane.svg);
  const now = draw("circle", { r: 6 }, plane.svg);
  return (state, found) => {
    const roof = data.scales.map((at, n) => [at, found.ceiling[n]]);
    put(band, { points: plane.line([[ends[0], found.top], ...roof, [ends[1], found.top]]) });
    put(hardest, { points: plane.line(ends.map((at) => [at, found.top])) });
    put(line, { points: plane.line(data.scales.map((at, n) => [at, found.losses[n]])) });
    put(now, { cx: plane.x(state.scale), cy: plane.y(found.loss) });
  };
}

function render({ model, el }) {
  const data = model.get("data");
  const state = { ...start(data), ...model.get("state") };
  const { bar, left, right, caption } = card(
    el,
    "Drag the dot around the circle.",
    "Keys: Tab goes to the dot, arrow keys turn it, with Shift by single degrees. A line is the pull of the triplet with " +
      "the center of its color.",
  );
  const { scale, own } = data.controls;
  control(bar, scale, state.scale, (value) => update({ scale: value }));
  control(bar, own, state.own, (value) => update({ own: value }));

  const plane = panel(left, "Each triplet pulls", { size: [340, 340], x: [-1.35, 1.35], y: [-1.35, 1.35], still: false });
  draw("circle", { cx: 170, cy: 170, r: plane.x(1) - plane.x(0), fill: "none", stroke: data.greys.pale }, plane.svg);
  data.centers.forEach(([x, y], c) => {
    const mark = { d: MARKS.center(9), fill: data.colors[c], stroke: "#fff", "stroke-width": 1.3 };
    draw("path", { ...mark, transform: `translate(${plane.x(x)},${plane.y(y)})` }, plane.svg);
  });
  const pulls = data.colors.map((color) => draw("line", { stroke: color, "stroke-width": 3, "stroke-linecap": "round" }, plane.svg));
  data.centers.forEach(([x, y], c) => subscript(plane.svg, { x: plane.x(0.77 * x), y: plane.y(0.77 * y) + 5 }, "w", c));
  const place = turning(plane, MARKS.circle(8.5), { name: "image", from: () => state.angle, to: (degrees) => update({ angle: degrees }) });
  const weights = bars(right, italic("weights ", "p"), [0, 1.05], [0, 0.5, 1], data);
  const slopes = bars(right, italic("slopes / ", "λ"), [-1.05, 1.05], [-1, 0, 1], data);
  const loss = curve(right, data);

  function update(change) {
    Object.assign(state, change);
    const found = compute(state, data);
    place(state.angle, data.colors[state.own]);
    const [x, y] = found.image;
    found.pulls.forEach(([a, b], c) => put(pulls[c], { x1: plane.x(x), y1: plane.y(y), x2: plane.x(a), y2: plane.y(b) }));
    weights(found.weights);
    slopes(found.slopes);
    loss(state, found);
    caption.textContent = say(state, data, found);
    model.set("state", { ...state });
    model.save_changes();
  }
  update({});
}

export default { render };
