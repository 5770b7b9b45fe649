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
