#include "run/split_pass.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"

namespace isnet {
namespace {

void add_facts(const SplitReader& split, std::int64_t sample, Predictions& into) {
  into.ids.push_back(split.id(sample));
  if (split.layout().labels == LabelKind::single) into.labels.push_back(split.label(sample));
  if (split.layout().labels == LabelKind::multi) {
    std::vector<float> flags(static_cast<std::size_t>(split.layout().label_classes));
    split.multi_label(sample, flags.data());
    for (const float flag : flags) into.label_flags.push_back(flag > 0.5f);
  }
  const auto group = split.group(sample);
  into.groups.push_back(group ? cat(*group) : "");
}

// No column of groups where no sample has one.
void drop_empty_groups(Predictions& predictions) {
  const auto& groups = predictions.groups;
  if (std::all_of(groups.begin(), groups.end(), [](const std::string& group) { return group.empty(); }))
    predictions.groups.clear();
}

// Adds the batches' decisions to scores.
class Decisions {
 public:
  Decisions(Scores& scores, bool multi) : scores_(scores), multi_(multi) {}

  void add(const Batch& batch, const at::Tensor& logits, std::int64_t samples) {
    if (multi_) {
      const at::Tensor truth = (batch.labels > 0.5).to(at::kByte).cpu().contiguous();
      const at::Tensor predicted = (logits > 0).to(at::kByte).cpu().contiguous();
      const auto classes = static_cast<std::size_t>(truth.size(1));
      for (std::size_t i = 0; i < static_cast<std::size_t>(samples); ++i)
        scores_.add({truth.data_ptr<std::uint8_t>() + i * classes, classes},
                    {predicted.data_ptr<std::uint8_t>() + i * classes, classes});
    } else {
      const at::Tensor predicted = logits.argmax(1).cpu(), truth = batch.labels.cpu().contiguous();
      for (std::int64_t i = 0; i < samples; ++i)
        scores_.add(truth.data_ptr<std::int64_t>()[i], predicted.data_ptr<std::int64_t>()[i]);
    }
  }

 private:
  Scores& scores_;
  bool multi_;
};

Scores scores_for(const ScoredModel& model, bool multi, const std::vector<std::string>& class_names) {
  std::vector<std::string> losses{"loss"};
  for (auto& name : model.objective.loss_names()) losses.push_back(std::move(name));
  for (auto& name : model.network.remarks()) losses.push_back(std::move(name));
  const ScoreKind of_classes = multi ? ScoreKind::multi_label : ScoreKind::single_label;
  return {model.objective.needs_classes() ? of_classes : ScoreKind::none, class_names, losses,
          model.objective.needs_pixels() ? mask_class_names(model.network.mask_classes(), class_names)
                                         : std::vector<std::string>{}};
}

// "0", "1", …: what classes are called where nothing names them, as in a shard alone.
bool are_numbers(const std::vector<std::string>& names) {
  for (std::size_t k = 0; k < names.size(); ++k)
    if (names[k] != cat(k)) return false;
  return true;
}

}  // namespace

void PredictionCollector::add(const at::Tensor& ids, const at::Tensor& logits, std::int64_t samples) {
  const at::Tensor rows = logits.to(at::kCPU, at::kDouble).contiguous();
  const auto width = static_cast<std::size_t>(rows.size(1));
  const auto* sample = ids.const_data_ptr<std::int64_t>();
  const auto* values = rows.const_data_ptr<double>();
  for (std::size_t i = 0; i < static_cast<std::size_t>(samples); ++i)
    rows_.add(sample[i], {values + i * width, width});
}

Predictions PredictionCollector::gather(const SplitReader& split, ScoreKind kind,
                                        const std::vector<std::string>& class_names,
                                        const Communicator& communicator) const {
  Predictions all;
  all.kind = kind;
  all.class_names = class_names;
  rows_.gather(split.size(), communicator, [&](std::int64_t sample, std::span<const double> logits) {
    if (!communicator.is_main()) return;
    add_facts(split, sample, all);
    all.logits.insert(all.logits.end(), logits.begin(), logits.end());
  });
  drop_empty_groups(all);
  set_probabilities_from_logits(all);
  decide(all);
  return all;
}

SplitPass pass_over(const ScoredModel& model, const DataSet& data, const std::string& name,
                    const OptionValues& options, const std::string& limit, const Communicator& communicator) {
  const auto split = data.split(name);
  const bool classifies = model.objective.needs_classes(), segments = model.objective.needs_pixels();
  if (classifies && split->layout().labels == LabelKind::none)
    fail(ErrorKind::data, data.path().string(), ": split ", split->name(),
         " has no labels; evaluate needs them");
  if (split->size() == 0)
    fail(ErrorKind::data, data.path().string(), ": split ", split->name(),
         " has no samples: there is nothing to score");
  const bool multi = split->layout().labels == LabelKind::multi;
  SplitPass pass{scores_for(model, multi, data.description().class_names), {}};
  Decisions decisions(pass.scores, multi);
  PredictionCollector collector(data.description().class_names.size());
  const auto observe = [&](const Batch& batch, const Losses& result, std::int64_t samples) {
    if (segments) {
      const at::Tensor counts = result.pixel_counts.cpu().contiguous();
      pass.scores.add_pixels({counts.data_ptr<double>(), static_cast<std::size_t>(counts.numel())});
    }
    if (!classifies) return pass.scores.add(samples);
    decisions.add(batch, result.logits, samples);
    collector.add(batch.ids, result.logits, samples);
  };
  const auto loader = split_loader(split, options, false, communicator, limit);
  const Metrics metrics =
      evaluate(model.network, model.objective, *loader, model.place, communicator, observe);
  std::vector<double> sums = pass.scores.flat();
  communicator.all_reduce_sum(sums);
  pass.scores.set_flat(sums);
  const auto& losses = pass.scores.loss_names();
  for (const auto& [metric_name, value] : metrics)
    if (std::find(losses.begin(), losses.end(), metric_name) != losses.end())
      pass.scores.add_loss(metric_name, value, metric(metrics, "samples"));
  if (classifies)
    pass.predictions = collector.gather(*split, multi ? ScoreKind::multi_label : ScoreKind::single_label,
                                        model.class_names, communicator);
  return pass;
}

void require_same_classes(const TrainedModel& model) {
  const auto& of_data = model.data->description().class_names;
  if (are_numbers(of_data) || are_numbers(model.class_names)) return;
  for (std::size_t k = 0; k < std::min(of_data.size(), model.class_names.size()); ++k)
    if (of_data[k] != model.class_names[k])
      fail(ErrorKind::data, model.data->path().string(), ": its class ", k, " is '", of_data[k],
           "', that of ", model.source, " is '", model.class_names[k],
           "': a model is scored on the classes that it was trained on, in their order");
}

Predictions labels_of(const SplitReader& split, const std::vector<std::string>& class_names) {
  Predictions labels;
  labels.kind = split.layout().labels == LabelKind::multi ? ScoreKind::multi_label : ScoreKind::single_label;
  labels.class_names = class_names;
  for (std::int64_t i = 0; i < split.size(); ++i) add_facts(split, i, labels);
  drop_empty_groups(labels);
  return labels;
}

}  // namespace isnet
