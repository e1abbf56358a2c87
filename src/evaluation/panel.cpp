#include "evaluation/panel.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "base/error.h"
#include "evaluation/background_share.h"
#include "evaluation/overlay.h"

namespace isnet {
namespace {

constexpr int margin = 10;
constexpr int gap = 10;
constexpr int caption_lines = 4;
constexpr std::size_t map_channels = 3;
constexpr Colour ink{20, 20, 20}, faint{110, 110, 110}, frame{170, 170, 170};
constexpr Colour outline_on_map{60, 60, 60};

template <typename... Values>
std::string formatted(const char* format, Values... values) {
  char text[128];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

/// The sizes that all cells share.
class Layout {
 public:
  Layout(const PanelInput& input, const PanelOptions& options)
      : factor_(std::max(1, (options.cell_size + std::max(input.height, input.width) - 1) /
                                std::max({input.height, input.width, 1}))),
        cell_width_(std::max(input.width * factor_, options.cell_size)),
        cell_height_(input.height * factor_),
        cells_(static_cast<int>(input.maps.size()) + 1 + (input.mask.empty() ? 0 : 1)),
        columns_(std::clamp(options.columns, 1, cells_)) {}

  int factor() const { return factor_; }
  int cell_width() const { return cell_width_; }
  int cell_height() const { return cell_height_; }
  int x(int cell) const { return margin + (cell % columns_) * (cell_width_ + gap); }
  int y(int cell) const { return top() + (cell / columns_) * row_height(); }
  int width() const { return 2 * margin + columns_ * (cell_width_ + gap) - gap; }
  int height() const { return top() + ((cells_ + columns_ - 1) / columns_) * row_height(); }

 private:
  static int top() { return margin + line_height + 6; }
  int row_height() const { return cell_height_ + caption_lines * line_height + gap; }

  int factor_, cell_width_, cell_height_, cells_, columns_;
};

void check(const PanelInput& input) {
  const auto pixels = static_cast<std::size_t>(input.height) * static_cast<std::size_t>(input.width);
  const auto maps = input.maps.size();
  const bool mask_fits =
      input.mask.empty() || input.mask.size() == pixels || input.mask.size() == maps * pixels;
  if (pixels == 0 || input.image.size() != 3 * pixels || !mask_fits ||
      input.heatmaps.size() != maps * map_channels * pixels)
    fail(ErrorKind::internal, "panel: image, mask and heatmaps of ", input.title, " have other sizes than ",
         maps, " maps of ", input.height, "×", input.width);
}

std::uint8_t byte_of(float value) {
  return static_cast<std::uint8_t>(
      std::lround(255 * std::clamp(std::isfinite(value) ? value : 0.0f, 0.0f, 1.0f)));
}

/// The mask in grey; of several masks their union.
Picture picture_of_mask(const PanelInput& input) {
  Picture picture(input.width, input.height);
  const auto pixels = static_cast<std::size_t>(input.height * input.width);
  for (std::size_t i = 0; i < pixels; ++i) {
    float value = 0;
    for (std::size_t place = i; place < input.mask.size(); place += pixels)
      value = std::max(value, input.mask[place]);
    const auto grey = byte_of(value);
    picture.set(static_cast<int>(i) % input.width, static_cast<int>(i) / input.width, {grey, grey, grey});
  }
  return picture;
}

Picture picture_of_map(std::span<const float> relevance, int width, int height, double maximum) {
  Picture picture(width, height);
  for (std::size_t i = 0; i < relevance.size(); ++i)
    picture.set(static_cast<int>(i) % width, static_cast<int>(i) / width, colour_of(relevance[i] / maximum));
  return picture;
}

std::span<const float> mask_of_map(const PanelInput& input, std::size_t map) {
  const auto pixels = static_cast<std::size_t>(input.height * input.width);
  return input.mask.size() > pixels ? input.mask.subspan(map * pixels, pixels) : input.mask;
}

class PanelWriter {
 public:
  PanelWriter(const PanelInput& input, const PanelOptions& options)
      : input_(input), layout_(input, options), picture_(layout_.width(), layout_.height()) {}

  Picture made() {
    write_header();
    add_image();
    if (!input_.mask.empty()) add_mask();
    for (std::size_t map = 0; map < input_.maps.size(); ++map) add_map(map);
    return std::move(picture_);
  }

 private:
  void write_header() {
    constexpr int bar_width = 100, bar_height = 10, word_width = 66;
    const int legend = bar_width + 2 * word_width;
    const bool with_legend = picture_.width() > 3 * legend;
    const int room = picture_.width() - 2 * margin - (with_legend ? legend : 0);
    const int baseline = margin + line_height - 6;
    const auto fits = [&](const std::string& text) { return Picture::text_width(text, true) <= room; };
    picture_.write(input_.ids.shortened(input_.title, fits), margin, baseline, room, ink, true);
    if (!with_legend) return;
    const int x = picture_.width() - margin - legend + word_width;
    picture_.write("negative", x - word_width, baseline, word_width, faint);
    for (int i = 0; i < bar_width; ++i)
      picture_.fill(x + i, baseline - bar_height + 1, 1, bar_height,
                    colour_of(2.0 * i / (bar_width - 1) - 1));
    picture_.write("positive", x + bar_width + 5, baseline, word_width, faint);
  }

  /// A name and a mark behind it, which stays whole when the name is too long. Bold when marked.
  struct Heading {
    std::string name, mark;
  };

  void add_cell(const Picture& enlarged, const Heading& heading, const std::vector<std::string>& lines) {
    const int x = layout_.x(cell_), y = layout_.y(cell_);
    picture_.fill(x - 1, y - 1, enlarged.width() + 2, enlarged.height() + 2, frame);
    picture_.place(enlarged, x, y);
    int baseline = y + layout_.cell_height() + line_height - 2;
    write_heading(heading, x, baseline);
    for (const auto& line : lines)
      picture_.write(line, x, baseline += line_height, layout_.cell_width(), faint);
    ++cell_;
  }

  void write_heading(const Heading& heading, int x, int baseline) {
    const bool bold = !heading.mark.empty();
    const int mark_width = Picture::text_width(heading.mark, bold);
    const int name_room = layout_.cell_width() - mark_width;
    const int name_width = std::min(Picture::text_width(heading.name, bold), name_room);
    picture_.write(heading.name, x, baseline, name_room, ink, bold);
    picture_.write(heading.mark, x + name_width, baseline, mark_width, ink, bold);
  }

  void add_image() {
    auto image = picture_of_image(input_.image, input_.height, input_.width).enlarged(layout_.factor());
    if (!input_.mask.empty())
      draw_outline(image, mask_of_map(input_, 0), input_.width, input_.height, layout_.factor(),
                   outline_on_image);
    add_cell(image, {"image", ""}, {formatted("%d x %d", input_.width, input_.height)});
  }

  void add_mask() {
    const double area = std::accumulate(input_.mask.begin(), input_.mask.end(), 0.0) /
                        static_cast<double>(input_.mask.size());
    add_cell(picture_of_mask(input_).enlarged(layout_.factor()), {"mask", ""},
             {formatted("%.1f %% of the image", 100 * area)});
  }

  void add_map(std::size_t map) {
    const auto pixels = static_cast<std::size_t>(input_.height * input_.width);
    const auto heatmap = input_.heatmaps.subspan(map * map_channels * pixels, map_channels * pixels);
    const auto relevance = sum_of_channels(heatmap, map_channels);
    const double maximum = robust_maximum(relevance);
    auto enlarged =
        picture_of_map(relevance, input_.width, input_.height, maximum).enlarged(layout_.factor());
    const auto mask = mask_of_map(input_, map);
    if (!mask.empty())
      draw_outline(enlarged, mask, input_.width, input_.height, layout_.factor(), outline_on_map);

    const auto& caption = input_.maps[map];
    std::vector<std::string> lines;
    if (!std::isnan(caption.logit)) lines.push_back(formatted("logit %.3g", caption.logit));
    if (!lines.empty() && !std::isnan(caption.probability))
      lines.front() += formatted(", p %.3f", caption.probability);
    if (!mask.empty())
      lines.push_back(formatted("background %.1f %%", 100 * background_share(heatmap, mask)));
    lines.push_back(formatted("full colour at %.2g", maximum));
    add_cell(enlarged, {caption.class_name, mark_of(caption)}, lines);
  }

  static std::string mark_of(const MapCaption& caption) {
    if (caption.is_label) return caption.is_predicted ? " (label, predicted)" : " (label)";
    return caption.is_predicted ? " (predicted)" : "";
  }

  const PanelInput& input_;
  Layout layout_;
  Picture picture_;
  int cell_ = 0;
};

}  // namespace

Picture panel(const PanelInput& input, const PanelOptions& options) {
  check(input);
  return PanelWriter(input, options).made();
}

std::vector<std::int64_t> maps_to_show(std::span<const double> logits, std::int64_t label,
                                       std::size_t limit) {
  std::vector<std::int64_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    if ((a == label) != (b == label)) return a == label;
    return logits[static_cast<std::size_t>(a)] > logits[static_cast<std::size_t>(b)];
  });
  order.resize(std::min(limit, order.size()));
  std::sort(order.begin(), order.end());
  return order;
}

}  // namespace isnet
