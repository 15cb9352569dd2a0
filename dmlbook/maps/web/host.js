// Runs the modules of a page without a kernel: each element with `data-live` gets the module of that name.
//
// A page opened from the file system may not import files, so module and data come with ordinary scripts, in
// `window.dmlbookLive`, and the module is imported from memory. What the element showed before stays until it runs.
(() => {
  /** What a module sees of its data and its state: the part of anywidget's model that it uses. */
  function model(data) {
    const values = { data, state: {} };
    const heard = new Map();
    return {
      get: (name) => values[name],
      set: (name, value) => {
        values[name] = value;
        (heard.get(`change:${name}`) ?? []).forEach((act) => act());
      },
      save_changes: () => {},
      on: (name, act) => heard.set(name, [...(heard.get(name) ?? []), act]),
      off: (name, act) => heard.set(name, (heard.get(name) ?? []).filter((each) => each !== act)),
      send: () => {},
    };
  }
  async function start(element) {
    const { source, data } = window.dmlbookLive[element.dataset.live];
    const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    const module = await import(address);
    URL.revokeObjectURL(address);
    const place = document.createElement("div");
    const still = [...element.childNodes];
    element.append(place);
    try {
      await module.default.render({ model: model(data), el: place });
    } catch (error) {
      place.remove();
      throw error;
    }
    still.forEach((each) => each.remove());
    element.dataset.running = "yes";
  }
  for (const element of document.querySelectorAll("[data-live]:not([data-started])")) {
    element.dataset.started = "yes"; // this script may stand on a page once for each view
    start(element);
  }
})();
