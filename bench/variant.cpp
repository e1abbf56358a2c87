// A variant of a step in a process of its own.
#include <ATen/ATen.h>
#include <sys/resource.h>
#include <torch/version.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/failure.h"
#include "bench/convolutions.h"
#include "bench/multiply_adds.h"
#include "bench/variant.h"
#include "distributed/distributed_data_parallel.h"
#include "model/lrp/selection.h"
#include "model/lrp/walk.h"
#include "model/weights.h"
#include "run/trained_model.h"
#include "trainer/optimizers/optimizer.h"
#include "trainer/options.h"

namespace isnet::bench {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

// As `isnet train` has them.
OptionValues ddp_defaults() {
  return OptionValues(ddp_option_specs());
}

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

}  // namespace

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

std::int64_t peak_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (word == "VmHWM:") {
      std::int64_t kilobytes = 0;
      status >> kilobytes;
      return 1024 * kilobytes;
    }
  return 0;
}

Batch make_batch(const OptionValues& options) {
  const at::ScalarType dtype = precision_of(options);
  const std::int64_t size = options.integer("batch-size"), side = options.integer("image-size");
  Batch batch;
  batch.images = at::rand({size, 3, side, side}, at::dtype(dtype));
  batch.masks = at::zeros({size, 1, side, side}, at::dtype(dtype));
  batch.masks.slice(2, side / 4, side - side / 4).slice(3, side / 4, side - side / 4).fill_(1);
  batch.labels = at::arange(size, at::kLong).remainder(options.integer("num-classes"));
  batch.ids = at::arange(size, at::kLong);
  return batch;
}

namespace {

// What nobody asks for is not trained, as in `isnet train`.
std::shared_ptr<Network> with_outputs_for(const Objective& objective, std::shared_ptr<Network> network) {
  if (!objective.needs_pixels()) network->classify_only();
  return network;
}

}  // namespace

TrainingStep::TrainingStep(const OptionValues& options, std::shared_ptr<Network> network, Batch batch,
                           const Communicator& communicator)
    : network_(std::move(network)),
      batch_(std::move(batch)),
      objective_(objectives().at(options.text("objective")).make(options)),
      parallel_(with_outputs_for(*objective_, network_), communicator, ddp_options(ddp_defaults())),
      learning_rate_(options.real("lr")) {
  NamedParameters parameters;
  for (const auto& entry : network_->named_parameters()) parameters.emplace_back(entry.key(), entry.value());
  optimizer_ = make_optimizer(parameters, options);
  for (const auto& parameter : network_->parameters()) initial_.push_back(parameter.detach().clone());
  network_->train();
}

void TrainingStep::prepare() {
  const at::NoGradGuard no_grad;
  const auto parameters = network_->parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) parameters[i].copy_(initial_[i]);
}

void TrainingStep::step() {
  parallel_.prepare_forward();
  const Losses losses = objective_->compute(*network_, batch_);
  ++batch_.epoch;
  if (!losses.total.isfinite().item<bool>())
    fail(ErrorKind::runtime, "the loss is not finite: try another --seed");
  parallel_.backward(losses.total);
  optimizer_->set_learning_rate(learning_rate_);
  optimizer_->step();
  optimizer_->zero_grad();
}

Checkpoint TrainingStep::checkpoint() const {
  Checkpoint checkpoint;
  for (const auto& [name, tensor] : named_tensors(*network_)) checkpoint.tensors["model." + name] = tensor;
  for (const auto& [name, tensor] : optimizer_->state()) checkpoint.tensors["optimizer." + name] = tensor;
  return checkpoint;
}

namespace {

class Forward : public Variant {
 public:
  Forward(std::shared_ptr<Network> network, Batch batch)
      : network_(std::move(network)), batch_(std::move(batch)) {}
  void step() override {
    const at::NoGradGuard no_grad;
    network_->logits(batch_.images);
  }

 private:
  std::shared_ptr<Network> network_;
  Batch batch_;
};

// As isnet explain.
class Explain : public Variant {
 public:
  Explain(const OptionValues& options, std::shared_ptr<Network> network, Batch batch)
      : network_(std::move(network)),
        batch_(std::move(batch)),
        lrp_(lrp_options(options)),
        selection_(heatmap_selections().at(options.text("heatmaps")).make(options)) {}
  void step() override {
    const at::NoGradGuard no_grad;
    TapeContext context;
    context.recording = true;
    Tape tape(std::move(context));
    const Value out = network_->forward(tape, batch_.images);
    const Selected selected = selection_->select(logits_of(tape, out, lrp_), batch_, 0);
    relevance(tape, out, selected.start, lrp_);
  }

 private:
  std::shared_ptr<Network> network_;
  Batch batch_;
  LrpOptions lrp_;
  std::unique_ptr<HeatmapSelection> selection_;
};

}  // namespace

std::shared_ptr<Network> network_of(const OptionValues& options) {
  return make_network(resolve(options), at::kCPU);
}

namespace {

// offset + scale · numbers from -1 to 1, by a formula that bench/plain_step.py has too; in pieces, so that
// the peak of memory is not this.
void fill_with_noise(const at::Tensor& tensor, double seed, double scale, double offset) {
  const at::Tensor whole = tensor.is_contiguous() ? tensor : at::empty(tensor.sizes(), tensor.options());
  const at::Tensor flat = whole.view({-1});
  constexpr std::int64_t piece = 1 << 20;
  for (std::int64_t begin = 0; begin < flat.numel(); begin += piece) {
    const std::int64_t end = std::min(begin + piece, flat.numel());
    const at::Tensor places = at::arange(begin, end, at::dtype(at::kDouble));
    const at::Tensor values = at::frac(at::sin(places * 12.9898 + seed * 78.233) * 43758.5453);
    flat.slice(0, begin, end).copy_(values * scale + offset);
  }
  if (!whole.is_same(tensor)) tensor.copy_(whole);
}

}  // namespace

std::vector<double> fingerprint(const OptionValues& options, const Batch& batch) {
  const at::NoGradGuard no_grad;
  const auto network = network_of(options);
  // Not in mixed precision, whose rounding would look like another network.
  network->multiplication = at::ScalarType::Undefined;
  std::map<std::string, at::Tensor> parameters;
  for (const auto& entry : network->named_parameters()) parameters[entry.key()] = entry.value();
  double seed = 0;
  for (auto& [name, parameter] : parameters) {
    const double fan_in = static_cast<double>(parameter.numel()) / static_cast<double>(parameter.size(0));
    if (parameter.dim() > 1)
      fill_with_noise(parameter, seed++, std::sqrt(6.0 / fan_in), 0);
    else
      fill_with_noise(parameter, seed++, 0.1, 1);
  }
  const at::Tensor pixels = at::empty_like(batch.images.slice(0, 0, 1));
  fill_with_noise(pixels, 0.5, 0.5, 0.5);
  const at::Tensor logits = network->logits(pixels)[0].to(at::kDouble).contiguous();
  return {logits.data_ptr<double>(), logits.data_ptr<double>() + logits.numel()};
}

namespace {

std::unique_ptr<Variant> make_variant(const OptionValues& options, const std::shared_ptr<Network>& network,
                                      const Batch& batch) {
  const std::string& name = options.text("variant");
  if (name == "forward") return std::make_unique<Forward>(network, batch);
  if (name == "explain") return std::make_unique<Explain>(options, network, batch);
  return std::make_unique<TrainingStep>(options, network, batch);
}

// A forward pass as in prediction, and the variant's step; for one image.
Json work_of(Network& network, Variant& variant, const Batch& batch) {
  double parameters = 0;
  for (const auto& parameter : network.parameters()) parameters += static_cast<double>(parameter.numel());
  const double step = multiply_adds([&] { variant.step(); }) / static_cast<double>(batch.size());
  const bool training = network.is_training();
  network.eval();
  const double forward = multiply_adds([&] {
    const at::NoGradGuard no_grad;
    network.logits(batch.images.slice(0, 0, 1));
  });
  network.train(training);
  return {{"parameters", parameters}, {"forward", forward}, {"step", step}};
}

}  // namespace

void say(const Json& answer) {
  std::cout << answer.dump() << std::endl;
}

void settle_variant(OptionValues& options) {
  at::set_num_threads(static_cast<int>(options.integer("threads")));
  if (!options.has("num-classes")) options.set("num-classes", "3");
  const std::string& variant = options.text("variant");
  if (variant != "system") options.set("objective", variant == "isnet" ? "isnet" : "classifier");
  options = resolve(options).options();
  at::manual_seed(static_cast<std::uint64_t>(options.integer("seed")));
}

int answering(const std::function<void()>& serve) {
  try {
    serve();
    return 0;
  } catch (const std::exception& error) {
    const Failure failure = failure_of(error);
    say({{"error", failure.message}, {"status", failure.status}});
    return failure.status;
  }
}

namespace {

void serve(OptionValues& options) {
  settle_variant(options);
  const Batch batch = make_batch(options);
  Json greeting{{"torch", TORCH_VERSION}};
  if (options.text("variant") != "system") greeting["logits"] = fingerprint(options, batch);
  const auto network = network_of(options);
  const auto variant = make_variant(options, network, batch);
  say(greeting);
  double cpu = cpu_seconds();
  auto end = Clock::now();
  for (std::string request; std::getline(std::cin, request);) {
    const double idle_cpu = cpu_seconds() - cpu, idle_wall = seconds_since(end);
    variant->prepare();
    const auto begin = Clock::now();
    if (request == "step") {
      variant->step();
      const double seconds = seconds_since(begin);
      say({{"seconds", seconds},
           {"peak_bytes", peak_bytes()},
           {"idle_cpu", idle_cpu},
           {"idle_wall", idle_wall}});
    } else if (request == "convolutions") {
      const double inside = seconds_in_convolutions([&] { variant->step(); });
      say({{"share", inside / seconds_since(begin)}});
    } else if (request == "work") {
      say(work_of(*network, *variant, batch));
    } else {
      fail(ErrorKind::usage, "unknown request '", request, "'; known: step, convolutions, work");
    }
    cpu = cpu_seconds();
    end = Clock::now();
  }
}

}  // namespace

int serve_variant(OptionValues& options) {
  return answering([&] { serve(options); });
}

}  // namespace isnet::bench
