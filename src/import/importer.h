// Layouts of other people's images: what is there, and how to get at a picture of it. Each layout is a
// strategy in a file of its own, chosen by `isnet pack NAME`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/registry.h"
#include "data/shard.h"
#include "import/image.h"
#include "import/transform.h"

namespace isnet {

/// One sample, before its pixels are read.
struct ImportItem {
  std::string id;
  std::string source;                        ///< for messages: the file, and the place in it
  std::vector<std::filesystem::path> files;  ///< what it is read from: when they change it is read again
  std::uint64_t number = 0;                  ///< what random draws for this sample depend on
  std::int64_t label = -1;                   ///< class, where each sample has one
  std::vector<std::uint8_t> classes;         ///< K zeros and ones, where a sample may have several
  std::string group;                         ///< patient, …: never in two splits; "": alone
  std::optional<double> weight;
  std::size_t place = 0;  ///< for the importer, to find it again
  std::string split;      ///< "": drawn
  std::string problem;    ///< why it cannot be read, where that is known already; else ""
};

/// All samples of a layout.
struct Listing {
  std::vector<ImportItem> items;  ///< in the order in which they are stored
  std::vector<std::string> class_names;
  LabelKind labels = LabelKind::single;
  std::int64_t mask_channels = 0;  ///< masks that it brings: 0, 1, or K
  bool masks_per_class = false;    ///< one mask for each class
  bool masks_joined = false;       ///< all masks of a sample are parts of one
  bool soft_masks = false;         ///< masks are known to be soft (see ShardReader::soft_masks())
};

/// A layout of pictures, masks and labels on disk: lists its samples, then decodes one at a time.
class Importer {
 public:
  virtual ~Importer() = default;

  /// Finds the samples. Reads names and manifests, no pictures. Errors: data, usage.
  virtual Listing list() = 0;
  /// The picture of a listed sample. Thread-safe. Errors: data (a bad picture), runtime.
  virtual Image image(const ImportItem& item) const = 0;
  /// Its masks, as many as the listing says (any number where they are joined). Thread-safe. Errors likewise.
  virtual std::vector<Image> masks(const ImportItem& item) const = 0;

  /// The meaning of "auto" for --colour, --mask and --mask-values.
  virtual std::int64_t channels() const { return 3; }
  virtual MaskSource mask_source() const { return MaskSource::any; }
  virtual MaskValues mask_values() const { return MaskValues::checked; }
};

/// Reads the options of its own, --depth and reading_options(); those that are no option of its own must not
/// be looked at. Errors: usage.
using ImporterFactory = std::function<std::unique_ptr<Importer>(const OptionValues& options)>;

/// "folders", "csv", "idx", …
Registry<ImporterFactory>& importers();

// What importers share.

/// Declarations that several layouts share: one name, so one declaration.
OptionSpec images_option();
OptionSpec masks_option();
OptionSpec root_option();
OptionSpec classes_option();
OptionSpec class_names_option();
/// The value of an option that has to be given. Errors: usage.
const std::string& required(const OptionValues& options, const std::string& name);

/// A number for random draws that stays the same when other samples come and go: from the id.
std::uint64_t number_of(const std::string& id);

/// Classes in the order of their labels: those of `chosen` (--classes; empty: all that occur, integers
/// by value, else by name), called as in `names` (--class-names; empty: as they are).
class ClassList {
 public:
  /// `present`: the classes that occur; `where`: for messages. Errors: usage (a class that does not occur or
  /// appears twice, names that are not as many or not different).
  ClassList(const std::vector<std::string>& present, const std::vector<std::string>& chosen,
            const std::vector<std::string>& names, const std::string& where);
  /// Label of a class; nothing if it was not chosen.
  std::optional<std::int64_t> label(const std::string& name) const;
  const std::vector<std::string>& names() const { return names_; }
  /// The same classes as they are called in the layout.
  const std::vector<std::string>& originals() const { return originals_; }

 private:
  std::map<std::string, std::int64_t> labels_;
  std::vector<std::string> originals_, names_;
};

/// Files below a folder, by path (relative, in the order of their bytes); hidden ones are left out. Errors:
/// data (no such folder, cannot be read).
std::vector<std::filesystem::path> files_below(const std::filesystem::path& folder);

}  // namespace isnet
