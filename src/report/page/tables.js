// Tables that can be sorted, copied as Markdown and LaTeX, and saved as CSV.

// A cell is a text, a number, or {text, node(), sort, title, class}.
const cellText = (cell) => (cell === null || cell === undefined ? "" : typeof cell === "object" ? cell.text : String(cell));
const cellSort = (cell) => (cell !== null && typeof cell === "object" ? cell.sort ?? cell.text : cell);

const latexSigns = {
  "\\": "\\textbackslash{}", "{": "\\{", "}": "\\}", "$": "\\$", "&": "\\&", "#": "\\#", "_": "\\_", "%": "\\%", "~": "\\textasciitilde{}",
  "^": "\\textasciicircum{}", "–": "--", "−": "$-$", "κ": "$\\kappa$", "χ": "$\\chi$", "<": "$<$", ">": "$>$", "\u202f": "\\,", "’": "'", "²": "$^2$", "Δ": "$\\Delta$",
};
const latex = (text) => text.replace(/[\\{}$&#_%~^–−κχ<>\u202f’²Δ]/g, (sign) => latexSigns[sign]).replace(/\s+/g, " ");
const markdown = (text) => text.replace(/[\\|*_`<>[\]]/g, (sign) => "\\" + sign).replace(/\s+/g, " ");

const plainRows = (rows) => rows.filter((row) => !row.heading).map((row) => row.cells.map(cellText));
function markdownTable(columns, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |\n`;
  return line(columns.map((column) => markdown(column.title))) + line(columns.map((column) => (column.number ? "---:" : ":---"))) +
    plainRows(rows).map((row) => line(row.map(markdown))).join("");
}
function latexTable(columns, rows, caption) {
  const line = (cells) => `  ${cells.join(" & ")} \\\\\n`;
  return `\\begin{table}\n\\centering\n\\caption{${latex(caption)}}\n\\begin{tabular}{${columns.map((column) => (column.number ? "r" : "l")).join("")}}\n` +
    `  \\toprule\n${line(columns.map((column) => latex(column.title)))}  \\midrule\n` +
    plainRows(rows).map((row) => line(row.map(latex))).join("") + "  \\bottomrule\n\\end{tabular}\n\\end{table}\n";
}

function tableCell(cell, column) {
  const node = element("td", { class: [column.number && "number", cell?.class].filter(Boolean).join(" ") || null, title: cell?.title || null });
  if (cell?.node) node.append(...[cell.node()].flat().filter(Boolean));
  else if (column.data) node.append(named(cellText(cell)));
  else node.append(cellText(cell));
  return node;
}
function tableRow(row, columns) {
  if (row.heading) return element("tr", { class: "group" }, element("td", { colspan: columns.length }, row.heading));
  return element("tr", { class: row.class ?? null }, columns.map((column, i) => tableCell(row.cells[i], column)));
}

// `columns`: {title, number, data (a name), sort}; `rows`: {cells, class} or {heading}. `csv`: other rows for the file.
function table({ caption, columns, rows, csv, first = 40 }) {
  let shown = rows.length > first + 10 ? first : rows.length, order = rows;
  const body = element("tbody");
  const more = element("button", { type: "button", class: "more", onclick: () => { shown = rows.length; fill(); } });
  const fill = () => {
    body.replaceChildren(...order.slice(0, shown).map((row) => tableRow(row, columns)));
    more.textContent = `Show all ${count(rows.length)} rows`;
    more.classList.toggle("hidden", shown >= rows.length);
  };
  const sortBy = (index, header) => {
    const down = header.getAttribute("aria-sort") === "descending" ? 1 : -1;
    for (const other of header.parentNode.children) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", down < 0 ? "descending" : "ascending");
    const key = (row) => cellSort(row.cells[index]);
    order = [...rows].sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      return down * (typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y)));
    });
    fill();
  };
  const head = columns.map((column, index) => {
    if (!column.sort) return element("th", { scope: "col", class: column.number ? "number" : null }, column.title);
    const header = element("th", { scope: "col", class: (column.number ? "number " : "") + "sortable" });
    header.append(button(column.title, "Sort", () => sortBy(index, header)));
    return header;
  });
  fill();
  const file = fileName(caption);
  const data = csv ?? { header: columns.map((column) => column.title), rows: plainRows(rows) };
  return element("figure", { class: "table" },
    element("div", { class: "caption" }, element("strong", {}, caption), element("span", { class: "tools" },
      button("Markdown", "Copy as a Markdown table", () => copy(markdownTable(columns, rows), "Markdown", file + ".md", "text/markdown")),
      button("LaTeX", "Copy as a LaTeX table (booktabs)", () => copy(latexTable(columns, rows, caption), "LaTeX", file + ".tex", "application/x-tex")),
      button("CSV", "Save as CSV", () => save(file + ".csv", csvText(data), "text/csv")))),
    element("div", { class: "scroll" }, element("table", {}, element("thead", {}, element("tr", {}, head)), body)), more);
}
