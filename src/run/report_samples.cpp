#include "run/report_samples.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <queue>
#include <unordered_map>

#include "base/error.h"
#include "evaluation/background_share.h"

namespace isnet {
namespace {

using Json = nlohmann::ordered_json;

// The batch with one class for each sample in place of its labels, so that the label's map is that class's.
Batch with_classes(const Batch& batch, const std::vector<std::int64_t>& classes) {
  Batch other = batch;
  const at::Tensor numbers = at::tensor(classes, at::kLong).to(batch.labels.device());
  other.labels = batch.labels.dim() == 1
                     ? numbers
                     : at::one_hot(numbers, batch.labels.size(1)).to(batch.labels.scalar_type());
  return other;
}

std::int64_t most_probable(const Predictions& predictions, std::size_t sample) {
  if (predictions.kind == ScoreKind::single_label) return predictions.predicted[sample];
  const auto row = predictions.row(sample);
  return std::max_element(row.begin(), row.end()) - row.begin();
}

// Whether the label's map is another one than that of the most probable class.
bool has_other_label(const Predictions& predictions, std::size_t sample, std::int64_t shown) {
  bool any = false, only_shown = true;
  for (std::size_t k = 0; k < predictions.classes(); ++k)
    if (predictions.is_of(sample, k)) {
      any = true;
      only_shown = only_shown && static_cast<std::int64_t>(k) == shown;
    }
  return any && !only_shown;
}

Json map_json(const Explained& explained, std::int64_t i, PictureSize size, const std::string& of,
              std::int64_t of_class) {
  const auto heatmap = floats(explained.heatmaps[i][0]);
  Json json{{"of", of}, {"class", of_class < 0 ? Json() : Json(of_class)}};
  json.update(heatmap_json(heatmap, size));
  if (explained.masks.defined()) {
    const double share = background_share(heatmap, floats(explained.mask_of(i, 0)));
    if (std::isfinite(share)) json["background"] = std::round(share * 1e6) / 1e6;
  }
  if (!explained.map_name.empty()) json["name"] = explained.map_name;
  return json;
}

std::size_t bytes_of(const Json& sample) {
  std::size_t bytes = 0;
  for (const char* key : {"image", "mask"})
    if (sample.contains(key)) bytes += sample.at(key).get_ref<const std::string&>().size();
  for (const auto& map : sample.value("maps", Json::array()))
    bytes += map.at("picture").get_ref<const std::string&>().size();
  return bytes;
}

void add_image(Json& sample, const Batch& batch, const Explained& explained, std::int64_t i,
               PictureSize size) {
  sample["size"] = {size.height, size.width};
  sample["image"] = image_url(floats(batch.images[i]), size);
  if (explained.masks.defined()) sample["mask"] = outline_path(floats(explained.mask_of(i, 0)), size);
  sample["maps"] = Json::array();
}

constexpr const char* too_many = "Further samples have no pictures, so that the file stays small.";

// Adds pictures; what the network cannot explain becomes a note.
template <typename Add>
void add_or_note(Json& notes, const Add& add) {
  try {
    add();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::usage) throw;
    notes.push_back(cat("There are no heatmaps: ", error.what()));
  }
}

}  // namespace

std::vector<std::int64_t> places_in(const SplitReader& split, const Predictions& predictions) {
  std::unordered_map<std::string, std::queue<std::int64_t>> by_id;
  for (std::int64_t i = 0; i < split.size(); ++i) by_id[split.id(i)].push(i);
  std::vector<std::int64_t> places;
  for (const auto& id : predictions.ids) {
    auto& found = by_id[id];
    if (found.empty()) fail(ErrorKind::internal, "split ", split.name(), " does not have sample '", id, "'");
    places.push_back(found.front());
    found.pop();
  }
  return places;
}

ReportPictures::ReportPictures(const TrainedModel& model, const std::string& split,
                               const EvaluationPlace& place, const OptionValues& options)
    : split_(model.data->split(split)),
      panels_(model.network, split_, model.class_names, place, options, "label"),
      batch_size_(static_cast<std::size_t>(std::min<std::int64_t>(options.integer("batch-size"), 16))) {}

ReportPictures::Drawn ReportPictures::draw(std::span<const ChosenSample> chosen,
                                           const Predictions& predictions,
                                           const std::vector<std::int64_t>& places) const {
  std::vector<std::int64_t> in_split, shown;
  for (const auto& one : chosen) {
    in_split.push_back(places[one.sample]);
    shown.push_back(most_probable(predictions, one.sample));
  }
  Batch batch = panels_.read(in_split);
  const PictureSize size{static_cast<int>(batch.images.size(2)), static_cast<int>(batch.images.size(3))};
  Explained predicted = panels_.explain(with_classes(batch, shown));
  return {std::move(batch), std::move(shown), std::move(predicted), size};
}

std::size_t ReportPictures::add_to(Json& samples, const std::vector<ChosenSample>& chosen,
                                   const Predictions& predictions, std::size_t budget) const {
  const at::NoGradGuard no_grad;
  const std::vector<std::int64_t> places = places_in(*split_, predictions);
  for (std::size_t first = 0; first < chosen.size(); first += batch_size_) {
    const std::size_t count = std::min(batch_size_, chosen.size() - first);
    const Drawn drawn = draw(std::span(chosen).subspan(first, count), predictions, places);
    const Explained label = panels_.explain(drawn.batch);
    for (std::size_t i = 0; i < count; ++i) {
      const auto row = static_cast<std::int64_t>(i);
      const std::size_t sample = chosen[first + i].sample;
      Json json = samples[first + i];
      add_image(json, drawn.batch, drawn.predicted, row, drawn.size);
      json["maps"].push_back(map_json(drawn.predicted, row, drawn.size, "predicted", drawn.shown[i]));
      if (drawn.predicted.map_name.empty() && has_other_label(predictions, sample, drawn.shown[i]))
        json["maps"].push_back(
            map_json(label, row, drawn.size, "label",
                     predictions.kind == ScoreKind::single_label ? predictions.labels[sample] : -1));
      const std::size_t bytes = bytes_of(json);
      if (bytes > budget) return 0;
      budget -= bytes;
      samples[first + i] = std::move(json);
    }
  }
  return budget;
}

std::size_t ReportPictures::add_to_comparison(Json& samples, const std::vector<ChosenSample>& chosen,
                                              const Predictions& predictions, std::size_t model,
                                              std::size_t budget) const {
  const at::NoGradGuard no_grad;
  const std::vector<std::int64_t> places = places_in(*split_, predictions);
  for (std::size_t first = 0; first < chosen.size(); first += batch_size_) {
    const std::size_t count = std::min(batch_size_, chosen.size() - first);
    const Drawn drawn = draw(std::span(chosen).subspan(first, count), predictions, places);
    for (std::size_t i = 0; i < count; ++i) {
      const auto row = static_cast<std::int64_t>(i);
      Json json = samples[first + i];
      const std::size_t before = bytes_of(json);
      if (!json.contains("image")) add_image(json, drawn.batch, drawn.predicted, row, drawn.size);
      Json map = map_json(drawn.predicted, row, drawn.size, "predicted", drawn.shown[i]);
      map["model"] = model;
      json["maps"].push_back(std::move(map));
      const std::size_t bytes = bytes_of(json) - before;
      if (bytes > budget) return 0;
      budget -= bytes;
      samples[first + i] = std::move(json);
    }
  }
  return budget;
}

Json report_samples(const Predictions& predictions, const OptionValues& options,
                    const ReportPictures* pictures, std::size_t& budget) {
  const auto of_each = static_cast<std::size_t>(options.integer("report-samples"));
  const auto chosen =
      choose_samples(predictions, of_each, static_cast<std::uint64_t>(options.integer("seed")));
  Json samples = Json::array(), notes = Json::array();
  for (const auto& one : chosen) samples.push_back(sample_json(predictions, one));
  if (pictures) add_or_note(notes, [&] { budget = pictures->add_to(samples, chosen, predictions, budget); });
  if (budget == 0) notes.push_back(too_many);
  return {{"samples", std::move(samples)}, {"notes", std::move(notes)}};
}

ComparedSamples::ComparedSamples(const std::vector<ComparedModel>& models, const OptionValues& options,
                                 std::size_t budget)
    : models_(models),
      chosen_(choose_samples(models, static_cast<std::size_t>(options.integer("report-samples")),
                             static_cast<std::uint64_t>(options.integer("seed")))),
      samples_(Json::array()),
      notes_(Json::array()),
      budget_(budget) {
  for (const auto& one : chosen_) samples_.push_back(sample_json(models, one));
}

void ComparedSamples::add_pictures(std::size_t model, const ReportPictures& pictures) {
  add_or_note(notes_, [&] {
    budget_ = pictures.add_to_comparison(samples_, chosen_, models_[model].predictions, model, budget_);
  });
}

Json ComparedSamples::take() {
  if (budget_ == 0) notes_.push_back(too_many);
  return {{"samples", std::move(samples_)}, {"notes", std::move(notes_)}};
}

}  // namespace isnet
