#include "bench/report.h"

#include <algorithm>

#include "base/error.h"
#include "bench/statistics.h"
#include "evaluation/table.h"

namespace isnet::bench {
namespace {

Json json_of(const std::vector<double>& values) {
  const Summary summary = summary_of(values);
  return {{"median", summary.median},
          {"min", summary.min},
          {"max", summary.max},
          {"count", summary.count},
          {"values", values}};
}

double idle_share(const Row& row) {
  return row.idle_wall > 0 ? row.idle_cpu / row.idle_wall : 0;
}

Json json_of(const Row& row) {
  Json json{{"name", row.name},
            {"title", row.title},
            {"seconds", json_of(row.seconds)},
            {"peak_bytes", row.peak_bytes},
            {"idle_cpu_share", idle_share(row)}};
  if (!row.convolution_share.empty()) json["convolution_share"] = json_of(row.convolution_share);
  if (row.work) {
    json["parameters"] = row.work->parameters;
    json["multiply_adds"] = {{"forward", row.work->forward}, {"step", row.work->step}};
  }
  return json;
}

Json json_of(const Ratio& ratio) {
  Json json{{"title", ratio.title},
            {"numerator", ratio.numerator},
            {"denominator", ratio.denominator},
            {"factor", ratio.factor}};
  json.update(json_of(ratio.values));
  return json;
}

std::vector<std::string> cells(const std::string& title, const std::vector<double>& values, double unit,
                               int digits) {
  const Summary summary = summary_of(values);
  return {title, fixed(summary.median * unit, digits), fixed(summary.min * unit, digits),
          fixed(summary.max * unit, digits), cat(summary.count)};
}

// "31.03 M".
std::string count_of(double count) {
  const bool giga = count >= 1e9, mega = count >= 1e6;
  return fixed(count / (giga ? 1e9 : mega ? 1e6 : 1e3), 2) + (giga ? " G" : mega ? " M" : " k");
}

// Columns that no row has something for are left out.
Table times_of(const Group& group) {
  const auto any = [&](const auto& has) { return std::any_of(group.rows.begin(), group.rows.end(), has); };
  const bool shares = any([](const Row& row) { return !row.convolution_share.empty(); });
  const bool work = any([](const Row& row) { return row.work.has_value(); });
  std::vector<std::string> columns{group.title, "median ms", "min", "max", "count", "peak MB"};
  if (shares) columns.emplace_back("convolutions");
  if (work) columns.insert(columns.end(), {"parameters", "forward", "step"});
  Table times(columns);
  for (const auto& row : group.rows) {
    auto line = cells(row.title, row.seconds, 1e3, 1);
    line.push_back(fixed(row.peak_bytes / 1e6, 0));
    if (shares)
      line.push_back(row.convolution_share.empty()
                         ? "–"
                         : fixed(100 * summary_of(row.convolution_share).median, 0) + "%");
    if (work && !row.work) line.insert(line.end(), 3, "–");
    if (row.work)
      line.insert(line.end(),
                  {count_of(row.work->parameters), count_of(row.work->forward), count_of(row.work->step)});
    times.add(line);
  }
  return times;
}

std::string table_text(const Group& group) {
  const Table times = times_of(group);
  std::string text = times.text();
  if (group.ratios.empty()) return text;
  Table ratios({"ratio, pair by pair", "median", "min", "max", "count"});
  for (const auto& ratio : group.ratios) ratios.add(cells(ratio.title, ratio.values, 1, 3));
  return text + "\n" + ratios.text();
}

}  // namespace

void Group::add_ratio(std::string ratio_title, const std::string& numerator, const std::string& denominator,
                      double factor) {
  const auto row = [&](const std::string& name) {
    return std::find_if(rows.begin(), rows.end(), [&](const Row& one) { return one.name == name; });
  };
  const auto above = row(numerator), below = row(denominator);
  if (above == rows.end() || below == rows.end()) return;
  ratios.push_back({std::move(ratio_title), numerator, denominator, factor,
                    paired_ratios(above->seconds, below->seconds, factor)});
}

std::string table_text(const Report& report) {
  std::string text;
  for (const auto& line : report.header) text += line + "\n";
  double idle = 0;
  for (const auto& group : report.groups)
    for (const auto& row : group.rows) idle = std::max(idle, idle_share(row));
  text += cat("idle processes used at most ", fixed(100 * idle, 2), "% of a core\n");
  for (const auto& group : report.groups) text += "\n" + table_text(group);
  return text;
}

Json json_of(const Report& report) {
  Json json{{"benchmark", report.benchmark}, {"groups", Json::array()}};
  json.update(report.facts);
  for (const auto& group : report.groups) {
    Json entry{{"title", group.title}, {"variants", Json::array()}, {"ratios", Json::array()}};
    for (const auto& row : group.rows) entry["variants"].push_back(json_of(row));
    for (const auto& ratio : group.ratios) entry["ratios"].push_back(json_of(ratio));
    json["groups"].push_back(std::move(entry));
  }
  return json;
}

}  // namespace isnet::bench
