// Where a network's heatmaps lie over a split, on all ranks together (docs/evaluation.md, Explanations).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/options.h"
#include "data/data_set.h"
#include "evaluation/explanation_scores.h"
#include "evaluation/score_report.h"
#include "run/split_pass.h"

namespace isnet {

/// Which heatmaps are looked at, and how closely.
struct ExplanationTests {
  std::vector<std::string> methods;    ///< explanation_methods()
  std::string of_class = "predicted";  ///< as select_classes() reads it
  std::int64_t deletion_steps = 10;    ///< 0: no deletion and no insertion
  std::int64_t integration_steps = 32;
};

/// --explanation, --explanation-class, --deletion-steps, --integration-steps.
std::vector<OptionSpec> explanation_test_options();
/// What they ask for; nothing without --explanation. Errors: usage.
std::optional<ExplanationTests> explanation_tests(const OptionValues& options);

/// Explains every sample of a split that has masks. The scores of each method are on rank 0. `options`: the
/// walk,
/// --batch-size and the like; `limit`: as in pass_over(). Collective. Errors: usage (a method that the
/// network does not have, no such class), data.
std::vector<ExplanationScores> test_explanations(const ScoredModel& model,
                                                 const std::shared_ptr<const SplitReader>& split,
                                                 const ExplanationTests& tests, const OptionValues& options,
                                                 const std::string& limit, const ReportOptions& report,
                                                 const Communicator& communicator);

}  // namespace isnet
