// The page: its head, the summary, and the order of the sections.

function fillHead() {
  byId("kind").textContent = isComparison ? "isnet comparison" : "isnet evaluation";
  byId("title").replaceChildren(named(report.title));
  document.title = `${report.title} – isnet report`;
  const model = report.model ?? {}, parts = [];
  if (model.network) parts.push(`${model.network}, ${plural(model.parameters, "parameter")}, objective ${model.objective}`);
  const classes = classesOf(subjects[0]);
  if (classes.length) parts.push(plural(classes.length, "class", "classes"));
  if (isComparison) parts.push(`split ${report.split}`, plural(report.comparison.samples, "sample"));
  else if (subjects.length === 1) parts.push(`split ${subjects[0].name}`, plural(subjects[0].metrics.samples, "sample"));
  else parts.push(plural(subjects.length, "split"));
  byId("subtitle").replaceChildren(named(parts.join(" · ")));
  byId("footer").textContent = `isnet ${report.program.isnet}, LibTorch ${report.program.torch}. Charts: D3 ${d3.version}. This file needs no network.`;
}

function themeSwitch() {
  const root = document.documentElement, dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
  const label = () => (byId("theme").textContent = dark() ? "Light" : "Dark");
  byId("theme").title = "Change between light and dark";
  byId("theme").addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; label(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", label);
  label();
}

// One choice for all sections; arrow keys move it, as in any group of radio buttons.
function subjectSwitch() {
  if (subjects.length < 2) return;
  const group = element("div", { class: "segments", role: "radiogroup", "aria-label": isComparison ? "Model" : "Split" });
  const buttons = subjects.map((subject, i) => element("button", { type: "button", role: "radio", onclick: () => select(i) }, named(subject.name)));
  const mark = () => buttons.forEach((one, i) => { one.setAttribute("aria-checked", i === state.subject); one.tabIndex = i === state.subject ? 0 : -1; });
  group.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    select((state.subject + by + subjects.length) % subjects.length);
    buttons[state.subject].focus();
  });
  listeners.push(mark);
  mark();
  group.append(...buttons);
  byId("subjects").append(group);
}

// The link of the section that is being read is marked.
function followSections() {
  const links = new Map([...byId("contents").children].map((link) => [link.getAttribute("href").slice(1), link]));
  const visible = new Set();
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) entry.isIntersecting ? visible.add(entry.target.id) : visible.delete(entry.target.id);
    const here = [...links.keys()].find((id) => visible.has(id));
    for (const [id, link] of links) link.classList.toggle("here", id === here);
  }, { rootMargin: "-20% 0px -70% 0px" });
  for (const id of links.keys()) observer.observe(byId(id));
}

// --- summary -----------------------------------------------------------------------------------------------

const answer = (question, ...content) => element("div", { class: "answer" }, element("h3", {}, question), content);

function goodAnswer() {
  const ranked = subjects.filter((subject) => isNumber(mainFigure(subject)?.value)).sort((a, b) => mainFigure(a).value - mainFigure(b).value);
  const question = "How good is it?";
  if (!ranked.length) return segmentationAnswer(question);
  const worst = ranked[0], best = ranked[ranked.length - 1], of = mainFigure(worst);
  const range = (subject) => (hasInterval(mainFigure(subject)) ? `95 % interval ${percent(mainFigure(subject).low)} to ${percent(mainFigure(subject).high)}` : "");
  if (ranked.length === 1)
    return answer(question, element("p", { class: "big" }, percent(of.value), element("small", {}, " accuracy")), element("p", { class: "quiet" }, `Of ${plural(worst.metrics.samples, "sample")} of `, named(worst.name), `. ${range(worst)}.`));
  if (percent(of.value) === percent(mainFigure(best).value))
    return answer(question, element("p", { class: "big" }, percent(of.value), element("small", {}, " accuracy")), element("p", { class: "quiet" }, `The same on all ${ranked.length} ${subjectWord}s. ${range(worst)}.`));
  return answer(question, element("p", { class: "big" }, percent(of.value), element("small", {}, " to "), percent(mainFigure(best).value)),
    element("p", { class: "quiet" }, "Accuracy, from ", named(worst.name), " to ", named(best.name), `. ${range(worst)}; ${range(best).replace("95 % interval ", "")}.`));
}

// The mean Dice of the classes of pixels but the background, which is the first.
function segmentationAnswer(question) {
  const dice = subjects.flatMap((subject) => {
    const of = subject.metrics.segmentation, values = of ? of.classes.slice(1).map((name) => of.per_class[name]?.dice).filter(isNumber) : [];
    return values.length ? [{ subject, value: d3.mean(values), classes: values.length }] : [];
  }).sort((a, b) => a.value - b.value);
  if (!dice.length) return answer(question, element("p", { class: "words" }, "Not known"), element("p", { class: "quiet" }, "The network’s outputs have no scores."));
  const { subject, value, classes } = dice[0];
  return answer(question, element("p", { class: "big" }, percent(value), element("small", {}, " Dice")), element("p", { class: "quiet" }, `Mean of ${plural(classes, "class", "classes")} of pixels`, subjects.length > 1 ? ["; the lowest, on ", named(subject.name)] : "", "."));
}

function weakAnswer() {
  const question = "Where is it weakest?", lines = [];
  let words = null;
  const recalls = subjects.flatMap((subject) => classesOf(subject).map((name) => ({ subject, name, of: classScores(subject, name).recall }))).filter(({ of }) => isNumber(of?.value)).sort((a, b) => a.of.value - b.of.value);
  if (recalls.length) {
    const { subject, name, of } = recalls[0];
    words = [named(name), ": ", percent(of.value)];
    lines.push(["Lowest recall of a class", subjects.length > 1 ? [", on ", named(subject.name)] : null, hasInterval(of) ? ` (95 % interval ${percent(of.low)} to ${percent(of.high)})` : null, "."]);
  }
  for (const subject of subjects)
    for (const groups of subject.metrics.groups ?? [])
      lines.push(["Worst by ", named(groups.by), ": ", named(groups.worst), `, accuracy ${percent(asEstimate(groups.worst_accuracy).value)}`, subjects.length > 1 ? [" on ", named(subject.name)] : null, `; ${percent(groups.gap)} below the best.`]);
  if (!words) return null;
  return answer(question, element("p", { class: "words" }, words), lines.slice(0, 3).map((line) => element("p", { class: "quiet" }, line)));
}

function differenceAnswer() {
  const pair = report.comparison.pairs[0], p = pair.differences.accuracy?.adjusted_p ?? pair.mcnemar.adjusted_p;
  const value = (pair.mcnemar.only_first_right - pair.mcnemar.only_second_right) / report.comparison.samples;
  return answer("Do they differ?", element("p", { class: "words" }, pair.mcnemar.adjusted_p < 0.05 ? "Yes" : "Not shown"),
    element("p", { class: "quiet" }, named(pair.first), ` is right about ${percent(Math.abs(value))} ${value < 0 ? "fewer" : "more"} samples than `, named(pair.second), ` (McNemar, p ${isNumber(p) && pair.mcnemar.adjusted_p >= 1e-4 ? "= " : ""}${pValue(pair.mcnemar.adjusted_p)}).`),
    report.comparison.pairs.length > 1 ? element("p", { class: "quiet" }, `${report.comparison.pairs.length - 1} more pairs below.`) : null);
}

function summarySection(body) {
  const background = backgroundAnswer();
  body.append(element("div", { class: "answers" }, goodAnswer(), isComparison ? differenceAnswer() : null,
    hasScores && answer("Is it blind to the background?", element("p", { class: "words" }, background.words), background.lines.slice(0, 3).map((line) => element("p", { class: "quiet" }, line))),
    isComparison ? null : weakAnswer()));
  const remarks = [...new Set([...(report.comparison?.remarks ?? []), ...subjects.flatMap((subject) => subject.metrics.remarks ?? [])])];
  if (remarks.length) body.append(element("ul", { class: "remarks note" }, remarks.map((remark) => element("li", {}, remark))));
  if (subjects.length > 1 && hasScores)
    body.append(dotPlot({ caption: isComparison ? `Accuracy by model, ${report.split}` : "Accuracy by split", xLabel: "Accuracy, 95 % interval", domain: [0, 1], most: 760,
      rows: subjects.map((subject, i) => ({ label: subject.name, estimate: mainFigure(subject), class: isComparison ? seriesClass(i) : "s1", note: plural(subject.metrics.samples, "sample") })) }));
  if (hasScores) body.append(summaryTable());
}

// --- training and details ----------------------------------------------------------------------------------

function trainingSection(body) {
  const training = report.training;
  if (training.note) body.append(quiet(training.note));
  const names = [...new Set(training.columns.map((column) => column.name))].filter((name) => name !== "step");
  const first = ["loss", "loss_classification", "loss_heatmap", "accuracy"].filter((name) => names.includes(name));
  const plot = (name) => {
    const columns = training.columns.filter((column) => column.name === name), lengths = Math.max(...columns.map((column) => column.epoch.length));
    const positive = columns.flatMap((column) => column.value).filter((value) => value > 0), wide = name.startsWith("loss") && positive.length > 3 && d3.max(positive) / d3.min(positive) > 30;
    return linePlot({ caption: `Training: ${figureName(name).toLowerCase()}`, most: 520, log: wide && positive.length === columns.flatMap((column) => column.value).length, integerX: true, xTicks: Math.min(8, lengths), xLabel: "Epoch", yLabel: wide ? "logarithmic" : "",
      series: columns.map((column, i) => ({ name: column.split, class: column.split === "train" ? "s1" : seriesClass(1 + Math.max(0, i - 1)), x: column.epoch, y: column.value })) });
  };
  body.append(element("p", { class: "lead" }, "Run folder ", element("code", {}, named(training.run ?? "")), ". Training rows are means over an epoch’s batches before their steps."), element("div", { class: "pair" }, first.map(plot)));
  const others = names.filter((name) => !first.includes(name));
  if (!others.length) return;
  const place = element("div", { class: "pair" });
  const details = element("details", { ontoggle: () => { if (details.open && !place.firstChild) place.append(...others.map(plot)); } }, element("summary", {}, plural(others.length, "more figure") + " of the training"), place);
  body.append(details);
}

const list = (...rows) => element("dl", {}, rows.filter(([, value]) => value !== undefined && value !== null && value !== "").map(([name, value]) => [element("dt", {}, name), element("dd", {}, value instanceof Node ? value : named(value))]));
const code = (text) => (text ? element("code", {}, named(text)) : null);

function detailsSection(body) {
  const model = report.model, data = report.data;
  if (model) body.append(element("h3", {}, model.network ? "Model" : "Predictions"), list(["File", code(model.file)], ["SHA-256", code(model.sha256)], ["Network", model.network], ["Objective", model.objective], ["Parameters", model.network ? count(model.parameters) : null], ["Task", model.task], ["Classes", model.classes?.join(", ")]));
  for (const [i, one] of (report.models ?? []).entries()) body.append(element("h3", {}, named(subjects[i].name)), list(["Named", code(subjects[i].path)], ["File", code(one.file)], ["SHA-256", code(one.sha256)]));
  if (data) {
    body.append(element("h3", {}, "Data"), list(["Data set", code(data.path)], ["SHA-256 of dataset.json", code(data.sha256)], ["Images", data.image_shape.join(" × ")]),
      table({ caption: "Splits", columns: [{ title: "Split", data: true }, { title: "Samples", number: true }, { title: "Shards", number: true }, { title: "Checksum of the shards" }],
        rows: data.splits.map((split) => ({ cells: [split.name, count(split.samples), count(split.shards), { text: split.checksum ?? "", node: () => code(split.checksum) ?? "" }] })) }));
  }
  body.append(element("h3", {}, "Program"), list(["isnet", report.program.isnet], ["LibTorch", report.program.torch]),
    element("details", {}, element("summary", {}, "Options"), table({ caption: "Options in force", columns: [{ title: "Option", sort: true }, { title: "Value", data: true }, { title: "Given on the command line or by --config", sort: true }], first: 500,
      rows: report.options.map(([name, value, given]) => ({ cells: [{ text: name, node: () => code(name) }, value, given ? "yes" : ""] })) })));
}

function drawPage() {
  fillHead();
  themeSwitch();
  subjectSwitch();
  section("summary", "Summary", summarySection, { bySubject: false });
  if (isComparison) section("comparison", "Tests", comparisonSection, { bySubject: false });
  const any = (key) => subjects.some((subject) => subject.metrics[key]);
  if (hasScores) {
    section("background", "Background", backgroundSection);
    section("scores", "Scores", scoresSection);
    section("curves", "Curves", curvesSection, { bySubject: !isComparison });
  }
  if (any("confusion_matrix")) section("confusion", "Confusion", confusionSection, { bySubject: !isComparison });
  if (hasScores) {
    section("classes", "Classes", classSection);
    section("calibration", "Calibration", calibrationSection, { bySubject: !isComparison });
    section("groups", "Groups", groupsSection);
  }
  if (any("operating_points")) section("operating-points", "Thresholds", operatingSection);
  if (any("implicit_class")) section("implicit", "Implicit class", implicitSection);
  if (any("segmentation")) section("segmentation", "Segmentation", segmentationSection);
  if (hasScores) section("samples", "Samples", samplesSection, { bySubject: !isComparison });
  if (report.training) section("training", "Training", trainingSection, { bySubject: false });
  section("details", "Details", detailsSection, { bySubject: false });
  followSections();
  document.documentElement.dataset.ready = "true";
}
drawPage();
