// Samples with image, mask and heatmaps: filters, and one of them enlarged.

const kindNames = { confident_error: "Most confident errors", worst: "Worst", best: "Best", random: "Random", disagreement: "Models disagree", all_wrong: "All are wrong" };
const filters = { kind: "all", label: "all", predicted: "all", outcome: "all", outline: true, overlay: false };
const relevanceColours = { positive: [190, 10, 30], negative: [10, 70, 180] };  // as in isnet's panels; zero is white

const listed = (classes) => (Array.isArray(classes) ? classes : [classes]);
const classNames = (classes) => listed(classes).map((k) => classesOf(current())[k] ?? String(k)).join(", ") || "none";
const probabilityOf = (sample, k) => sample.probabilities.find((pair) => pair[0] === k)?.[1];
const shownProbability = (sample) => (Array.isArray(sample.predicted) ? null : probabilityOf(sample, sample.predicted));

function passes(sample) {
  const has = (classes, wanted) => wanted === "all" || listed(classes).includes(Number(wanted));
  return (filters.kind === "all" || sample.kinds.includes(filters.kind)) && has(sample.label, filters.label) && has(sample.predicted, filters.predicted) &&
    (filters.outcome === "all" || sample.right === (filters.outcome === "right"));
}

// --- pictures ----------------------------------------------------------------------------------------------

// Grey of the file to colours: 128 is zero, 255 and 1 are the scale's ends.
function colourHeatmap(canvas, url) {
  const image = new Image();
  image.onload = () => {
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
    for (let i = 0; i < pixels.data.length; i += 4) {
      const value = Math.max(-1, Math.min(1, (pixels.data[i] - 128) / 127));
      const end = value > 0 ? relevanceColours.positive : relevanceColours.negative;
      for (let channel = 0; channel < 3; ++channel) pixels.data[i + channel] = 255 + Math.abs(value) * (end[channel] - 255);
    }
    context.putImageData(pixels, 0, 0);
  };
  image.src = url;
}
const outline = (sample) => {
  if (!sample.mask || !filters.outline) return null;
  const svg = d3.create("svg").attr("viewBox", `0 0 ${sample.size[1]} ${sample.size[0]}`).attr("preserveAspectRatio", "none").attr("aria-hidden", "true");
  svg.append("path").attr("d", sample.mask);
  return svg.node();
};
function frame(sample, className, ...children) {
  const node = element("div", { class: `picture ${className}${sample.size[1] <= 160 ? " small" : ""}` }, children, outline(sample));
  node.style.aspectRatio = `${sample.size[1]} / ${sample.size[0]}`;
  return node;
}
const photo = (sample) => element("img", { src: sample.image, alt: `Image ${sample.id}`, loading: "lazy" });
const imagePicture = (sample) => frame(sample, "photo", photo(sample));
function heatPicture(sample, map) {
  const canvas = element("canvas", { role: "img", "aria-label": `Heatmap of ${mapName(map)}`, class: filters.overlay ? "overlay" : null });
  colourHeatmap(canvas, map.picture);
  return frame(sample, "heat", filters.overlay ? photo(sample) : null, canvas);
}
const mapName = (map) => (map.model === undefined ? "" : subjects[map.model].name + ": ") + (map.name ?? (map.class === null || map.class === undefined ? "the labels" : classesOf(current())[map.class] ?? map.class)) +
  (map.of === "predicted" ? " (predicted)" : map.of === "label" ? " (label)" : "");
function scaleBar(scale) {
  const canvas = element("canvas", { width: 255, height: 1, "aria-hidden": "true" }), context = canvas.getContext("2d");
  for (let i = 0; i < 255; ++i) {
    const value = (i - 127) / 127, end = value > 0 ? relevanceColours.positive : relevanceColours.negative;
    context.fillStyle = `rgb(${end.map((channel) => Math.round(255 + Math.abs(value) * (channel - 255))).join(",")})`;
    context.fillRect(i, 0, 1, 1);
  }
  const [low, high] = scale === undefined ? ["against", "for"] : ["−" + scale.toPrecision(2), scale.toPrecision(2)];
  return element("span", { class: "scale" }, low, canvas, high);
}

function probabilityBar(p) {
  const fill = element("span");
  fill.style.width = 100 * p + "%";
  return element("span", { class: "probability", "aria-hidden": "true" }, fill);
}

// --- one sample --------------------------------------------------------------------------------------------

function verdict(sample) {
  const probability = shownProbability(sample), predicted = [named(classNames(sample.predicted)), probability === undefined || probability === null ? null : ` ${percent(probability)}`];
  if (sample.right) return ["Right: ", element("b", {}, ...predicted)];
  return [element("span", { class: "wrong" }, element("b", {}, ...predicted)), " instead of ", named(classNames(sample.label))];
}
function modelLines(sample) {
  if (!sample.models) return null;
  return sample.models.map((one, i) => element("p", { class: "what" }, element("span", { class: seriesClass(i) }, element("span", { class: "key" })), named(subjects[i].name), ": ",
    element(one.right ? "b" : "span", { class: one.right ? null : "wrong" }, named(classNames(one.predicted)), isNumber(one.probability) ? ` ${percent(one.probability)}` : null)));
}
function sampleCard(sample, open) {
  const maps = sample.maps ?? [], pictures = sample.image ? element("div", { class: "pictures" }, imagePicture(sample), maps.slice(0, sample.models ? 4 : 1).map((map) => heatPicture(sample, map))) : null;
  return element("button", { type: "button", class: "sample", onclick: open, "aria-label": `Enlarge sample ${sample.id}` }, pictures,
    sample.models ? [element("p", { class: "what" }, "Label ", named(classNames(sample.label))), modelLines(sample)] : element("p", { class: "what" }, verdict(sample)),
    element("p", { class: "id" }, named(sample.id)));
}

// Without pictures a table says more.
function sampleTable(list) {
  const ofModels = isComparison ? subjects.map((subject) => ({ title: subject.name, data: true })) : [{ title: "Predicted", data: true, sort: true }, { title: "Probability", number: true, sort: true }, { title: "Log loss", number: true, sort: true }];
  const cells = (sample) => (sample.models ? sample.models.map((one) => ({ text: classNames(one.predicted) + (isNumber(one.probability) ? ` ${percent(one.probability)}` : ""), class: one.right ? null : "wrong" }))
    : [{ text: classNames(sample.predicted), class: sample.right ? null : "wrong" }, { text: percent(shownProbability(sample)), sort: shownProbability(sample) ?? 0 }, { text: fixed(sample.loss), sort: sample.loss }]);
  return table({ caption: `Samples, ${isComparison ? report.split : current().name}`, first: 30,
    columns: [{ title: "Id", data: true, sort: true }, { title: "Label", data: true, sort: true }, ...ofModels, { title: "Shown as" }],
    rows: list.map((sample) => ({ cells: [sample.id, classNames(sample.label), ...cells(sample), sample.kinds.map((kind) => (kindNames[kind] ?? kind).toLowerCase()).join(", ")] })) });
}

const viewer = byId("viewer");
let opened = { list: [], place: 0 };
function openSample(list, place) {
  opened = { list, place };
  showOpened();
  if (!viewer.open) viewer.showModal();
}
function step(by) {
  const place = opened.place + by;
  if (place >= 0 && place < opened.list.length) openSample(opened.list, place);
}
function showOpened() {
  const sample = opened.list[opened.place], maps = sample.maps ?? [];
  const caption = (map) => element("figcaption", {}, "Heatmap of ", named(mapName(map)), element("br"), scaleBar(map.scale),
    isNumber(map.background) ? [element("br"), `Relevance outside of the mask: ${percent(map.background)}`] : null);
  viewer.replaceChildren(element("div", {},
    element("div", { class: "viewer-top" }, element("h2", {}, named(sample.id)), element("span", { class: "quiet" }, `${opened.place + 1} of ${opened.list.length}`),
      button("←", "Previous sample", () => step(-1)), button("→", "Next sample", () => step(1)), button("Close", "Close", () => viewer.close())),
    element("div", { class: "viewer-pictures" },
      sample.image ? element("figure", {}, imagePicture(sample), element("figcaption", {}, "Image", sample.mask && filters.outline ? " with the outline of its mask" : "")) : null,
      maps.map((map) => element("figure", {}, heatPicture(sample, map), caption(map)))),
    sample.models ? element("div", {}, element("p", {}, "Label: ", named(classNames(sample.label))), modelLines(sample)) : element("p", {}, verdict(sample), `. Log loss ${fixed(sample.loss)}.`),
    element("p", { class: "quiet" }, "Shown as: " + sample.kinds.map((kind) => (kindNames[kind] ?? kind).toLowerCase()).join(", "), sample.group ? [". Group ", named(sample.group)] : ""),
    sample.models ? "" : element("div", { class: "bars" }, sample.probabilities.map(([k, p]) => [named(classesOf(current())[k] ?? k), probabilityBar(p), element("span", { class: "number" }, percent(p))]))));
}
viewer.addEventListener("keydown", (event) => { if (event.key === "ArrowLeft") step(-1); if (event.key === "ArrowRight") step(1); });
viewer.addEventListener("click", (event) => { if (event.target === viewer) viewer.close(); });

// --- the section -------------------------------------------------------------------------------------------

let redrawSamples = () => {};
function filterSamples(label, predicted) {
  Object.assign(filters, { kind: "all", label: String(label), predicted: String(predicted), outcome: "all" });
  redrawSamples();
  byId("samples").scrollIntoView();
}
const sampleSets = () => (isComparison ? report : current());
function samplesSection(body) {
  const { samples = [], notes = [] } = sampleSets();
  body.append(...notes.map((note) => quiet(note)));
  if (!samples.length) return body.append(quiet(isComparison ? "No samples are shown." : ["No samples are shown (", option("--report-samples N"), ")."]));
  const pictured = samples.filter((sample) => sample.image).length, total = isComparison ? report.comparison.samples : current().metrics.samples;
  body.append(element("p", { class: "lead" }, `${plural(samples.length, "sample")} of ${count(total)}.`, pictured ? null :
    [" Pictures need networks and data: ", option(isComparison ? "isnet compare RUN RUN --data DIR" : "isnet evaluate --checkpoint RUN --data DIR"), "."]));
  const grid = element("div", { class: pictured ? "samples" : null }), said = element("span", { class: "quiet", "aria-live": "polite" });
  const show = () => {
    const list = samples.filter(passes);
    if (pictured) grid.replaceChildren(...list.map((sample, place) => sampleCard(sample, () => openSample(list, place))));
    else grid.replaceChildren(sampleTable(list));
    said.textContent = list.length === samples.length ? "" : `${count(list.length)} shown`;
  };
  const choice = (title, key, options) => {
    const node = element("select", { "data-filter": key, onchange: () => { filters[key] = node.value; show(); } }, options.map(([value, text]) => element("option", { value, selected: String(value) === filters[key] }, text)));
    return element("label", {}, title, node);
  };
  const check = (title, key) => {
    const node = element("input", { type: "checkbox", checked: filters[key], onchange: () => { filters[key] = node.checked; show(); } });
    return element("label", {}, node, title);
  };
  const classes = classesOf(current()).map((name, k) => [k, name]).filter(([k]) => samples.some((sample) => [...listed(sample.label), ...listed(sample.predicted)].includes(k)));
  const kinds = Object.entries(kindNames).filter(([kind]) => samples.some((sample) => sample.kinds.includes(kind)));
  const controls = element("div", { class: "controls" });
  redrawSamples = () => {
    controls.replaceChildren(
      choice("Show", "kind", [["all", "all"], ...kinds]), choice("Label", "label", [["all", "all"], ...classes]),
      isComparison ? "" : choice("Predicted", "predicted", [["all", "all"], ...classes]), isComparison ? "" : choice("Outcome", "outcome", [["all", "all"], ["right", "right"], ["wrong", "wrong"]]),
      ...(pictured ? [samples.some((sample) => sample.mask) ? check("Outline of the mask", "outline") : "", check("Heatmap over the image", "overlay"), scaleBar()] : []), said);
    show();
  };
  body.append(controls);
  if (pictured) body.append(quiet("Red speaks for the class of a heatmap, blue against it; each map has its own scale, which the enlarged sample shows."), ...(isComparison ? [] : [causalNote(current())]));
  if (isComparison && pictured) body.append(quiet("From the left: the image, then the heatmap of each model’s predicted class, in the order of the models."));
  body.append(grid);
  redrawSamples();
}
