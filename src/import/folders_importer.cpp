// Folders by class, with a parallel tree of masks: IMAGES/CLASS/…/name.png, MASKS/CLASS/…/name.png.
#include <algorithm>
#include <map>
#include <regex>
#include <set>

#include "base/error.h"
#include "base/log.h"
#include "data/split_names.h"
#include "import/decode.h"
#include "import/layouts.h"
#include "import/mask_decode.h"
#include "import/names.h"

namespace isnet {
namespace {

// The path without its ending, as its bytes are.
std::string stem_of(const std::filesystem::path& path) {
  return picture_stem(path).generic_string();
}

// The same as one finds it: in one normal form.
std::string key_of(const std::filesystem::path& path) {
  return normal_form(stem_of(path));
}

class FoldersImporter : public Importer {
 public:
  explicit FoldersImporter(FoldersInput input) : input_(std::move(input)) {
    if (input_.masks.empty() && !input_.mask_suffix.empty()) input_.masks = input_.images;
    masks_among_images_ =
        !input_.masks.empty() && input_.masks.lexically_normal() == input_.images.lexically_normal();
    if (masks_among_images_ && input_.mask_suffix.empty())
      fail(ErrorKind::usage,
           "--masks: is the folder of the images; --mask-suffix says which of them are masks");
    if (input_.group_pattern.empty()) return;
    try {
      pattern_ = std::regex(normal_form(input_.group_pattern));
    } catch (const std::regex_error& error) {
      fail(ErrorKind::usage, "--group-pattern: '", input_.group_pattern,
           "' is not a regular expression: ", error.what());
    }
    if (pattern_.mark_count() < 1)
      fail(ErrorKind::usage, "--group-pattern: '", input_.group_pattern, "' has no group in parentheses");
  }

  Listing list() override {
    std::vector<Found> found;
    std::vector<std::string> present;
    std::int64_t ignored = 0;
    std::string first_ignored;
    for (const auto& file : files_below(input_.images)) {
      if (masks_among_images_ && is_mask_name(file)) continue;
      if (is_companion_name(file)) {
        if (ignored++ == 0) first_ignored = file.string();
        continue;
      }
      for (auto& one : found_in(file)) {
        present.push_back(one.class_name);
        found.push_back(std::move(one));
      }
    }
    if (ignored > 0)
      log::warning(cat(input_.images.string(), ": ", ignored,
                       " files are not images by their names and are left out (the first: ", first_ignored, ")"));
    if (found.empty()) fail(ErrorKind::data, input_.images.string(), ": there are no images below");
    say_split_folders(present);
    const ClassList classes(present, input_.classes, input_.class_names, input_.images.string());
    Listing listing;
    listing.class_names = classes.names();
    listing.mask_channels = input_.masks.empty() ? 0 : 1;
    if (!input_.masks.empty()) find_masks();
    same_names_.clear();
    for (const auto& one : found) ++same_names_[normal_form(one.file.generic_string())];
    for (const auto& one : found)
      if (const auto label = classes.label(one.class_name)) listing.items.push_back(item_of(one, *label));
    return listing;
  }

  Image image(const ImportItem& item) const override {
    if (item.place == 0) return decode_image(item.files.at(0), input_.pictures);
    PictureOptions options = input_.pictures;
    options.dicom.frame = static_cast<std::int64_t>(item.place);
    return decode_image(item.files.at(0), options);
  }
  std::vector<Image> masks(const ImportItem& item) const override {
    if (input_.masks.empty()) return {};
    return {decode_mask(item.files.at(1), input_.pictures)};
  }
  std::int64_t channels() const override { return input_.dicom_patients ? 1 : 3; }

 private:
  struct Found {
    std::filesystem::path file;  // relative
    std::string split, class_name;
    std::size_t frame = 0;  // of a DICOM file with several, from 1
    std::string problem = {};
  };

  // The samples of a file: one, or each of its frames.
  std::vector<Found> found_in(const std::filesystem::path& file) const {
    Found one = place_of(file);
    const auto path = input_.images / file;
    const bool picture =
        input_.dicom_patients ? is_dicom(path) : has_image_name(file) || has_picture_content(path);
    if (!picture)
      one.problem =
          cat(path.string(), ": is no ", input_.dicom_patients ? "DICOM file" : "image that can be read",
              " by its ", input_.dicom_patients ? "content" : "name and content");
    if (!picture || !input_.pictures.dicom.all_frames || !is_dicom(path)) return {one};
    std::int64_t frames = 1;
    try {
      frames = dicom_summary(path).frames;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;  // said when it is read
    }
    std::vector<Found> all;
    for (std::int64_t frame = 1; frames > 1 && frame <= frames; ++frame) {
      one.frame = static_cast<std::size_t>(frame);
      all.push_back(one);
    }
    return all.empty() ? std::vector<Found>{one} : all;
  }

  Found place_of(const std::filesystem::path& file) const {
    const std::vector<std::filesystem::path> parts(file.begin(), file.end());
    const std::size_t folders = input_.split_folders ? 2 : 1;
    if (parts.size() <= folders)
      fail(ErrorKind::data, (input_.images / file).string(), ": lies outside the folders of ",
           input_.split_folders ? "splits and classes (IMAGES/SPLIT/CLASS/name)"
                                : "classes (IMAGES/CLASS/name)");
    return {file, input_.split_folders ? parts[0].string() : "", clean_name(parts[folders - 1].string()), 0};
  }

  // Classes that are all called like splits probably are splits.
  void say_split_folders(const std::vector<std::string>& classes) const {
    std::set<std::string> splits;
    for (const auto& name : classes) splits.insert(canonical_split_name(name));
    const bool all = std::all_of(splits.begin(), splits.end(), [](const auto& name) {
      return name == "train" || name == "val" || name == "test";
    });
    if (all && splits.size() > 1)
      log::warning(cat(input_.images.string(), ": the classes are called ", *splits.begin(), ", ",
                       *splits.rbegin(), ": if these are splits, give --split-folders"));
  }

  bool is_mask_name(const std::filesystem::path& file) const {
    return has_image_name(file) && key_of(file.filename()).ends_with(normal_form(input_.mask_suffix));
  }

  // Files of one name in two normal forms are two; they are told apart by their bytes.
  void find_masks() {
    masks_.clear();
    exact_masks_.clear();
    for (const auto& file : files_below(input_.masks)) {
      if (!is_mask_name(file)) continue;
      const auto [place, is_new] = exact_masks_.emplace(stem_of(file), file);
      if (!is_new)
        fail(ErrorKind::data, (input_.masks / file).string(), ": there is a second mask of this name, ",
             place->second.string());
      masks_.emplace(key_of(file), file);
    }
  }

  // The mask of this stem; nullptr: there is none.
  const std::filesystem::path* mask_called(const std::string& stem) const {
    if (const auto found = exact_masks_.find(stem); found != exact_masks_.end()) return &found->second;
    const auto found = masks_.find(normal_form(stem));
    return found == masks_.end() ? nullptr : &found->second;
  }

  // A frame's own mask ("name#3.png"), or that of its file; nullptr: there is none.
  const std::filesystem::path* mask_of(const Found& found) const {
    const auto stem = stem_of(found.file);
    const auto* own =
        found.frame > 0 ? mask_called(cat(stem, "#", found.frame, input_.mask_suffix)) : nullptr;
    return own ? own : mask_called(stem + input_.mask_suffix);
  }

  ImportItem item_of(const Found& found, std::int64_t label) const {
    ImportItem item;
    item.id = normal_form(found.file.generic_string());
    if (same_names_.at(item.id) > 1)
      item.id = found.file.generic_string();  // one of several that differ in form
    item.source = (input_.images / found.file).string();
    item.files = {item.source};
    if (const auto* mask = mask_of(found))
      item.files.push_back(input_.masks / *mask);
    else if (!input_.masks.empty())
      item.problem = cat(picture_stem(input_.masks / found.file).string(), input_.mask_suffix,
                         ": there is no mask of this name, with whatever ending");
    if (found.frame > 0) set_frame(found.frame, item);
    item.number = number_of(item.id);
    item.label = label;
    item.split = found.split;
    if (!found.problem.empty()) {
      item.problem = found.problem;
      return item;
    }
    try {
      item.group = group_of(item);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;
      item.problem = error.what();
    }
    return item;
  }

  static void set_frame(std::size_t frame, ImportItem& item) {
    item.id += cat("#", frame);
    item.source += cat(" (frame ", frame, ")");
    item.place = frame;
  }

  std::string group_of(const ImportItem& item) const {
    if (!input_.group_pattern.empty()) {
      std::smatch match;
      if (!std::regex_search(item.id, match, pattern_))
        fail(ErrorKind::data, item.source, ": --group-pattern '", input_.group_pattern, "' is not found in ",
             item.id);
      return match[1].str();
    }
    std::string group;
    if (input_.dicom_patients) group = dicom_summary(item.files[0]).patient;
    // Frames of a file are never in two splits. Draws depend on this name: it is without the images' folder.
    return group.empty() && item.place > 0 ? "file " + item.id.substr(0, item.id.rfind('#')) : group;
  }

  FoldersInput input_;
  std::regex pattern_;
  bool masks_among_images_ = false;
  std::map<std::string, std::filesystem::path> masks_,
      exact_masks_;                        // by key_of(), and by path without ending
  std::map<std::string, int> same_names_;  // files by normal form
};

std::unique_ptr<Importer> make(const OptionValues& options, bool dicom) {
  FoldersInput input;
  input.images = required(options, "images");
  input.masks = options.text("masks");
  input.mask_suffix = options.text("mask-suffix");
  input.split_folders = options.flag("split-folders");
  input.classes = options.list("classes");
  input.class_names = options.list("class-names");
  input.group_pattern = options.text("group-pattern");
  input.dicom_patients = dicom;
  input.pictures = picture_options(options);
  return folders_importer(input);
}

std::vector<OptionSpec> own_options() {
  return {
      images_option(),
      masks_option(),
      text_option("mask-suffix", "", "TEXT",
                  "What a mask's name has after its image's name, before the ending (with _mask, "
                  "1_mask.png belongs to 1.png); without --masks, masks lie beside the images"),
      flag_option("split-folders", "Class folders lie in folders of splits: PATH/train/CLASS/…"),
      text_option("group-pattern", "", "REGEX",
                  "Regular expression whose first parentheses match the group (patient, …) "
                  "in an image's path"),
      classes_option(),
      class_names_option()};
}

const Registration<ImporterFactory> folders(
    importers(), {"folders", "Images in a folder for each class, masks in a parallel tree", own_options(),
                  [](const OptionValues& options) { return make(options, false); }});
const Registration<ImporterFactory> dicom(
    importers(),
    {"dicom", "DICOM files in a folder for each class, whatever their names; the patient is the group",
     own_options(), [](const OptionValues& options) { return make(options, true); }});

}  // namespace

std::unique_ptr<Importer> folders_importer(const FoldersInput& input) {
  return std::make_unique<FoldersImporter>(input);
}

}  // namespace isnet
