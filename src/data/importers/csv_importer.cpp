// A manifest: one line for each sample, as comma-separated values (docs/formats.md, "Manifests").
#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "base/csv.h"
#include "base/error.h"
#include "base/files.h"
#include "data/importers/decode.h"
#include "data/importers/layouts.h"
#include "data/importers/mask_decode.h"

namespace isnet {
namespace {

const std::vector<std::string>& known_columns() {
  static const std::vector<std::string> names{"id",     "image", "mask",  "label",
                                              "labels", "group", "split", "weight"};
  return names;
}

std::vector<std::string> split_at(const std::string& text, const std::string& separator) {
  std::vector<std::string> parts;
  std::size_t first = 0;
  while (true) {
    const auto end = text.find(separator, first);
    const auto part = text.substr(first, end == std::string::npos ? end : end - first);
    if (!part.empty()) parts.push_back(part);
    if (end == std::string::npos) return parts;
    first = end + separator.size();
  }
}

class CsvImporter : public Importer {
 public:
  explicit CsvImporter(CsvInput input) : input_(std::move(input)), where_(input_.manifest.string()) {
    if (input_.root.empty()) input_.root = input_.manifest.parent_path();
    if (input_.separator.empty()) fail(ErrorKind::usage, "--label-separator: is empty");
  }

  Listing list() override {
    if (std::error_code code; !std::filesystem::is_regular_file(input_.manifest, code))
      fail(ErrorKind::data, where_, ": there is no such file");
    const auto rows = parse_csv(read_file(input_.manifest), where_);
    if (rows.empty()) fail(ErrorKind::data, where_, ": is empty; its first line names the columns");
    read_header(rows.front());
    if (rows.size() < 2) fail(ErrorKind::data, where_, ": names columns, and no sample");
    const std::vector<CsvRow> samples(rows.begin() + 1, rows.end());
    Listing listing;
    const ClassList classes = read_classes(samples, listing);
    listing.mask_channels = has("mask") ? 1 : 0;
    if (!masks_of_classes_.empty()) {
      listing.mask_channels = static_cast<std::int64_t>(classes.names().size());
      listing.masks_per_class = true;
      for (const auto& name : classes.originals())
        if (!masks_of_classes_.contains(name)) refuse(rows.front(), "there is no column 'mask:", name, "'");
    }
    for (const auto& row : samples) add(row, classes, listing);
    check_ids(listing);
    return listing;
  }

  Image image(const ImportItem& item) const override {
    return decode_image(item.files.at(0), input_.pictures);
  }
  std::vector<Image> masks(const ImportItem& item) const override {
    std::vector<Image> result;
    for (std::size_t i = 1; i < item.files.size(); ++i)
      result.push_back(decode_mask(item.files[i], input_.pictures));
    return result;
  }

 private:
  template <typename... Parts>
  [[noreturn]] void refuse(const CsvRow& row, const Parts&... parts) const {
    fail(ErrorKind::data, where_, ": line ", row.line, ": ", parts...);
  }

  bool has(const std::string& column) const { return columns_.contains(column); }
  std::string field(const CsvRow& row, const std::string& column) const {
    return has(column) ? row.fields[columns_.at(column)] : std::string();
  }

  // Where our columns are, and those of masks and labels by class.
  void read_header(const CsvRow& header) {
    columns_.clear();
    masks_of_classes_.clear();
    labels_of_classes_.clear();
    const auto& names = header.fields;
    if (std::set<std::string>(names.begin(), names.end()).size() != names.size())
      refuse(header, "two columns have the same name");
    for (std::size_t i = 0; i < names.size(); ++i) {
      for (const auto& ours : known_columns()) {
        const auto renamed = input_.columns.find(ours);
        if (names[i] == (renamed == input_.columns.end() ? ours : renamed->second)) columns_[ours] = i;
      }
      if (names[i].starts_with("mask:")) masks_of_classes_.emplace(names[i].substr(5), i);
      if (names[i].starts_with("label:")) labels_of_classes_.emplace_back(names[i].substr(6), i);
    }
    for (const auto& [ours, theirs] : input_.columns)
      if (!has(ours)) refuse(header, "there is no column '", theirs, "' (--columns ", ours, "=", theirs, ")");
    if (!has("image")) refuse(header, "there is no column 'image'; --columns image=NAME names another");
    if ((has("label") ? 1 : 0) + (has("labels") ? 1 : 0) + (labels_of_classes_.empty() ? 0 : 1) > 1)
      refuse(header,
             "labels in several ways: 'label' (one class), 'labels' and 'label:CLASS' (any number) exclude "
             "each other");
    if (has("mask") && !masks_of_classes_.empty())
      refuse(header, "'mask' and 'mask:CLASS' exclude each other");
    if (!masks_of_classes_.empty() && !has("label") && !has("labels") && labels_of_classes_.empty())
      refuse(header, "masks for each class, but no labels");
  }

  std::vector<std::string> labels_of(const CsvRow& row) const {
    return split_at(field(row, "labels"), input_.separator);
  }

  ClassList read_classes(const std::vector<CsvRow>& rows, Listing& listing) const {
    std::vector<std::string> present;
    listing.labels = LabelKind::multi;
    if (!labels_of_classes_.empty()) {
      for (const auto& entry : labels_of_classes_) present.push_back(entry.first);
    } else if (has("labels")) {
      for (const auto& row : rows)
        for (const auto& name : labels_of(row)) present.push_back(name);
    } else if (has("label")) {
      listing.labels = LabelKind::single;
      for (const auto& row : rows) {
        if (field(row, "label").empty()) refuse(row, "no label");
        present.push_back(field(row, "label"));
      }
    } else {
      listing.labels = LabelKind::none;
      return ClassList({}, {}, {}, where_);
    }
    // The order of columns is meant, that of names in lines is not.
    const auto chosen = input_.classes.empty() && !labels_of_classes_.empty() ? present : input_.classes;
    ClassList classes(present, chosen, input_.class_names, where_);
    listing.class_names = classes.names();
    return classes;
  }

  void add(const CsvRow& row, const ClassList& classes, Listing& listing) const {
    ImportItem item;
    const std::string image = field(row, "image");
    if (image.empty()) refuse(row, "no image");
    item.id = has("id") ? field(row, "id") : image;
    if (item.id.empty()) refuse(row, "no id");
    item.source = cat((input_.root / image).string(), " (", where_, ": line ", row.line, ")");
    item.files = {input_.root / image};
    item.number = number_of(item.id);
    item.group = field(row, "group");
    item.split = field(row, "split");
    if (has("weight")) item.weight = weight_of(row);
    add_masks(row, classes, item);
    if (listing.labels == LabelKind::single) {
      const auto label = classes.label(field(row, "label"));
      if (!label) return;  // a class that was not asked for
      item.label = *label;
    }
    if (listing.labels == LabelKind::multi) item.classes = classes_of(row, classes);
    listing.items.push_back(std::move(item));
  }

  void add_masks(const CsvRow& row, const ClassList& classes, ImportItem& item) const {
    if (has("mask")) {
      if (field(row, "mask").empty()) refuse(row, "no mask");
      item.files.push_back(input_.root / field(row, "mask"));
    }
    if (masks_of_classes_.empty()) return;
    for (const auto& name : classes.originals()) {
      const auto& file = row.fields[masks_of_classes_.at(name)];
      if (file.empty()) refuse(row, "no mask of class ", name);
      item.files.push_back(input_.root / file);
    }
  }

  double weight_of(const CsvRow& row) const {
    const std::string text = field(row, "weight");
    double value = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
    if (result.ec != std::errc() || result.ptr != text.data() + text.size() || !std::isfinite(value) ||
        value < 0)
      refuse(row, "weight '", text, "' is no number from 0 on");
    return value;
  }

  std::vector<std::uint8_t> classes_of(const CsvRow& row, const ClassList& classes) const {
    std::vector<std::uint8_t> present(classes.names().size(), 0);
    for (const auto& name : labels_of(row))
      if (const auto label = classes.label(name)) present[static_cast<std::size_t>(*label)] = 1;
    for (const auto& [name, column] : labels_of_classes_) {
      const auto label = classes.label(name);
      const std::string& value = row.fields[column];
      if (value != "0" && value != "1") refuse(row, "label:", name, " is '", value, "'; allowed: 0 or 1");
      if (label && value == "1") present[static_cast<std::size_t>(*label)] = 1;
    }
    return present;
  }

  void check_ids(const Listing& listing) const {
    if (listing.items.empty()) fail(ErrorKind::data, where_, ": no sample is of the classes asked for");
    std::set<std::string> ids;
    for (const auto& item : listing.items)
      if (!ids.insert(item.id).second)
        fail(ErrorKind::data, item.source, ": the id '", item.id, "' comes twice");
  }

  CsvInput input_;
  std::string where_;
  std::map<std::string, std::size_t> columns_;
  std::map<std::string, std::size_t> masks_of_classes_;
  std::vector<std::pair<std::string, std::size_t>> labels_of_classes_;
};

std::map<std::string, std::string> renamed_columns(const OptionValues& options) {
  std::map<std::string, std::string> columns;
  for (const auto& entry : options.list("columns")) {
    const auto equals = entry.find('=');
    const auto name = entry.substr(0, equals);
    const auto& known = known_columns();
    if (equals == std::string::npos || std::find(known.begin(), known.end(), name) == known.end())
      fail(ErrorKind::usage, "--columns: '", entry,
           "' is not allowed; allowed: OURS=THEIRS, ours being id, image, mask, label, labels, group, split, "
           "weight");
    columns[name] = entry.substr(equals + 1);
  }
  return columns;
}

std::unique_ptr<Importer> make(const OptionValues& options) {
  CsvInput input;
  input.manifest = required(options, "manifest");
  input.root = options.text("root");
  input.columns = renamed_columns(options);
  input.separator = options.text("label-separator");
  input.classes = options.list("classes");
  input.class_names = options.list("class-names");
  input.pictures = picture_options(options);
  if (input.pictures.dicom.all_frames)
    fail(ErrorKind::usage,
         "--frame: all is for 'pack folders' and 'pack dicom'; a manifest's line is one sample");
  return csv_importer(input);
}

const Registration<ImporterFactory> registration(
    importers(),
    {"csv",
     "a manifest: image, mask, label, group, split and weight of each sample in a line",
     {text_option("manifest", "", "FILE", "csv: the manifest; its first line names the columns"),
      root_option(),
      text_option("columns", "", "OURS=THEIRS,…", "csv: names of columns, where they differ from ours"),
      text_option("label-separator", "|", "TEXT", "csv: what stands between the classes of column 'labels'"),
      classes_option(), class_names_option()},
     make});

}  // namespace

std::unique_ptr<Importer> csv_importer(const CsvInput& input) {
  return std::make_unique<CsvImporter>(input);
}

}  // namespace isnet
