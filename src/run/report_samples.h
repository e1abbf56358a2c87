// Samples of a split as a report shows them: what was predicted, with image, mask and heatmaps.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "evaluation/predictions.h"
#include "report/sample_choice.h"
#include "report/sample_pictures.h"
#include "run/sample_panels.h"
#include "run/trained_model.h"

namespace isnet {

/// Draws a network's pictures of chosen samples. One process; the network stays as it is.
class ReportPictures {
 public:
  /// `options`: those of the walk, and --batch-size.
  ReportPictures(const TrainedModel& model, const std::string& split, const EvaluationPlace& place,
                 const OptionValues& options);

  /// Adds "image" (URL), "mask" (outline_path(), where there are masks), "size" [H, W] and "maps" to
  /// samples[i], which is that of chosen[i]: heatmaps of the predicted class and, where it is another, of the
  /// label ({"of", "class", "picture", "scale", "background"}; "background" is the share of |relevance|
  /// outside the mask). Stops where the pictures take `budget` bytes; returns what is left of it.
  std::size_t add_to(nlohmann::ordered_json& samples, const std::vector<ChosenSample>& chosen,
                     const Predictions& predictions, std::size_t budget) const;

  /// The same for one model of a comparison, whose number becomes "model" of its map, that of the predicted
  /// class. Image and mask are added where another model has not added them.
  std::size_t add_to_comparison(nlohmann::ordered_json& samples, const std::vector<ChosenSample>& chosen,
                                const Predictions& predictions, std::size_t model, std::size_t budget) const;

 private:
  // A batch of chosen samples with the heatmaps of their predicted classes.
  struct Drawn {
    Batch batch;
    std::vector<std::int64_t> shown;  // the class of each heatmap
    Explained predicted;
    PictureSize size;
  };
  Drawn draw(std::span<const ChosenSample> chosen, const Predictions& predictions,
             const std::vector<std::int64_t>& places) const;

  std::shared_ptr<const SplitReader> split_;
  SamplePanels panels_;
  std::size_t batch_size_;
};

/// The place in the split of each sample of `predictions`, by id; equal ids in their order. Errors: internal
/// (an id that the split does not have).
std::vector<std::int64_t> places_in(const SplitReader& split, const Predictions& predictions);

/// {"samples": [sample_json()…], "notes": […]} of a split; pictures where `pictures` is not null, within
/// `budget` bytes, which shrinks by what they take.
nlohmann::ordered_json report_samples(const Predictions& predictions, const OptionValues& options,
                                      const ReportPictures* pictures, std::size_t& budget);

/// The same of a comparison; the models' pictures are added one after the other.
class ComparedSamples {
 public:
  ComparedSamples(const std::vector<ComparedModel>& models, const OptionValues& options, std::size_t budget);
  void add_pictures(std::size_t model, const ReportPictures& pictures);
  nlohmann::ordered_json take();

 private:
  const std::vector<ComparedModel>& models_;
  std::vector<ChosenSample> chosen_;
  nlohmann::ordered_json samples_, notes_;
  std::size_t budget_;
};

}  // namespace isnet
