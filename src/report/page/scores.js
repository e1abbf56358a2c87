// How good it is: scores with intervals, classes, curves, confusion, calibration, groups.

const mainFigure = (subject) => scoresOf(subject)?.accuracy ?? { value: subject.metrics.accuracy };
const classesOf = (subject) => subject.classes ?? subject.metrics.classes ?? [];
const isMulti = (subject) => subject.task === "multi-label";
const hasScores = subjects.some((subject) => scoresOf(subject));
const bounded = (key) => !["log_loss", "kappa", "mcc"].includes(key);

// Figures of all classes, in groups for reading.
function figureGroups(scores) {
  const keys = Object.keys(scores).filter((key) => key !== "per_class");
  const of = (test) => keys.filter(test);
  const averaged = (key) => Object.keys(averages).some((prefix) => key.startsWith(prefix + "_"));
  const ranking = (key) => key.startsWith("auc") || key.startsWith("average_precision");
  const probability = (key) => ["log_loss", "brier", "ece", "maximum_calibration_error"].includes(key);
  return [
    ["Decisions", of((key) => !averaged(key) && !ranking(key) && !probability(key))],
    ["Ranking", of(ranking)],
    ["Probabilities", of(probability)],
    ["Averages over classes", of(averaged)],
  ].filter(([, names]) => names.length);
}
const asEstimate = (value) => (typeof value === "number" ? { value } : value ?? { value: null });

function summaryTable() {
  const columns = [["accuracy"], ["exact_match"], ["balanced_accuracy"], ["macro_f1"], ["auc_macro"], ["log_loss"], ["ece"]].map(([key]) => key)
    .filter((key) => subjects.some((subject) => isNumber(asEstimate(scoresOf(subject)?.[key]).value)));
  return table({
    caption: isComparison ? "Models side by side" : subjects.length > 1 ? "All splits" : "Main scores",
    columns: [{ title: isComparison ? "Model" : "Split", data: true, sort: true }, { title: "Samples", number: true }, ...columns.map((key) => ({ title: key === "ece" ? "ECE" : figureName(key), number: true, sort: true }))],
    rows: subjects.map((subject) => ({ cells: [subject.name, { text: count(subject.metrics.samples), sort: subject.metrics.samples }, ...columns.map((key) => estimateCell(asEstimate(scoresOf(subject)?.[key])))] })),
  });
}

function scoresSection(body) {
  const subject = current(), scores = scoresOf(subject);
  if (!scores) {
    body.append(quiet("There are no scores of probabilities for this split."));
    return;
  }
  const posterior = subject.metrics.posterior ?? {};
  const rows = [], groups = figureGroups(scores);
  for (const [title, keys] of groups) {
    rows.push({ heading: title });
    for (const key of keys) {
      const estimate = asEstimate(scores[key]), of = posterior[key];
      rows.push({ cells: [figureName(key),
        isNumber(estimate.value) ? { text: fixed(estimate.value, 4), sort: estimate.value } : { text: "undefined", title: estimate.note, class: "quiet" },
        interval(estimate, 4), miniature(key, estimate), estimate.method ?? "",
        of ? { text: `${fixed(of.mean, 4)} (${fixed(of.low, 4)}–${fixed(of.high, 4)})`, title: `standard deviation ${fixed(of.deviation, 4)}`, node: () => [fixed(of.mean, 4), element("span", { class: "ci" }, `${fixed(of.low, 4)}–${fixed(of.high, 4)}`)] } : ""] });
    }
  }
  const flat = (row) => row.cells.filter((cell, i) => i !== 3).map(cellText);
  const boot = subject.metrics.bootstrap;
  const columns = [{ title: "Score" }, { title: "Value", number: true }, { title: "95 % interval", number: true }, { title: "0 to 1" }, { title: "Method" }, { title: "Posterior (95 % HDI)", number: true }];
  const shown = Object.keys(posterior).length ? columns : columns.slice(0, 5);
  body.append(table({ caption: `Scores of ${subject.name}`, columns: shown, rows, first: 60,
    csv: { header: shown.filter((column, i) => i !== 3).map((column) => column.title), rows: rows.filter((row) => !row.heading).map(flat) } }));
  if (boot?.replicates)
    body.append(quiet(`Bootstrap: ${plural(boot.replicates, "replicate")} of ${plural(boot.units, boot.by_group ? "group" : "sample")}, seed ${boot.seed}.` +
      (boot.by_group ? " Groups are drawn whole, since their samples are not independent." : "")));
}

// A small picture of a value between 0 and 1 with its interval.
function miniature(key, estimate) {
  if (!bounded(key) || !isNumber(estimate.value) || estimate.value > 1) return "";
  const node = () => {
    const x = d3.scaleLinear().domain([0, 1]).range([4, 116]);
    const svg = d3.create("svg").attr("class", "s1").attr("viewBox", "0 0 120 14").attr("width", 120).attr("height", 14).attr("aria-hidden", "true");
    svg.append("line").attr("x1", 4).attr("x2", 116).attr("y1", 7).attr("y2", 7).attr("stroke", "var(--rule)");
    if (hasInterval(estimate)) svg.append("line").attr("class", "error").attr("x1", x(estimate.low)).attr("x2", x(estimate.high)).attr("y1", 7).attr("y2", 7).attr("stroke-linecap", "round");
    svg.append("circle").attr("class", "mark").attr("cx", x(estimate.value)).attr("cy", 7).attr("r", 3.5);
    return svg.node();
  };
  return { text: "", node };
}

function classSection(body) {
  const subject = current(), classes = classesOf(subject);
  if (!scoresOf(subject)) return body.append(quiet("There are no scores by class."));
  const keys = ["precision", "recall", "specificity", "npv", "f1", "auc", "average_precision"];
  body.append(table({
    caption: `Classes of ${subject.name}`,
    columns: [{ title: "Class", data: true, sort: true }, { title: "Samples", number: true, sort: true }, ...keys.map((key) => ({ title: key === "average_precision" ? "AP" : figureName(key), number: true, sort: true }))],
    rows: classes.map((name) => {
      const of = classScores(subject, name);
      return { cells: [name, { text: count(of.samples), sort: of.samples }, ...keys.map((key) => estimateCell(of[key]))] };
    }),
  }));
  if (classes.length > 30) return;
  const dots = (key) => dotPlot({ caption: `${figureName(key)} by class, ${subject.name}`, xLabel: figureName(key) + ", 95 % interval", domain: [0, 1],
    rows: classes.map((name, i) => ({ label: name, estimate: classScores(subject, name)[key] ?? { value: null }, class: seriesClass(classes.length <= 8 ? i : 0) })) });
  body.append(element("div", { class: "pair" }, dots("recall"), dots("precision")));
  const posteriors = subject.metrics.posterior?.per_class;
  if (!posteriors) return;
  const cell = (of) => (of ? { text: `${fixed(of.mean)} ± ${fixed(of.deviation)} (${fixed(of.low)}–${fixed(of.high)})`, sort: of.mean, node: () => [`${fixed(of.mean)} ± ${fixed(of.deviation)}`, element("span", { class: "ci" }, `${fixed(of.low)}–${fixed(of.high)}`)] } : "–");
  body.append(element("details", {}, element("summary", {}, "Bayesian posteriors by class"), table({
    caption: `Posteriors of ${subject.name}: mean ± deviation (95 % HDI)`,
    columns: [{ title: "Class", data: true }, ...["precision", "recall", "f1"].map((key) => ({ title: figureName(key), number: true, sort: true }))],
    rows: classes.map((name) => { const of = Object.hasOwn(posteriors, name) ? posteriors[name] : {}; return { cells: [name, cell(of.precision), cell(of.recall), cell(of.f1)] }; }),
  })));
}

// --- curves ------------------------------------------------------------------------------------------------

let curveClass = -1;  // -1: all classes (of few), else one of many
function curvesSection(body) {
  const classes = classesOf(current());
  if (!subjects.some((subject) => subject.curves)) return body.append(quiet("There are no curves."));
  const many = classes.length > 8;
  if (curveClass >= classes.length) curveClass = -1;
  const together = isComparison || many;
  if (together && curveClass < 0) curveClass = classes.length === 2 ? 1 : 0;
  if (together || classes.length > 1) {
    const choose = element("select", { onchange: () => { curveClass = Number(choose.value); draw(); } },
      together ? null : element("option", { value: -1 }, "all"), classes.map((name, i) => element("option", { value: i, selected: i === curveClass }, name)));
    body.append(element("div", { class: "controls" }, element("label", {}, "Class", choose)));
  }
  const place = element("div", { class: "pair" });
  body.append(place);
  const draw = () => {
    const chosen = isComparison ? subjects.map((subject, i) => ({ subject, k: curveClass, name: subject.name, class: seriesClass(i) }))
      : classes.map((name, k) => ({ subject: current(), k, name, class: seriesClass(many ? 0 : k) })).filter(({ k }) => curveClass < 0 || k === curveClass);
    const of = isComparison || curveClass >= 0 ? `, ${classes[curveClass]}` : "";
    const where = isComparison ? report.split : current().name;
    const series = (kind, key) => chosen.map(({ subject, k, name, class: colour }) => {
      const curve = subject.curves?.[k]?.[kind], estimate = classScores(subject, classesOf(subject)[k])[key];
      return { name, class: colour, x: curve?.x ?? [], y: curve?.y ?? [], t: curve?.t ?? [], value: isNumber(estimate?.value) ? `${fixed(estimate.value)} (${interval(estimate)})` : "undefined" };
    });
    const points = isComparison ? [] : (current().metrics.operating_points ?? []).filter((point) => curveClass < 0 || point.class === classes[curveClass]).map((point) => {
      const k = classes.indexOf(point.class), value = (key) => asEstimate(point[key]).value;
      return { k, x: 1 - value("specificity"), y: value("sensitivity"), class: seriesClass(many ? 0 : k), text: `${point.class}: ${point.criterion}\nThreshold ${significant(point.threshold)}, chosen on ${point.chosen_on}\nSensitivity ${fixed(value("sensitivity"))}, specificity ${fixed(value("specificity"))}` };
    });
    place.replaceChildren(
      linePlot({ caption: `ROC curves, ${where}${of}`, series: series("roc", "auc"), xLabel: "False-positive rate", yLabel: "True-positive rate", xDomain: [0, 1], yDomain: [0, 1], diagonal: true, square: true, points, csvHeader: ["series", "threshold", "false_positive_rate", "true_positive_rate"],
        note: "Next to the names: area under the curve (95 % interval)." + (points.length ? " Rings: operating points chosen on validation." : "") }),
      linePlot({ caption: `Precision-recall curves, ${where}${of}`, series: series("precision_recall", "average_precision"), xLabel: "Recall", yLabel: "Precision", xDomain: [0, 1], yDomain: [0, 1], square: true, csvHeader: ["series", "threshold", "recall", "precision"],
        note: "Next to the names: average precision (95 % interval)." }));
  };
  draw();
}

// --- decisions ---------------------------------------------------------------------------------------------

function confusionsTable(subject, matrix, names) {
  const errors = matrix.flatMap((row, i) => { const all = d3.sum(row); return row.map((value, j) => ({ i, j, value, share: all ? value / all : 0 })); })
    .filter(({ i, j, value }) => i !== j && value > 0).sort((a, b) => b.value - a.value).slice(0, 200);
  if (!errors.length) return quiet("There are no errors.");
  return table({ caption: `Most frequent errors, ${subject.name}`, first: 8,
    columns: [{ title: "Label", data: true, sort: true }, { title: "Predicted", data: true, sort: true }, { title: "Samples", number: true, sort: true }, { title: "Share of the label", number: true, sort: true }],
    rows: errors.map(({ i, j, value, share }) => ({ cells: [names[i], names[j], { text: count(value), sort: value }, { text: percent(share), sort: share }] })) });
}

function confusionSection(body) {
  const drawOne = (subject) => {
    const matrix = subject.metrics.confusion_matrix, names = classesOf(subject);
    if (!matrix) return quiet("There is no confusion matrix.");
    if (isMulti(subject))
      return table({ caption: `Decisions by class, ${subject.name}`, columns: [{ title: "Class", data: true, sort: true }, ...["True positive", "False positive", "False negative", "True negative"].map((title) => ({ title, number: true, sort: true }))],
        rows: names.map((name, k) => ({ cells: [name, ...[matrix[k][1][1], matrix[k][0][1], matrix[k][1][0], matrix[k][0][0]].map((value) => ({ text: count(value), sort: value }))] })) });
    const plot = names.length <= 60 ? matrixPlot({ caption: `Confusion matrix, ${subject.name}`, matrix, names, choose: subject.samples?.length ? filterSamples : null,
      note: "Counts, and shares of each label (row), which are the colour." + (subject.samples?.length && names.length <= 20 ? " Choosing a cell shows its samples below." : "") }) : null;
    return element("div", { class: "pair" }, plot, confusionsTable(subject, matrix, names));
  };
  body.append(...(isComparison ? subjects.map(drawOne) : [drawOne(current())]));
}

function calibrationSection(body) {
  const subject = current(), scaled = subject.metrics.calibration;
  const sets = isComparison ? subjects.filter((one) => one.metrics.reliability).map((one) => ({ name: one.name, bins: one.metrics.reliability, class: seriesClass(subjects.indexOf(one)) }))
    : subject.metrics.reliability ? [{ name: "as it is", bins: subject.metrics.reliability, class: "s1" }] : [];
  if (!sets.length) return body.append(quiet("There are no probabilities."));
  if (scaled && !isComparison) sets.push({ name: "with temperature", bins: scaled.reliability, class: "s2", thin: true });
  const row = (title, key) => [title, ...(isComparison ? subjects.map((one) => estimateCell(asEstimate(scoresOf(one)?.[key]), 4)) : [estimateCell(asEstimate(scoresOf(subject)?.[key]), 4), ...(scaled ? [fixed(scaled[key]?.after, 4)] : [])])];
  const figures = table({ caption: `Probabilities, ${isComparison ? report.split : subject.name}`,
    columns: [{ title: "Score" }, ...(isComparison ? subjects.map((one) => ({ title: one.name, number: true })) : [{ title: "As it is", number: true }, ...(scaled ? [{ title: `Temperature ${fixed(scaled.temperature, 3)}`, number: true }] : [])])],
    rows: [["Log loss", "log_loss"], ["Brier score", "brier"], ["Expected calibration error", "ece"], ["Largest calibration error", "maximum_calibration_error"]].map(([title, key]) => ({ cells: row(title, key) })) });
  body.append(element("div", { class: "pair" },
    reliabilityPlot({ caption: `Reliability, ${isComparison ? report.split : subject.name}`, sets, note: "On the diagonal confidence equals frequency. Bars: share of the decisions in each bin." }),
    element("div", {}, figures, scaled ? quiet(`The temperature was chosen on ${scaled.chosen_on}.`) : isComparison ? null : quiet("Temperature scaling was not computed (", option("--calibrate 1"), ")."))));
}

function operatingSection(body) {
  const points = current().metrics.operating_points;
  if (!points) return body.append(quiet(`Operating points were not computed for ${current().name}.`));
  const keys = ["sensitivity", "specificity", "precision", "npv", "f1"];
  body.append(table({ caption: `Operating points, ${current().name}`,
    columns: [{ title: "Class", data: true, sort: true }, { title: "Criterion" }, { title: "Threshold", number: true }, ...keys.map((key) => ({ title: figureName(key), number: true }))],
    rows: points.map((point) => ({ cells: [point.class, point.criterion, significant(point.threshold), ...keys.map((key) => estimateCell(asEstimate(point[key])))] })) }),
  quiet(`Thresholds were chosen on ${points[0]?.chosen_on ?? "validation"} and are applied here.`));
}

function groupsSection(body) {
  const tables = current().metrics.groups;
  if (!tables?.length) return body.append(quiet("Scores by group were not computed (", option("--by-group NAME"), ")."));
  for (const of of tables) {
    body.append(element("p", {}, "Worst by ", named(of.by), ": ", element("strong", {}, named(of.worst)), ` with accuracy ${fixed(asEstimate(of.worst_accuracy).value)}; ${fixed(of.gap)} below the best.`));
    if (of.groups.length <= 40) body.append(dotPlot({ caption: `Accuracy by ${of.by}, ${current().name}`, xLabel: "Accuracy, 95 % interval", domain: [0, 1],
      rows: of.groups.map((group, i) => ({ label: group.group, estimate: asEstimate(group.accuracy), class: i === 0 ? "s2" : "s1", strong: i === 0, note: plural(group.samples, "sample") })) }));
    const keys = Object.keys(of.groups[0] ?? {}).filter((key) => !["group", "samples"].includes(key));
    body.append(table({ caption: `Groups by ${of.by}, ${current().name}`,
      columns: [{ title: of.by, data: true, sort: true }, { title: "Samples", number: true, sort: true }, ...keys.map((key) => ({ title: figureName(key), number: true, sort: true }))],
      rows: of.groups.map((group, i) => ({ class: i === 0 ? "worst" : null, cells: [group.group, { text: count(group.samples), sort: group.samples }, ...keys.map((key) => estimateCell(asEstimate(group[key])))] })) }));
  }
}

function implicitSection(body) {
  const of = current().metrics.implicit_class;
  if (!of) return body.append(quiet(`An implicit class was not computed for ${current().name}.`));
  body.append(element("p", {}, "A sample whose largest probability is below ", fixed(of.threshold, 4), ` (chosen on ${of.chosen_on}) is of class `, named(of.class), `. Accuracy ${estimateCell(of.accuracy).text}, AUC ${estimateCell(of.auc).text}.`),
    matrixPlot({ caption: `Confusion matrix with ${of.class}, ${current().name}`, matrix: of.confusion_matrix, names: of.classes }));
}

function segmentationSection(body) {
  const of = current().metrics.segmentation;
  if (!of) return body.append(quiet("Pixels are not classified."));
  const keys = ["dice", "iou", "precision", "recall"];
  body.append(table({ caption: `Pixels, ${current().name}`, columns: [{ title: "Class", data: true }, ...keys.map((key) => ({ title: key === "iou" ? "IoU" : figureName(key), number: true, sort: true }))],
    rows: of.classes.map((name) => ({ cells: [name, ...keys.map((key) => ({ text: fixed(of.per_class[name]?.[key], 4), sort: of.per_class[name]?.[key] ?? -1 }))] })) }));
}
