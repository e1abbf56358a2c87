#include "distributed/shared_memory/operations.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace isnet::shared_memory {
namespace {

// Below that, one exchange in which each rank adds up everything is faster than two in which it adds up its
// share.
constexpr std::size_t least_to_share_out = std::size_t{32} << 10;

std::uint64_t ceil_div(std::size_t a, std::size_t b) {
  return std::max<std::uint64_t>(1, (a + b - 1) / b);
}

std::array<char, 16> named(const char* name) {
  std::array<char, 16> result{};
  std::strncpy(result.data(), name, result.size() - 1);
  return result;
}

void copy_bytes(std::byte* to, const std::byte* from, std::size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

// A tensor in pieces that fit into a slot.
class InPieces : public Operation {
 public:
  InPieces(const Circle& circle, const Reduced& tensor, int root)
      : circle_(circle),
        tensor_(tensor),
        root_(root),
        piece_(circle.slot_bytes / tensor.element_bytes),
        pieces_(ceil_div(tensor.elements, piece_)),
        reduce_(reduction(tensor.type, tensor.arithmetic)) {}

  Signature signature() const override {
    return {named(root_ < 0 ? "all-reduce" : "reduce"), static_cast<std::uint32_t>(tensor_.type),
            static_cast<std::uint32_t>(tensor_.arithmetic) << 16 | static_cast<std::uint32_t>(root_ + 1),
            tensor_.elements * tensor_.element_bytes};
  }

 protected:
  std::size_t size(std::uint64_t piece) const {  // in elements
    return std::min(piece_, tensor_.elements - std::min(tensor_.elements, piece * piece_));
  }
  std::byte* data(std::uint64_t piece) const { return tensor_.data + piece * piece_ * tensor_.element_bytes; }
  std::size_t bytes(std::size_t elements) const { return elements * tensor_.element_bytes; }

  Circle circle_;
  Reduced tensor_;
  int root_;
  std::size_t piece_;
  std::uint64_t pieces_;
  Reduction reduce_;
};

// Each rank puts its piece, and adds up those of all.
class EachAll final : public InPieces {
 public:
  using InPieces::InPieces;
  std::uint64_t rounds() const override { return pieces_; }
  void put(std::uint64_t round, std::byte* slot) override {
    copy_bytes(slot, data(round), bytes(size(round)));
  }
  void take(std::uint64_t round, const std::byte* const* slots) override {
    if (root_ < 0 || root_ == circle_.rank) reduce_(slots, circle_.ranks, size(round), data(round));
  }
};

// Each rank puts its piece, adds up its share of it over all ranks, and puts that. Rounds: piece 0; piece 1,
// sums of 0; piece 2, sums of 1; …; sums of the last, so that nobody waits between the two.
class SharedOut final : public InPieces {
 public:
  using InPieces::InPieces;
  std::uint64_t rounds() const override { return 2 * pieces_; }
  std::uint64_t needs_taken(std::uint64_t round) const override {
    if (!sums(round)) return 0;
    const std::uint64_t piece = piece_of(round);
    return piece == 0 ? 1 : 2 * piece;  // the round in which it was put, and those before
  }
  void put(std::uint64_t round, std::byte* slot) override {
    const std::uint64_t piece = piece_of(round);
    if (!sums(round)) return copy_bytes(slot, data(piece), bytes(size(piece)));
    const auto [begin, end] = share(piece, circle_.rank);
    copy_bytes(slot, data(piece) + begin, end - begin);
  }
  void take(std::uint64_t round, const std::byte* const* slots) override {
    const std::uint64_t piece = piece_of(round);
    if (sums(round)) {
      for (int rank = 0; rank < circle_.ranks; ++rank) {
        const auto [begin, end] = share(piece, rank);
        if (rank != circle_.rank) copy_bytes(data(piece) + begin, slots[rank], end - begin);
      }
      return;
    }
    const auto [begin, end] = share(piece, circle_.rank);
    parts_.resize(static_cast<std::size_t>(circle_.ranks));
    for (std::size_t rank = 0; rank < parts_.size(); ++rank) parts_[rank] = slots[rank] + begin;
    reduce_(parts_.data(), circle_.ranks, (end - begin) / tensor_.element_bytes, data(piece) + begin);
  }

 private:
  bool sums(std::uint64_t round) const { return round > 0 && (round % 2 == 0 || round + 1 == 2 * pieces_); }
  std::uint64_t piece_of(std::uint64_t round) const {
    if (!sums(round)) return (round + 1) / 2;
    return round + 1 == 2 * pieces_ ? pieces_ - 1 : round / 2 - 1;
  }
  // Bytes of a piece that are this rank's to add up.
  std::pair<std::size_t, std::size_t> share(std::uint64_t piece, int rank) const {
    const auto ranks = static_cast<std::size_t>(circle_.ranks), r = static_cast<std::size_t>(rank);
    const std::size_t elements = size(piece);
    return {bytes(elements * r / ranks), bytes(elements * (r + 1) / ranks)};
  }

  std::vector<const std::byte*> parts_;
};

class Showing final : public Operation {
 public:
  Showing(const Circle& circle, const char* name, Shown what)
      : circle_(circle), name_(name), what_(std::move(what)) {}
  Signature signature() const override {
    return {named(name_), 0, static_cast<std::uint32_t>(what_.source + 1), what_.bytes};
  }
  std::uint64_t rounds() const override { return ceil_div(what_.bytes, circle_.slot_bytes); }
  int source() const override { return what_.source; }
  void put(std::uint64_t round, std::byte* slot) override {
    if (what_.input) copy_bytes(slot, what_.input + round * circle_.slot_bytes, size(round));
  }
  void take(std::uint64_t round, const std::byte* const* slots) override {
    for (std::size_t rank = 0; rank < what_.outputs.size(); ++rank)
      if (std::byte* output = what_.outputs[rank])
        copy_bytes(output + round * circle_.slot_bytes, slots[rank], size(round));
  }

 private:
  std::size_t size(std::uint64_t round) const {
    return std::min(circle_.slot_bytes, what_.bytes - round * circle_.slot_bytes);
  }
  Circle circle_;
  const char* name_;
  Shown what_;
};

class Dealing final : public Operation {
 public:
  Dealing(const Circle& circle, const char* name, Dealt what)
      : circle_(circle), name_(name), what_(std::move(what)) {
    const std::size_t part = circle.slot_bytes / static_cast<std::size_t>(circle.ranks);
    part_ = part / what_.element_bytes * what_.element_bytes;
  }
  Signature signature() const override {
    return {named(name_), what_.detail, static_cast<std::uint32_t>(what_.source + 1), what_.bytes};
  }
  std::uint64_t rounds() const override { return ceil_div(what_.bytes, part_); }
  int source() const override { return what_.source; }
  void put(std::uint64_t round, std::byte* slot) override {
    for (std::size_t to = 0; to < what_.inputs.size(); ++to)
      if (what_.inputs[to]) copy_bytes(slot + to * part_, what_.inputs[to] + round * part_, size(round));
  }
  void take(std::uint64_t round, const std::byte* const* slots) override {
    const std::size_t own = static_cast<std::size_t>(circle_.rank) * part_;
    if (what_.reduction) {
      std::vector<const std::byte*> parts;
      for (int rank = 0; rank < circle_.ranks; ++rank) parts.push_back(slots[rank] + own);
      what_.reduction(parts.data(), circle_.ranks, size(round) / what_.element_bytes,
                      what_.outputs[static_cast<std::size_t>(circle_.rank)] + round * part_);
      return;
    }
    for (std::size_t from = 0; from < what_.outputs.size(); ++from)
      if (std::byte* output = what_.outputs[from])
        copy_bytes(output + round * part_, slots[from] + own, size(round));
  }

 private:
  std::size_t size(std::uint64_t round) const { return std::min(part_, what_.bytes - round * part_); }
  Circle circle_;
  const char* name_;
  Dealt what_;
  std::size_t part_;
};

}  // namespace

std::shared_ptr<Operation> all_reduce(const Circle& circle, const Reduced& tensor, int root) {
  if (root < 0 && circle.ranks > 2 && tensor.elements * tensor.element_bytes >= least_to_share_out)
    return std::make_shared<SharedOut>(circle, tensor, root);
  return std::make_shared<EachAll>(circle, tensor, root);
}

std::shared_ptr<Operation> show(const Circle& circle, const char* name, Shown what) {
  return std::make_shared<Showing>(circle, name, std::move(what));
}

std::shared_ptr<Operation> deal(const Circle& circle, const char* name, Dealt what) {
  return std::make_shared<Dealing>(circle, name, std::move(what));
}

}  // namespace isnet::shared_memory
