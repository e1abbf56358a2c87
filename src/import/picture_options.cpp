#include "import/picture_options.h"

namespace isnet {

std::vector<OptionSpec> reading_options() {
  auto frame = text_option("frame", "", "N|all",
                           "DICOM files with several frames: number of the frame to take, from 1, "
                           "or all: a sample for each frame");
  frame.refusal = [](const std::string& text) -> std::string {
    const bool digits = !text.empty() && text.size() <= 9 &&
                        text.find_first_not_of("0123456789") == std::string::npos && text.front() != '0';
    return digits || text == "all" ? "" : "an integer ≥ 1, or all";
  };
  return {dicom_window_option(),
          std::move(frame),
          integer_option("page", "0",
                         "TIFF files with several pages: number of the page to take, from 1; "
                         "0: refuse such files",
                         0, 1'000'000),
          integer_option("max-pixels", "100000000",
                         "Refuse pictures with more pixels, before they are decoded",
                         1, std::int64_t{1} << 30),
          integer_option("max-expansion", "10000",
                         "Refuse pictures above 16 MiB "
                         "that have more decoded bytes for each byte of their file", 1,
                         std::int64_t{1} << 40),
          integer_option("max-picture-mb", "2048", "Refuse pictures that take more MiB when decoded", 1,
                         std::int64_t{1} << 30)};
}

PictureOptions picture_options(const OptionValues& values) {
  PictureOptions options;
  options.dicom = dicom_options(values);
  const auto& frame = values.text("frame");
  options.dicom.all_frames = frame == "all";
  options.dicom.frame = frame.empty() || frame == "all" ? 0 : values.integer("frame");
  options.page = values.integer("page");
  options.limits.pixels = values.integer("max-pixels");
  options.limits.expansion = values.integer("max-expansion");
  options.limits.bytes = values.integer("max-picture-mb") << 20;
  return options;
}

}  // namespace isnet
