// CelebAMask-HQ as it is distributed: CelebA-HQ-img/N.jpg, CelebAMask-HQ-mask-anno/⌊N/2000⌋/0000N_PART.png,
// and CelebAMask-HQ-attribute-anno.txt (number of images; names of attributes; "N.jpg 1 -1 …" for each
// image).
#include <algorithm>
#include <array>
#include <charconv>
#include <iomanip>
#include <sstream>

#include "base/error.h"
#include "base/files.h"
#include "import/decode.h"
#include "import/layouts.h"
#include "import/mask_decode.h"

namespace isnet {
namespace {

constexpr std::array known_parts{"skin",   "nose",  "eye_g", "l_eye",  "r_eye", "l_brow",
                                 "r_brow", "l_ear", "r_ear", "mouth",  "u_lip", "l_lip",
                                 "hair",   "hat",   "ear_r", "neck_l", "neck",  "cloth"};

std::string joined(const auto& values) {
  std::string text;
  for (const auto& value : values) text += (text.empty() ? "" : ",") + std::string(value);
  return text;
}

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

class CelebaMaskImporter : public Importer {
 public:
  explicit CelebaMaskImporter(CelebaMaskInput input) : input_(std::move(input)) {
    for (const auto& part : input_.parts)
      if (std::find(known_parts.begin(), known_parts.end(), part) == known_parts.end())
        fail(ErrorKind::usage, "--mask-parts: '", part, "' is not allowed; allowed: ", joined(known_parts));
    if (input_.attributes.empty()) fail(ErrorKind::usage, "--attributes: is required");
  }

  Listing list() override {
    const auto file = input_.root / "CelebAMask-HQ-attribute-anno.txt";
    where_ = file.string();
    if (std::error_code code; !std::filesystem::is_regular_file(file, code))
      fail(ErrorKind::data, where_, ": there is no such file; --root is the folder that holds it");
    std::istringstream lines(read_file(file));
    std::string line;
    std::int64_t announced = -1;
    std::getline(lines, line);
    if (const auto words = words_of(line); words.size() == 1)
      std::from_chars(words[0].data(), words[0].data() + words[0].size(), announced);
    if (announced < 1) fail(ErrorKind::data, where_, ": line 1: '", line, "' is not a number of images");
    std::getline(lines, line);
    const auto names = words_of(line);
    const auto columns = columns_of(names);

    Listing listing;
    listing.mask_channels = input_.parts.empty() ? 0 : 1;
    listing.masks_joined = true;
    const bool single = input_.attributes.size() == 1;
    listing.labels = single ? LabelKind::single : LabelKind::multi;
    listing.class_names = single
                              ? std::vector<std::string>{"not " + input_.attributes[0], input_.attributes[0]}
                              : input_.attributes;
    for (std::int64_t number = 3; std::getline(lines, line); ++number) {
      const auto words = words_of(line);
      if (words.empty()) continue;
      if (words.size() != names.size() + 1)
        fail(ErrorKind::data, where_, ": line ", number, ": ", words.size(), " fields; expected a file and ",
             names.size(), " attributes");
      listing.items.push_back(item_of(words, columns, number));
    }
    if (static_cast<std::int64_t>(listing.items.size()) != announced)
      fail(ErrorKind::data, where_, ": ", listing.items.size(), " images; its first line announces ",
           announced);
    return listing;
  }

  Image image(const ImportItem& item) const override {
    return decode_image(item.files.at(0), input_.pictures);
  }

  // Those of the parts; a part that is not in the picture has no file.
  std::vector<Image> masks(const ImportItem& item) const override {
    if (input_.parts.empty()) return {};
    if (item.files.size() < 2)
      fail(ErrorKind::data, "none of the parts ", joined(input_.parts), " has a mask in ",
           part_file(item, "").string(), "*");
    std::vector<Image> parts;
    for (std::size_t i = 1; i < item.files.size(); ++i)
      parts.push_back(decode_mask(item.files[i], input_.pictures));
    return parts;
  }

 private:
  std::vector<std::size_t> columns_of(const std::vector<std::string>& names) const {
    std::vector<std::size_t> columns;
    for (const auto& attribute : input_.attributes) {
      const auto found = std::find(names.begin(), names.end(), attribute);
      if (found == names.end())
        fail(ErrorKind::usage, "--attributes: '", attribute, "' is not in ", where_, "; there are ",
             joined(names));
      columns.push_back(static_cast<std::size_t>(found - names.begin()));
      if (std::count(columns.begin(), columns.end(), columns.back()) > 1)
        fail(ErrorKind::usage, "--attributes: ", attribute, " appears twice");
    }
    return columns;
  }

  ImportItem item_of(const std::vector<std::string>& words, const std::vector<std::size_t>& columns,
                     std::int64_t line) const {
    ImportItem item;
    const std::string stem = std::filesystem::path(words[0]).stem().string();
    const auto result = std::from_chars(stem.data(), stem.data() + stem.size(), item.number);
    if (result.ec != std::errc() || result.ptr != stem.data() + stem.size())
      fail(ErrorKind::data, where_, ": line ", line, ": '", words[0], "' is not N.jpg");
    item.id = words[0];
    item.files = {input_.root / "CelebA-HQ-img" / words[0]};
    item.source = item.files[0].string();
    std::vector<std::uint8_t> present;
    for (const auto column : columns) {
      const auto& value = words[column + 1];
      if (value != "1" && value != "-1")
        fail(ErrorKind::data, where_, ": line ", line, ": '", value, "' is neither 1 nor -1");
      present.push_back(value == "1" ? 1 : 0);
    }
    if (columns.size() == 1)
      item.label = present[0];
    else
      item.classes = std::move(present);
    std::error_code code;
    for (const auto& part : input_.parts)
      if (const auto file = part_file(item, part); std::filesystem::exists(file, code))
        item.files.push_back(file);
    return item;
  }

  std::filesystem::path part_file(const ImportItem& item, const std::string& part) const {
    std::ostringstream name;
    name << std::setw(5) << std::setfill('0') << item.number << '_' << part << (part.empty() ? "" : ".png");
    return input_.root / "CelebAMask-HQ-mask-anno" / cat(item.number / 2000) / name.str();
  }

  CelebaMaskInput input_;
  std::string where_;
};

std::unique_ptr<Importer> make(const OptionValues& options) {
  CelebaMaskInput input;
  input.root = required(options, "root");
  input.attributes = options.list("attributes");
  input.parts = options.list("mask-parts");
  if (options.text("mask-parts") == "none") input.parts.clear();
  input.pictures = picture_options(options);
  return celebamask_importer(input);
}

const Registration<ImporterFactory> registration(
    importers(),
    {"celebamask-hq",
     "Faces of CelebAMask-HQ, their attributes and masks by part",
     {root_option(),
      text_option("attributes", "", "NAME,NAME",
                  "celebamask-hq: attributes to use as classes: one (two classes), or several (multi-label)"),
      text_option("mask-parts", "skin,nose,l_eye,r_eye,l_brow,r_brow,mouth,u_lip,l_lip", "PART,PART",
                  "celebamask-hq: parts whose masks are merged; none: no masks")},
     make});

}  // namespace

std::unique_ptr<Importer> celebamask_importer(const CelebaMaskInput& input) {
  return std::make_unique<CelebaMaskImporter>(input);
}

}  // namespace isnet
