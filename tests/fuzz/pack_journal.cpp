// plan.json and the record of a shard, as an interrupted `isnet pack` leaves them.
#include "import/pack_journal.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace isnet;
  static const fuzz::Folder folder;
  const auto text = fuzz::text_of(data, size);
  const auto output = folder.write("marker", "").parent_path();
  std::filesystem::create_directories(output / ".pack");
  const PackJournal journal(output, "fingerprint");
  PackPlan plan;
  plan.splits.push_back({"train", "train", 0, MarkUse::none, {0, 1}});
  plan.shards.push_back({0, "train/shard-00000.h5", {0, 1}});
  folder.write(".pack/train+shard-00000.h5.json", text);
  fuzz::answered({ErrorKind::data}, [&] { journal.record(plan.shards[0]); });
  folder.write(".pack/plan.json", text);
  return fuzz::answered({ErrorKind::data, ErrorKind::usage}, [&] { journal.open(plan, false); });
}
