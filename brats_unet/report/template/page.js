"use strict";
// Sort the case table when a column header is clicked; undefined scores stay last.
for (const table of document.querySelectorAll(".sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach((other) => other.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = (row) => row.cells[column].dataset.value === undefined
      ? row.cells[column].textContent : Number.parseFloat(row.cells[column].dataset.value);
    const order = (one, two) => {
      const [a, b] = [value(one), value(two)];
      if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
      return (down ? -1 : 1) * (a < b ? -1 : a > b ? 1 : 0);
    };
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort(order));
  }));
}

// Filter the case table: every control narrows it, and the last row gives the medians of the cases that are left.
const result = document.getElementById("filter-result");
if (result) {
  const [name, dice] = ["name", "dice"].map((id) => document.getElementById(`filter-${id}`));
  const choices = [...document.querySelectorAll("select.filter")];
  const table = document.querySelector(".sortable");
  const rows = [...table.tBodies[0].rows].map((row) => ({row, tags: JSON.parse(row.dataset.tags)}));
  const median = (values) => {
    const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
    const half = sorted.length >> 1;
    return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  };
  const digits = [...table.tHead.rows[0].cells].map((head) => head.dataset.digits);
  const filter = () => {
    const wanted = choices.map((choice) => choice.value).filter(Boolean);
    const words = name.value.trim().toLowerCase();
    const limit = Number.parseFloat(dice.value);
    const left = rows.filter(({row, tags}) => {
      row.hidden = !row.cells[0].textContent.toLowerCase().includes(words) || !wanted.every((tag) => tags.includes(tag))
        || Number.parseFloat(row.dataset.dice) > limit;
      return !row.hidden;
    });
    result.textContent = `${left.length} of ${rows.length} cases`;
    [...table.tFoot.rows[0].cells].forEach((cell, column) => {
      if (digits[column] === undefined) return;
      const middle = median(left.map(({row}) => Number.parseFloat(row.cells[column].dataset.value)));
      cell.textContent = Number.isNaN(middle) ? "" : middle.toFixed(digits[column]).replace(/\B(?=(\d{3})+$)/g, "\u202f");
    });
  };
  for (const control of [name, dice, ...choices]) control.addEventListener("input", filter);
  filter();
}
