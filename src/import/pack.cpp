#include "import/pack.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "data/data_set.h"
#include "data/shard_writer.h"
#include "data/split_names.h"
#include "import/in_order.h"
#include "import/pack_journal.h"
#include "import/pack_plan.h"

namespace isnet {
namespace {

// A sample, ready to be written, or why it is not.
struct Made {
  Pixels pixels;
  std::string content;  // checksum of the decoded pixels
  std::string error;    // "" unless the picture is bad
  std::vector<std::string> notes;
  bool marked = false;
  std::int64_t kept_out = 0;  // pixels of the mark that the mask kept out
  std::int64_t mark_pixels = 0;
};

// Adds what the sample is called, where the message does not begin with one of its files.
std::string told(const ImportItem& item, const std::string& message) {
  for (const auto& file : item.files)
    if (message.starts_with(file.string())) return message;
  return cat(item.source, ": ", message);
}

std::string content_of(const Image& image) {
  return sha256(std::vector<std::string_view>{
      cat(image.height, ' ', image.width, ' ', image.channels, ' ', image.white, '\n'),
      {reinterpret_cast<const char*>(image.values.data()), image.values.size() * sizeof(image.values[0])}});
}

void add_note(const PictureNote& note, std::vector<PictureNote>& notes) {
  const auto same =
      std::find_if(notes.begin(), notes.end(), [&](const auto& one) { return one.text == note.text; });
  if (same == notes.end())
    notes.push_back(note);
  else
    same->pictures += note.pictures;
}

// The samples of a listing as pixels.
class Maker {
 public:
  Maker(const Importer& importer, const Listing& listing, const PackOptions& options)
      : importer_(importer), listing_(listing), options_(options) {
    const auto& transform = options.transform;
    const bool own_masks = transform.mask_source == MaskSource::own;
    if (own_masks && listing.mask_channels == 0)
      fail(ErrorKind::usage,
           "--mask files: there are no mask files in what is packed; allowed: object, none");
    layout_.image_type = transform.white == 255 ? hdf5::ElementType::uint8 : hdf5::ElementType::uint16;
    layout_.channels = transform.channels;
    layout_.mask_channels =
        own_masks ? listing.mask_channels : (transform.mask_source == MaskSource::object ? 1 : 0);
    layout_.masks_per_class = own_masks && listing.masks_per_class;
    layout_.labels = listing.labels;
    if (listing.labels == LabelKind::multi)
      layout_.label_classes = static_cast<std::int64_t>(listing.class_names.size());
    find_shape();
    make_marks();
  }

  const SampleLayout& layout() const { return layout_; }
  bool soft_masks() const {
    return options_.transform.mask_source == MaskSource::own &&
           (listing_.soft_masks || options_.transform.mask_reading.values == MaskValues::soft) &&
           options_.transform.mask_reading.classes.empty();
  }

  Made made(std::size_t number, const PlannedSplit& split) const {
    const auto& item = listing_.items[number];
    Made result;
    try {
      result = read(item);
      if (result.pixels.height != layout_.height || result.pixels.width != layout_.width)
        fail(ErrorKind::data, "is of ", result.pixels.height, "×", result.pixels.width,
             " pixels, and the first picture of ", layout_.height, "×", layout_.width,
             ": --size makes all alike");
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;
      result.error = told(item, error.what());
      return result;
    }
    put_mark_of(item, split, result);
    return result;
  }

 private:
  Made read(const ImportItem& item) const {
    if (!item.problem.empty()) fail(ErrorKind::data, item.problem);
    Made result;
    const Image image = importer_.image(item);
    result.content = content_of(image);
    result.notes = image.notes;
    const bool own_masks = options_.transform.mask_source == MaskSource::own;
    const auto masks = own_masks ? importer_.masks(item) : std::vector<Image>();
    for (const auto& mask : masks)
      for (const auto& note : mask.notes) result.notes.push_back("its mask: " + note);
    result.pixels = transformed(image, masks, options_.transform);
    for (const auto& note : result.pixels.notes)
      if (std::find(result.notes.begin(), result.notes.end(), note) == result.notes.end())
        result.notes.push_back(note);
    return result;
  }

  // That of the first picture that can be read.
  void find_shape() {
    layout_.height = options_.transform.pad_to > 0 ? options_.transform.pad_to : options_.transform.height;
    layout_.width = options_.transform.pad_to > 0 ? options_.transform.pad_to : options_.transform.width;
    for (const auto& item : listing_.items) {
      try {
        const Made first = read(item);
        layout_.height = first.pixels.height;
        layout_.width = first.pixels.width;
        return;
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::data) throw;
        if (!options_.skip_bad) fail(ErrorKind::data, told(item, error.what()));
      }
    }
    fail(ErrorKind::data, listing_.items.front().source, ": neither it nor any other picture can be read");
  }

  void make_marks() {
    if (options_.mark == "none") return;
    const auto classes = static_cast<std::int64_t>(listing_.class_names.size());
    if (classes < 2) fail(ErrorKind::usage, "--mark: tells classes apart, but there is only one");
    for (std::int64_t label = 0; label < classes; ++label)
      marks_.push_back(marks()
                           .at(options_.mark)
                           .make(label, classes, layout_.height, layout_.width, options_.mark_options));
  }

  void put_mark_of(const ImportItem& item, const PlannedSplit& split, Made& made) const {
    if (split.mark == MarkUse::none) return;
    std::int64_t label = item.label;
    if (split.mark == MarkUse::confounding)
      label = confounding_class(label, static_cast<std::int64_t>(marks_.size()), options_.seed, split.number,
                                item.number);
    else if (!gets_mark(options_.mark_correlation, options_.seed, split.number, item.number))
      return;
    const std::int64_t pixels = layout_.pixels();
    std::vector<std::uint8_t> region(static_cast<std::size_t>(pixels), 0);  // where any mask is
    for (std::size_t i = 0; i < made.pixels.masks.size(); ++i) {
      auto& there = region[i % static_cast<std::size_t>(pixels)];
      there = std::max(there, made.pixels.masks[i]);
    }
    const auto& shape = marks_[static_cast<std::size_t>(label)];
    const auto& look = options_.mark_options;
    const auto value = static_cast<std::uint16_t>(look.value * (options_.transform.white / 255));
    made.marked = true;
    made.mark_pixels = static_cast<std::int64_t>(shape.pixels.size());
    made.kept_out = put_mark(shape, value, look.strength, region, made.pixels.image, pixels);
  }

  const Importer& importer_;
  const Listing& listing_;
  const PackOptions& options_;
  SampleLayout layout_;
  std::vector<MarkShape> marks_;
};

class Packer {
 public:
  Packer(const Listing& listing, const PackPlan& plan, const Maker& maker, const PackOptions& options)
      : listing_(listing), plan_(plan), maker_(maker), options_(options) {}

  // Writes a shard without its bad pictures. The first attempt finds them all; their places are known then.
  ShardRecord write(const PlannedShard& shard, const std::function<void()>& step) const {
    std::map<std::size_t, std::string> bad;  // place among the items → error
    while (true) {
      const std::size_t known = bad.size();
      ShardRecord record = try_to_write(shard, bad, known == 0 ? step : [] {});
      if (bad.size() > known) continue;
      record.bad.assign(bad.begin(), bad.end());
      return record;
    }
  }

 private:
  // Leaves `bad` out, and adds what else is bad: then nothing was written.
  ShardRecord try_to_write(const PlannedShard& shard, std::map<std::size_t, std::string>& bad,
                           const std::function<void()>& step) const {
    ShardRecord record;
    record.contents.resize(shard.items.size());
    const auto& split = plan_.splits[shard.split];
    const auto path = options_.output / shard.file;
    std::vector<std::size_t> good;  // places among the shard's items
    for (std::size_t i = 0; i < shard.items.size(); ++i)
      if (!bad.contains(i)) good.push_back(i);
    if (good.empty()) {
      std::error_code ignored;
      std::filesystem::remove(path, ignored);  // an earlier call's, of pictures that were good then
      return record;
    }
    auto writer =
        std::make_unique<ShardWriter>(path, static_cast<std::int64_t>(good.size()), maker_.layout());
    if (maker_.soft_masks()) writer->declare_soft_masks();
    const auto make = [&](std::int64_t row) {
      return maker_.made(shard.items[good[static_cast<std::size_t>(row)]], split);
    };
    const auto take = [&](std::int64_t row, Made made) {
      const auto place = good[static_cast<std::size_t>(row)];
      step();
      if (!made.error.empty()) {
        if (!options_.skip_bad) fail(ErrorKind::data, made.error);
        bad.emplace(place, made.error);
        writer.reset();  // it waits for more samples than there are
        return;
      }
      record.contents[place] = made.content;
      // A test split is written several times with a mark, and said once.
      const bool first_time = split.name == split.from || split.mark == MarkUse::own;
      for (const auto& note : first_time ? made.notes : std::vector<std::string>())
        add_note({note, 1, listing_.items[shard.items[place]].source}, record.notes);
      count(made, record.report);
      if (writer) write_sample(*writer, row, made.pixels, listing_.items[shard.items[place]]);
    };
    in_order(static_cast<std::int64_t>(good.size()), options_.workers, make, take);
    if (!writer) return record;
    write_columns(*writer, shard, good);
    writer->commit();
    record.report.samples = record.samples = static_cast<std::int64_t>(good.size());
    record.sha256 = sha256_of_file(path);
    return record;
  }

  static void count(const Made& made, SplitReport& report) {
    if (!made.marked) return;
    ++report.marked;
    if (made.kept_out == made.mark_pixels)
      ++report.fully_covered;
    else if (made.kept_out > 0)
      ++report.partly_covered;
  }

  void write_sample(ShardWriter& writer, std::int64_t row, const Pixels& pixels,
                    const ImportItem& item) const {
    const auto& layout = maker_.layout();
    if (layout.image_type == hdf5::ElementType::uint8) {
      const std::vector<std::uint8_t> bytes(pixels.image.begin(), pixels.image.end());
      writer.write_images(row, 1, bytes.data());
    } else {
      writer.write_images(row, 1, pixels.image.data());
    }
    if (layout.mask_channels > 0) writer.write_masks(row, 1, pixels.masks.data());
    if (layout.labels == LabelKind::single) writer.write_labels(row, 1, &item.label);
    if (layout.labels == LabelKind::multi) writer.write_multi_labels(row, 1, item.classes.data());
  }

  void write_columns(ShardWriter& writer, const PlannedShard& shard,
                     const std::vector<std::size_t>& good) const {
    std::vector<std::string> ids;
    std::vector<std::int64_t> groups;
    std::vector<double> weights;
    for (const auto place : good) {
      const auto number = shard.items[place];
      ids.push_back(listing_.items[number].id);
      weights.push_back(listing_.items[number].weight.value_or(1));
      if (!plan_.group_numbers.empty()) groups.push_back(plan_.group_numbers[number]);
    }
    writer.write_ids(ids);
    if (!groups.empty()) writer.write_groups(groups);
    if (plan_.has_weights) writer.write_weights(weights);
  }

  const Listing& listing_;
  const PackPlan& plan_;
  const Maker& maker_;
  const PackOptions& options_;
};

std::vector<Duplicates> find_duplicates(const Listing& listing, const std::vector<std::string>& contents,
                                        const std::vector<std::string>& splits) {
  std::map<std::string, std::vector<std::size_t>> by_content;
  for (std::size_t i = 0; i < contents.size(); ++i)
    if (!contents[i].empty()) by_content[contents[i]].push_back(i);
  std::map<std::size_t, Duplicates> found;  // by first sample
  for (const auto& [content, members] : by_content) {
    if (members.size() < 2) continue;
    auto& one = found[members.front()];
    const auto& first = listing.items[members.front()];
    for (const auto i : members) {
      const auto& item = listing.items[i];
      one.ids.push_back(item.id);
      one.across_splits |= splits[i] != splits[members.front()];
      one.labels_differ |= item.label != first.label || item.classes != first.classes;
    }
  }
  std::vector<Duplicates> result;
  for (auto& entry : found) result.push_back(std::move(entry.second));
  return result;
}

// Puts the shards' records together: dataset.json, pack.json, and what is told.
PackReport finish(const Listing& listing, const PackPlan& plan, const SampleLayout& layout,
                  const PackJournal& journal, const PackOptions& options) {
  DataSetDescription description{layout.labels, listing.class_names, layout.channels,
                                 layout.height, layout.width,        {}};
  PackReport report;
  std::vector<std::string> contents(listing.items.size()), splits(listing.items.size());
  std::map<std::size_t, BadPicture> bad;
  for (const auto& shard : plan.shards) {
    const auto record = journal.record(shard);
    const auto& split = plan.splits[shard.split];
    auto& sum = report.splits[split.name];
    sum.samples += record.report.samples;
    sum.marked += record.report.marked;
    sum.partly_covered += record.report.partly_covered;
    sum.fully_covered += record.report.fully_covered;
    if (record.samples > 0)
      description.splits[split.name].push_back({shard.file, record.samples, record.sha256});
    for (std::size_t i = 0; i < shard.items.size(); ++i) {
      contents[shard.items[i]] = record.contents.at(i);
      splits[shard.items[i]] = split.from;
    }
    for (const auto& note : record.notes) add_note(note, report.notes);
    for (const auto& [place, error] : record.bad)
      bad[shard.items.at(place)] = {listing.items[shard.items[place]].source, error};
  }
  for (const auto& split : plan.splits)
    if (report.splits[split.name].samples == 0)
      fail(ErrorKind::data, "split '", split.name, "': none of its ", split.items.size(),
           " pictures can be read; the first: ", bad.at(split.items.front()).error);
  for (auto& entry : bad) report.left_out.push_back(std::move(entry.second));
  report.duplicates = find_duplicates(listing, contents, splits);

  nlohmann::ordered_json object{{"format", "isnet-pack"}, {"version", 1}};
  object["left_out"] = object["duplicates"] = nlohmann::ordered_json::array();
  for (const auto& one : report.left_out)
    object["left_out"].push_back({{"source", one.source}, {"error", one.error}});
  for (const auto& one : report.duplicates)
    object["duplicates"].push_back(
        {{"ids", one.ids}, {"across_splits", one.across_splits}, {"labels_differ", one.labels_differ}});
  write_file_atomically(options.output / "pack.json",
                        object.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  write_description(options.output, description);
  return report;
}

// Gives the splits the names by which trainings know them.
void name_splits(Listing& listing) {
  std::set<std::string> said;
  for (auto& item : listing.items) {
    const auto name = canonical_split_name(item.split);
    if (name != item.split && said.insert(item.split).second)
      log::info(cat("split '", item.split, "' is taken as '", name, "'"));
    item.split = name;
  }
}

}  // namespace

PackReport pack(Importer& importer, const PackOptions& given) {
  PackOptions options = given;
  if (options.mark != "none") marks().at(options.mark);  // a wrong name is said before files are read
  Listing listing = importer.list();
  name_splits(listing);
  options.transform.join_masks = listing.masks_joined;
  if (options.transform.mask_source == MaskSource::any)
    options.transform.mask_source = listing.mask_channels > 0 ? MaskSource::own : MaskSource::none;
  if (listing.items.empty()) fail(ErrorKind::data, "there is nothing to pack");
  const PackPlan plan = make_plan(listing, options);
  const Maker maker(importer, listing, options);
  const auto& place = options.place;
  const PackJournal journal(options.output, plan_fingerprint(listing, plan, options));
  if (place.rank == 0) journal.open(plan, options.overwrite);
  place.barrier();

  std::vector<const PlannedShard*> own;
  std::int64_t all = 0, done = 0, kept = 0;
  for (std::size_t i = 0; i < plan.shards.size(); ++i) {
    if (static_cast<int>(i % static_cast<std::size_t>(place.ranks)) != place.rank) continue;
    own.push_back(&plan.shards[i]);
    all += static_cast<std::int64_t>(plan.shards[i].items.size());
  }
  const Packer packer(listing, plan, maker, options);
  for (const auto* shard : own) {
    const auto sources = sources_of(*shard, listing);
    // One that has left pictures out is not what --on-error stop asks for.
    if (const auto record = journal.finished(*shard, sources);
        record && (options.skip_bad || record->bad.empty())) {
      done += static_cast<std::int64_t>(shard->items.size());
      ++kept;
      options.progress(done, all);
      continue;
    }
    auto record = packer.write(*shard, [&] { options.progress(++done, all); });
    record.sources = sources;
    journal.store(*shard, record);
  }
  place.barrier();
  if (place.rank != 0) return {};
  PackReport report = finish(listing, plan, maker.layout(), journal, options);
  report.shards_kept = kept;
  journal.remove();
  return report;
}

}  // namespace isnet
