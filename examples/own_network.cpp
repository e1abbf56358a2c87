// Your own network, written on the tape, and trained as an ISNet by the library's fit loop. The program first writes a
// data set whose background gives the class away. Run it with: mpirun -n 2 ./own_network FOLDER --max-epochs 15
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include <filesystem>
#include <iostream>
#include <random>

#include "isnet/base/error.h"
#include "isnet/data/split_writer.h"
#include "isnet/model/losses/heatmap_loss.h"
#include "isnet/model/lrp/first_layer.h"
#include "isnet/model/lrp/layer_rule.h"
#include "isnet/model/lrp/selection.h"
#include "isnet/trainer/trainer.h"

namespace {

// Defines the forward pass only: heatmaps come from the tape, which knows convolutions, batch norms, pools, sums and
// more (isnet/model/lrp/tape.h).
class OwnNetwork : public isnet::Network {
 public:
  explicit OwnNetwork(std::int64_t classes)
      : stem_(register_module("stem", convolution(3, 8))),
        norm_(register_module("norm", torch::nn::BatchNorm2d(8))),
        middle_(register_module("middle", convolution(8, 16))),
        residual_(register_module("residual", convolution(16, 16))),
        head_(register_module("head", torch::nn::Linear(16, classes))) {}

  isnet::Value forward(isnet::Tape& tape, const at::Tensor& images) override {
    isnet::Value x = tape.input(images, normalization);
    x = tape.relu(tape.batch_norm(tape.convolution(x, stem_), norm_));
    x = tape.relu(tape.convolution(tape.max_pool(x, 2, 2, 0), middle_));
    x = tape.relu(tape.add(x, tape.convolution(x, residual_)));
    return tape.linear(tape.flatten(tape.adaptive_average_pool(x, 1, 1)), head_);
  }
  std::int64_t num_classes() const override { return head_->options.out_features(); }
  std::string head_name() const override { return "head"; }

 private:
  static torch::nn::Conv2d convolution(std::int64_t in, std::int64_t out) {
    return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, 3).padding(1));
  }
  torch::nn::Conv2d stem_;
  torch::nn::BatchNorm2d norm_;
  torch::nn::Conv2d middle_, residual_;
  torch::nn::Linear head_;
};

constexpr int side = 24, object = 10;

// Writes grey images of an object with vertical or horizontal stripes. A mark in the corner gives the class away.
std::vector<isnet::ShardEntry> write_split(const std::filesystem::path& folder, const std::string& split,
                                           int samples) {
  isnet::SampleLayout layout;
  layout.channels = 1;
  layout.height = layout.width = side;
  layout.mask_channels = 1;
  layout.labels = isnet::LabelKind::single;
  isnet::SplitWriter writer(folder, split, layout, samples, /*shard_size=*/1000);
  std::mt19937 random(static_cast<unsigned>(samples));
  for (int i = 0; i < samples; ++i) {
    std::vector<std::uint8_t> image(side * side, 40), mask(side * side, 0);
    const int label = i % 2;
    const int top = static_cast<int>(4 + random() % 10), left = static_cast<int>(4 + random() % 10);
    for (int y = 0; y < object; ++y)
      for (int x = 0; x < object; ++x) {
        const auto pixel = static_cast<std::size_t>((top + y) * side + left + x);
        mask[pixel] = 255;
        image[pixel] = static_cast<std::uint8_t>((label == 0 ? x : y) / 2 % 2 == 0 ? 220 : 90);
      }
    if (label == 1) image[0] = image[1] = 255;
    writer.add(image.data(), mask.data(), label, split + std::to_string(i));
  }
  return writer.finish();
}

void write_data(const std::filesystem::path& folder) {
  isnet::DataSetDescription description;
  description.class_names = {"vertical", "horizontal"};
  description.height = description.width = side;
  description.splits["train"] = write_split(folder, "train", 256);
  description.splits["val"] = write_split(folder, "val", 64);
  isnet::write_description(folder, description);
}

// Prints the metrics of each epoch. Callbacks see everything that happens in a training; checkpoints and loggers are
// callbacks too.
class Report : public isnet::Callback {
 public:
  void on_train_epoch_end(isnet::Trainer& trainer, const isnet::Metrics& metrics) override {
    if (!trainer.communicator().is_main()) return;
    std::cout << "epoch " << trainer.position().epoch - 1 << ":";
    for (const auto& [name, value] : metrics) std::cout << " " << name << " " << value;
    std::cout << std::endl;
  }
};

// Returns the options that `isnet train` has, with the same defaults but for those set here.
isnet::OptionValues options(const std::vector<std::string>& words) {
  std::vector<isnet::OptionSpec> specs = isnet::trainer_option_specs();
  for (const auto& more :
       {isnet::objectives().options(), isnet::heatmap_selections().options(),
        isnet::heatmap_losses().options(), isnet::first_layer_rules().options(),
        isnet::layer_rules().options(), isnet::optimizer_options(), isnet::schedule_options()})
    specs.insert(specs.end(), more.begin(), more.end());
  isnet::OptionValues values(specs);
  values.set("max-epochs", "16");
  values.set("batch-size", "8");
  values.set("optimizer", "adam");
  values.set("lr", "0.003");
  values.set("gradient-clip-val", "1");
  values.set("heatmap-weight", "0.7");
  for (std::size_t i = 0; i + 1 < words.size(); i += 2) values.set(words[i].substr(2), words[i + 1]);
  return values;
}

void train(isnet::World& world, const std::filesystem::path& folder, const std::vector<std::string>& words) {
  const isnet::Communicator communicator(world, {});
  if (communicator.is_main()) write_data(folder);
  communicator.barrier();
  const isnet::DataSet data(folder);
  const isnet::OptionValues values = options(words);

  const auto network = std::make_shared<OwnNetwork>(data.class_count());
  isnet::NamedParameters parameters;
  for (const auto& entry : network->named_parameters()) parameters.emplace_back(entry.key(), entry.value());
  const isnet::TrainingJob job{network,
                               isnet::objectives().at("isnet").make(values),
                               isnet::make_optimizer(parameters, values),
                               std::make_shared<isnet::LearningRate>(values),
                               data.split("train"),
                               data.split("val")};
  isnet::Trainer trainer(isnet::trainer_options(values), communicator, {std::make_shared<Report>()});
  trainer.fit(job);
  if (communicator.is_main())
    for (const auto& [name, value] : trainer.validation_metrics())
      std::cout << "val " << name << " " << value << "\n";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: own_network FOLDER [--OPTION VALUE]...\n";
    return 2;
  }
  try {
    isnet::World world;
    train(world, argv[1], {argv + 2, argv + argc});
    return isnet::World::finish(0);
  } catch (const isnet::Error& error) {
    std::cerr << error.what() << std::endl;
    return isnet::World::fail(isnet::exit_status(error.kind()));
  }
}
