#include "import/pack.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
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
#include "import/pack_samples.h"

namespace isnet {
namespace {

void add_note(const PictureNote& note, std::vector<PictureNote>& notes) {
  const auto same =
      std::find_if(notes.begin(), notes.end(), [&](const auto& one) { return one.text == note.text; });
  if (same == notes.end())
    notes.push_back(note);
  else
    same->pictures += note.pictures;
}

class Packer {
 public:
  Packer(const Listing& listing, const PackPlan& plan, const SampleMaker& maker, const PackOptions& options)
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
      return maker_.sample(shard.items[good[static_cast<std::size_t>(row)]], split);
    };
    const auto take = [&](std::int64_t row, const PackSample& sample) {
      const auto place = good[static_cast<std::size_t>(row)];
      step();
      if (!sample.error.empty()) {
        if (!options_.skip_bad) fail(ErrorKind::data, sample.error);
        bad.emplace(place, sample.error);
        writer.reset();  // it waits for more samples than there are
        return;
      }
      record.contents[place] = sample.content;
      // A test split is written several times with a mark, and said once.
      const bool first_time = split.name == split.from || split.mark == MarkUse::own;
      for (const auto& note : first_time ? sample.notes : std::vector<std::string>())
        add_note({note, 1, listing_.items[shard.items[place]].source}, record.notes);
      count(sample, record.report);
      if (writer) write_sample(*writer, row, sample.pixels, listing_.items[shard.items[place]]);
    };
    in_order(static_cast<std::int64_t>(good.size()), options_.workers, make, take);
    if (!writer) return record;
    write_columns(*writer, shard, good);
    writer->commit();
    record.report.samples = record.samples = static_cast<std::int64_t>(good.size());
    record.sha256 = sha256_of_file(path);
    return record;
  }

  static void count(const PackSample& sample, SplitReport& report) {
    if (!sample.marked) return;
    ++report.marked;
    if (sample.kept_out == sample.mark_pixels)
      ++report.fully_covered;
    else if (sample.kept_out > 0)
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
  const SampleMaker& maker_;
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
  const SampleMaker maker(importer, listing, options);
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
