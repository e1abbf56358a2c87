// Charts by D3, drawn in SVG at the width that they have; saved as SVG in the light colours, and their data as CSV.

const svgProperties = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin", "opacity", "font-size", "font-family", "font-weight", "text-anchor"];
// A copy of a chart that needs no style sheet.
function standaloneSvg(svg) {
  const root = document.documentElement, theme = root.dataset.theme;
  root.dataset.theme = "light";
  const copy = svg.cloneNode(true), originals = [svg, ...svg.querySelectorAll("*")], copies = [copy, ...copy.querySelectorAll("*")];
  originals.forEach((original, i) => {
    const style = getComputedStyle(original);
    for (const property of svgProperties) {
      const value = style.getPropertyValue(property);
      if (value && value !== "none" || property === "fill" || property === "stroke") copies[i].setAttribute(property, value);
    }
    copies[i].removeAttribute("class");
    copies[i].removeAttribute("tabindex");
  });
  if (theme) root.dataset.theme = theme; else delete root.dataset.theme;
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  return '<?xml version="1.0" encoding="UTF-8"?>\n' + new XMLSerializer().serializeToString(copy);
}

const newSvg = (width, height, label) =>
  d3.create("svg").attr("viewBox", `0 0 ${width} ${height}`).attr("width", width).attr("height", height).attr("role", "img").attr("aria-label", label);

// `draw(width)` returns an SVG selection; `data`: {header, rows} for the CSV file; `legend`: [{name, class, thin, value}].
function chart({ caption, draw, data, legend = [], most = 560, note, tools = [] }) {
  const holder = element("div", { class: "chart" });
  let drawn = 0;
  new ResizeObserver(() => {
    const width = Math.min(most, Math.floor(holder.clientWidth));
    if (width < 40 || width === drawn) return;
    drawn = width;
    holder.replaceChildren(draw(width).node());
  }).observe(holder);
  const file = fileName(caption);
  const svg = () => holder.querySelector("svg");
  const keys = legend.length > 1 ? element("ul", { class: "legend" }, legend.map((one) =>
    element("li", { class: one.class }, element("span", { class: "swatch" + (one.thin ? " thin" : "") }), named(one.name), one.value ? element("span", { class: "ci" }, one.value) : null))) : null;
  const figure = element("figure", {},
    element("div", { class: "caption" }, element("strong", {}, caption), element("span", { class: "tools" }, tools,
      button("SVG", "Save the figure as SVG", () => svg() && save(file + ".svg", standaloneSvg(svg()), "image/svg+xml")),
      data ? button("CSV", "Save the figure’s data as CSV", () => save(file + ".csv", csvText(data), "text/csv")) : null)),
    holder, keys, note ? quiet(note) : null);
  return figure;
}

// --- pointing ----------------------------------------------------------------------------------------------

const tip = byId("tip");
function showTip(event, text) {
  tip.textContent = text;
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  // Properties, not attributes: the policy forbids inline styles.
  tip.style.left = Math.max(4, Math.min(event.clientX + 14, innerWidth - box.width - 8)) + "px";
  tip.style.top = (event.clientY + 18 + box.height > innerHeight ? event.clientY - box.height - 12 : event.clientY + 18) + "px";
}
const hideTip = () => (tip.hidden = true);
// Listeners that get event and datum; D3's own differ between its versions.
const on = (selection, type, listener) => selection.each(function (datum) { this.addEventListener(type, (event) => listener(event, datum)); });
function withTip(selection, text) {
  on(selection, "pointermove", (event, datum) => showTip(event, text(datum)));
  on(selection, "pointerleave", hideTip);
}

// --- axes --------------------------------------------------------------------------------------------------

const axisFormat = (scale) => {
  const [low, high] = d3.extent(scale.domain());
  return high - low > 2000 || high > 1e5 ? d3.format("~s") : (value) => String(Number(value.toPrecision(6))).replace("-", "−");
};
function axes(svg, x, y, { width, height, margin, xLabel, yLabel, xTicks = 5, yTicks = 5, xFormat, yFormat }) {
  const bottom = height - margin.bottom;
  const grid = svg.append("g").attr("class", "grid"), powers = (value) => !y.base || /^1e/.test(value.toExponential());
  grid.selectAll(null).data(y.ticks(yTicks).filter(powers)).enter().append("line").attr("x1", margin.left).attr("x2", width - margin.right).attr("y1", y).attr("y2", y);
  svg.append("g").attr("class", "axis").attr("transform", `translate(0,${bottom})`).call(d3.axisBottom(x).ticks(xTicks).tickFormat(xFormat ?? axisFormat(x)).tickSizeOuter(0).tickSize(4));
  svg.append("g").attr("class", "axis").attr("transform", `translate(${margin.left},0)`).call(d3.axisLeft(y).ticks(yTicks).tickFormat(yFormat ?? axisFormat(y)).tickSize(0).tickPadding(6)).select(".domain").remove();
  svg.append("text").attr("class", "axis-label").attr("x", (margin.left + width - margin.right) / 2).attr("y", height - 4).attr("text-anchor", "middle").text(xLabel ?? "");
  if (yLabel) svg.append("text").attr("class", "axis-label").attr("x", margin.left - 4).attr("y", 12).attr("text-anchor", "start").text(yLabel);
}
// One width for labels at the left: by the longest, up to a share of the chart. The font is 12 px.
const labelWidth = (labels, width) => Math.min(Math.max(...labels.map((label) => label.length), 4) * 6.6 + 12, width * 0.42);
function shorten(label, width) {
  const most = Math.max(4, Math.floor((width - 10) / 6.4));
  return label.length <= most ? label : label.slice(0, most - 1) + "…";
}

// --- kinds of charts ---------------------------------------------------------------------------------------

// Values with their intervals, one below the other. rows: {label, estimate, class, note, strong}.
function dotPlot({ caption, rows, xLabel, domain, reference, digits = 3, most = 640, note }) {
  const rowHeight = 28;
  const values = rows.flatMap(({ estimate }) => [estimate.value, estimate.low, estimate.high]).filter(isNumber);
  const data = { header: ["name", "value", "low", "high", "method"], rows: rows.map(({ label, estimate }) => [label, estimate.value, estimate.low, estimate.high, estimate.method]) };
  const draw = (width) => {
    const margin = { left: labelWidth(rows.map((row) => row.label), width), right: 8, top: 6, bottom: 40 };
    const printed = width > 420 ? (values.some((value) => value < 0) ? 178 : 150) : 52;
    margin.right += printed;
    const height = margin.top + rows.length * rowHeight + margin.bottom;
    const svg = newSvg(width, height, caption);
    let range = domain ?? d3.extent(values);
    if (reference !== undefined) range = d3.extent([...range, reference]);
    if (!isNumber(range[0])) range = [0, 1];
    const x = d3.scaleLinear().domain(range[0] === range[1] ? [range[0] - 0.5, range[1] + 0.5] : range).range([margin.left, width - margin.right]);
    if (!domain) x.nice(5);
    const axis = svg.append("g").attr("class", "axis").attr("transform", `translate(0,${height - margin.bottom})`);
    axis.call(d3.axisBottom(x).ticks(width > 420 ? 5 : 3).tickFormat(axisFormat(x)).tickSizeOuter(0).tickSize(4));
    svg.append("g").attr("class", "grid").selectAll(null).data(x.ticks(5)).enter().append("line").attr("x1", x).attr("x2", x).attr("y1", margin.top).attr("y2", height - margin.bottom);
    if (reference !== undefined) svg.append("line").attr("class", "reference").attr("x1", x(reference)).attr("x2", x(reference)).attr("y1", margin.top).attr("y2", height - margin.bottom);
    svg.append("text").attr("class", "axis-label").attr("x", (margin.left + width - margin.right) / 2).attr("y", height - 6).attr("text-anchor", "middle").text(xLabel ?? "");
    const groups = svg.append("g").selectAll("g").data(rows).enter().append("g").attr("class", (row, i) => row.class ?? seriesClass(0)).attr("transform", (row, i) => `translate(0,${margin.top + (i + 0.5) * rowHeight})`);
    groups.append("text").attr("x", 0).attr("dy", "0.33em").attr("font-weight", (row) => (row.strong ? 650 : null)).text((row) => shorten(row.label, margin.left));
    const shown = groups.filter((row) => isNumber(row.estimate.value));
    const clamped = (value) => x(Math.max(x.domain()[0], Math.min(x.domain()[1], value)));
    shown.filter((row) => hasInterval(row.estimate)).append("path").attr("class", "error").attr("d", ({ estimate }) => {
      const [low, high] = [clamped(estimate.low), clamped(estimate.high)];
      return `M${low},-4V4M${low},0H${high}M${high},-4V4`;
    });
    shown.append("circle").attr("class", "mark").attr("cx", (row) => clamped(row.estimate.value)).attr("r", 5);
    groups.append("text").attr("class", "value").attr("x", width - 4).attr("dy", "0.33em").attr("text-anchor", "end").text(({ estimate }) =>
      width > 420 && hasInterval(estimate) ? `${fixed(estimate.value, digits)} (${interval(estimate, digits)})` : fixed(estimate.value, digits));
    withTip(groups.append("rect").attr("class", "hit").attr("y", -rowHeight / 2).attr("width", width).attr("height", rowHeight), ({ label, estimate, note: of }) =>
      [`${label}: ${fixed(estimate.value, digits + 1)}`, hasInterval(estimate) ? `95 % interval ${interval(estimate, digits + 1)}${estimate.method ? ` (${estimate.method})` : ""}` : estimate.note, of].filter(Boolean).join("\n"));
    return svg;
  };
  return chart({ caption, draw, data, most, note });
}

// Lines over one pair of axes. series: {name, class, thin, x: [], y: [], t: [], value}; points: {x, y, class, text}.
function linePlot({ caption, series, xLabel, yLabel, xDomain, yDomain, diagonal, square, points = [], step, xTicks = 5, integerX, log, csvHeader, most = 520, note }) {
  const data = {
    header: csvHeader ?? ["series", xLabel, yLabel],
    rows: series.flatMap((one) => one.x.map((x, i) => (one.t ? [one.name, one.t[i] ?? "inf", x, one.y[i]] : [one.name, x, one.y[i]]))),
  };
  const draw = (width) => {
    const margin = { left: 46, right: 12, top: 22, bottom: 40 };
    const height = square ? Math.round(Math.min(width, 460) * 0.9) : Math.round(Math.max(190, width * 0.5));
    const svg = newSvg(width, height, caption);
    const xs = series.flatMap((one) => one.x), ys = series.flatMap((one) => one.y).filter((value) => isNumber(value) && (!log || value > 0));
    let xRange = xDomain ?? d3.extent(xs), yRange = yDomain ?? d3.extent(ys);
    if (xRange[0] === xRange[1]) xRange = [xRange[0] - 0.5, xRange[1] + 0.5];
    if (yRange[0] === yRange[1]) yRange = log ? [yRange[0] / 2, yRange[1] * 2] : [yRange[0] - 0.5, yRange[1] + 0.5];
    const x = d3.scaleLinear().domain(xRange).range([margin.left, width - margin.right]);
    const y = (log ? d3.scaleLog() : d3.scaleLinear()).domain(yRange).range([height - margin.bottom, margin.top]);
    if (!yDomain) y.nice(5);
    const integers = integerX ? Math.min(xTicks, Math.max(1, Math.round(xRange[1] - xRange[0]))) : xTicks;
    axes(svg, x, y, { width, height, margin, xLabel, yLabel, xTicks: integers, yTicks: 5, xFormat: integerX ? (value) => (Number.isInteger(value) ? String(value) : "") : undefined, yFormat: log ? (value) => (/^1/.test(value.toExponential(0)) ? d3.format("~g")(value) : "") : undefined });
    if (diagonal) svg.append("line").attr("class", "reference").attr("x1", x(0)).attr("y1", y(0)).attr("x2", x(1)).attr("y2", y(1));
    const line = d3.line().defined((d) => isNumber(d[1]) && (!log || d[1] > 0)).x((d) => x(d[0])).y((d) => y(d[1])).curve(step ? d3.curveStepBefore : d3.curveLinear);
    const groups = svg.append("g").selectAll("g").data(series).enter().append("g").attr("class", (one) => one.class);
    groups.append("path").attr("class", (one) => "curve" + (one.thin ? " thin" : "")).attr("d", (one) => line(d3.zip(one.x, one.y)));
    groups.filter((one) => one.x.length <= 30 && !square).selectAll(null).data((one) => d3.zip(one.x, one.y).filter((d) => isNumber(d[1]) && (!log || d[1] > 0))).enter().append("circle").attr("class", "mark").attr("r", 3.2).attr("cx", (d) => x(d[0])).attr("cy", (d) => y(d[1]));
    withTip(svg.append("g").selectAll("g").data(points).enter().append("g").attr("class", (point) => point.class).append("circle").attr("class", "hollow").attr("r", 4.5).attr("cx", (point) => x(point.x)).attr("cy", (point) => y(point.y)), (point) => point.text);
    nearestPoint(svg, series, x, y, { width, height, xLabel, yLabel, log });
    return svg;
  };
  return chart({ caption, draw, data, legend: series, most, note });
}

// Says which point is nearest to the pointer.
function nearestPoint(svg, series, x, y, { width, height, xLabel, yLabel, log }) {
  const focus = svg.append("g").attr("class", "s1").style("display", "none");
  const dot = focus.append("circle").attr("class", "hollow").attr("r", 4);
  on(svg, "pointermove", (event) => {
    if (event.target.classList.contains("hollow")) return;
    const box = svg.node().getBoundingClientRect(), px = (event.clientX - box.left) * width / box.width, py = (event.clientY - box.top) * height / box.height;
    let best = null, least = 40 * 40;
    for (const one of series)
      for (let i = 0; i < one.x.length; ++i) {
        if (!isNumber(one.y[i]) || (log && one.y[i] <= 0)) continue;
        const dx = x(one.x[i]) - px, dy = y(one.y[i]) - py, distance = dx * dx + dy * dy;
        if (distance < least) [least, best] = [distance, { one, i }];
      }
    focus.style("display", best ? null : "none");
    if (!best) return hideTip();
    const { one, i } = best;
    focus.attr("class", one.class);
    dot.attr("cx", x(one.x[i])).attr("cy", y(one.y[i]));
    showTip(event, [one.name, `${xLabel}: ${significant(one.x[i])}`, `${yLabel}: ${significant(one.y[i])}`,
      one.t ? `Threshold: ${one.t[i] === null ? "∞" : fixed(one.t[i], 4)}` : null].filter(Boolean).join("\n"));
  });
  on(svg, "pointerleave", () => { focus.style("display", "none"); hideTip(); });
}

// Confidence against frequency, with the share of decisions in each bin. sets: {name, bins, class, thin}.
function reliabilityPlot({ caption, sets, note }) {
  const filled = (bins) => bins.filter((bin) => bin.decisions > 0);
  const data = { header: ["series", "low", "high", "decisions", "confidence", "frequency"], rows: sets.flatMap((one) => one.bins.map((bin) => [one.name, bin.low, bin.high, bin.decisions, bin.confidence, bin.frequency])) };
  const draw = (width) => {
    const margin = { left: 46, right: 12, top: 22, bottom: 40 }, height = Math.round(Math.min(width, 460) * 0.9);
    const svg = newSvg(width, height, caption);
    const x = d3.scaleLinear().domain([0, 1]).range([margin.left, width - margin.right]);
    const y = d3.scaleLinear().domain([0, 1]).range([height - margin.bottom, margin.top]);
    axes(svg, x, y, { width, height, margin, xLabel: "Mean confidence", yLabel: "Frequency" });
    const first = sets[0], all = d3.sum(first.bins, (bin) => bin.decisions) || 1;
    svg.append("g").attr("class", first.class).selectAll(null).data(filled(first.bins)).enter().append("rect").attr("class", "bin").attr("x", (bin) => x(bin.low) + 1).attr("width", (bin) => Math.max(1, x(bin.high) - x(bin.low) - 2)).attr("y", (bin) => y(bin.decisions / all)).attr("height", (bin) => y(0) - y(bin.decisions / all));
    svg.append("line").attr("class", "reference").attr("x1", x(0)).attr("y1", y(0)).attr("x2", x(1)).attr("y2", y(1));
    const groups = svg.append("g").selectAll("g").data(sets).enter().append("g").attr("class", (one) => one.class);
    groups.append("path").attr("class", (one) => "curve" + (one.thin ? " thin" : "")).attr("d", (one) => d3.line().x((bin) => x(bin.confidence)).y((bin) => y(bin.frequency))(filled(one.bins)));
    withTip(groups.selectAll(null).data((one) => filled(one.bins).map((bin) => ({ ...bin, name: one.name }))).enter().append("circle").attr("class", "mark").attr("r", 4.5).attr("cx", (bin) => x(bin.confidence)).attr("cy", (bin) => y(bin.frequency)), (bin) =>
      `${bin.name}\nConfidence ${fixed(bin.confidence)}, frequency ${fixed(bin.frequency)}\n${plural(bin.decisions, "decision")}`);
    return svg;
  };
  return chart({ caption, draw, data, legend: sets, most: 520, note });
}

// Rows are labels, columns predictions; colours are shares of a row. `choose(label, predicted)`: a cell was chosen.
function matrixPlot({ caption, matrix, names, choose, note }) {
  const data = { header: ["label", ...names], rows: matrix.map((row, i) => [names[i], ...row]) };
  const draw = (width) => {
    const classes = names.length, left = labelWidth(names, width), top = 46, bottom = 8;
    const longest = Math.max(...names.map((name) => name.length));
    const size = Math.min(76, Math.floor((width - left - 8) / classes)), height = top + bottom + size * classes;
    const turned = longest * 6.4 > size - 4;
    const head = turned ? Math.min(longest * 6.2, 90) + 26 : top;
    const svg = newSvg(Math.min(width, left + size * classes + 8), height - top + head, caption);
    svg.append("text").attr("class", "axis-label").attr("x", left).attr("y", 12).text("Predicted");
    svg.append("text").attr("class", "axis-label").attr("x", 0).attr("y", head - 8).text("Label");
    if (size >= 11) {
      const columns = svg.append("g").selectAll("text").data(names).enter().append("text");
      columns.attr("transform", (name, i) => `translate(${left + (i + 0.5) * size},${head - 8})` + (turned ? "rotate(-45)" : "")).attr("text-anchor", turned ? "start" : "middle").text((name) => shorten(name, turned ? 100 : size + 10));
      svg.append("g").selectAll("text").data(names).enter().append("text").attr("x", left - 8).attr("y", (name, i) => head + (i + 0.5) * size).attr("dy", "0.33em").attr("text-anchor", "end").text((name) => shorten(name, left));
    }
    const cells = matrix.flatMap((row, i) => { const all = d3.sum(row); return row.map((value, j) => ({ i, j, value, share: all ? value / all : 0 })); });
    const groups = svg.append("g").selectAll("g").data(cells).enter().append("g").attr("class", "cell-group").attr("transform", ({ i, j }) => `translate(${left + j * size},${head + i * size})`);
    groups.append("rect").attr("class", "cell-empty").attr("width", size).attr("height", size);
    groups.filter((cell) => cell.value > 0).append("rect").attr("class", "cell").attr("width", size).attr("height", size).attr("fill-opacity", (cell) => 0.07 + 0.93 * cell.share);
    if (size >= 26) groups.append("text").attr("class", (cell) => (cell.share > 0.5 ? "on-cell" : cell.value ? null : "quiet")).attr("x", size / 2).attr("y", size / 2).attr("dy", size >= 48 ? "-0.1em" : "0.33em").attr("text-anchor", "middle").text((cell) => count(cell.value));
    if (size >= 48) groups.append("text").attr("class", (cell) => (cell.share > 0.5 ? "on-cell" : "quiet")).attr("font-size", 11).attr("x", size / 2).attr("y", size / 2).attr("dy", "1.2em").attr("text-anchor", "middle").text((cell) => (cell.value ? percent(cell.share) : ""));
    const told = ({ i, j, value, share }) => `${names[i]} predicted as ${names[j]}: ${count(value)} (${percent(share)} of the label)`;
    withTip(groups, told);
    if (choose && classes <= 20) {
      const buttons = groups.filter((cell) => cell.value > 0).attr("tabindex", 0).attr("role", "button").attr("aria-label", told);
      on(buttons, "click", (event, { i, j }) => choose(i, j));
      on(buttons, "keydown", (event, { i, j }) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        choose(i, j);
      });
    }
    return svg;
  };
  return chart({ caption, draw, data, most: 620, note });
}
