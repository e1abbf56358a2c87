// MNIST and its kin: IDX files of images and labels, and a second pair for tests.
#include <array>
#include <set>

#include "base/error.h"
#include "import/idx.h"
#include "import/layouts.h"

namespace isnet {
namespace {

// A pair of IDX files.
struct Source {
  std::filesystem::path file;
  std::string name;  // of the image file, without folder and extension: for ids
  IdxArray images;
  IdxArray labels;

  std::vector<std::string> classes() const {
    const std::set<int> present(labels.values.begin(), labels.values.end());
    std::vector<std::string> names;
    for (const auto value : present) names.push_back(cat(value));
    return names;
  }
};

Source read_source(const std::filesystem::path& images, const std::filesystem::path& labels) {
  Source source{images, images.stem().string(), read_idx(images, 3), read_idx(labels, 1)};
  if (source.images.shape[0] != source.labels.shape[0])
    fail(ErrorKind::data, labels.string(), ": ", source.labels.shape[0], " labels for ",
         source.images.shape[0], " images of ", images.string(), ": do the files belong together?");
  return source;
}

class IdxImporter : public Importer {
 public:
  explicit IdxImporter(IdxInput input) : input_(std::move(input)) {
    if (input_.test_images.empty() != input_.test_labels.empty())
      fail(ErrorKind::usage, "--test-images and --test-labels: give both, or none");
  }

  Listing list() override {
    sources_.clear();
    sources_.push_back(read_source(input_.images, input_.labels));
    if (!input_.test_images.empty()) sources_.push_back(read_source(input_.test_images, input_.test_labels));
    check_shapes();
    const ClassList classes(sources_[0].classes(), input_.classes, input_.class_names, sources_[0].name);
    Listing listing;
    listing.class_names = classes.names();
    const std::array limits{input_.limit_per_class, input_.test_limit_per_class};
    for (std::size_t i = 0; i < sources_.size(); ++i)
      add(sources_[i], classes, limits[i], i == 0 ? "" : "test", listing);
    return listing;
  }

  Image image(const ImportItem& item) const override {
    const auto& source = sources_.at(item.split == "test" ? 1 : 0);
    const std::int64_t height = source.images.shape[1], width = source.images.shape[2];
    const auto first = source.images.values.begin() + static_cast<std::int64_t>(item.number) * height * width;
    return {height, width, 1, 255, {first, first + height * width}};
  }
  std::vector<Image> masks(const ImportItem&) const override { return {}; }
  std::int64_t channels() const override { return 1; }
  MaskSource mask_source() const override { return MaskSource::object; }

 private:
  void check_shapes() const {
    const auto &first = sources_.front(), &last = sources_.back();
    if (first.images.shape[1] != last.images.shape[1] || first.images.shape[2] != last.images.shape[2])
      fail(ErrorKind::data, last.file.string(), ": images of ", last.images.shape[1], "×",
           last.images.shape[2], ", but ", first.file.string(), " has ", first.images.shape[1], "×",
           first.images.shape[2]);
  }

  // The first `limit` samples of each class (0: all), in the order of the file.
  static void add(const Source& source, const ClassList& classes, std::int64_t limit,
                  const std::string& split, Listing& listing) {
    std::vector<std::int64_t> taken(classes.names().size(), 0);
    for (std::size_t i = 0; i < source.labels.values.size(); ++i) {
      const auto label = classes.label(cat(int{source.labels.values[i]}));
      if (!label) continue;
      auto& count = taken[static_cast<std::size_t>(*label)];
      if (limit > 0 && count >= limit) continue;
      ++count;
      ImportItem item;
      item.id = cat(source.name, ":", i);
      item.source = cat(source.file.string(), ": image ", i);
      item.files = {source.file};
      item.number = i;
      item.label = *label;
      item.split = split;
      listing.items.push_back(std::move(item));
    }
    for (std::size_t k = 0; k < taken.size(); ++k)
      if (taken[k] == 0)
        fail(ErrorKind::usage, "--classes: ", source.name, " holds no sample of class ", classes.names()[k]);
  }

  IdxInput input_;
  std::vector<Source> sources_;
};

std::unique_ptr<Importer> make(const OptionValues& options) {
  IdxInput input;
  input.images = required(options, "images");
  input.labels = required(options, "labels");
  input.test_images = options.text("test-images");
  input.test_labels = options.text("test-labels");
  input.classes = options.list("classes");
  input.class_names = options.list("class-names");
  input.limit_per_class = options.integer("limit-per-class");
  input.test_limit_per_class = options.integer("test-limit-per-class");
  return idx_importer(input);
}

const Registration<ImporterFactory> registration(
    importers(),
    {"idx",
     "IDX files, as of MNIST and its kin",
     {images_option(), text_option("labels", "", "FILE", "idx: file of labels"),
      text_option("test-images", "", "FILE", "idx: file of test images"),
      text_option("test-labels", "", "FILE", "idx: file of labels of the test images"), classes_option(),
      class_names_option(),
      integer_option("limit-per-class", "0", "idx: take only the first N images of each class; 0: all", 0),
      integer_option("test-limit-per-class", "0",
                     "idx: take only the first N test images of each class; 0: all", 0)},
     make});

}  // namespace

std::unique_ptr<Importer> idx_importer(const IdxInput& input) {
  return std::make_unique<IdxImporter>(input);
}

}  // namespace isnet
