"use strict";
document.documentElement.classList.add("js");

// A picture's marks say their numbers below it: those of the one that is pointed at or has the focus.
function readable(figure) {
  const marks = [...figure.querySelectorAll(".mark")];
  const reading = figure.querySelector(".reading");
  const grid = figure.querySelector("[data-columns]");
  const columns = grid ? Number(grid.dataset.columns) : 1;
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
  let current = marks.findIndex((mark) => mark.classList.contains("on"));

  function choose(index) {
    marks[current].classList.remove("on");
    marks[current].setAttribute("tabindex", "-1");
    current = index;
    marks[current].classList.add("on");
    marks[current].setAttribute("tabindex", "0");
    reading.textContent = marks[current].getAttribute("aria-label");
  }

  marks.forEach((mark, index) => {
    mark.addEventListener("pointerenter", () => choose(index));
    mark.addEventListener("focus", () => choose(index));
    mark.addEventListener("click", () => mark.focus());
    mark.addEventListener("keydown", (event) => {
      let next = index + (steps[event.key] ?? 0);
      if (event.key === "Home") next = 0;
      if (event.key === "End") next = marks.length - 1;
      if (next === index || !marks[next]) return;
      event.preventDefault();
      marks[next].focus();
    });
  });
}

// The slider shows the texts of one strength, and hides those of the others.
function slides(slider) {
  const panels = [...document.querySelectorAll(".panel")];
  const output = document.querySelector("output");

  function show() {
    panels.forEach((panel, index) => panel.classList.toggle("chosen", index === Number(slider.value)));
    const name = panels[Number(slider.value)].dataset.name;
    output.textContent = name;
    slider.setAttribute("aria-valuetext", name);
  }

  slider.addEventListener("input", show);
  show();
}

document.querySelectorAll("figure.picture").forEach(readable);
document.querySelectorAll("#strength").forEach(slides);

// On paper nothing can be opened: what is closed is opened for printing, and closed again.
let opened = [];
window.addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  opened.forEach((one) => { one.open = true; });
});
window.addEventListener("afterprint", () => opened.forEach((one) => { one.open = false; }));
