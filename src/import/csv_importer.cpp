// A manifest: one line for each sample, as comma-separated values (docs/formats.md, "Manifests").
#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "base/csv.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "import/decode.h"
#include "import/layouts.h"
#include "import/manifest_columns.h"
#include "import/manifest_text.h"
#include "import/mask_decode.h"
#include "import/names.h"

namespace isnet {
namespace {

std::vector<std::string> split_at(const std::string& text, const std::string& separator) {
  std::vector<std::string> parts;
  std::size_t first = 0;
  while (true) {
    const auto end = text.find(separator, first);
    const auto part = clean_name(text.substr(first, end == std::string::npos ? end : end - first));
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
    std::string text = manifest_text(read_file(input_.manifest), input_.encoding, where_);
    separator_ = find_separator(text, known_names());
    if (input_.field_separator != 0) separator_ = input_.field_separator;
    const auto rows = parse_csv(text, where_, separator_);
    if (rows.empty()) fail(ErrorKind::data, where_, ": is empty; its first line names the columns");
    columns_ = read_columns(rows.front(), {input_.columns, input_.label_columns}, where_);
    if (rows.size() < 2) fail(ErrorKind::data, where_, ": names columns, and no sample");
    const std::vector<CsvRow> samples(rows.begin() + 1, rows.end());
    Listing listing;
    const ClassList classes = read_classes(samples, listing);
    settle_masks(rows.front(), classes, listing);
    blank_labels_ = uncertain_samples_ = 0;
    for (const auto& row : samples) add(row, classes, listing);
    check_ids(listing);
    say_label_values();
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

  // Names by which the separator is recognised.
  std::vector<std::string> known_names() const {
    std::vector<std::string> names = manifest_columns();
    names.insert(names.end(), {"mask:", "label:", "class", "path"});
    for (const auto& entry : input_.columns) names.push_back(lower_case(clean_name(entry.second)));
    for (const auto& name : input_.label_columns) names.push_back(lower_case(clean_name(name)));
    return names;
  }

  bool has(const std::string& column) const { return columns_.has(column); }
  std::string field(const CsvRow& row, const std::string& column) const {
    return has(column) ? trimmed(row.fields[columns_.places.at(column)]) : std::string();
  }

  // Masks whose names are classes are one for each class; others are parts of one mask.
  void settle_masks(const CsvRow& header, const ClassList& classes, Listing& listing) {
    mask_places_.clear();
    listing.mask_channels = has("mask") || !columns_.masks.empty() ? 1 : 0;
    if (has("mask")) mask_places_.push_back(columns_.places.at("mask"));
    if (columns_.masks.empty()) return;
    const auto& names = classes.originals();
    const auto column_of = [&](const std::string& name) {
      return std::find_if(columns_.masks.begin(), columns_.masks.end(),
                          [&](const auto& column) { return column.name == name; });
    };
    listing.masks_per_class = std::any_of(columns_.masks.begin(), columns_.masks.end(),
                                          [&](const auto& column) { return classes.label(column.name); });
    listing.masks_joined = !listing.masks_per_class;
    if (listing.masks_joined) {
      for (const auto& column : columns_.masks) mask_places_.push_back(column.place);
      log::info(cat(where_, ": the masks 'mask:", columns_.masks.front().name,
                    "' … of an image are joined: their names are no classes"));
      return;
    }
    for (const auto& name : names) {
      if (column_of(name) == columns_.masks.end())
        refuse(header, "there is no column 'mask:", name, "', though others are named after classes");
      mask_places_.push_back(column_of(name)->place);
    }
    listing.mask_channels = static_cast<std::int64_t>(names.size());
  }

  std::vector<std::string> labels_of(const CsvRow& row) const {
    return split_at(field(row, "labels"), input_.separator);
  }

  ClassList read_classes(const std::vector<CsvRow>& rows, Listing& listing) const {
    std::vector<std::string> present;
    listing.labels = LabelKind::multi;
    if (!columns_.labels.empty()) {
      for (const auto& column : columns_.labels) present.push_back(column.name);
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
    const auto chosen = input_.classes.empty() && !columns_.labels.empty() ? present : input_.classes;
    ClassList classes(present, chosen, input_.class_names, where_);
    listing.class_names = classes.names();
    return classes;
  }

  void add(const CsvRow& row, const ClassList& classes, Listing& listing) {
    ImportItem item;
    const std::string image = field(row, "image");
    if (image.empty()) refuse(row, "no image");
    item.files = {finder_.find(input_.root, image)};
    item.id = clean_name(has("id") ? field(row, "id") : image);
    if (!has("id") && item.files[0] != input_.root / image)
      std::replace(item.id.begin(), item.id.end(), '\\', '/');
    if (item.id.empty()) refuse(row, "no id");
    item.source = cat(item.files[0].string(), " (", where_, ": line ", row.line, ")");
    item.number = number_of(item.id);
    item.group = normal_form(field(row, "group"));
    item.split = field(row, "split");
    if (has("weight")) item.weight = weight_of(row);
    add_masks(row, listing, item);
    if (listing.labels == LabelKind::single) {
      const auto label = classes.label(field(row, "label"));
      if (!label) return;  // a class that was not asked for
      item.label = *label;
    }
    if (listing.labels == LabelKind::multi) {
      const auto present = classes_of(row, classes);
      if (!present) return;  // uncertain
      item.classes = *present;
    }
    listing.items.push_back(std::move(item));
  }

  void add_masks(const CsvRow& row, const Listing& listing, ImportItem& item) {
    for (const auto place : mask_places_) {
      const auto file = trimmed(row.fields[place]);
      if (file.empty() && !listing.masks_joined) refuse(row, "no mask in column ", place + 1);
      if (!file.empty()) item.files.push_back(finder_.find(input_.root, file));
    }
    if (listing.mask_channels > 0 && item.files.size() < 2) refuse(row, "no mask");
  }

  // A number, with a point or, where commas separate nothing, with a comma.
  std::optional<double> number_in(std::string text) const {
    if (separator_ != ',') std::replace(text.begin(), text.end(), ',', '.');
    double value = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
    if (result.ec != std::errc() || result.ptr != text.data() + text.size() || !std::isfinite(value))
      return std::nullopt;
    return value;
  }

  double weight_of(const CsvRow& row) const {
    const auto value = number_in(field(row, "weight"));
    if (!value || *value < 0) refuse(row, "weight '", field(row, "weight"), "' is not a number ≥ 0");
    return *value;
  }

  // Nothing: a label that is uncertain, and such samples are left out.
  std::optional<std::vector<std::uint8_t>> classes_of(const CsvRow& row, const ClassList& classes) {
    std::vector<std::uint8_t> present(classes.names().size(), 0);
    bool left_out = false;
    for (const auto& name : labels_of(row))
      if (const auto label = classes.label(name)) present[static_cast<std::size_t>(*label)] = 1;
    for (const auto& column : columns_.labels) {
      const auto label = classes.label(column.name);
      if (!label) continue;
      const int value = label_value(row, column);
      if (value < 0 && input_.uncertain == UncertainLabels::refuse)
        refuse(row, "label ", column.name,
               " is -1 (uncertain): --uncertain zeros|ones takes such labels as 0 or 1, --uncertain ignore "
               "leaves "
               "their samples out");
      left_out |= value < 0 && input_.uncertain == UncertainLabels::ignore;
      present[static_cast<std::size_t>(*label)] =
          value > 0 || (value < 0 && input_.uncertain == UncertainLabels::ones) ? 1 : 0;
    }
    if (!left_out) return present;
    ++uncertain_samples_;
    return std::nullopt;
  }

  // 1: there; 0: not there, or not mentioned; -1: uncertain.
  int label_value(const CsvRow& row, const NamedColumn& column) {
    const std::string text = trimmed(row.fields[column.place]), word = lower_case(text);
    if (text.empty()) {
      ++blank_labels_;
      return 0;
    }
    if (word == "true") return 1;
    if (word == "false") return 0;
    const auto value = number_in(text);
    if (!value || (*value != 0 && *value != 1 && *value != -1))
      refuse(row, "label:", column.name, " is '", text, "'; allowed: 0 or 1, -1 (uncertain), or nothing (0)");
    return static_cast<int>(*value);
  }

  void say_label_values() const {
    if (blank_labels_ > 0) log::info(cat(where_, ": ", blank_labels_, " empty labels are taken as 0"));
    if (uncertain_samples_ > 0)
      log::warning(cat(where_, ": ", uncertain_samples_,
                       " samples with an uncertain label (-1) are left out (--uncertain ignore)"));
  }

  void check_ids(const Listing& listing) const {
    if (listing.items.empty()) fail(ErrorKind::data, where_, ": no sample has one of the requested classes");
    std::set<std::string> ids;
    for (const auto& item : listing.items)
      if (!ids.insert(item.id).second)
        fail(ErrorKind::data, item.source, ": the id '", item.id, "' appears twice");
  }

  CsvInput input_;
  std::string where_;
  ManifestColumns columns_;
  std::vector<std::size_t> mask_places_;  // columns, in the order of the masks
  FileFinder finder_;
  char separator_ = ',';
  std::int64_t blank_labels_ = 0, uncertain_samples_ = 0;
};

std::map<std::string, std::string> renamed_columns(const OptionValues& options) {
  std::map<std::string, std::string> columns;
  for (const auto& entry : options.list("columns")) {
    const auto equals = entry.find('=');
    const auto name = entry.substr(0, equals);
    const auto& known = manifest_columns();
    const bool named = name.starts_with("mask:") || name.starts_with("label:");
    if (equals == std::string::npos || (!named && std::find(known.begin(), known.end(), name) == known.end()))
      fail(ErrorKind::usage, "--columns: '", entry,
           "' is not allowed; allowed: OURS=THEIRS, ours being id, image, mask, mask:NAME, label, labels, "
           "label:CLASS, group, split, weight");
    columns[name] = entry.substr(equals + 1);
  }
  return columns;
}

char separator_of(const std::string& name) {
  return name == "comma" ? ',' : name == "semicolon" ? ';' : name == "tab" ? '\t' : '\0';
}

UncertainLabels uncertain_of(const std::string& name) {
  return name == "zeros"    ? UncertainLabels::zeros
         : name == "ones"   ? UncertainLabels::ones
         : name == "ignore" ? UncertainLabels::ignore
                            : UncertainLabels::refuse;
}

std::unique_ptr<Importer> make(const OptionValues& options) {
  CsvInput input;
  input.manifest = required(options, "manifest");
  input.root = options.text("root");
  input.columns = renamed_columns(options);
  input.label_columns = options.list("label-columns");
  input.encoding = options.text("encoding");
  input.field_separator = separator_of(options.text("separator"));
  input.separator = options.text("label-separator");
  input.uncertain = uncertain_of(options.text("uncertain"));
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
     "A manifest: image, mask, label, group, split and weight of each sample in a line",
     {text_option("manifest", "", "FILE", "csv: manifest, whose first line names the columns"),
      root_option(),
      text_option("columns", "", "OURS=THEIRS,…",
                  "csv: names of columns, where they differ from the known ones"),
      text_option(
          "label-columns", "", "NAME,NAME",
          "csv: columns of 0 and 1, each of which is a class under the column's name (CheXpert's are known)"),
      choice_option("uncertain", "refuse",
                    "csv: what to do with labels -1: refuse them, take them as 0 or 1, "
                    "or leave their samples out",
                    {"refuse", "zeros", "ones", "ignore"}),
      choice_option("separator", "auto", "csv: what separates the fields",
                    {"auto", "comma", "semicolon", "tab"}),
      text_option("encoding", "auto", "NAME",
                  "csv: encoding of the manifest: utf-8, utf-16, latin-1, windows-1252, "
                  "… (auto: as a byte order mark says, else UTF-8)"),
      text_option("label-separator", "|", "TEXT", "csv: what separates the classes in the column 'labels'"),
      classes_option(), class_names_option()},
     make});

}  // namespace

std::unique_ptr<Importer> csv_importer(const CsvInput& input) {
  return std::make_unique<CsvImporter>(input);
}

}  // namespace isnet
