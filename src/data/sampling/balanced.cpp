#include "data/sampling/balanced.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "data/sampling/sampling.h"

namespace isnet {

Strata::Strata(std::vector<std::pair<std::int64_t, std::int64_t>> members) {
  std::sort(members.begin(), members.end());
  samples_.reserve(members.size());
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (i == 0 || members[i].first != members[i - 1].first) first_.push_back(static_cast<std::int64_t>(i));
    samples_.push_back(members[i].second);
  }
  first_.push_back(static_cast<std::int64_t>(members.size()));
}

BalancedOrder::BalancedOrder(Strata strata, std::uint64_t seed) : strata_(std::move(strata)), seed_(seed) {
  if (strata_.count() < 1 || strata_.count() > 0xffffffff)
    fail(ErrorKind::internal, "a balanced order of ", strata_.count(), " strata");
}

namespace {

std::uint64_t two_words(SampleRandom& random) {
  const std::uint64_t high = random();
  return high << 32 | random();
}

}  // namespace

std::int64_t BalancedOrder::at(std::uint64_t epoch, std::int64_t position) const {
  const std::int64_t round = position / strata_.count();
  // Of the four words of a draw the first two are for rounds, the others for turns.
  SampleRandom of_round(seed_, Purpose::sampling, epoch, static_cast<std::uint64_t>(round));
  const Permutation order(strata_.count(), two_words(of_round), epoch);
  const std::int64_t stratum = order(position - round * strata_.count());

  const std::int64_t turn = round / strata_.size(stratum);
  SampleRandom of_turn(
      seed_, Purpose::sampling, epoch,
      static_cast<std::uint64_t>(stratum) << 32 | (static_cast<std::uint64_t>(turn) & 0xffffffff));
  two_words(of_turn);
  const Permutation permutation(strata_.size(stratum), two_words(of_turn), epoch);
  return strata_.sample(stratum, permutation(round - turn * strata_.size(stratum)));
}

namespace {

using Members = std::vector<std::pair<std::int64_t, std::int64_t>>;

Members members_by_label(const SplitReader& split) {
  Members members;
  for (std::int64_t i = 0; i < split.size(); ++i) members.emplace_back(split.label(i), i);
  return members;
}

// A sample is a member of each of its classes; those without any form one stratum more.
Members members_by_labels(const SplitReader& split) {
  const std::int64_t classes = split.layout().label_classes;
  Members members;
  std::vector<float> present(static_cast<std::size_t>(classes));
  for (std::int64_t i = 0; i < split.size(); ++i) {
    split.multi_label(i, present.data());
    const auto before = members.size();
    for (std::int64_t k = 0; k < classes; ++k)
      if (present[static_cast<std::size_t>(k)] > 0) members.emplace_back(k, i);
    if (members.size() == before) members.emplace_back(classes, i);
  }
  return members;
}

std::shared_ptr<const SampleOrder> make_by_class(const SplitReader& split, std::uint64_t seed) {
  if (split.layout().labels == LabelKind::none)
    fail(ErrorKind::data, split.shards().front().string(),
         ": has no dataset 'labels', which --sampling class-balanced needs: write the classes "
         "(docs/formats.md), or choose another sampling");
  Members members =
      split.layout().labels == LabelKind::single ? members_by_label(split) : members_by_labels(split);
  return std::make_shared<BalancedOrder>(Strata(std::move(members)), seed);
}

std::shared_ptr<const SampleOrder> make_by_group(const SplitReader& split, std::uint64_t seed) {
  Members members;
  for (std::int64_t i = 0; i < split.size(); ++i) {
    const auto group = split.group(i);
    if (!group)
      fail(ErrorKind::data, split.shard_of(i).string(),
           ": has no dataset 'groups', which --sampling group-balanced needs: write one integer for each "
           "sample (docs/formats.md), or choose another sampling");
    members.emplace_back(*group, i);
  }
  return std::make_shared<BalancedOrder>(Strata(std::move(members)), seed);
}

const Registration<SamplingFactory> by_class(
    samplings(), {"class-balanced", "Each class equally often", {}, make_by_class});
const Registration<SamplingFactory> by_group(
    samplings(), {"group-balanced", "Each group equally often", {}, make_by_group});

}  // namespace
}  // namespace isnet
