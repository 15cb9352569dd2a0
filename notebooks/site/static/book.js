// What the pages need of a script: boxes that scroll are reached by keyboard, and paper shows what is folded away.
(function () {
  "use strict";

  // What may be wider than its box, and what a screen reader calls it.
  const BOXES = { pre: "code", ".cell_output": "figure", ".table-wrapper": "table", ".math-wrapper": "formula", "span.long": "formula" };
  const BLOCKS = "p, li, dd, summary, h1, h2, h3";

  // A formula in a line of text becomes a box where the line is too short for it.
  function findLongFormulas() {
    for (const formula of document.querySelectorAll("article span.math")) {
      const block = formula.closest(BLOCKS);
      const width = formula.querySelector("mjx-container")?.getBoundingClientRect().width;
      if (block && width && !formula.closest("table")) formula.classList.toggle("long", width > block.clientWidth);
    }
  }

  function reachable() {
    findLongFormulas();
    for (const [selector, name] of Object.entries(BOXES)) {
      for (const box of document.querySelectorAll(`article ${selector}`)) {
        const scrolls = box.scrollWidth > box.clientWidth + 1 && getComputedStyle(box).overflowX !== "visible";
        if (scrolls && !box.hasAttribute("tabindex")) {
          box.tabIndex = 0;
          box.setAttribute("role", "group");
          box.setAttribute("aria-label", `${name}, scrolls sideways`);
        } else if (!scrolls && box.hasAttribute("tabindex")) {
          for (const attribute of ["tabindex", "role", "aria-label"]) box.removeAttribute(attribute);
        }
      }
    }
  }

  function unfoldForPaper() {
    let opened = [];
    addEventListener("beforeprint", () => {
      opened = [...document.querySelectorAll("details:not([open])")];
      for (const details of opened) details.open = true;
    });
    addEventListener("afterprint", () => {
      for (const details of opened) details.open = false;
    });
  }

  function nameDrawers() {
    const names = { ".sidebar-drawer": "Chapters", ".toc-drawer": "On this page" };
    for (const [selector, name] of Object.entries(names)) {
      document.querySelector(selector)?.setAttribute("aria-label", name);
    }
  }

  // A link to something that is folded away opens it.
  function openTarget() {
    let place = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let node = place; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
    if (place) place.scrollIntoView();
  }

  nameDrawers();
  unfoldForPaper();
  openTarget();
  addEventListener("hashchange", openTarget);
  addEventListener("load", reachable);
  addEventListener("resize", reachable);
  document.addEventListener("toggle", reachable, true);
  if (window.MathJax?.startup?.promise) MathJax.startup.promise.then(reachable);
})();
