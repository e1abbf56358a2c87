// Which column of a manifest is what (docs/formats.md, "Manifests").
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "base/csv.h"

namespace isnet {

/// A column whose name says a class, or a mask: "Edema" of "label:Edema".
struct NamedColumn {
  std::string name;
  std::size_t place = 0;
};

/// The places of a manifest's columns.
struct ManifestColumns {
  std::map<std::string, std::size_t> places;  ///< of "image", "mask", "label", "labels", "group", …
  std::vector<NamedColumn> masks;             ///< mask:NAME
  std::vector<NamedColumn> labels;            ///< label:CLASS, and columns that are findings

  bool has(const std::string& name) const { return places.contains(name); }
};

/// How the columns of a manifest are called.
struct ColumnNames {
  std::map<std::string, std::string> renamed;  ///< ours → the manifest's, where they differ
  std::vector<std::string> labels;             ///< columns that are classes by their names alone
};

/// "id", "image", "mask", …
const std::vector<std::string>& manifest_columns();

/// Reads the header. Names count without blanks around them; upper and lower case are told apart only where
/// both are there. A column "class" (category, target, …) is taken as "label" where nothing else is; so are
/// the findings of CheXpert and MIMIC-CXR. Says that, and says what is nearly a known name, and when nothing
/// is a label. Errors: data (a column that is missing or appears twice, labels in several ways), usage (a
/// column of `labels` that is not there). `where`: the file, for messages.
ManifestColumns read_columns(const CsvRow& header, const ColumnNames& names, const std::string& where);

}  // namespace isnet
