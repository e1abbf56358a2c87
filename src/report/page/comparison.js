// Models side by side: paired tests and intervals of differences.

function comparisonSection(body) {
  const pairs = report.comparison.pairs;
  body.append(element("p", { class: "lead" }, `All models on the same ${plural(report.comparison.samples, "sample")} of ${report.split}. Differences are first − second; p-values are adjusted by Holm’s method where there are several.`));
  for (const pair of pairs) {
    const title = `${pair.first} − ${pair.second}`, right = pair.mcnemar, samples = report.comparison.samples;
    const rows = [{ name: "Right decisions", test: "McNemar", difference: { value: (right.only_first_right - right.only_second_right) / samples }, p: right.p, adjusted: right.adjusted_p,
      note: `Only the first is right: ${count(right.only_first_right)}; only the second: ${count(right.only_second_right)}` },
    ...Object.entries(pair.delong).map(([name, of]) => ({ name: `AUC, ${name}`, test: "DeLong", difference: of, p: of.p, adjusted: of.adjusted_p })),
    ...Object.entries(pair.differences).map(([key, of]) => ({ name: figureName(key), test: of.method ?? "bootstrap", difference: of, p: of.p, adjusted: of.adjusted_p }))];
    body.append(
      dotPlot({ caption: `Differences, ${title}`, xLabel: "First − second, 95 % interval", reference: 0, digits: 3, most: 760,
        rows: rows.filter((row) => hasInterval(row.difference) && row.name !== figureNames.log_loss).map((row) => ({ label: row.name, estimate: row.difference, class: Math.sign(row.difference.low) === Math.sign(row.difference.high) ? "s1" : "s7", note: `p = ${pValue(row.p)}` })) }),
      table({ caption: `Tests, ${title}`,
        columns: [{ title: "Of" }, { title: "Difference", number: true }, { title: "95 % interval", number: true }, { title: "Test" }, { title: "p", number: true }, { title: "p (Holm)", number: true }],
        rows: rows.map((row) => ({ cells: [{ text: row.name, title: row.note }, fixed(row.difference.value, 4), interval(row.difference, 4), row.test, pValue(row.p), pValue(row.adjusted)] })) }),
      quiet(`McNemar: only ${pair.first} is right about ${plural(right.only_first_right, "sample")}, only ${pair.second} about ${count(right.only_second_right)}.`));
  }
}
