#include "evaluation/sample_sheet.h"

#include <algorithm>

#include "base/error.h"
#include "evaluation/overlay.h"
#include "evaluation/short_names.h"

namespace isnet {
namespace {

constexpr int gap = 8;
constexpr Colour ink{20, 20, 20};

// Every factor×factor pixels as their mean.
Picture made_smaller(const Picture& picture, int factor) {
  Picture result(std::max(1, picture.width() / factor), std::max(1, picture.height() / factor));
  for (int y = 0; y < result.height(); ++y)
    for (int x = 0; x < result.width(); ++x) {
      int red = 0, green = 0, blue = 0, count = 0;
      for (int row = y * factor; row < std::min((y + 1) * factor, picture.height()); ++row)
        for (int column = x * factor; column < std::min((x + 1) * factor, picture.width());
             ++column, ++count) {
          const Colour colour = picture.at(column, row);
          red += colour.red;
          green += colour.green;
          blue += colour.blue;
        }
      const auto mean = [&](int sum) { return static_cast<std::uint8_t>((sum + count / 2) / count); };
      result.set(x, y, {mean(red), mean(green), mean(blue)});
    }
  return result;
}

Picture cell_of(const SheetSample& sample, int cell_size) {
  const auto pixels = static_cast<std::size_t>(sample.height) * static_cast<std::size_t>(sample.width);
  if (pixels == 0 || sample.image.size() != 3 * pixels || sample.masks.size() % pixels != 0)
    fail(ErrorKind::internal, "sheet: image and masks do not have the size ", sample.height, "×",
         sample.width);
  const int longer = std::max(sample.height, sample.width);
  const int larger = std::max(1, cell_size / longer), smaller = std::max(1, longer / std::max(1, cell_size));
  Picture image = picture_of_image(sample.image, sample.height, sample.width).enlarged(larger);
  if (smaller > 1) image = made_smaller(image, smaller);
  // Outlines are drawn at the size that is shown, else they would fade.
  const std::span<const float> masks(sample.masks);
  for (std::size_t first = 0; first < masks.size(); first += pixels) {
    if (smaller == 1) {
      draw_outline(image, masks.subspan(first, pixels), sample.width, sample.height, larger,
                   outline_on_image);
      continue;
    }
    std::vector<float> shown;
    for (int y = 0; y < image.height(); ++y)
      for (int x = 0; x < image.width(); ++x)
        shown.push_back(masks[first + static_cast<std::size_t>(y * smaller * sample.width + x * smaller)]);
    draw_outline(image, shown, image.width(), image.height(), 1, outline_on_image);
  }
  return image;
}

// The id, then the other lines.
std::vector<std::string> caption_of(const SheetSample& sample, const NameShortener& ids, int room) {
  std::vector<std::string> lines;
  if (!sample.id.empty())
    lines.push_back(
        ids.shortened(sample.id, [&](const std::string& text) { return Picture::text_width(text) <= room; }));
  lines.insert(lines.end(), sample.lines.begin(), sample.lines.end());
  return lines;
}

NameShortener shortener_of(std::span<const SheetSample> samples) {
  std::vector<std::string> ids;
  for (const auto& sample : samples)
    if (!sample.id.empty()) ids.push_back(sample.id);
  return NameShortener(ids);
}

}  // namespace

Picture sample_sheet(std::span<const SheetSample> samples, const SheetOptions& options) {
  if (samples.empty()) fail(ErrorKind::internal, "a sheet of no samples");
  const auto columns = static_cast<std::size_t>(std::max(1, options.columns));
  const NameShortener ids = shortener_of(samples);
  std::vector<Picture> rows;
  for (std::size_t first = 0; first < samples.size(); first += columns) {
    const auto row = samples.subspan(first, std::min(columns, samples.size() - first));
    std::vector<Picture> cells;
    int cell_width = options.cell_size, cell_height = 0;
    std::size_t lines = 0;
    for (const auto& sample : row) {
      cells.push_back(cell_of(sample, options.cell_size));
      cell_width = std::max(cell_width, cells.back().width());
      cell_height = std::max(cell_height, cells.back().height());
      lines = std::max(lines, sample.lines.size() + (sample.id.empty() ? 0 : 1));
    }
    Picture picture(gap + static_cast<int>(row.size()) * (cell_width + gap),
                    gap + cell_height + static_cast<int>(lines) * line_height + gap);
    for (std::size_t i = 0; i < row.size(); ++i) {
      const int x = gap + static_cast<int>(i) * (cell_width + gap);
      picture.place(cells[i], x, gap);
      int baseline = gap + cell_height - 4;
      for (const auto& line : caption_of(row[i], ids, cell_width))
        picture.write(line, x, baseline += line_height, cell_width, ink);
    }
    rows.push_back(std::move(picture));
  }
  return contact_sheet(rows);
}

}  // namespace isnet
