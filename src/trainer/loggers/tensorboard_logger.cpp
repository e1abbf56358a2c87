#include "trainer/loggers/tensorboard_logger.h"

#include <ATen/ATen.h>
#include <unistd.h>

#include <chrono>

#include "base/error.h"
#include "base/launcher.h"
#include "trainer/loggers/event_file.h"
#include "trainer/trainer.h"

namespace isnet {
namespace {

constexpr std::int64_t bins = 50;

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string file_name() {
  // Microseconds: a run that is started twice within a second has two files.
  return cat("events.out.tfevents.", static_cast<std::int64_t>(now()), ".", host_name(), ".", ::getpid(), ".",
             static_cast<std::int64_t>(now() * 1e6) % 1000000);
}

// Equal bins between the smallest and the largest finite value.
std::optional<event_file::Histogram> histogram_of(const at::Tensor& tensor) {
  const at::Tensor all = tensor.detach().to(at::kCPU, at::kDouble).flatten();
  const at::Tensor values = all.masked_select(all.isfinite());
  if (values.numel() == 0) return std::nullopt;
  event_file::Histogram histogram;
  histogram.min = values.min().item<double>();
  histogram.max = values.max().item<double>();
  histogram.sum = values.sum().item<double>();
  histogram.sum_of_squares = values.square().sum().item<double>();
  const double width = (histogram.max - histogram.min) / bins;
  if (!(width > 0)) {
    histogram.right_edges = {histogram.max};
    histogram.counts = {static_cast<double>(values.numel())};
    return histogram;
  }
  const at::Tensor counts = at::histc(values, bins, histogram.min, histogram.max).contiguous();
  histogram.counts.assign(counts.data_ptr<double>(), counts.data_ptr<double>() + bins);
  for (std::int64_t i = 1; i <= bins; ++i)
    histogram.right_edges.push_back(i == bins ? histogram.max
                                              : histogram.min + width * static_cast<double>(i));
  return histogram;
}

}  // namespace

void TensorboardLogger::append(const std::string& event) {
  if (!file_) {
    file_.emplace(folder_ / file_name());
    file_->append(event_file::record(event_file::version_event(now())));
    if (resumed_at_) file_->append(event_file::record(event_file::start_event(now(), *resumed_at_ + 1)));
  }
  file_->append(event_file::record(event));
}

void TensorboardLogger::write(const LogEntry& entry) {
  std::vector<std::pair<std::string, double>> values;
  for (const auto& [name, value] : entry.metrics)
    if (name != "samples") values.emplace_back(entry.split + "/" + name, value);
  values.emplace_back("epoch", static_cast<double>(entry.epoch));
  append(event_file::scalars_event(now(), entry.step, values));
}

void TensorboardLogger::on_train_epoch_end(Trainer& trainer, const Metrics& metrics) {
  MetricLogger::on_train_epoch_end(trainer, metrics);
  if (histograms_ == 0 || trainer.position().epoch % histograms_ != 0 || !trainer.communicator().is_main())
    return;
  for (const auto& entry : trainer.job().network->named_parameters())
    if (const auto histogram = histogram_of(entry.value()))
      append(event_file::histogram_event(now(), trainer.position().global_step, "weights/" + entry.key(),
                                         *histogram));
}

void TensorboardLogger::on_image(Trainer& trainer, const LoggedImage& image) {
  append(event_file::image_event(now(), trainer.position().global_step, image.name, image.width, image.height,
                                 image.png));
}

void TensorboardLogger::on_load_checkpoint(const Trainer& trainer, const Checkpoint&) {
  resumed_at_ = trainer.position().global_step;
}

namespace {

const Registration<CallbackFactory> registration(
    loggers(),
    {"tensorboard",
     "Event files for TensorBoard",
     {of_this_machine(integer_option("tensorboard-histograms", "0",
                                     "tensorboard: epochs between histograms of the weights; 0: none", 0))},
     [](const CallbackContext& context) {
       return std::make_shared<TensorboardLogger>(context.folder.path(),
                                                  context.options.integer("tensorboard-histograms"));
     }});

}  // namespace
}  // namespace isnet
