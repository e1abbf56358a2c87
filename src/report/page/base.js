"use strict";
// What all parts of the page share: the data, elements, numbers as text, saving and copying.

const report = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

// An element. Texts among the children become text nodes, so that no text of the data is ever read as HTML.
function element(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}
// A name of the data (a class, an id, a file), which keeps its own direction of writing.
const named = (text) => element("bdi", { class: "data" }, String(text));

// --- numbers -----------------------------------------------------------------------------------------------

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
function fixed(value, digits = 3) {
  if (!isNumber(value)) return "–";
  const text = value.toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
}
const percent = (value, digits = 1) => (isNumber(value) ? fixed(100 * value, digits) + "\u00a0%" : "–");
const count = (value) => (isNumber(value) ? Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, "\u202f") : "–");
function significant(value) {
  if (!isNumber(value)) return "–";
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(2).replace("-", "−") : fixed(value, size < 10 ? 4 : 1);
}
const pValue = (p) => (!isNumber(p) ? "–" : p < 1e-4 ? "< 0.0001" : fixed(p, 4));
const hasInterval = (estimate) => isNumber(estimate?.low) && isNumber(estimate?.high);
const interval = (estimate, digits = 3) =>
  hasInterval(estimate) ? `${fixed(estimate.low, digits)}${estimate.low < 0 ? " to " : "–"}${fixed(estimate.high, digits)}` : "";
const plural = (n, one, many = one + "s") => `${count(n)} ${n === 1 ? one : many}`;

// A figure with its interval, for a cell of a table.
function estimateCell(estimate, digits = 3) {
  if (!estimate || !isNumber(estimate.value)) return { text: "–", title: estimate?.note };
  const range = interval(estimate, digits);
  return {
    text: fixed(estimate.value, digits) + (range ? ` (${range})` : ""),
    sort: estimate.value,
    node: () => [fixed(estimate.value, digits), range ? element("span", { class: "ci" }, range) : null],
    title: [estimate.method && `95 % interval: ${estimate.method}`, estimate.note].filter(Boolean).join("\n"),
  };
}

// --- names of figures --------------------------------------------------------------------------------------

const figureNames = {
  accuracy: "Accuracy", exact_match: "Exact match", balanced_accuracy: "Balanced accuracy", kappa: "Cohen’s κ", mcc: "MCC",
  auc: "AUC", auc_macro: "AUC, macro", auc_weighted: "AUC, weighted", auc_hand_till: "AUC, Hand and Till",
  average_precision: "Average precision", average_precision_macro: "Average precision, macro",
  average_precision_weighted: "Average precision, weighted", log_loss: "Log loss", brier: "Brier score",
  ece: "Expected calibration error", maximum_calibration_error: "Largest calibration error", precision: "Precision",
  recall: "Recall", specificity: "Specificity", npv: "NPV", f1: "F1", samples: "Samples", loss: "Loss",
};
const averages = { macro: "macro", micro: "micro", weighted: "weighted" };
function figureName(key) {
  if (Object.hasOwn(figureNames, key)) return figureNames[key];
  const [first, ...rest] = key.split("_");
  if (Object.hasOwn(averages, first) && rest.length) return `${figureName(rest.join("_"))}, ${averages[first]}`;
  const top = /^top_(\d+)_accuracy$/.exec(key);
  if (top) return `Top-${top[1]} accuracy`;
  const text = key.replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

// --- what is shown -----------------------------------------------------------------------------------------

const isComparison = report.kind === "comparison";
const subjects = report.subjects;
const subjectWord = isComparison ? "model" : "split";

// What paths have in common at both ends says nothing: "classifier" and "isnet" of runs/classifier and runs/isnet.
function shortNames(names) {
  let parts = names.map((name) => name.split("/"));
  const same = (at) => parts.every((one) => one.length > 1 && one.at(at) === parts[0].at(at));
  while (parts.length > 1 && same(0)) parts = parts.map((one) => one.slice(1));
  while (parts.length > 1 && same(-1)) parts = parts.map((one) => one.slice(0, -1));
  return parts.map((one) => one.join("/"));
}
if (isComparison) {
  const names = subjects.map((subject) => subject.name), short = shortNames(names);
  for (const pair of report.comparison.pairs) for (const side of ["first", "second"]) pair[side] = short[names.indexOf(pair[side])];
  subjects.forEach((subject, i) => { subject.path = subject.name; subject.name = short[i]; });
}
const state = { subject: 0 };
const current = () => subjects[state.subject];
const scoresOf = (subject) => subject.metrics.scores;
const classScores = (subject, name) =>
  subject.metrics.scores && Object.hasOwn(subject.metrics.scores.per_class, name) ? subject.metrics.scores.per_class[name] : {};
const seriesClass = (index) => "s" + ((index % 8) + 1);
const listeners = [];
function select(index) {
  state.subject = index;
  for (const listener of listeners) listener();
}

// --- saving and copying ------------------------------------------------------------------------------------

function say(text) {
  byId("status").textContent = text;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => (byId("status").textContent = ""), 2500);
}
const fileName = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 80) || "report";
function save(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
  say(`${name} saved`);
}
async function copy(text, what, name, type) {
  try {
    await navigator.clipboard.writeText(text);
    say(`${what} copied`);
  } catch {
    save(name, text, type);
  }
}
const csvField = (value) => {
  const text = value === null || value === undefined ? "" : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};
const csvText = ({ header, rows }) => [header, ...rows].map((row) => row.map(csvField).join(",") + "\n").join("");
const button = (text, title, action) => element("button", { type: "button", title, onclick: action }, text);

// --- sections ----------------------------------------------------------------------------------------------

// A section of the page; `fill(body)` is called now and, where it depends on the subject, after each choice.
function section(id, title, fill, { bySubject = true } = {}) {
  const body = element("div");
  const node = element("section", { id, "aria-labelledby": id + "-title" }, element("h2", { id: id + "-title" }, title), body);
  byId("main").append(node);
  byId("contents").append(element("a", { href: "#" + id }, title));
  const draw = () => {
    body.replaceChildren();
    fill(body);
  };
  draw();
  if (bySubject && subjects.length > 1) listeners.push(draw);
  return node;
}
const option = (text) => element("code", { class: "option" }, text);  // as it is typed
const quiet = (...text) => element("p", { class: "note" }, ...text);
