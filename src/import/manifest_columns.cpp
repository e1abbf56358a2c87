#include "import/manifest_columns.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <string_view>

#include "base/error.h"
#include "base/log.h"
#include "base/options.h"
#include "import/names.h"

namespace isnet {
namespace {

// The findings of CheXpert, which MIMIC-CXR has too.
constexpr std::array<std::string_view, 14> chest_findings{"No Finding",       "Enlarged Cardiomediastinum",
                                                          "Cardiomegaly",     "Lung Opacity",
                                                          "Lung Lesion",      "Edema",
                                                          "Consolidation",    "Pneumonia",
                                                          "Atelectasis",      "Pneumothorax",
                                                          "Pleural Effusion", "Pleural Other",
                                                          "Fracture",         "Support Devices"};

// Names of other people's columns, and what they probably are.
const std::map<std::string, std::string>& usual_names() {
  static const std::map<std::string, std::string> names{{"path", "image"},
                                                        {"file", "image"},
                                                        {"filename", "image"},
                                                        {"file_name", "image"},
                                                        {"filepath", "image"},
                                                        {"file_path", "image"},
                                                        {"image_path", "image"},
                                                        {"image index", "image"},
                                                        {"img", "image"},
                                                        {"image_name", "image"},
                                                        {"mask_path", "mask"},
                                                        {"segmentation", "mask"},
                                                        {"mask_name", "mask"},
                                                        {"finding labels", "labels"},
                                                        {"findings", "labels"},
                                                        {"classes", "labels"},
                                                        {"patient", "group"},
                                                        {"patient_id", "group"},
                                                        {"patientid", "group"},
                                                        {"patient id", "group"},
                                                        {"subject", "group"},
                                                        {"subject_id", "group"},
                                                        {"set", "split"},
                                                        {"subset", "split"},
                                                        {"partition", "split"},
                                                        {"dataset", "split"},
                                                        {"sample_weight", "weight"},
                                                        {"class", "label"},
                                                        {"class_name", "label"},
                                                        {"class name", "label"},
                                                        {"classname", "label"},
                                                        {"class_label", "label"},
                                                        {"category", "label"},
                                                        {"target", "label"},
                                                        {"diagnosis", "label"}};
  return names;
}

// Which of our columns this name usually is; "": none.
std::string usual_meaning(const std::string& name) {
  const auto usual = usual_names().find(lower_case(name));
  return usual == usual_names().end() ? "" : usual->second;
}

class HeaderReader {
 public:
  HeaderReader(const CsvRow& header, const ColumnNames& asked, const std::string& where)
      : header_(header), asked_(asked), where_(where) {
    for (const auto& field : header.fields) names_.push_back(clean_name(field));
    used_.resize(names_.size(), false);
  }

  ManifestColumns columns() {
    refuse_doubles();
    take_renamed();
    for (const auto& name : manifest_columns()) take(name, find(name));
    take_prefixed("mask:", columns_.masks);
    take_prefixed("label:", columns_.labels);
    take_label_columns();
    if (!has_labels()) take_class_column();
    if (!has_labels()) take_chest_findings();
    if (!columns_.has("image")) refuse_without_image();
    check_exclusions();
    say_unused();
    if (!has_labels())
      log::warning(cat(where_,
                       ": no column is called 'label', 'labels' or 'label:CLASS': packed without labels; "
                       "--columns label=NAME names another, --label-columns NAME,NAME one for each class"));
    return columns_;
  }

 private:
  template <typename... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    fail(ErrorKind::data, where_, ": line ", header_.line, ": ", parts...);
  }

  bool has_labels() const {
    return columns_.has("label") || columns_.has("labels") || !columns_.labels.empty();
  }

  void refuse_doubles() const {
    std::set<std::string> seen;
    for (const auto& name : names_)
      if (!name.empty() && !seen.insert(name).second) refuse("two columns have the same name, '", name, "'");
  }

  // The column of this name, else the only one that differs in upper and lower case alone.
  std::optional<std::size_t> find(const std::string& name) const {
    const auto exact = std::find(names_.begin(), names_.end(), name);
    if (exact != names_.end()) return static_cast<std::size_t>(exact - names_.begin());
    std::optional<std::size_t> found;
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (lower_case(names_[i]) != lower_case(name)) continue;
      if (found) return std::nullopt;
      found = i;
    }
    return found;
  }

  void take(const std::string& ours, std::optional<std::size_t> place) {
    if (!place || columns_.has(ours) || used_[*place]) return;
    columns_.places[ours] = *place;
    used_[*place] = true;
  }

  void take_renamed() {
    for (const auto& [ours, theirs] : asked_.renamed) {
      const auto place = find(clean_name(theirs));
      if (!place) refuse("there is no column '", theirs, "' (--columns ", ours, "=", theirs, ")");
      used_[*place] = true;
      if (ours.starts_with("mask:"))
        columns_.masks.push_back({clean_name(ours.substr(5)), *place});
      else if (ours.starts_with("label:"))
        columns_.labels.push_back({clean_name(ours.substr(6)), *place});
      else
        columns_.places[ours] = *place;
    }
  }

  void take_prefixed(const std::string& prefix, std::vector<NamedColumn>& to) {
    for (std::size_t i = 0; i < names_.size(); ++i) {
      const auto colon = names_[i].find(':');
      if (used_[i] || colon == std::string::npos) continue;
      if (lower_case(trimmed(names_[i].substr(0, colon))) + ":" != prefix) continue;
      to.push_back({clean_name(names_[i].substr(colon + 1)), i});
      used_[i] = true;
    }
  }

  void take_label_columns() {
    for (const auto& name : asked_.labels) {
      const auto place = find(clean_name(name));
      if (!place) fail(ErrorKind::usage, "--label-columns: ", where_, " has no column '", name, "'");
      if (used_[*place]) fail(ErrorKind::usage, "--label-columns: column '", name, "' is something else too");
      columns_.labels.push_back({names_[*place], *place});
      used_[*place] = true;
    }
  }

  // The only column with a usual name for one class each.
  void take_class_column() {
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < names_.size(); ++i)
      if (!used_[i] && usual_meaning(names_[i]) == "label") places.push_back(i);
    if (places.size() != 1) return;
    take("label", places.front());
    log::info(cat(where_, ": column '", names_[places.front()],
                  "' is taken as 'label' (--columns label=NAME names another)"));
  }

  void take_chest_findings() {
    std::vector<std::size_t> places;
    for (const auto& finding : chest_findings)
      if (const auto place = find(std::string(finding)); place && !used_[*place]) places.push_back(*place);
    if (places.size() < 2) return;
    std::sort(places.begin(), places.end());
    for (const auto place : places) {
      columns_.labels.push_back({names_[place], place});
      used_[place] = true;
    }
    if (!columns_.has("image")) take("image", find("Path"));
    log::info(
        cat(where_, ": the columns ", names_[places.front()], " … ", names_[places.back()],
            " are taken as classes, one each (--label-columns names others, --classes chooses among them)"));
  }

  void refuse_without_image() const {
    std::string similar;
    for (std::size_t i = 0; i < names_.size() && similar.empty(); ++i)
      if (!used_[i] && probably(names_[i]) == "image")
        similar = cat(" ('", names_[i], "' looks like it: --columns image=", names_[i], ")");
    refuse("there is no column 'image'; --columns image=NAME names another", similar,
           names_.size() == 1 ? cat("; the line is one field, '", names_.front(),
                                    "': --separator comma|semicolon|tab says what separates fields")
                              : std::string());
  }

  void check_exclusions() const {
    if ((columns_.has("label") ? 1 : 0) + (columns_.has("labels") ? 1 : 0) +
            (columns_.labels.empty() ? 0 : 1) >
        1)
      refuse(
          "labels in several ways: 'label' (one class), 'labels' and 'label:CLASS' (any number) exclude "
          "each other");
    if (columns_.has("mask") && !columns_.masks.empty()) refuse("'mask' and 'mask:NAME' exclude each other");
    for (const auto* named : {&columns_.masks, &columns_.labels}) {
      std::set<std::string> seen;
      for (const auto& column : *named)
        if (!seen.insert(column.name).second) refuse("two columns are for '", column.name, "'");
    }
  }

  // Which of our columns a name probably means; "": none.
  static std::string probably(const std::string& name) {
    if (const auto usual = usual_meaning(name); !usual.empty()) return usual;
    const auto lower = lower_case(name);
    if (lower.size() < 3) return "";
    const auto near = nearest_name(lower, manifest_columns());
    const bool is_near = lower.size() > 4 ? !near.empty() && near.front() == lower.front()
                                          : near.starts_with(lower) || lower.starts_with(near);
    return is_near ? near : "";
  }

  void say_unused() const {
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (used_[i]) continue;
      const auto meant = probably(names_[i]);
      const bool label = meant == "label" || meant == "labels";
      if (meant.empty() || columns_.has(meant) || (label && has_labels())) continue;
      log::warning(cat(where_, ": column '", names_[i], "' is not used; if it is the ", meant,
                       ", give --columns ", meant, "=", names_[i]));
    }
  }

  const CsvRow& header_;
  const ColumnNames& asked_;
  const std::string& where_;
  std::vector<std::string> names_;
  std::vector<bool> used_;
  ManifestColumns columns_;
};

}  // namespace

const std::vector<std::string>& manifest_columns() {
  static const std::vector<std::string> names{"id",     "image", "mask",  "label",
                                              "labels", "group", "split", "weight"};
  return names;
}

ManifestColumns read_columns(const CsvRow& header, const ColumnNames& names, const std::string& where) {
  return HeaderReader(header, names, where).columns();
}

}  // namespace isnet
