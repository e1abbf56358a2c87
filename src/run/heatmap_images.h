// Panels of some validation samples, for the loggers that show images.
#pragma once

#include <string>
#include <vector>

#include "run/sample_panels.h"
#include "trainer/trainer.h"

namespace isnet {

/// --tensorboard-images
std::vector<OptionSpec> heatmap_image_options();

/// At each validation, that of the sanity check included, with the network that is validated:
/// `heatmaps/<sample id>`, the image with the outline of its mask and the label's heatmap. The samples are
/// spread evenly over the split and stay the same. Main rank only.
class HeatmapImages : public Callback {
 public:
  /// Explains one sample, to refuse early what cannot be explained. Errors: usage (no logger that shows
  /// images, no split val, an operation without a relevance rule).
  HeatmapImages(const TrainingJob& job, const OptionValues& options, std::vector<std::string> class_names,
                const EvaluationPlace& place);
  void on_validation_start(Trainer& trainer) override;

 private:
  SamplePanels panels_;
  std::vector<std::int64_t> samples_;
};

}  // namespace isnet
