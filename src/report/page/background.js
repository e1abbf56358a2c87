// Whether it looks at the background: causal tests, which need no heatmap, and figures of heatmaps.

const conditionNames = {
  original: "Original", only_foreground: "Only foreground", only_background: "Only background", mixed_same: "Same-class background",
  mixed_rand: "Any-class background", mixed_next: "Next-class background", noise: "Noise", blur: "Blurred", constant: "Constant", shuffle: "Shuffled",
};
const conditionPhrases = {
  mixed_same: "The background of another image of its class", mixed_rand: "The background of another image of any class", mixed_next: "The background of an image of the next class",
  noise: "Noise as background", blur: "A blurred background", constant: "A constant background", shuffle: "A shuffled background",
  only_foreground: "Removing the background", only_background: "Removing the object",
};
const phraseOf = (of) => (Object.hasOwn(conditionPhrases, of.name) ? conditionPhrases[of.name] : `The background “${figureName(of.name)}”`);
const explanationNames = { lrp: "LRP", rollout: "Attention rollout", "gradient-x-input": "Gradient × input", "integrated-gradients": "Integrated gradients", "grad-cam": "Grad-CAM", attention: "Attention" };
const measureNames = {
  background_share: "Share of |relevance| in the background", relevance_mass_accuracy: "Relevance mass accuracy", relevance_rank_accuracy: "Relevance rank accuracy",
  pointing_game: "Pointing game", deletion_auc: "Deletion, area under the curve", insertion_auc: "Insertion, area under the curve",
  background_gap: "Background gap: same class − any class", flip_rate: "Flip rate", logit_change: "Mean |Δ logit|", probability_change: "Mean |Δ probability|",
  follows_background: "Follows the background’s class",
};
const nameIn = (names, key) => (Object.hasOwn(names, key) ? names[key] : figureName(key));
const gapName = (key) => {
  if (key === "background_gap") return measureNames[key];
  const parts = key.split("_minus_");
  return parts.length === 2 ? parts.map((part, i) => { const name = nameIn(conditionNames, part); return i ? name.charAt(0).toLowerCase() + name.slice(1) : name; }).join(" − ") : figureName(key);
};
const testsOf = (subject) => subject.metrics.background;
const explanationsOf = (subject) => subject.metrics.explanations ?? [];
const conditionsOf = (subject) => testsOf(subject)?.conditions ?? [];
const shownShares = (subject) => (isComparison ? report.samples ?? [] : subject.samples ?? [])
  .map((sample) => (isComparison ? sample.maps?.find((map) => subjects[map.model] === subject) : sample.maps?.[0])?.background).filter(isNumber);

// The condition with the largest flip rate: other images' backgrounds where they were tried, else any.
function hardestCondition(subject) {
  const flips = conditionsOf(subject).filter((one) => isNumber(one.flip_rate?.value)), swaps = flips.filter((one) => one.name.startsWith("mixed_"));
  return (swaps.length ? swaps : flips).sort((a, b) => b.flip_rate.value - a.flip_rate.value)[0];
}
const flipText = (of) => `${percent(of.flip_rate.value)} of the predictions` + (hasInterval(of.flip_rate) ? ` (95 % interval ${percent(of.flip_rate.low)} to ${percent(of.flip_rate.high)})` : "");

// Below 1 % is called blind, above 5 % is not, by the ends of the interval that speak against it.
const blindBelow = 0.01, seesAbove = 0.05;
function verdictOf({ flip_rate: rate }) {
  if ((rate.high ?? rate.value) < blindBelow) return "Yes";
  return (rate.low ?? rate.value) > seesAbove ? "No" : "Not quite";
}
// Why there are no causal tests.
function untested() {
  if (isComparison) return ["The causal tests are those of ", option("isnet evaluate --background swap"), "."];
  if (!report.model?.network) return "The causal tests need the network and its images.";
  return ["The causal tests were not run (", option("--background swap"), "; they need masks)."];
}

function backgroundAnswer() {
  const tested = subjects.map((subject) => ({ subject, of: hardestCondition(subject) })).filter(({ of }) => of).sort((a, b) => b.of.flip_rate.value - a.of.flip_rate.value);
  const on = (subject) => (subjects.length > 1 ? `${subject.name}: ` : "");
  const lines = [];
  let words = "Not tested";
  if (tested.length) {
    const verdicts = tested.map(({ of }) => verdictOf(of));
    words = isComparison && new Set(verdicts).size > 1 ? tested.map(({ subject }, i) => `${subject.name}: ${verdicts[i].toLowerCase()}`).join("; ") : verdicts[0];
    for (const { subject, of } of isComparison ? tested : tested.slice(0, 1))
      lines.push([subjects.length > 1 ? [named(subject.name), ": "] : null, `${phraseOf(of)} changes ${flipText(of)}.`]);
  }
  const shares = subjects.flatMap((subject) => explanationsOf(subject).filter((one) => one.figures?.background_share?.mean).map((one) => ({ subject, one })))
    .sort((a, b) => b.one.figures.background_share.mean.value - a.one.figures.background_share.mean.value);
  if (shares.length) {
    const { subject, one } = shares[0];
    lines.push(`${on(subject)}${percent(one.figures.background_share.mean.value)} of the relevance lies in the background on average (${nameIn(explanationNames, one.explanation)}).`);
  } else {
    const shown = subjects.map((subject) => ({ subject, shares: shownShares(subject) })).filter((one) => one.shares.length).sort((a, b) => d3.median(b.shares) - d3.median(a.shares));
    for (const one of isComparison ? shown : shown.slice(0, 1)) lines.push(`${on(one.subject)}of the ${count(one.shares.length)} heatmaps shown below, the median has ${percent(d3.median(one.shares))} of its relevance outside of the mask.`);
  }
  if (!tested.length) lines.push(untested());
  return { words, lines };
}

function conditionFigures(body, subject) {
  const of = testsOf(subject), conditions = of.conditions, hardest = hardestCondition(subject);
  if (hardest) body.append(element("p", {}, `${phraseOf(hardest)} changes `, element("strong", {}, flipText(hardest)), "."));
  const rows = (key) => conditions.filter((one) => one[key]).map((one) => ({ label: nameIn(conditionNames, one.name), estimate: asEstimate(one[key]), class: one.name === "original" ? "s7" : one.name.startsWith("only_background") ? "s2" : "s1", note: one.background }));
  const flips = rows("flip_rate");
  body.append(element("div", { class: "pair" },
    dotPlot({ caption: `Accuracy on other backgrounds, ${subject.name}`, xLabel: "Accuracy, 95 % interval", domain: [0, 1], rows: rows("accuracy"),
      note: isNumber(of.majority_share) ? `The most frequent class has ${percent(of.majority_share)} of the samples: what the background alone gives away is the rest.` : null }),
    flips.length ? dotPlot({ caption: `Predictions that change, ${subject.name}`, xLabel: "Flip rate, 95 % interval", domain: [0, 1], rows: flips }) : null));
  const keys = ["accuracy", "balanced_accuracy", "flip_rate", "logit_change", "probability_change", "follows_background"].filter((key) => conditions.some((one) => one[key] !== undefined && one[key] !== null));
  body.append(table({ caption: `Background tests, ${subject.name}`, columns: [{ title: "Images" }, ...keys.map((key) => ({ title: nameIn(measureNames, key), number: true }))],
    rows: conditions.map((one) => ({ cells: [{ text: nameIn(conditionNames, one.name), title: one.background && `Background: ${one.background}` }, ...keys.map((key) => estimateCell(asEstimate(one[key])))] })) }));
  const gaps = Object.entries(of.gaps ?? {}).filter(([, gap]) => isNumber(asEstimate(gap).value));
  if (gaps.length) body.append(dotPlot({ caption: `Differences of accuracy, ${subject.name}`, xLabel: "Difference, 95 % interval", reference: 0, most: 760, rows: gaps.map(([key, gap]) => ({ label: gapName(key), estimate: asEstimate(gap), class: "s1" })) }));
  const left = Object.values(of.left_out ?? {}).reduce((sum, n) => sum + n, 0);
  body.append(quiet(`${plural(of.samples, "sample")}, ${plural(of.draws ?? 1, "draw")} of backgrounds, seed ${of.seed ?? 0}` + (of.fill ? `; what an object leaves is filled by ${of.fill}` : "") + (left ? `; ${count(left)} left out, without object or background` : "") + ". Measures of the background challenge (Xiao et al. 2021)."), ...(of.remarks ?? []).map((remark) => quiet(remark)));
  if (hardest?.per_class) {
    const names = classesOf(subject).filter((name) => Object.hasOwn(hardest.per_class, name));
    if (names.length) body.append(element("details", {}, element("summary", {}, "By class"), table({ caption: `By class, ${nameIn(conditionNames, hardest.name).toLowerCase()}, ${subject.name}`,
      columns: [{ title: "Class", data: true, sort: true }, { title: "Samples", number: true, sort: true }, ...["accuracy", "flip_rate", "logit_change"].map((key) => ({ title: nameIn(measureNames, key), number: true, sort: true }))],
      rows: names.map((name) => { const one = hardest.per_class[name]; return { cells: [name, { text: count(one.samples), sort: one.samples }, ...["accuracy", "flip_rate", "logit_change"].map((key) => estimateCell(asEstimate(one[key])))] }; }) })));
  }
}

function explanationFigures(body, subject, explanations) {
  body.append(element("h3", {}, "Heatmaps"));
  const title = (one) => nameIn(explanationNames, one.explanation) + (one.class ? `, ${one.class} class` : "");
  const keys = [...new Set(explanations.flatMap((one) => Object.keys(one.figures ?? {})))];
  const statistics = keys.flatMap((key) => ["mean", "median"].filter((of) => explanations.some((one) => one.figures?.[key]?.[of])).map((of) => [key, of]));
  body.append(table({ caption: `Measures of heatmaps, ${subject.name}`, columns: [{ title: "Measure" }, { title: "" }, ...explanations.map((one) => ({ title: title(one), number: true }))],
    rows: statistics.map(([key, of]) => ({ cells: [nameIn(measureNames, key), of, ...explanations.map((one) => estimateCell(asEstimate(one.figures?.[key]?.[of])))] })) }));
  const curves = (key) => explanations.filter((one) => one.curves?.[key]?.length).map((one, i) => ({ name: title(one), class: seriesClass(i), x: one.curves.fraction, y: one.curves[key], value: "" }));
  const plots = [["deletion", "Deletion"], ["insertion", "Insertion"]].filter(([key]) => curves(key).length).map(([key, name]) =>
    linePlot({ caption: `${name}, ${subject.name}`, series: curves(key), xLabel: "Share of the pixels", yLabel: "Mean probability", xDomain: [0, 1], yDomain: [0, 1], square: true,
      note: key === "deletion" ? "The most relevant pixels are removed first: lower is better." : "The most relevant pixels are shown first: higher is better." }));
  if (plots.length) body.append(element("div", { class: "pair" }, plots));
  for (const one of explanations) {
    const regions = Object.entries(one.regions ?? {});
    if (regions.length) body.append(table({ caption: `Relevance inside regions, ${title(one)}, ${subject.name}`, columns: [{ title: "Region", data: true }, { title: "Mean", number: true }, { title: "Median", number: true }],
      rows: regions.map(([name, of]) => ({ cells: [name, estimateCell(asEstimate(of.mean)), estimateCell(asEstimate(of.median))] })) }));
    const names = classesOf(subject).filter((name) => Object.hasOwn(one.per_class ?? {}, name)), figures = names.length ? Object.keys(one.per_class[names[0]]).filter((key) => key !== "samples") : [];
    if (figures.length) body.append(element("details", {}, element("summary", {}, `${title(one)}: by class`), table({ caption: `${title(one)} by class, ${subject.name}`,
      columns: [{ title: "Class", data: true, sort: true }, { title: "Samples", number: true, sort: true }, ...figures.map((key) => ({ title: nameIn(measureNames, key), number: true, sort: true }))],
      rows: names.map((name) => { const of = one.per_class[name]; return { cells: [name, { text: count(of.samples), sort: of.samples }, ...figures.map((key) => estimateCell(asEstimate(of[key])))] }; }) })));
    body.append(...(one.remarks ?? []).map((remark) => quiet(remark)));
  }
}

function backgroundSection(body) {
  const subject = current(), explanations = explanationsOf(subject), shares = shownShares(subject);
  if (testsOf(subject)) conditionFigures(body, subject);
  else body.append(quiet(untested()));
  if (explanations.length) explanationFigures(body, subject, explanations);
  else {
    if (shares.length) body.append(element("p", {}, `In the heatmaps of the ${plural(shares.length, "sample")} below, the median share of |relevance| outside of the mask is ${percent(d3.median(shares))}; the largest is ${percent(d3.max(shares))}.`));
    if (report.model?.network) body.append(quiet("Measures of all samples’ heatmaps were not computed (", option("--explanation lrp"), ")."));
  }
}

// Beside heatmaps: they show what a decision rests on, not all that would change it.
function causalNote(subject) {
  const hardest = hardestCondition(subject);
  const words = hardest ? `${phraseOf(hardest)} changes ${flipText(hardest)}` : "Whether another background changes the prediction was not tested";
  return element("p", { class: "note" }, "A heatmap can be clean while the background still acts. ", words, " (", element("a", { href: "#background" }, "Background"), ").");
}
