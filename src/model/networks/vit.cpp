// Vision transformer (Dosovitskiy et al., "An image is worth 16x16 words", ICLR 2021) with torchvision's
// parameter names, and attention rollout (Abnar & Zuidema, ACL 2020) for `isnet explain`.
#include <ATen/ATen.h>
#include <torch/nn/init.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include <cmath>

#include "base/error.h"
#include "model/network.h"
#include "model/networks/classes_in.h"

namespace isnet {
namespace {

struct VitShape {
  std::int64_t image = 224, patch = 16;  // pixels a side; the image's decides how many positions are learnt
  std::int64_t width = 768, layers = 12, heads = 12, mlp = 3072;
};

torch::nn::LayerNorm layer_norm(std::int64_t width) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({width}).eps(1e-6));
}

// Queries, keys and values from one matrix, as in torch.nn.MultiheadAttention.
struct SelfAttention : torch::nn::Module {
  SelfAttention(std::int64_t width, std::int64_t heads_)
      : heads(heads_),
        in_weight(register_parameter("in_proj_weight", at::empty({3 * width, width}))),
        in_bias(register_parameter("in_proj_bias", at::zeros({3 * width}))),
        out(register_module("out_proj", torch::nn::Linear(width, width))) {
    torch::nn::init::xavier_uniform_(in_weight);
    torch::nn::init::constant_(out->bias, 0);
  }

  // z: B×N×D. `mean_map`, if not null, gets the mean over heads of the attention, B×N×N.
  at::Tensor forward(const at::Tensor& z, at::Tensor* mean_map) const {
    const std::int64_t b = z.size(0), n = z.size(1), d = z.size(2);
    const auto parts =
        at::linear(z, in_weight, in_bias).view({b, n, 3, heads, d / heads}).permute({2, 0, 3, 1, 4});
    const at::Tensor q = parts[0], k = parts[1], v = parts[2];  // B×heads×N×d
    at::Tensor mixed;
    if (mean_map) {
      const double scale = 1 / std::sqrt(static_cast<double>(d / heads));
      const at::Tensor map = (at::matmul(q, k.transpose(2, 3)) * scale).softmax(3);
      *mean_map = map.detach().mean(1);
      mixed = at::matmul(map, v);
    } else {
      mixed = at::scaled_dot_product_attention(q, k, v);
    }
    return out->forward(mixed.transpose(1, 2).reshape({b, n, d}));
  }

  std::int64_t heads;
  at::Tensor in_weight, in_bias;
  mutable torch::nn::Linear out;
};

struct EncoderLayer : torch::nn::Module {
  explicit EncoderLayer(const VitShape& shape)
      : norm1(register_module("ln_1", layer_norm(shape.width))),
        attention(
            register_module("self_attention", std::make_shared<SelfAttention>(shape.width, shape.heads))),
        norm2(register_module("ln_2", layer_norm(shape.width))) {
    const auto mlp = register_module("mlp", std::make_shared<torch::nn::Module>());
    widen = mlp->register_module("0", linear(shape.width, shape.mlp));
    narrow = mlp->register_module("3", linear(shape.mlp, shape.width));
  }

  at::Tensor forward(const at::Tensor& z, at::Tensor* mean_map) {
    const at::Tensor mixed = z + attention->forward(norm1->forward(z), mean_map);
    return mixed + narrow->forward(at::gelu(widen->forward(norm2->forward(mixed))));
  }

  static torch::nn::Linear linear(std::int64_t in, std::int64_t out) {
    torch::nn::Linear layer(in, out);
    torch::nn::init::xavier_uniform_(layer->weight);
    torch::nn::init::normal_(layer->bias, 0, 1e-6);
    return layer;
  }

  torch::nn::LayerNorm norm1;
  std::shared_ptr<SelfAttention> attention;
  torch::nn::LayerNorm norm2;
  torch::nn::Linear widen{nullptr}, narrow{nullptr};
};

// How much each position contributes to the class token, with half of each layer's mixing by attention and
// half by the residual. maps: B×N×N of each layer; B×N.
at::Tensor rollout(const std::vector<at::Tensor>& maps) {
  at::Tensor row = at::zeros({maps[0].size(0), 1, maps[0].size(1)}, maps[0].options());
  row.select(2, 0).fill_(1);
  for (auto map = maps.rbegin(); map != maps.rend(); ++map) row = (row + at::matmul(row, *map)) / 2;
  return row.squeeze(1);
}

class Vit : public Network {
 public:
  Vit(const VitShape& shape, std::int64_t num_classes, double dropout) : shape_(shape), dropout_(dropout) {
    if (shape.width % shape.heads != 0)
      fail(ErrorKind::usage, "--heads: '", shape.heads,
           "' is not allowed; allowed: divisors of --hidden-dim ", shape.width);
    if (shape.image % shape.patch != 0)
      fail(ErrorKind::usage, "--image-size: '", shape.image, "' is not allowed; allowed: multiples of ",
           shape.patch, ", --patch-size");
    grid_ = shape.image / shape.patch;
    class_token_ = register_parameter("class_token", at::zeros({1, 1, shape.width}));
    projection_ = register_module(
        "conv_proj",
        torch::nn::Conv2d(torch::nn::Conv2dOptions(3, shape.width, shape.patch).stride(shape.patch)));
    const auto inputs = static_cast<double>(3 * shape.patch * shape.patch);
    torch::nn::init::normal_(projection_->weight, 0, std::sqrt(1 / inputs));
    torch::nn::init::constant_(projection_->bias, 0);
    const auto encoder = register_module("encoder", std::make_shared<torch::nn::Module>());
    positions_ = encoder->register_parameter("pos_embedding",
                                             at::normal(0.0, 0.02, {1, grid_ * grid_ + 1, shape.width}));
    const auto layers = encoder->register_module("layers", std::make_shared<torch::nn::Module>());
    for (std::int64_t i = 0; i < shape.layers; ++i)
      layers_.push_back(
          layers->register_module(cat("encoder_layer_", i), std::make_shared<EncoderLayer>(shape)));
    norm_ = encoder->register_module("ln", layer_norm(shape.width));
    const auto heads = register_module("heads", std::make_shared<torch::nn::Module>());
    head_ = heads->register_module("head", torch::nn::Linear(shape.width, num_classes));
  }

  Value forward(Tape& tape, const at::Tensor& images) override {
    const std::int64_t height = images.size(2), width = images.size(3);
    if (height % shape_.patch != 0 || width % shape_.patch != 0)
      fail(ErrorKind::usage, "images of ", height, "×", width,
           " pixels do not fit this transformer, whose ", "patches are ", shape_.patch,
           " pixels a side: each side has to be a multiple of it");
    const Value patches = tape.convolution(tape.input(images, normalization), projection_);
    const at::Tensor u = tape.output(patches).flatten(2).transpose(1, 2);  // B×hw×D
    at::Tensor z = at::cat({class_token_.expand({u.size(0), 1, u.size(2)}), u}, 1) +
                   positions(height / shape_.patch, width / shape_.patch);
    std::vector<at::Tensor> maps;
    for (const auto& layer : layers_) {
      at::Tensor map;
      z = layer->forward(z, tape.context().recording ? &map : nullptr);
      if (map.defined()) maps.push_back(std::move(map));
    }
    if (!maps.empty()) show_rollout(tape, maps, height, width);
    const Value token = tape.record(std::make_unique<WithoutRule>("transformer encoder"), {patches.node},
                                    norm_->forward(z).select(1, 0));
    return tape.linear(tape.dropout(token, dropout_), head_);
  }

  std::int64_t num_classes() const override { return head_->options.out_features(); }
  std::string head_name() const override { return "heads.head"; }

 private:
  // 1×(h·w + 1)×D; of another grid than the learnt one by bicubic interpolation.
  at::Tensor positions(std::int64_t height, std::int64_t width) const {
    if (height == grid_ && width == grid_) return positions_;
    const at::Tensor grid =
        positions_.narrow(1, 1, grid_ * grid_).transpose(1, 2).unflatten(2, {grid_, grid_});
    const at::Tensor resized = at::upsample_bicubic2d(grid, {height, width}, /*align_corners=*/false);
    return at::cat({positions_.narrow(1, 0, 1), resized.flatten(2).transpose(1, 2)}, 1);
  }

  void show_rollout(Tape& tape, const std::vector<at::Tensor>& maps, std::int64_t height,
                    std::int64_t width) const {
    const at::Tensor row = rollout(maps).narrow(1, 1, maps[0].size(1) - 1);
    const at::Tensor map =
        (row / row.amax(1, true)).unflatten(1, {height / shape_.patch, width / shape_.patch}).unsqueeze(1);
    tape.show("rollout", at::upsample_bilinear2d(map, {height, width}, /*align_corners=*/false));
  }

  VitShape shape_;
  double dropout_;
  std::int64_t grid_ = 0;
  at::Tensor class_token_, positions_;
  torch::nn::Conv2d projection_{nullptr};
  std::vector<std::shared_ptr<EncoderLayer>> layers_;
  torch::nn::LayerNorm norm_{nullptr};
  torch::nn::Linear head_{nullptr};
};

OptionSpec image_size_option() {
  return integer_option("image-size", "224",
                        "vit: side of the images whose positions are learnt; other sizes interpolate the "
                        "positions", 1,
                        65536);
}

Capabilities<NetworkFactory> capabilities() {
  return {.classes_in = classes_by_rows({"heads.head"})};
}

const Registration<NetworkFactory> vit_b_16(networks(),
                                            {.name = "vit-b-16",
                                             .description = "Vision transformer, base, patches of 16 pixels",
                                             .options = {image_size_option()},
                                             .make =
                                                 [](const OptionValues& options, std::int64_t num_classes) {
                                                   VitShape shape;
                                                   shape.image = options.integer("image-size");
                                                   return std::make_shared<Vit>(shape, num_classes,
                                                                                options.real("dropout"));
                                                 },
                                             .capabilities = capabilities()});
const Registration<NetworkFactory> vit(
    networks(),
    {.name = "vit",
     .description = "Vision transformer of any size",
     .options = {image_size_option(), integer_option("patch-size", "16", "vit: side of a patch", 1, 65536),
                 integer_option("hidden-dim", "192", "vit: features of each position", 1, 65536),
                 integer_option("encoder-layers", "12", "vit: number of layers", 1, 1000),
                 integer_option("heads", "3", "vit: attention heads of a layer", 1, 1024),
                 integer_option("mlp-dim", "768", "vit: hidden features of a layer", 1, 1'000'000)},
     .make =
         [](const OptionValues& options, std::int64_t num_classes) {
           const VitShape shape{options.integer("image-size"), options.integer("patch-size"),
                                options.integer("hidden-dim"), options.integer("encoder-layers"),
                                options.integer("heads"),      options.integer("mlp-dim")};
           return std::make_shared<Vit>(shape, num_classes, options.real("dropout"));
         },
     .capabilities = capabilities()});

}  // namespace
}  // namespace isnet
