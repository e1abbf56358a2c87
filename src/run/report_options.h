// Options of scores, intervals and tests, shared by evaluate and compare.
#pragma once

#include <string>
#include <vector>

#include "base/option_group.h"
#include "evaluation/score_report.h"

namespace isnet {

/// --bootstrap, --bootstrap-by, …: how intervals are made.
std::vector<OptionSpec> interval_options();
/// --top-k, --by-group, --calibrate, …: what evaluate reports besides.
std::vector<OptionSpec> report_option_specs();

/// Reads those that the command has. Errors: usage.
ReportOptions report_options(const OptionValues& options);
/// --calibrate, --operating-points, --implicit-class. Errors: usage.
ValidationRequest validation_request(const OptionValues& options);

/// The group of each sample by one of the names of --by-group. Errors: usage (no groups, no --attributes),
/// data.
std::vector<std::string> groups_by(const OptionValues& options, const std::string& name,
                                   const Predictions& samples);

/// Adds the tables of --by-group. Errors: as groups_by().
void add_group_tables(const OptionValues& options, const Predictions& predictions, ScoreReport& report);

}  // namespace isnet
