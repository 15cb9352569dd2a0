// A panel whose arithmetic is the kernel's: native controls, the picture that Python draws, and the same in words.

import { buttons, card, control } from "./kit.js";

const REST = 250; // milliseconds without another picture, after which a sharper one is worth its time

function render({ model, el }) {
  const { controls, actions, size } = model.get("data");
  const { bar, pair, caption } = card(
    el,
    "",
    "Keys: Tab goes from control to control, arrow keys change a value or a choice, Enter presses a button.",
  );
  const heard = [];
  const on = (what, act) => {
    model.on(what, act);
    heard.push([what, act]);
  };
  for (const [name, spec] of Object.entries(controls)) {
    const held = `at_${name}`;
    const show = control(bar, spec, model.get(held), (value) => {
      model.set(held, value);
      model.save_changes();
    });
    on(`change:${held}`, () => show(model.get(held)));
  }
  buttons(bar, actions, actions.map((press) => () => model.send({ press })));

  const picture = Object.assign(document.createElement("img"), { width: size[0], height: size[1], className: "dmlx-picture" });
  pair.replaceChildren(picture);
  let [address, rest] = ["", 0];
  const draw = () => {
    const former = address;
    address = URL.createObjectURL(new Blob([model.get("picture")], { type: "image/png" }));
    picture.src = address;
    if (former) URL.revokeObjectURL(former);
  };
  const speak = () => (caption.textContent = picture.alt = model.get("said"));
  picture.addEventListener("load", () => {
    clearTimeout(rest);
    if (window.devicePixelRatio > 1 && picture.naturalWidth <= size[0]) rest = setTimeout(() => model.send({ sharp: true }), REST);
  });
  on("change:picture", draw);
  on("change:said", speak);
  speak();
  draw();
  return () => {
    clearTimeout(rest);
    heard.forEach((each) => model.off(...each));
    URL.revokeObjectURL(address);
  };
}

export default { render };
