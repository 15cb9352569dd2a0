// A map of images: point at a dot and see its image, its class, its center and its nearest neighbors.
//
// One module for three places: an anywidget in a notebook, the book's pages, and the page that `python -m dmlbook map`
// writes. It needs no kernel: whatever it shows is in `data` (see dmlbook/maps/view.py, which makes it). One file, long as
// it is, because a page that was opened from the file system cannot import another.

const REACH = 12; // how near the pointer must come to a dot, in pixels of the page
const PALE = "#d8d8d8";
const INK = "#1a1a1a";

/** Numbers packed as base64, little-endian. */
export function decode(text, Type) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Type(bytes.buffer);
}

/** The data with its numbers unpacked. */
export function unpack(data) {
  const views = data.views.map((view) => ({
    ...view,
    points: decode(view.points, Float32Array),
    neighbors: decode(view.neighbors, Uint32Array),
    assigned: view.assigned && decode(view.assigned, Int32Array),
    similarity: view.similarity && decode(view.similarity, Float32Array),
    centers: view.centers && {
      points: decode(view.centers.points, Float32Array),
      labels: decode(view.centers.labels, Uint16Array),
      numbers: decode(view.centers.numbers, Uint16Array),
      counts: decode(view.centers.counts, Uint32Array),
    },
  }));
  const labels = decode(data.labels, Uint16Array);
  return { ...data, views, labels, count: labels.length, kind: data.kind && decode(data.kind, Uint16Array), mark: data.mark && decode(data.mark, Uint8Array) };
}

/** Which images the two filters leave: those of a class, those of a center; -1 asks for all. */
export function visible(data, view, label, center) {
  return Uint8Array.from(
    { length: data.count },
    (_, n) => (label < 0 || data.labels[n] === label) && (center < 0 || !view.assigned || view.assigned[n] === center),
  );
}

/** The visible image that is nearest to a place, and how far it is; -1 where there is none. */
export function nearest(points, shown, x, y) {
  let best = -1;
  let least = Infinity;
  for (let n = 0; n < shown.length; n++) {
    if (!shown[n]) continue;
    const far = (points[2 * n] - x) ** 2 + (points[2 * n + 1] - y) ** 2;
    if (far < least) [best, least] = [n, far];
  }
  return [best, Math.sqrt(least)];
}

/** The visible image that is next in a direction: nearest in the quarter of the plane that the arrow points into. */
export function next(points, shown, from, dx, dy) {
  let best = from;
  let least = Infinity;
  for (let n = 0; n < shown.length; n++) {
    const [x, y] = [points[2 * n] - points[2 * from], points[2 * n + 1] - points[2 * from + 1]];
    const [along, across] = [x * dx + y * dy, Math.abs(x * dy - y * dx)];
    if (!shown[n] || n === from || along <= 0 || across > along) continue;
    if (x * x + y * y < least) [best, least] = [n, x * x + y * y];
  }
  return best;
}

/** The images that a center serves, the most similar first. */
export function served(view, center) {
  const all = [];
  for (let n = 0; n < view.assigned.length; n++) if (view.assigned[n] === center) all.push(n);
  return all.sort((a, b) => view.similarity[b] - view.similarity[a] || a - b);
}

/** The nearest neighbors of an image, by the embedding and not by the map. */
export function neighbors(view, n) {
  return [...view.neighbors.slice(n * view.k, (n + 1) * view.k)];
}

/** An image in words. */
export function describe(data, view, n) {
  const found = neighbors(view, n);
  const right = found.filter((m) => data.labels[m] === data.labels[n]).length;
  const said = [`Image ${n}: ${data.classes[data.labels[n]]}`];
  if (data.kind) said.push(data.kinds[data.kind[n]]);
  if (view.assigned) {
    const center = view.assigned[n];
    const owner = data.centerClasses[view.centers.labels[center]];
    const whose = owner === data.classes[data.labels[n]] ? "its class" : owner;
    said.push(`nearest center ${view.centers.numbers[center]} of ${whose}, similarity ${view.similarity[n].toFixed(2)}`);
  }
  return `${said.join(", ")}. ${right} of its ${found.length} nearest neighbors are of its class.`;
}

function element(tag, style, parent, properties = {}) {
  const made = Object.assign(document.createElement(tag), properties);
  if (style) made.className = `dml-${style}`;
  parent?.append(made);
  return made;
}

const STYLE = `
.dml-map { color: ${INK}; background: #fff; font: 14px/1.45 system-ui, sans-serif; padding: 10px; max-width: 1000px; color-scheme: light; }
.dml-map * { box-sizing: border-box; }
.dml-bar { display: flex; flex-wrap: wrap; gap: 8px 18px; align-items: center; margin-bottom: 8px; }
.dml-bar label { display: inline-flex; gap: 6px; align-items: center; }
.dml-bar select, .dml-bar input, .dml-bar button { font: inherit; color: inherit; background: #fff; max-width: 220px; }
.dml-two { display: flex; flex-wrap: wrap; gap: 14px; }
.dml-plane { position: relative; flex: 1 1 420px; min-width: 280px; aspect-ratio: 6 / 5; border: 1px solid #bbb; touch-action: none; }
.dml-plane canvas { position: absolute; inset: 0; width: 100%; height: 100%; }
.dml-plane:focus-visible { outline: 3px solid #1a5fb4; outline-offset: 2px; }
.dml-side { flex: 0 1 270px; min-width: 250px; }
.dml-large { width: 144px; height: 144px; }
.dml-caption { margin: 6px 0 10px; min-height: 5.8em; }
.dml-strip { display: grid; grid-template-columns: repeat(4, 58px); gap: 6px; margin: 4px 0 0; padding: 0; list-style: none; }
.dml-strip li { font-size: 12px; text-align: center; }
.dml-tile { width: 58px; height: 58px; border: 4px solid ${INK}; }
.dml-wrong .dml-tile { border: 4px dashed #767676; }
.dml-tile div { width: 50px; height: 50px; }
.dml-help { color: #555; font-size: 12px; margin: 8px 0 0; }
`;

function render({ model, el }) {
  const data = unpack(model.get("data"));
  const last = data.views.findLastIndex((each) => each.method === data.views[0].method);
  const state = { view: last, image: -1, pointed: -1, center: -1, label: -1, held: false, ...model.get("state") };
  const root = element("div", "map", el);
  root.dataset.lmSuppressShortcuts = ""; // JupyterLab would take the arrow keys of menus and slider for its cells
  element("style", "", root, { textContent: STYLE });
  const bar = element("div", "bar", root);
  const two = element("div", "two", root);
  const plane = element("div", "plane", two, { tabIndex: 0 });
  plane.setAttribute("role", "application");
  plane.setAttribute("aria-label", `Map of ${data.count} images. Arrow keys go from image to image.`);
  const [base, top] = [element("canvas", "", plane), element("canvas", "", plane)];
  const side = element("div", "side", two);
  const large = element("div", "large", side, { role: "img" });
  const caption = element("p", "caption", side);
  caption.setAttribute("aria-live", "polite");
  const heading = element("strong", "", side);
  const strip = element("ol", "strip", side);
  const help = "Point, or press an arrow key; click or Enter holds an image. Wheel or + and - zoom, drag moves, 0 resets.";
  element("p", "help", root, { textContent: `${help} Solid frame: of the same class; dashed: of another.` });

  let [zoom, shift] = [1, [0, 0]];
  let places = data.views[state.view].points.slice(); // where the dots are drawn, on their way to a view's points
  let shown = null;
  const view = () => data.views[state.view];

  // The controls
  const select = (name, options, chosen, act) => {
    const label = element("label", "", bar, { textContent: name });
    const made = element("select", "", label);
    const fill = (list, value) => {
      made.replaceChildren(...list.map(([words, v]) => new Option(words, v, false, v === value)));
      label.hidden = list.length < 2;
      label.style.display = list.length < 2 ? "none" : "";
    };
    fill(options, chosen);
    made.addEventListener("change", () => act(Number(made.value)));
    return fill;
  };
  const methods = [...new Set(data.views.map((each) => each.method))];
  const steps = () => data.views.map((each, n) => [each, n]).filter(([each]) => each.method === view().method);
  const first = (method) => data.views.findLastIndex((each) => each.method === methods[method]);
  select("embedding", methods.map((each, n) => [each, n]), methods.indexOf(view().method), (n) => go(first(n)));
  const scrub = element("label", "", bar, { textContent: "epoch" });
  const slider = element("input", "", scrub, { type: "range", min: 0, step: 1 });
  const when = element("output", "", scrub);
  slider.addEventListener("input", () => go(steps()[slider.value][1]));
  const play = element("button", "", scrub, { type: "button", textContent: "play" });
  let playing = 0;
  play.addEventListener("click", () => {
    clearInterval(playing);
    let n = 0;
    go(steps()[0][1]);
    playing = setInterval(() => (++n < steps().length ? go(steps()[n][1]) : clearInterval(playing)), 700);
  });
  const classes = [["all", -1], ...data.classes.map((each, n) => [each, n])];
  select("class", classes, state.label, (n) => update({ label: n, center: -1, held: false }));
  const fillCenters = select("center", [], -1, (n) => update({ center: n, held: false }));

  // From the plane to the page
  function frame() {
    const [w, h] = [plane.clientWidth || 600, plane.clientHeight || 500];
    const all = view().centers ? [view().points, view().centers.points] : [view().points];
    let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
    for (const xy of all)
      for (let n = 0; n < xy.length; n += 2) {
        [x0, x1] = [Math.min(x0, xy[n]), Math.max(x1, xy[n])];
        [y0, y1] = [Math.min(y0, xy[n + 1]), Math.max(y1, xy[n + 1])];
      }
    const scale = zoom * Math.min((w - 40) / (x1 - x0 || 1), (h - 40) / (y1 - y0 || 1));
    return { w, h, scale, cx: (x0 + x1) / 2, cy: (y0 + y1) / 2 };
  }
  const toPage = (f, x, y) => [f.w / 2 + (x - f.cx) * f.scale + shift[0], f.h / 2 - (y - f.cy) * f.scale + shift[1]];
  const toPlane = (f, x, y) => [(x - shift[0] - f.w / 2) / f.scale + f.cx, (f.h / 2 - y + shift[1]) / f.scale + f.cy];

  function brush(canvas, f) {
    const ratio = window.devicePixelRatio || 1;
    [canvas.width, canvas.height] = [f.w * ratio, f.h * ratio];
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    return pen;
  }
  function mark(pen, kind, x, y, r) {
    pen.moveTo(x + r, y);
    if (kind === 1) pen.rect(x - r * 0.9, y - r * 0.9, 1.8 * r, 1.8 * r);
    else if (kind >= 2) polygon(pen, x, y, 1.25 * r, kind + 1);
    else pen.arc(x, y, r, 0, 2 * Math.PI);
  }
  function polygon(pen, x, y, r, corners) {
    for (let n = 0; n <= corners; n++) {
      const turn = (2 * Math.PI * n) / corners - Math.PI / 2;
      pen[n ? "lineTo" : "moveTo"](x + r * Math.cos(turn), y + r * Math.sin(turn));
    }
  }
  function cross(pen, x, y, r, color) {
    for (const [ink, width] of [["#fff", 6], [color, 3.2]]) {
      [pen.strokeStyle, pen.lineWidth] = [ink, width];
      pen.beginPath();
      for (const s of [1, -1]) [pen.moveTo(x - r, y - s * r), pen.lineTo(x + r, y + s * r)];
      pen.stroke();
    }
  }
  const color = (label) => data.colors[label % data.colors.length];
  const size = (count, most) => 4 + 7 * Math.sqrt(count / Math.max(most, 1));

  function draw() {
    const f = frame();
    const pen = brush(base, f);
    const radius = Math.max(1.6, Math.min(4, 130 / Math.sqrt(data.count)));
    const groups = new Map();
    for (const strong of [0, 1])
      for (let n = 0; n < data.count; n++)
        if (shown[n] === strong) {
          const key = strong ? color(data.labels[n]) : PALE;
          if (!groups.has(key)) groups.set(key, []);
          groups.get(key).push(n);
        }
    for (const [ink, members] of groups) {
      pen.fillStyle = ink;
      pen.beginPath();
      for (const n of members)
        mark(pen, data.mark ? data.mark[n] % 6 : 0, ...toPage(f, places[2 * n], places[2 * n + 1]), radius);
      pen.fill();
    }
    const { centers } = view();
    if (!centers) return;
    const most = Math.max(...centers.counts);
    centers.counts.forEach((count, m) => {
      const wanted = (state.label < 0 || centers.labels[m] === state.label) && (state.center < 0 || m === state.center);
      const at = toPage(f, centers.points[2 * m], centers.points[2 * m + 1]);
      if (count) cross(pen, ...at, size(count, most), wanted ? color(centers.labels[m]) : PALE);
      else {
        [pen.strokeStyle, pen.lineWidth] = [wanted ? color(centers.labels[m]) : PALE, 1.5];
        pen.strokeRect(at[0] - 3, at[1] - 3, 6, 6); // serves nobody
      }
    });
  }
  function overlay() {
    const f = frame();
    const pen = brush(top, f);
    if (state.pointed >= 0) ring(pen, toPage(f, ...view().centers.points.slice(2 * state.pointed, 2 * state.pointed + 2)), 14);
    if (state.image < 0) return;
    const at = (n) => toPage(f, places[2 * n], places[2 * n + 1]);
    for (const m of neighbors(view(), state.image)) {
      const same = data.labels[m] === data.labels[state.image];
      [pen.strokeStyle, pen.lineWidth] = [same ? INK : "#767676", 1.4];
      pen.setLineDash(same ? [] : [4, 3]);
      pen.beginPath();
      [pen.moveTo(...at(state.image)), pen.lineTo(...at(m))];
      pen.stroke();
    }
    pen.setLineDash([]);
    ring(pen, at(state.image), 9);
  }
  function ring(pen, at, r) {
    [pen.strokeStyle, pen.lineWidth] = [INK, state.held ? 3.5 : 2];
    pen.beginPath();
    pen.arc(...at, r, 0, 2 * Math.PI);
    pen.stroke();
  }
  function picture(box, n, side) {
    const [per, columns] = [data.columns ** 2, data.columns];
    const place = n % per;
    box.style.backgroundImage = `url(${data.sheets[Math.floor(n / per)]})`;
    box.style.backgroundSize = `${columns * side}px auto`;
    box.style.backgroundPosition = `${-(place % columns) * side}px ${-Math.floor(place / columns) * side}px`;
    box.setAttribute("aria-label", data.classes[data.labels[n]]);
  }
  function tell() {
    const center = state.pointed >= 0 ? state.pointed : state.image < 0 ? state.center : -1;
    const chosen = center >= 0 ? served(view(), center) : null;
    const n = chosen ? (chosen[0] ?? -1) : state.image;
    large.style.visibility = n < 0 ? "hidden" : "visible";
    if (n >= 0) picture(large, n, 144);
    let [words, title, list] = [`${data.count} images. ${data.about ?? ""}`, "", []];
    if (chosen) {
      const whose = data.centerClasses[view().centers.labels[center]];
      words = `Center ${view().centers.numbers[center]} of ${whose} serves ${chosen.length} images.`;
      [title, list] = ["What it serves, nearest first", chosen.slice(0, 8)];
    } else if (n >= 0) {
      words = describe(data, view(), n);
      [title, list] = ["Nearest by the embedding", neighbors(view(), n)];
    }
    caption.textContent = words;
    heading.textContent = title;
    // Centers may belong to other classes than the images: names say which are the same.
    const label = chosen ? data.centerClasses[view().centers.labels[center]] : data.classes[data.labels[n]];
    strip.replaceChildren(...list.map((m, place) => {
      const same = data.classes[data.labels[m]] === label;
      const item = element("li", same ? "right" : "wrong", null);
      picture(element("div", "", element("div", "tile", item), { role: "img" }), m, 50);
      item.append(`${place + 1} ${same ? "\u2713" : "\u2717"}`);
      return item;
    }));
  }
  function update(change) {
    Object.assign(state, change);
    shown = visible(data, view(), state.label, state.center);
    if (state.image >= 0 && !shown[state.image]) state.image = -1;
    state.pointed = -1;
    const { centers } = view();
    const own = centers && state.label >= 0 ? [...centers.counts.entries()].filter(([m]) => centers.labels[m] === state.label) : [];
    fillCenters([["all", -1], ...own.map(([m, count]) => [`${centers.numbers[m]} (${count} images)`, m])], state.center);
    const [list, here] = [steps(), steps().findIndex(([, n]) => n === state.view)];
    scrub.style.display = list.length < 2 ? "none" : "";
    [slider.max, slider.value, when.textContent] = [list.length - 1, here, view().epoch ?? ""];
    [draw(), overlay(), tell(), report()];
  }
  function point(image, pointed = -1) {
    if (image === state.image && pointed === state.pointed) return;
    Object.assign(state, { image, pointed });
    [overlay(), tell(), report()];
  }
  function report() {
    model.set("state", { ...state });
    model.save_changes();
  }
  let run = 0;
  function go(to) {
    const [from, target, run_] = [places.slice(), data.views[to].points, ++run];
    const still = window.matchMedia?.("(prefers-reduced-motion: reduce)").matches;
    const start = performance.now();
    update({ view: to, center: -1 });
    const move = (now) => {
      if (run_ !== run) return;
      const share = still ? 1 : Math.min(1, Math.max(0, (now - start) / 450));
      const eased = share * share * (3 - 2 * share);
      for (let n = 0; n < target.length; n++) places[n] = from[n] + eased * (target[n] - from[n]);
      [draw(), overlay()];
      if (share < 1) requestAnimationFrame(move);
    };
    move(start);
    requestAnimationFrame(move);
  }

  // Pointer and keys
  let dragged = null;
  const at = (event) => {
    const box = plane.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  /** What lies under the pointer: an image and a center, of which at most one is not -1. */
  const under = (event) => {
    const [f, xy] = [frame(), at(event)];
    const [n, far] = nearest(places, shown, ...toPlane(f, ...xy));
    const { centers } = view();
    const all = centers && centers.counts.map((_, m) => state.label < 0 || centers.labels[m] === state.label);
    const [m, off] = centers ? nearest(centers.points, all, ...toPlane(f, ...xy)) : [-1, Infinity];
    if (off * f.scale <= REACH / 2 && off <= far) return [-1, m];
    return [far * f.scale <= REACH ? n : -1, -1];
  };
  plane.addEventListener("pointerdown", (event) => {
    dragged = { from: at(event), shift: [...shift], moved: false };
    plane.setPointerCapture(event.pointerId);
  });
  plane.addEventListener("pointermove", (event) => {
    const [x, y] = at(event);
    if (dragged && Math.hypot(x - dragged.from[0], y - dragged.from[1]) > 4) dragged.moved = true;
    if (dragged?.moved) {
      shift = [dragged.shift[0] + x - dragged.from[0], dragged.shift[1] + y - dragged.from[1]];
      [draw(), overlay()];
    } else if (!state.held) {
      const found = under(event);
      if (Math.max(...found) >= 0) point(...found);
    }
  });
  plane.addEventListener("pointerup", (event) => {
    const found = dragged && !dragged.moved ? under(event) : null;
    dragged = null;
    if (!found) return;
    const same = found[0] === state.image && found[1] === state.pointed;
    state.held = Math.max(...found) >= 0 && !(state.held && same);
    [point(...found), overlay(), report()];
  });
  const zoomBy = (factor, x, y) => {
    const f = frame();
    const to = Math.min(40, Math.max(1, zoom * factor)) / zoom;
    zoom *= to;
    shift = zoom === 1 ? [0, 0] : [x - f.w / 2 - (x - f.w / 2 - shift[0]) * to, y - f.h / 2 - (y - f.h / 2 - shift[1]) * to];
    [draw(), overlay()];
  };
  plane.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomBy(event.deltaY < 0 ? 1.2 : 1 / 1.2, ...at(event));
  }, { passive: false });
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  plane.addEventListener("keydown", (event) => {
    const f = frame();
    if (ARROWS[event.key]) {
      const start = nearest(places, shown, ...toPlane(f, f.w / 2, f.h / 2))[0];
      const to = state.image < 0 ? start : next(places, shown, state.image, ...ARROWS[event.key]);
      point(to);
    } else if (event.key === "Enter" || event.key === " ") {
      state.held = Math.max(state.image, state.pointed) >= 0 && !state.held;
      [overlay(), report()];
    } else if (event.key === "Escape") {
      state.held = false;
      point(-1);
    } else if (event.key === "+" || event.key === "=") zoomBy(1.4, f.w / 2, f.h / 2);
    else if (event.key === "-") zoomBy(1 / 1.4, f.w / 2, f.h / 2);
    else if (event.key === "0") zoomBy(1e-3, f.w / 2, f.h / 2);
    else return;
    event.preventDefault();
    event.stopPropagation(); // a notebook has keys of its own
  });
  new ResizeObserver(() => shown && [draw(), overlay()]).observe(plane);
  update({});
  return () => clearInterval(playing);
}

export default { render };
