// Panels of some validation samples, for the loggers that show images.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/sample_panels.h"
#include "trainer/callback.h"

namespace isnet::cli {

/// --tensorboard-images
std::vector<OptionSpec> heatmap_image_options();

/// At each validation, that of the sanity check included, with the network that is validated:
/// `heatmaps/<sample id>`, the image with the outline of its mask and the label's heatmap. The samples are
/// spread evenly over the split and stay the same. Main rank only.
class HeatmapImages : public Callback {
 public:
  HeatmapImages(const OptionValues& options, std::vector<std::string> class_names)
      : options_(options), class_names_(std::move(class_names)) {}
  void on_fit_start(Trainer& trainer) override;
  void on_validation_start(Trainer& trainer) override { show(trainer); }

 private:
  void show(Trainer& trainer) const;

  OptionValues options_;
  std::vector<std::string> class_names_;
  std::unique_ptr<SamplePanels> panels_;
  std::vector<std::int64_t> samples_;
};

}  // namespace isnet::cli
