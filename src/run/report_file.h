// The HTML report of evaluate and compare: its options, what it says about model, data and program, and its
// file.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/option_group.h"
#include "evaluation/comparison.h"
#include "run/inputs.h"
#include "run/result_files.h"
#include "run/trained_model.h"
#include "trainer/evaluation_loop.h"

namespace isnet {

/// --report, --report-samples.
std::vector<OptionSpec> report_page_options();

/// Refuses a --report that is no .html file, a folder, one of the inputs, or whose folder cannot be made, and
/// makes that folder: before the work, on the rank that writes. Errors: usage, runtime.
void prepare_report(const OptionValues& options, const InputFiles& inputs);

/// What evaluate has found out, on rank 0; views.
struct EvaluationResults {
  const ScoresBySplit& scores;
  const ReportsBySplit& reports;
  const PredictionsBySplit& predictions;
};

/// Writes --report of a network: heatmaps of samples are computed now. Errors: runtime, data.
void write_report(const OptionValues& options, const TrainedModel& model, const EvaluationPlace& place,
                  const EvaluationResults& results);
/// Writes --report of a file of predictions. `data`: null without --data.
void write_report(const OptionValues& options, const std::string& predictions, const DataSet* data,
                  const EvaluationResults& results);

/// Where a compared model comes from.
struct ModelSource {
  std::string file;  ///< its checkpoint, weights or predictions
  std::optional<OptionValues>
      network;  ///< with which load_trained_model() makes it and its data; none: a table
};
/// Writes --report of a comparison on `split`; networks are loaded again, one after the other, for their
/// heatmaps.
void write_report(const OptionValues& options, const std::string& split, const Comparison& comparison,
                  const std::vector<ComparedModel>& models, const std::vector<ModelSource>& sources);

}  // namespace isnet
