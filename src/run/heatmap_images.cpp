#include "run/heatmap_images.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"

namespace isnet {

std::vector<OptionSpec> heatmap_image_options() {
  return {of_this_machine(
      integer_option("tensorboard-images", "0",
                     "tensorboard: validation samples of which it shows image, mask and heatmap", 0, 10000))};
}

namespace {

const std::shared_ptr<const SplitReader>& shown_split(const TrainingJob& job, const OptionValues& options) {
  const auto loggers = options.list("logger");
  if (std::find(loggers.begin(), loggers.end(), "tensorboard") == loggers.end() || !job.validation ||
      job.validation->size() == 0)
    fail(ErrorKind::usage,
         "--tensorboard-images needs --logger tensorboard and a split val, whose samples it shows");
  return job.validation;
}

}  // namespace

HeatmapImages::HeatmapImages(const TrainingJob& job, const OptionValues& options,
                             std::vector<std::string> class_names, const EvaluationPlace& place)
    : panels_(job.network, shown_split(job, options), std::move(class_names), place, options, "label") {
  const std::int64_t size = job.validation->size();
  const std::int64_t count = std::min(options.integer("tensorboard-images"), size);
  for (std::int64_t i = 0; i < count; ++i) samples_.push_back(i * size / count);
  const at::NoGradGuard no_grad;
  panels_.explain(panels_.read({samples_.front()}));
}

void HeatmapImages::on_validation_start(Trainer& trainer) {
  if (!trainer.communicator().is_main()) return;
  const at::NoGradGuard no_grad;
  for (const std::int64_t sample : samples_) {
    const Batch batch = panels_.read({sample});
    const Picture picture = panels_.draw(batch, panels_.explain(batch), 0);
    trainer.log_image({cat("heatmaps/", trainer.job().validation->id(sample)), picture.width(),
                       picture.height(), png_bytes(picture)});
  }
}

}  // namespace isnet
