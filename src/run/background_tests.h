// A network on the same samples with other backgrounds, on all ranks together: what its decisions owe to the
// background (docs/evaluation.md, Backgrounds).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/options.h"
#include "base/random.h"
#include "data/data_set.h"
#include "evaluation/background_effects.h"
#include "evaluation/score_report.h"
#include "model/background_exchange.h"
#include "run/split_pass.h"

namespace isnet {

/// Which backgrounds are tried. Images without their background and without their object are tried in any
/// case.
struct BackgroundTests {
  std::vector<BackgroundKind> kinds;
  BackgroundOptions options;  ///< its `draw` is not looked at
  std::int64_t draws = 1;     ///< of kinds that are random
};

/// --background, --background-draws, --background-fill, --background-grey, --background-blur.
std::vector<OptionSpec> background_test_options();
/// What they ask for; nothing without --background. Errors: usage.
std::optional<BackgroundTests> background_tests(const OptionValues& options);

/// Where the backgrounds of other images come from: a draw depends on seed, draw and sample alone.
class BackgroundDonors {
 public:
  /// has_background: of each sample of the split, whether it may give its background.
  BackgroundDonors(const SplitReader& split, const std::vector<std::uint8_t>& has_background,
                   std::uint64_t seed);

  /// Another sample; −1: there is none. same_class: one of its class. any_class: the class is drawn first,
  /// all alike. next_class: one of the next class that has samples, round in a circle. Where samples have no
  /// single class all are of one.
  std::int64_t same_class(std::int64_t sample, std::uint64_t draw) const;
  std::int64_t any_class(std::int64_t sample, std::uint64_t draw) const;
  std::int64_t next_class(std::int64_t sample, std::uint64_t draw) const;

  /// Whether there are several classes to choose from.
  bool has_classes() const { return occupied_.size() > 1; }
  /// −1: samples have no single class.
  std::int64_t class_of(std::int64_t sample) const;

 private:
  std::int64_t one_of(std::size_t pool, std::int64_t sample, SampleRandom& random) const;
  std::size_t pool_of(std::int64_t sample) const;

  const SplitReader& split_;
  std::uint64_t seed_;
  std::vector<std::vector<std::int64_t>> pools_;  // samples of each class, ascending
  std::vector<std::size_t> occupied_;             // classes that have any
};

/// Runs the network over a split as it is, without objects, without backgrounds, and with each of the other
/// backgrounds. The figures are on rank 0; nothing where the network's output for the original images is not
/// finite, or no sample has an object and a background. `options`: --batch-size and the like; `limit`: as in
/// pass_over(). The split has masks and labels. Collective. Errors: data.
std::optional<BackgroundEffects> test_backgrounds(const ScoredModel& model,
                                                  const std::shared_ptr<const SplitReader>& split,
                                                  const BackgroundTests& tests, const OptionValues& options,
                                                  const std::string& limit, const ReportOptions& report,
                                                  const Communicator& communicator);

}  // namespace isnet
