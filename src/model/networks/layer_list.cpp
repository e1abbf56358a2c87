#include "model/networks/layer_list.h"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.h"

namespace isnet {
namespace {

constexpr std::int64_t largest = 1'000'000;

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

std::string joined(const std::vector<std::string>& words, const char* between) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

std::string size_text(Extent extent) {
  return cat(extent[0], "×", extent[1]);
}

// The words of one layer, read from left to right.
class Words {
 public:
  Words(LayerSpec& layer, std::vector<std::string> words) : layer_(layer), words_(std::move(words)) {}

  bool empty() const { return next_ == words_.size(); }
  std::string take(const char* what) {
    if (empty()) layer_.refuse(cat(what, " is missing"));
    return words_[next_++];
  }
  bool take_if(const char* word) {
    if (empty() || words_[next_] != word) return false;
    ++next_;
    return true;
  }
  std::int64_t number(const char* what, std::int64_t min) { return parsed(take(what), what, min); }
  // N, or height × width.
  Extent extent(const char* what, std::int64_t min) {
    const std::string word = take(what);
    const auto x = word.find('x');
    if (x == std::string::npos) {
      const std::int64_t value = parsed(word, what, min);
      return {value, value};
    }
    return {parsed(word.substr(0, x), what, min), parsed(word.substr(x + 1), what, min)};
  }
  double probability() {
    const std::string word = take("the probability");
    double value = -1;
    const auto result = std::from_chars(word.data(), word.data() + word.size(), value);
    if (result.ec != std::errc() || result.ptr != word.data() + word.size() || !(value >= 0 && value < 1))
      layer_.refuse(cat("'", word, "' is not allowed; allowed: a number from 0 to less than 1"));
    return value;
  }
  void end(const char* form) const {
    if (!empty()) layer_.refuse(cat("'", words_[next_], "' is not allowed here; the form is: ", form));
  }

 private:
  std::int64_t parsed(const std::string& word, const char* what, std::int64_t min) const {
    std::int64_t value = -1;
    const auto result = std::from_chars(word.data(), word.data() + word.size(), value);
    if (result.ec != std::errc() || result.ptr != word.data() + word.size() || value < min || value > largest)
      layer_.refuse(
          cat(what, ": '", word, "' is not allowed; allowed: an integer from ", min, " to ", largest));
    return value;
  }

  LayerSpec& layer_;
  std::vector<std::string> words_;
  std::size_t next_ = 0;
};

void read_convolution(LayerSpec& layer, Words& words) {
  layer.kind = LayerKind::convolution;
  layer.size = words.number("its channels", 1);
  layer.extent = words.extent("its kernel", 1);
  while (!words.empty()) {
    if (words.take_if("stride"))
      layer.stride = words.extent("stride", 1);
    else if (words.take_if("pad"))
      layer.padding = words.extent("pad", 0);
    else if (words.take_if("dilation"))
      layer.dilation = words.extent("dilation", 1);
    else if (words.take_if("groups"))
      layer.groups = words.number("groups", 1);
    else if (words.take_if("nobias"))
      layer.bias = false;
    else
      break;
  }
  words.end("conv CHANNELS KERNEL [stride S] [pad P] [dilation D] [groups G] [nobias]");
}

// Pools are square: one number each.
void read_pool(LayerSpec& layer, Words& words, LayerKind kind) {
  const auto square = [&](const char* what, std::int64_t min) {
    const std::int64_t value = words.number(what, min);
    return Extent{value, value};
  };
  const bool maximum = kind == LayerKind::max_pool;
  layer.kind = kind;
  if (!maximum && words.take_if("global")) {
    layer.kind = LayerKind::adaptive_average_pool;
  } else if (!maximum && words.take_if("to")) {
    layer.kind = LayerKind::adaptive_average_pool;
    layer.extent = words.extent("its size", 1);
  } else {
    layer.extent = layer.stride = square("its kernel", 1);
    if (words.take_if("stride")) layer.stride = square("stride", 1);
    if (maximum && words.take_if("pad")) layer.padding = square("pad", 0);
    if (2 * layer.padding[0] > layer.extent[0]) layer.refuse("pad is more than half the kernel");
  }
  words.end(maximum ? "maxpool KERNEL [stride S] [pad P]"
                    : "avgpool KERNEL [stride S], avgpool global, or avgpool to HxW");
}

void read_layer(LayerSpec& layer) {
  Words words(layer, words_of(layer.text));
  const std::string kind = words.take("the layer");
  if (kind == "conv") return read_convolution(layer, words);
  if (kind == "maxpool") return read_pool(layer, words, LayerKind::max_pool);
  if (kind == "avgpool") return read_pool(layer, words, LayerKind::average_pool);
  const auto plain = [&](const char* name, LayerKind its_kind) {
    if (kind != name) return false;
    layer.kind = its_kind;
    words.end(name);
    return true;
  };
  if (plain("bn", LayerKind::batch_norm) || plain("relu", LayerKind::relu) ||
      plain("flatten", LayerKind::flatten))
    return;
  if (kind == "dropout") {
    layer.kind = LayerKind::dropout;
    if (!words.empty()) layer.probability = words.probability();
    words.end("dropout [PROBABILITY]");
  } else if (kind == "linear") {
    layer.kind = LayerKind::linear;
    layer.bias = !words.take_if("nobias");
    if (layer.bias && !words.empty()) {
      layer.size = words.number("its features", 1);
      layer.bias = !words.take_if("nobias");
    }
    words.end("linear [FEATURES] [nobias]");
  } else if (kind == "input") {
    layer.kind = LayerKind::input;
    layer.extent = words.extent("its size", 1);
    words.end("input HxW");
  } else {
    layer.refuse(cat("unknown layer '", kind,
                     "'; known: conv, bn, relu, maxpool, avgpool, flatten, dropout, linear, and input at the "
                     "beginning"));
  }
}

}  // namespace

void LayerSpec::refuse(const std::string& what) const {
  fail(ErrorKind::usage, "--layers: ", name, ", '", text, "': ", what);
}

Extent LayerSpec::behind(Extent before) const {
  if (kind == LayerKind::adaptive_average_pool) return extent;
  if (kind != LayerKind::convolution && kind != LayerKind::max_pool && kind != LayerKind::average_pool)
    return before;
  Extent result{};
  for (std::size_t i = 0; i < 2; ++i) {
    const std::int64_t room = before[i] + 2 * padding[i] - dilation[i] * (extent[i] - 1) - 1;
    result[i] = room < 0 ? 0 : room / stride[i] + 1;
  }
  if (result[0] == 0 || result[1] == 0)
    refuse(cat("what it reads, ", size_text(before),
               " pixels, is smaller than its kernel; use fewer pools, or larger images"));
  return result;
}

std::vector<LayerSpec> parse_layers(const std::string& text) {
  std::vector<LayerSpec> layers;
  std::size_t number = 0;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    LayerSpec layer;
    layer.text = joined(words_of(part), " ");
    layer.name = cat("features.", number);
    if (layer.text.empty()) layer.refuse("a layer is missing between two commas");
    read_layer(layer);
    if (layer.kind == LayerKind::input && !layers.empty()) layer.refuse("it has to come first");
    if (layer.kind != LayerKind::input) ++number;
    layers.push_back(std::move(layer));
  }
  if (number == 0) fail(ErrorKind::usage, "--layers: there are no layers in '", text, "'");
  LayerSpec& last = layers.back();
  if (last.kind != LayerKind::linear || last.size != 0)
    last.refuse("the last layer has to be 'linear', without a number: it has as many features as classes");
  last.name = "classifier";
  for (const auto& layer : layers)
    if (layer.kind == LayerKind::linear && layer.size == 0 && &layer != &last)
      layer.refuse("its features are missing: only the last layer has as many as classes");
  return layers;
}

std::string layers_text(const std::string& text) {
  if (text.empty() || text[0] != '@') return text;
  const std::string file = text.substr(1);
  std::ifstream stream(file);
  if (!stream || std::filesystem::is_directory(file))
    fail(ErrorKind::usage, "--layers: cannot read '", file, "'");
  std::vector<std::string> layers;
  for (std::string line; std::getline(stream, line);) {
    std::istringstream parts(line.substr(0, line.find('#')));
    for (std::string part; std::getline(parts, part, ',');)
      if (const auto words = words_of(part); !words.empty()) layers.push_back(joined(words, " "));
  }
  return joined(layers, ", ");
}

}  // namespace isnet
