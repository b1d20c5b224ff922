// Sorts tables of class "sortable" by the column whose head is pressed, and filters long ones by their words.
// A row whose first cell is empty belongs to the row above it and goes where that one goes.
// Rows and columns from which on a table is worth a filter; narrower ones are lists of settings.
const LONG = 8;
const WIDE = 4;
const NUMBER = /^[[(<>≤≥≈\s]*([+\-−]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?)/i;
const CLOCK = /^(?:(\d+):)?(\d+):(\d\d) (?:h|min)$/;

const textOf = (row, place) => row.cells[place].textContent.trim();

function numberOf(text) {
  const clock = CLOCK.exec(text);
  if (clock) return (Number(clock[1] ?? 0) * 60 + Number(clock[2])) * 60 + Number(clock[3]);
  const match = NUMBER.exec(text);
  if (!match) return null;
  const number = Number(match[1].replaceAll(",", "").replace("−", "-"));
  // What is said to be below 0.0001 comes before 0.0001 itself.
  return /^\s*</.test(text) ? number - Math.abs(number) * 1e-6 : number;
}

function groupsOf(body) {
  const groups = [];
  for (const row of body.rows) {
    if (groups.length && textOf(row, 0) === "" && row.cells.length > 1) groups.at(-1).push(row);
    else groups.push([row]);
  }
  return groups;
}

function sortable(table) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const keyed = groupsOf(body).map((rows) => ({ rows, text: textOf(rows[0], place) }));
      const there = keyed.filter(({ text }) => text !== "" && text !== "–");
      const numeric = there.length > 0 && there.every(({ text }) => numberOf(text) !== null);
      const order = numeric
        ? (a, b) => numberOf(a.text) - numberOf(b.text)
        : (a, b) => a.text.localeCompare(b.text, "en", { numeric: true });
      const before = head.getAttribute("aria-sort");
      // Scores from the highest on, words from A on; the next press turns it round.
      const down = before ? before === "ascending" : numeric;
      there.sort((a, b) => (down ? order(b, a) : order(a, b)));
      const rest = keyed.filter((one) => !there.includes(one));
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      body.append(...[...there, ...rest].flatMap(({ rows }) => rows));
    });
  });
}

function filterable(table) {
  const groups = groupsOf(table.tBodies[0]);
  if (groups.length < LONG || table.tHead.rows[0].cells.length < WIDE) return;
  const box = document.createElement("p");
  const label = document.createElement("label");
  const field = document.createElement("input");
  const count = document.createElement("span");
  box.className = "filter";
  field.type = "search";
  field.autocomplete = "off";
  label.append("Filter rows ", field);
  count.setAttribute("role", "status");
  box.append(label, " ", count);
  const filter = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const rows of groups) {
      const text = rows.flatMap((row) => [...row.cells].map((cell) => cell.textContent)).join(" ").toLowerCase();
      const fits = words.every((word) => text.includes(word));
      for (const row of rows) row.hidden = !fits;
      shown += fits;
    }
    count.textContent = `${shown} of ${groups.length} rows`;
  };
  field.addEventListener("input", filter);
  filter();
  table.closest(".scroll").before(box);
}

for (const table of document.querySelectorAll("table.sortable")) {
  sortable(table);
  filterable(table);
}
