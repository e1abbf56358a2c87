#include "cli/heatmap_images.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "trainer/trainer.h"

namespace isnet::cli {

std::vector<OptionSpec> heatmap_image_options() {
  return {integer_option("tensorboard-images", "0",
                         "tensorboard: validation samples of which it shows image, mask and heatmap", 0,
                         10000)};
}

void HeatmapImages::on_fit_start(Trainer& trainer) {
  if (!trainer.communicator().is_main()) return;
  const auto& job = trainer.job();
  const auto loggers = options_.list("logger");
  if (std::find(loggers.begin(), loggers.end(), "tensorboard") == loggers.end() || !job.validation)
    fail(ErrorKind::usage,
         "--tensorboard-images needs --logger tensorboard and a split val, whose samples it shows");
  panels_ = std::make_unique<SamplePanels>(job.network, job.validation, class_names_,
                                           EvaluationPlace{trainer.options().device, trainer.options().dtype},
                                           options_, "label");
  const std::int64_t size = job.validation->size();
  const std::int64_t count = std::min(options_.integer("tensorboard-images"), size);
  for (std::int64_t i = 0; i < count; ++i) samples_.push_back(i * size / count);
}

void HeatmapImages::show(Trainer& trainer) const {
  if (!panels_) return;
  const at::NoGradGuard no_grad;
  for (const std::int64_t sample : samples_) {
    const Batch batch = panels_->read({sample});
    const Picture picture = panels_->draw(batch, panels_->explain(batch), 0);
    trainer.log_image({cat("heatmaps/", trainer.job().validation->id(sample)), picture.width(),
                       picture.height(), png_bytes(picture)});
  }
}

}  // namespace isnet::cli
