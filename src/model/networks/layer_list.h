// A plain sequence of layers as a line of text: what --network sequence --layers reads. docs/networks.md has
// the grammar.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace isnet {

/// Kinds of layers that --layers can list.
enum class LayerKind {
  input,  ///< the size of the images; no layer of its own
  convolution,
  batch_norm,
  relu,
  max_pool,
  average_pool,
  adaptive_average_pool,
  flatten,
  dropout,
  linear
};

using Extent = std::array<std::int64_t, 2>;  ///< height, width

/// One layer of the text. What its kind does not have stays as it is here.
struct LayerSpec {
  LayerKind kind = LayerKind::relu;
  std::string text;       ///< as it was written
  std::string name;       ///< where its parameters are: features.0, …; the last layer: classifier
  std::int64_t size = 0;  ///< channels of a convolution, features of a linear layer; 0: as many as classes
  Extent extent{1, 1};    ///< kernel; of input and adaptive pools the size of the map
  Extent stride{1, 1}, padding{0, 0}, dilation{1, 1};
  std::int64_t groups = 1;
  bool bias = true;
  std::optional<double> probability;  ///< of a dropout; without: that of --dropout

  /// Throws a usage error that names this layer, its place and `what` is wrong.
  [[noreturn]] void refuse(const std::string& what) const;
  /// Height and width behind this layer, from those before it. Errors: usage (nothing would be left).
  Extent behind(Extent before) const;
};

/// Reads the text. Errors: usage, in one line (the layer, its place, what is wrong, what is allowed).
std::vector<LayerSpec> parse_layers(const std::string& text);

/// The text in one line: of a file, if it is @FILE (lines or commas between layers, # begins a comment), else
/// itself. Errors: usage (the file cannot be read).
std::string layers_text(const std::string& text);

}  // namespace isnet
