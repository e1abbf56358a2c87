#include "evaluation/metrics.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "evaluation/table.h"

namespace isnet {
namespace {

using Counts = std::variant<ConfusionMatrix, MultiLabelCounts, SampleCount>;
using Json = nlohmann::ordered_json;

Counts counts_for(ScoreKind kind, std::size_t classes) {
  if (kind == ScoreKind::none) return SampleCount();
  if (kind == ScoreKind::multi_label) return MultiLabelCounts(static_cast<std::int64_t>(classes));
  return ConfusionMatrix(static_cast<std::int64_t>(classes));
}

template <typename Wanted>
Wanted& as(Counts& counts) {
  if (auto* wanted = std::get_if<Wanted>(&counts)) return *wanted;
  fail(ErrorKind::internal, "scores: samples of several kinds are mixed");
}

Json matrix_json(const ConfusionMatrix& matrix) {
  Json rows = Json::array();
  for (std::int64_t label = 0; label < matrix.classes(); ++label) {
    Json row = Json::array();
    for (std::int64_t predicted = 0; predicted < matrix.classes(); ++predicted)
      row.push_back(matrix.count(label, predicted));
    rows.push_back(std::move(row));
  }
  return rows;
}

Json matrix_json(const MultiLabelCounts& counts) {
  Json matrices = Json::array();
  for (std::int64_t index = 0; index < counts.classes(); ++index) {
    const auto one = counts.of_class(index);
    matrices.push_back({{one.true_negative, one.false_positive}, {one.false_negative, one.true_positive}});
  }
  return matrices;
}

Json matrix_json(const SampleCount&) {
  return Json::array();
}

Json ratios_json(const BinaryCounts& counts) {
  return {{"precision", counts.precision()},
          {"recall", counts.recall()},
          {"f1", counts.f1()},
          {"specificity", counts.specificity()}};
}

}  // namespace

double SampleCount::accuracy() const {
  return std::numeric_limits<double>::quiet_NaN();
}

void SampleCount::add_flat(std::span<const double> counts) {
  if (counts.size() != 1) fail(ErrorKind::internal, "scores: ", counts.size(), " counts where 1 belongs");
  samples_ += static_cast<std::int64_t>(counts[0]);
}

Scores::Scores(ScoreKind kind, std::vector<std::string> class_names, std::vector<std::string> loss_names,
               std::vector<std::string> mask_classes)
    : class_names_(std::move(class_names)),
      loss_names_(std::move(loss_names)),
      losses_(loss_names_.size()),
      counts_(counts_for(kind, class_names_.size())) {
  if (!mask_classes.empty()) segmentation_.emplace(std::move(mask_classes));
}

void Scores::add(std::int64_t label, std::int64_t predicted) {
  as<ConfusionMatrix>(counts_).add(label, predicted);
}

void Scores::add(std::span<const std::uint8_t> labels, std::span<const std::uint8_t> predicted) {
  as<MultiLabelCounts>(counts_).add(labels, predicted);
}

void Scores::add(std::int64_t samples) {
  as<SampleCount>(counts_).add(samples);
}

void Scores::add_pixels(std::span<const double> counts) {
  if (!segmentation_) fail(ErrorKind::internal, "scores: pixels are not classified");
  segmentation_->add(counts);
}

std::size_t Scores::loss_index(const std::string& name) const {
  for (std::size_t i = 0; i < loss_names_.size(); ++i)
    if (loss_names_[i] == name) return i;
  fail(ErrorKind::internal, "scores: no loss is named '", name, "'");
}

void Scores::add_loss(const std::string& name, double mean, double weight) {
  auto& loss = losses_[loss_index(name)];
  loss.sum += mean * weight;
  loss.weight += weight;
}

std::vector<double> Scores::flat() const {
  auto result = std::visit([](const auto& counts) { return counts.flat(); }, counts_);
  for (const auto& loss : losses_) {
    result.push_back(loss.sum);
    result.push_back(loss.weight);
  }
  if (segmentation_)
    for (const double count : segmentation_->flat()) result.push_back(count);
  return result;
}

void Scores::set_flat(std::span<const double> sums) {
  const std::size_t of_losses = 2 * losses_.size();
  const std::size_t of_pixels = segmentation_ ? segmentation_->flat().size() : 0;
  if (segmentation_ && sums.size() >= of_pixels) segmentation_->set_flat(sums.last(of_pixels));
  sums = sums.first(sums.size() - std::min(of_pixels, sums.size()));
  if (sums.size() < of_losses) fail(ErrorKind::internal, "scores: ", sums.size(), " sums are too few");
  counts_ = counts_for(kind(), class_names_.size());
  const auto of_counts = sums.first(sums.size() - of_losses);
  std::visit([&](auto& counts) { counts.add_flat(of_counts); }, counts_);
  for (std::size_t i = 0; i < losses_.size(); ++i)
    losses_[i] = {sums[of_counts.size() + 2 * i], sums[of_counts.size() + 2 * i + 1]};
}

ScoreKind Scores::kind() const {
  if (std::holds_alternative<SampleCount>(counts_)) return ScoreKind::none;
  return std::holds_alternative<MultiLabelCounts>(counts_) ? ScoreKind::multi_label : ScoreKind::single_label;
}

std::int64_t Scores::samples() const {
  return std::visit([](const auto& counts) { return counts.samples(); }, counts_);
}

double Scores::accuracy() const {
  return std::visit([](const auto& counts) { return counts.accuracy(); }, counts_);
}

double Scores::loss(const std::string& name) const {
  const auto& loss = losses_[loss_index(name)];
  return loss.weight > 0 ? loss.sum / loss.weight : std::numeric_limits<double>::quiet_NaN();
}

BinaryCounts Scores::of_class(std::int64_t index) const {
  return std::visit([index](const auto& counts) { return counts.of_class(index); }, counts_);
}

double Scores::macro(double (BinaryCounts::*ratio)() const) const {
  double sum = 0;
  const auto classes = static_cast<std::int64_t>(class_names_.size());
  for (std::int64_t index = 0; index < classes; ++index) sum += (of_class(index).*ratio)();
  return classes > 0 ? sum / static_cast<double>(classes) : 0;
}

const ConfusionMatrix& Scores::confusion_matrix() const {
  if (const auto* matrix = std::get_if<ConfusionMatrix>(&counts_)) return *matrix;
  fail(ErrorKind::internal, "scores: only single-label scores have a confusion matrix of all classes");
}

Json Scores::to_json() const {
  Json result;
  for (const auto& name : loss_names_) result[name] = loss(name);
  if (segmentation_) result["segmentation"] = segmentation_->to_json();
  if (kind() == ScoreKind::none) {
    result["samples"] = samples();
    return result;
  }
  result["accuracy"] = accuracy();
  if (const auto* counts = std::get_if<MultiLabelCounts>(&counts_))
    result["exact_match"] = counts->exact_match();
  result["samples"] = samples();
  result["classes"] = class_names_;
  result["confusion_matrix"] = std::visit([](const auto& counts) { return matrix_json(counts); }, counts_);
  Json per_class = Json::object();
  for (std::size_t i = 0; i < class_names_.size(); ++i)
    per_class[class_names_[i]] = ratios_json(of_class(static_cast<std::int64_t>(i)));
  result["per_class"] = std::move(per_class);
  result["macro"] = {{"precision", macro(&BinaryCounts::precision)},
                     {"recall", macro(&BinaryCounts::recall)},
                     {"f1", macro(&BinaryCounts::f1)},
                     {"specificity", macro(&BinaryCounts::specificity)}};
  return result;
}

Json metrics_json(const ScoresBySplit& splits) {
  Json result{{"format", metrics_format}, {"version", metrics_version}};
  for (const auto& [name, scores] : splits) result[name] = scores.to_json();
  return result;
}

namespace {

// Over the classes but the background.
std::string foreground_mean(const SegmentationScores& scores,
                            double (SegmentationScores::*ratio)(std::int64_t) const) {
  const auto classes = static_cast<std::int64_t>(scores.class_names().size());
  double sum = 0;
  for (std::int64_t index = 1; index < classes; ++index) sum += (scores.*ratio)(index);
  return fixed(sum / static_cast<double>(classes - 1), 4);
}

}  // namespace

std::string summary_table(const ScoresBySplit& splits) {
  const bool classes = std::any_of(splits.begin(), splits.end(),
                                   [](const auto& split) { return split.second.kind() != ScoreKind::none; });
  const bool pixels = std::any_of(splits.begin(), splits.end(),
                                  [](const auto& split) { return split.second.segmentation().has_value(); });
  std::vector<std::string> header{"split", "samples", "loss"};
  if (classes) header.insert(header.end(), {"accuracy", "precision", "recall", "F1"});
  if (pixels) header.insert(header.end(), {"Dice", "IoU"});
  Table table(header);
  for (const auto& [name, scores] : splits) {
    std::vector<std::string> row{name, cat(scores.samples()), fixed(scores.loss(), 4)};
    if (classes)
      for (const double value : {scores.accuracy(), scores.macro(&BinaryCounts::precision),
                                 scores.macro(&BinaryCounts::recall), scores.macro(&BinaryCounts::f1)})
        row.push_back(fixed(value, 4));
    if (pixels) {
      row.push_back(foreground_mean(*scores.segmentation(), &SegmentationScores::dice));
      row.push_back(foreground_mean(*scores.segmentation(), &SegmentationScores::iou));
    }
    table.add(std::move(row));
  }
  return table.fitted(terminal_columns);
}

std::string class_table(const Scores& scores) {
  Table table({"class", "samples", "precision", "recall", "F1", "specificity"});
  for (std::size_t i = 0; i < scores.class_names().size(); ++i) {
    const auto counts = scores.of_class(static_cast<std::int64_t>(i));
    table.add({scores.class_names()[i], cat(counts.true_positive + counts.false_negative),
               fixed(counts.precision(), 4), fixed(counts.recall(), 4), fixed(counts.f1(), 4),
               fixed(counts.specificity(), 4)});
  }
  return table.fitted(terminal_columns);
}

namespace {

Table confusion_rows(const ConfusionMatrix& matrix, const std::vector<std::string>& columns,
                     const std::vector<std::string>& rows) {
  std::vector<std::string> header{"label \\ predicted"};
  header.insert(header.end(), columns.begin(), columns.end());
  Table table(header);
  for (std::int64_t label = 0; label < matrix.classes(); ++label) {
    std::vector<std::string> row{rows[static_cast<std::size_t>(label)]};
    for (std::int64_t predicted = 0; predicted < matrix.classes(); ++predicted)
      row.push_back(cat(matrix.count(label, predicted)));
    table.add(std::move(row));
  }
  return table;
}

}  // namespace

std::string confusion_table(const Scores& scores) {
  if (scores.kind() != ScoreKind::single_label) return "";
  const auto& names = scores.class_names();
  const std::string named = confusion_rows(scores.confusion_matrix(), names, names).text();
  if (text_width(named) <= terminal_columns) return named;
  std::vector<std::string> numbers, numbered_names;
  for (std::size_t k = 0; k < names.size(); ++k) {
    numbers.push_back(cat(k));
    numbered_names.push_back(cat(k, " ", names[k]));
  }
  const std::string numbered =
      confusion_rows(scores.confusion_matrix(), numbers, numbered_names).fitted(terminal_columns);
  if (text_width(numbered) <= terminal_columns) return numbered;
  return "The confusion matrix is too wide for a terminal: metrics.json has it.\n";
}

std::string pixel_table(const Scores& scores) {
  return scores.segmentation() ? scores.segmentation()->table() : "";
}

}  // namespace isnet
