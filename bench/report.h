// Results of a benchmark: a table for the terminal, and the same as JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace isnet::bench {

using Json = nlohmann::json;

/// What a variant has to do, by counting.
struct Work {
  double parameters = 0;
  double forward = 0, step = 0;  ///< multiply-adds for one image
};

/// What was measured of one variant.
struct Row {
  std::string name;                       ///< in JSON and in ratios: "python-plain"
  std::string title;                      ///< in the table
  std::vector<double> seconds;            ///< one for each round
  double peak_bytes = 0;                  ///< its process's largest resident set so far
  std::vector<double> convolution_share;  ///< of a step's time; empty: not measured
  double idle_cpu = 0, idle_wall = 0;     ///< seconds while others had their turn
  std::optional<Work> work;
};

/// Pair by pair: numerator / (factor · denominator).
struct Ratio {
  std::string title;
  std::string numerator, denominator;  ///< names of rows
  double factor = 1;
  std::vector<double> values;  ///< one for each round
};

/// Variants that were measured in turn, and their ratios.
struct Group {
  std::string title;
  std::vector<Row> rows;
  std::vector<Ratio> ratios;

  /// Does nothing when one of the rows was not measured. Errors: internal (unequal numbers of rounds).
  void add_ratio(std::string title, const std::string& numerator, const std::string& denominator,
                 double factor);
};

struct Report {
  std::string benchmark;
  std::vector<std::string> header;  ///< lines above the table
  Json facts = Json::object();      ///< what was measured, on what, with which options
  std::vector<Group> groups;
};

/// Medians, minima, maxima and counts, times in milliseconds, aligned.
std::string table_text(const Report& report);

/// {"benchmark", facts…, "groups": [{"title", "variants": [{"name", "title", "seconds": {"median", "min",
/// "max", "count", "values"}, "peak_bytes", "convolution_share"?: {…}, "idle_cpu_share",
/// "parameters"?, "multiply_adds"?: {"forward", "step"}}], "ratios": [{"title", "numerator", "denominator",
/// "factor", "median", "min", "max", "count", "values"}]}]}
Json json_of(const Report& report);

}  // namespace isnet::bench
