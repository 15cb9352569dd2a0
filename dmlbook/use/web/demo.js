// Sends one photograph at a time to its own server and shows what it answers. Texts go in as text, never as HTML.
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const drop = $("drop"), file = $("file"), said = $("said"), found = $("found"), own = $("own");
  let latest = 0;

  const element = (tag, text) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    return made;
  };

  const entry = (hit, rank) => {
    const item = element("li"), figure = element("figure"), picture = element("img"), caption = element("figcaption");
    picture.src = `/picture/${hit.number}`;
    picture.alt = hit.path;
    const near = hit.cosine === null ? "" : `, cosine ${hit.cosine.toFixed(3)}`;
    caption.append(element("b", `${rank}. distance ${hit.distance.toFixed(3)}${near}`));
    if (hit.label) caption.append(element("span", hit.label));
    caption.append(element("span", hit.path));
    figure.append(picture, caption);
    item.append(figure);
    return item;
  };

  const ask = async (photograph) => {
    const turn = ++latest;
    if (own.src) URL.revokeObjectURL(own.src);
    own.src = URL.createObjectURL(photograph);
    $("asked").hidden = false;
    found.replaceChildren();
    said.textContent = "Searching ...";
    let answer;
    try {
      const type = "application/octet-stream";
      const response = await fetch("/search", { method: "POST", body: photograph, headers: { "Content-Type": type } });
      answer = await response.json().catch(() => null);
      if (!answer?.error && !Array.isArray(answer?.hits)) answer = { error: `The server fails (${response.status}).` };
    } catch {
      answer = { error: "The server does not answer." };
    }
    if (turn !== latest) return; // another photograph was chosen meanwhile
    said.textContent = answer.error ?? `${answer.hits.length} nearest photographs.`;
    found.replaceChildren(...(answer.hits ?? []).map((hit, n) => entry(hit, n + 1)));
  };

  file.addEventListener("change", () => file.files[0] && ask(file.files[0]));
  document.addEventListener("paste", (event) => event.clipboardData.files[0] && ask(event.clipboardData.files[0]));
  for (const kind of ["dragenter", "dragover"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  document.addEventListener("dragleave", () => drop.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    const dropped = event.dataTransfer.files[0];
    if (dropped) ask(dropped);
  });
  fetch("/about").then((response) => response.json()).then((about) => ($("about").textContent = about.text))
    .catch(() => (said.textContent = "The server does not answer."));
})();
