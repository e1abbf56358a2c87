#include "run/background_tests.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/activity.h"
#include "base/error.h"
#include "trainer/batches.h"
#include "trainer/eval_mode.h"

namespace isnet {
namespace {

constexpr double object_from = 0.5;  // mask values from here on are the object's

// One way of changing backgrounds.
struct Condition {
  ConditionName name;
  bool random = false;
  /// The changed images of a batch.
  std::function<at::Tensor(const Batch&, std::uint64_t draw)> change;
  /// The sample that gives its background; null: none is needed.
  std::function<std::int64_t(std::int64_t sample, std::uint64_t draw)> donor = nullptr;
};

// Runs a split's conditions, one after the other.
class Tester {
 public:
  Tester(const ScoredModel& model, const std::shared_ptr<const SplitReader>& split,
         const BackgroundTests& tests, const OptionValues& options, const std::string& limit,
         const Communicator& communicator)
      : model_(model),
        split_(split),
        tests_(tests),
        communicator_(communicator),
        loader_(split_loader(split, options, false, communicator, limit)) {}

  std::optional<BackgroundEffects> run(const ReportOptions& report) {
    const activity::Stage stage("backgrounds");
    const at::NoGradGuard no_grad;
    const EvalMode eval(model_.network);
    const Predictions all = first_pass();
    const bool usable =
        std::all_of(all.logits.begin(), all.logits.end(), [](double logit) { return std::isfinite(logit); });
    if (taking_part_.empty() || communicator_.any(!usable)) return {};
    const Predictions original = communicator_.is_main() ? all.subset(taking_part_) : Predictions();
    std::vector<ConditionOutcome> outcomes;
    ConditionAccumulator unchanged({"original", "its own"}, original);
    if (communicator_.is_main()) {
      unchanged.add(original);
      outcomes.push_back(unchanged.outcome());
    }
    const BackgroundDonors donors(*split_, gives_background_, tests_.options.seed);
    for (const auto& condition : conditions(donors)) {
      ConditionOutcome outcome = outcome_of(condition, donors, original);
      if (communicator_.is_main()) outcomes.push_back(std::move(outcome));
    }
    if (!communicator_.is_main()) return {};
    setting_.draws = tests_.draws;
    setting_.seed = tests_.options.seed;
    setting_.fill = background_fills()[static_cast<std::size_t>(tests_.options.fill)];
    return background_effects(outcomes, original, setting_, report);
  }

 private:
  // The network's output for the images as they are, and on all ranks which samples take part.
  Predictions first_pass() {
    SampleRows shares(2);
    const Predictions original = logits_of([&](const Batch& batch) {
      const at::Tensor objects = joint_foreground(batch.masks).ge(object_from).flatten(1);
      const at::Tensor has = objects.any(1).cpu().contiguous(),
                       lacks = objects.logical_not().any(1).cpu().contiguous();
      for (std::int64_t i = 0; i < batch.size(); ++i)
        shares.add(batch.ids.const_data_ptr<std::int64_t>()[i],
                   std::vector<double>{has.const_data_ptr<bool>()[i] ? 1.0 : 0.0,
                                       lacks.const_data_ptr<bool>()[i] ? 1.0 : 0.0});
      return batch.images;
    });
    gives_background_.assign(static_cast<std::size_t>(split_->size()), 0);
    std::size_t place = 0;
    shares.gather(split_->size(), communicator_, [&](std::int64_t sample, std::span<const double> has) {
      gives_background_[static_cast<std::size_t>(sample)] = has[1] > 0;
      if (has[0] == 0)
        ++setting_.without_object;
      else if (has[1] == 0)
        ++setting_.without_background;
      else {
        taking_part_.push_back(place);
        samples_.push_back(sample);
      }
      ++place;
    });
    return original;
  }

  // Predictions of all samples that the loader delivers, on rank 0; collective.
  Predictions logits_of(const std::function<at::Tensor(const Batch&)>& images) {
    PredictionCollector collector(static_cast<std::size_t>(model_.network.num_classes()));
    loader_->start(0);
    while (auto host = loader_->next()) {
      activity::progress();
      if (host->size == 0) continue;
      const Batch batch = to_batch(std::move(*host), model_.place.device, model_.place.dtype);
      collector.add(batch.ids, model_.network.logits(images(batch)), batch.size());
    }
    const ScoreKind kind =
        split_->layout().labels == LabelKind::multi ? ScoreKind::multi_label : ScoreKind::single_label;
    return collector.gather(*split_, kind, model_.class_names, communicator_);
  }

  ConditionOutcome outcome_of(const Condition& condition, const BackgroundDonors& donors,
                              const Predictions& original) {
    ConditionAccumulator accumulator(condition.name, original);
    const std::int64_t draws = condition.random ? tests_.draws : 1;
    for (std::int64_t draw = 0; draw < draws; ++draw) {
      const auto number = static_cast<std::uint64_t>(draw);
      const Predictions changed =
          logits_of([&](const Batch& batch) { return condition.change(batch, number); });
      if (!communicator_.is_main()) continue;
      std::vector<std::int64_t> classes;
      std::vector<std::uint8_t> present;
      for (std::size_t i = 0; condition.donor && i < samples_.size(); ++i) {
        const std::int64_t donor = condition.donor(samples_[i], number);
        present.push_back(donor >= 0);
        classes.push_back(donor >= 0 ? donors.class_of(donor) : -1);
      }
      accumulator.add(changed.subset(taking_part_), classes, present);
    }
    return accumulator.outcome();
  }

  std::vector<Condition> conditions(const BackgroundDonors& donors) const {
    const BackgroundFill fill = tests_.options.fill;
    std::vector<Condition> all{{{"only_foreground", "black"},
                                false,
                                [](const Batch& batch, std::uint64_t) {
                                  return on_background(batch.images, joint_foreground(batch.masks),
                                                       at::zeros({1}, batch.images.options()));
                                }},
                               {{"only_background", "its own, without the object"},
                                false,
                                [fill](const Batch& batch, std::uint64_t) {
                                  return filled_background(batch.images, joint_foreground(batch.masks), fill);
                                }}};
    for (const BackgroundKind kind : tests_.kinds)
      for (auto& more : kind == BackgroundKind::swap ? swaps(donors) : without_donors(kind))
        all.push_back(std::move(more));
    return all;
  }

  std::vector<Condition> without_donors(BackgroundKind kind) const {
    const auto change = [this, kind](const Batch& batch, std::uint64_t draw) {
      BackgroundOptions options = tests_.options;
      options.draw = draw;
      return change_backgrounds(batch.images, batch.masks, batch.ids, kind, options);
    };
    const char* const words[] = {"", "noise", "its own, blurred", "one grey",
                                 "its own pixels in random order"};
    const auto number = static_cast<std::size_t>(kind);
    const bool random = kind == BackgroundKind::noise || kind == BackgroundKind::shuffle;
    return {{{background_kinds()[number], words[number]}, random, change}};
  }

  std::vector<Condition> swaps(const BackgroundDonors& donors) const {
    const auto swap = [&](const char* name, const char* words, auto choose) {
      const auto donor = [&donors, choose](std::int64_t sample, std::uint64_t draw) {
        return (donors.*choose)(sample, draw);
      };
      return Condition{{name, words},
                       true,
                       [this, donor](const Batch& batch, std::uint64_t draw) {
                         return with_donors(batch, [&](std::int64_t sample) { return donor(sample, draw); });
                       },
                       donor};
    };
    if (!donors.has_classes()) return {swap("mixed_rand", "another image's", &BackgroundDonors::any_class)};
    return {swap("mixed_same", "of another image of the same class", &BackgroundDonors::same_class),
            swap("mixed_rand", "of another image of a random class", &BackgroundDonors::any_class),
            swap("mixed_next", "of an image of the next class", &BackgroundDonors::next_class)};
  }

  // A sample without a donor keeps its background.
  at::Tensor with_donors(const Batch& batch, const std::function<std::int64_t(std::int64_t)>& donor) const {
    BatchPlan plan;
    for (std::int64_t i = 0; i < batch.size(); ++i) {
      const std::int64_t sample = batch.ids.const_data_ptr<std::int64_t>()[i], other = donor(sample);
      plan.ids.push_back(other < 0 ? sample : other);
    }
    plan.counted.assign(plan.ids.size(), 1);
    const Batch others = to_batch(
        read_batch(*split_, plan, 0, loader_->options(), {loader_->options().retry_seconds, nullptr}),
        model_.place.device, model_.place.dtype);
    return exchange_backgrounds(batch.images, batch.masks, others.images, others.masks, tests_.options.fill);
  }

  const ScoredModel& model_;
  const std::shared_ptr<const SplitReader>& split_;
  const BackgroundTests& tests_;
  const Communicator& communicator_;
  std::unique_ptr<Loader> loader_;
  BackgroundSetting setting_;
  std::vector<std::uint8_t> gives_background_;  // of each sample of the split
  std::vector<std::size_t> taking_part_;        // places among those that are scored
  std::vector<std::int64_t> samples_;           // the same as samples of the split
};

}  // namespace

std::vector<OptionSpec> background_test_options() {
  OptionSpec kinds =
      text_option("background", "", "KIND,…",
                  "Score the same objects on other backgrounds too: swap (of other images), noise, blur, "
                  "constant, shuffle; needs masks");
  kinds.refusal = [](const std::string& text) -> std::string {
    try {
      OptionValues values({text_option("background", "", "", "")});
      values.set("background", text);
      for (const auto& one : values.list("background")) background_kind(one, "background");
      return "";
    } catch (const Error&) {
      return "swap, noise, blur, constant, shuffle, separated by commas";
    }
  };
  return {
      kinds,
      integer_option("background-draws", "1", "Draws of swap, noise and shuffle for each sample", 1, 1000),
      choice_option("background-fill", "inpaint", "How the place of the object in a background is filled",
                    background_fills()),
      real_option("background-grey", "0.5", "Grey of --background constant", 0, 1),
      real_option("background-blur", "0.1", "Deviation of --background blur, as a share of the side", 0, 1,
                  true)};
}

std::optional<BackgroundTests> background_tests(const OptionValues& options) {
  const std::vector<std::string> names = options.list("background");
  if (names.empty()) return {};
  BackgroundTests tests;
  for (const auto& name : names) {
    const BackgroundKind kind = background_kind(name, "background");
    if (std::find(tests.kinds.begin(), tests.kinds.end(), kind) != tests.kinds.end())
      fail(ErrorKind::usage, "--background: names '", name, "' twice");
    tests.kinds.push_back(kind);
  }
  tests.draws = options.integer("background-draws");
  tests.options.fill = background_fill(options.text("background-fill"), "background-fill");
  tests.options.constant = options.real("background-grey");
  tests.options.blur_sigma = options.real("background-blur");
  tests.options.seed = static_cast<std::uint64_t>(options.integer("seed"));
  return tests;
}

BackgroundDonors::BackgroundDonors(const SplitReader& split, const std::vector<std::uint8_t>& has_background,
                                   std::uint64_t seed)
    : split_(split), seed_(seed) {
  for (std::int64_t i = 0; i < split.size(); ++i) {
    if (!has_background[static_cast<std::size_t>(i)]) continue;
    const std::size_t pool = pool_of(i);
    if (pool >= pools_.size()) pools_.resize(pool + 1);
    pools_[pool].push_back(i);
  }
  for (std::size_t pool = 0; pool < pools_.size(); ++pool)
    if (!pools_[pool].empty()) occupied_.push_back(pool);
}

std::int64_t BackgroundDonors::class_of(std::int64_t sample) const {
  return split_.layout().labels == LabelKind::single ? split_.label(sample) : -1;
}

std::size_t BackgroundDonors::pool_of(std::int64_t sample) const {
  return static_cast<std::size_t>(std::max<std::int64_t>(0, class_of(sample)));
}

std::int64_t BackgroundDonors::one_of(std::size_t pool, std::int64_t sample, SampleRandom& random) const {
  if (pool >= pools_.size()) return -1;
  const auto& members = pools_[pool];
  const auto own = std::lower_bound(members.begin(), members.end(), sample);
  const bool member = own != members.end() && *own == sample;
  const std::size_t others = members.size() - (member ? 1 : 0);
  if (others == 0) return -1;
  std::size_t place = random.below(static_cast<std::uint32_t>(others));
  if (member && place >= static_cast<std::size_t>(own - members.begin())) ++place;
  return members[place];
}

std::int64_t BackgroundDonors::same_class(std::int64_t sample, std::uint64_t draw) const {
  SampleRandom random(seed_, Purpose::background, draw, static_cast<std::uint64_t>(sample));
  return one_of(pool_of(sample), sample, random);
}

std::int64_t BackgroundDonors::any_class(std::int64_t sample, std::uint64_t draw) const {
  if (occupied_.empty()) return -1;
  SampleRandom random(seed_, Purpose::background, draw, static_cast<std::uint64_t>(sample));
  const std::size_t pool = occupied_[random.below(static_cast<std::uint32_t>(occupied_.size()))];
  return one_of(pool, sample, random);
}

std::int64_t BackgroundDonors::next_class(std::int64_t sample, std::uint64_t draw) const {
  if (occupied_.empty()) return -1;
  const auto next = std::upper_bound(occupied_.begin(), occupied_.end(), pool_of(sample));
  const std::size_t pool = next == occupied_.end() ? occupied_.front() : *next;
  if (pool == pool_of(sample)) return -1;
  SampleRandom random(seed_, Purpose::background, draw, static_cast<std::uint64_t>(sample));
  return one_of(pool, sample, random);
}

std::optional<BackgroundEffects> test_backgrounds(const ScoredModel& model,
                                                  const std::shared_ptr<const SplitReader>& split,
                                                  const BackgroundTests& tests, const OptionValues& options,
                                                  const std::string& limit, const ReportOptions& report,
                                                  const Communicator& communicator) {
  return Tester(model, split, tests, options, limit, communicator).run(report);
}

}  // namespace isnet
