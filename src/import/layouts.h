// The layouts that come with isnet, for programs that use the library. `isnet pack NAME` makes them from
// options.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "data/shard_limits.h"
#include "import/importer.h"
#include "import/picture_options.h"

namespace isnet {

/// `pack idx`. With test files their samples are of split "test".
struct IdxInput {
  std::filesystem::path images, labels;
  std::filesystem::path test_images, test_labels;  ///< empty: none
  std::vector<std::string> classes, class_names;   ///< see ClassList
  std::int64_t limit_per_class = 0;                ///< the first so many of each class; 0: all
  std::int64_t test_limit_per_class = 0;
};
std::unique_ptr<Importer> idx_importer(const IdxInput& input);

/// `pack folders` and `pack dicom`: IMAGES/CLASS/…/name.png and MASKS/CLASS/…/name.png, or with
/// `split_folders` IMAGES/SPLIT/CLASS/….
struct FoldersInput {
  std::filesystem::path images;
  std::filesystem::path masks;  ///< empty: none, or with `mask_suffix` beside the images
  std::string mask_suffix;      ///< "_mask": the mask of name.png is name_mask.png
  bool split_folders = false;
  std::vector<std::string> classes, class_names;
  std::string group_pattern;    ///< regular expression on the path; its first group names the sample's group
  bool dicom_patients = false;  ///< takes DICOM files alone, whatever their names; the patient is the group
  PictureOptions pictures = {};
};
std::unique_ptr<Importer> folders_importer(const FoldersInput& input);

/// How to treat the labels -1 of a manifest: that a class may be there, or not.
enum class UncertainLabels {
  refuse,
  zeros,   ///< not there
  ones,    ///< there
  ignore,  ///< samples with such a label are left out
};

/// `pack csv`. Columns are found by their names (docs/formats.md, "Manifests").
struct CsvInput {
  std::filesystem::path manifest;
  std::filesystem::path root;                  ///< what paths are relative to; empty: the manifest's folder
  std::map<std::string, std::string> columns;  ///< our name → the manifest's, where they differ
  std::vector<std::string> label_columns;      ///< columns that are classes by their names alone
  std::string encoding = "auto";               ///< see manifest_text()
  char field_separator = '\0';                 ///< 0: found by the first line
  std::string separator = "|";                 ///< between the classes of column "labels"
  UncertainLabels uncertain = UncertainLabels::refuse;
  std::vector<std::string> classes, class_names;
  PictureOptions pictures = {};
};
std::unique_ptr<Importer> csv_importer(const CsvInput& input);

/// `pack celebamask-hq`. One attribute: two classes, "not NAME" and "NAME"; several: multi-label.
struct CelebaMaskInput {
  std::filesystem::path root;  ///< holds CelebA-HQ-img, CelebAMask-HQ-mask-anno, …-attribute-anno.txt
  std::vector<std::string> attributes;
  std::vector<std::string> parts;  ///< whose masks are merged: "skin", "hair", …; empty: no masks
  PictureOptions pictures = {};
};
std::unique_ptr<Importer> celebamask_importer(const CelebaMaskInput& input);

/// `pack dataset`: a data set, or a shard, of images of 8 or 16 bit. Splits stay as they are; those of a
/// shard are drawn.
std::unique_ptr<Importer> data_set_importer(const std::filesystem::path& path,
                                            const ShardLimits& limits = {});

}  // namespace isnet
