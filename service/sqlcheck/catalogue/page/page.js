"use strict";
// Shows what has a name with the text in it. Without this, everything is shown.
const filter = document.getElementById("filter");
const named = document.querySelectorAll("[data-text]");
const groups = document.querySelectorAll("#queries > section, nav .file, #tables, #queries > p, #diagram, #lists");

function isEmpty(group) {
  const list = group.matches("nav .file") ? group.nextElementSibling : group;
  return !list.querySelector("[data-text]:not([hidden])");
}

filter.hidden = false;
filter.addEventListener("input", () => {
  const text = filter.value.trim().toLowerCase();
  for (const one of named) {
    one.hidden = !one.dataset.text.includes(text);
  }
  for (const group of groups) {
    group.hidden = text !== "" && isEmpty(group);
  }
});
