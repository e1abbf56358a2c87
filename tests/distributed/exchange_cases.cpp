// Cases of rank_programs that hold the operations of ranks that share memory to those of Gloo, and to what
// they should be.
#include <ATen/ATen.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <thread>

#include "base/files.h"
#include "rank_network.h"
#include "distributed/shared_memory/group.h"

namespace isnet::testing {
namespace {

using c10d::ReduceOp;
using Tensors = std::vector<at::Tensor>;
using Group = c10::intrusive_ptr<c10d::ProcessGroup>;

// Two groups of the same ranks.
struct Pair {
  explicit Pair(World& world) {
    const BackendPlace place = meet(world, {});
    ProcessGroupOptions options;
    options.backend = "shm";
    shared = make_process_group(place, "shared", options);
    options.backend = "gloo";
    gloo = make_process_group(place, "gloo", options);
    rank = world.rank();
    size = world.size();
  }
  Group shared, gloo;
  int rank = 0, size = 1;
};

// Numbers of this rank, different on each and for each seed.
at::Tensor numbers(const at::IntArrayRef& sizes, at::ScalarType type, int rank, std::int64_t seed) {
  torch::manual_seed(static_cast<std::uint64_t>(100 * seed + rank + 1));
  if (type == at::kBool) return at::randint(2, sizes, at::kLong).to(at::kBool);
  if (at::isIntegralType(type, false)) return at::randint(1, 4, sizes, at::kLong).to(type);
  return at::randn(sizes, at::kDouble).to(type);
}

at::Tensor reduced(const Group& group, at::Tensor tensor, ReduceOp::RedOpType arithmetic) {
  Tensors tensors{std::move(tensor)};
  c10d::AllreduceOptions options;
  options.reduceOp = arithmetic;
  group->allreduce(tensors, options)->wait();
  return tensors[0];
}

// What all ranks' numbers are together, computed here.
at::Tensor expected_sum(const at::IntArrayRef& sizes, int ranks, std::int64_t seed) {
  at::Tensor sum = numbers(sizes, at::kDouble, 0, seed);
  for (int rank = 1; rank < ranks; ++rank) sum += numbers(sizes, at::kDouble, rank, seed);
  return sum;
}

void require_alike(const Pair& pair, const at::Tensor& mine, const std::string& what) {
  std::vector<Tensors> all(1);
  const std::string hash = sha256(bytes_of(mine));
  at::Tensor own = at::empty({64}, at::kByte);
  std::memcpy(own.data_ptr(), hash.data(), 64);
  for (int rank = 0; rank < pair.size; ++rank) all[0].push_back(at::empty_like(own));
  Tensors input{own};
  pair.gloo->allgather(all, input)->wait();
  for (const auto& other : all[0]) require(at::equal(other, own), what + ": the same bits on every rank");
}

double tolerance(at::ScalarType type) {
  return type == at::kDouble ? 1e-12 : type == at::kFloat ? 1e-5 : type == at::kHalf ? 4e-3 : 3e-2;
}

// From nothing to more than all slots hold.
const std::vector<std::int64_t> lengths{0, 1, 3, 1001, 16384, 40'003, 700'001};

void all_reduce(const Pair& pair) {
  for (const auto type : {at::kFloat, at::kDouble, at::kHalf, at::kBFloat16, at::kLong, at::kInt, at::kByte})
    for (const auto arithmetic : {ReduceOp::SUM, ReduceOp::PRODUCT, ReduceOp::MIN, ReduceOp::MAX})
      for (const std::int64_t length : lengths) {
        if (length > 50'000 && arithmetic != ReduceOp::SUM) continue;
        const std::string what = cat("all-reduce ", static_cast<int>(arithmetic), " of ", length, " ", type);
        const at::Tensor own = numbers({length}, type, pair.rank, length);
        const at::Tensor mine = reduced(pair.shared, own.clone(), arithmetic);
        const at::Tensor theirs = reduced(pair.gloo, own.clone(), arithmetic);
        const double allowed = at::isIntegralType(type, false) ? 0 : tolerance(type);
        const at::Tensor difference = (mine.to(at::kDouble) - theirs.to(at::kDouble)).abs();
        const at::Tensor scale = theirs.to(at::kDouble).abs() + pair.size;
        require(length == 0 || (difference / scale).max().item<double>() <= allowed, what);
        if (length == 40'003) require_alike(pair, mine, what);
      }
  const at::Tensor mean = reduced(pair.shared, numbers({333}, at::kDouble, pair.rank, 1), ReduceOp::AVG);
  require_near({mean}, {expected_sum({333}, pair.size, 1) / pair.size}, "the mean");
  const at::Tensor flags = numbers({99}, at::kBool, pair.rank, 2);
  require(at::equal(reduced(pair.shared, flags.clone(), ReduceOp::SUM).to(at::kInt),
                    reduced(pair.gloo, flags.to(at::kInt), ReduceOp::MAX)),
          "sums of truth values are truth values");
  require(at::equal(reduced(pair.shared, flags.clone(), ReduceOp::PRODUCT).to(at::kInt),
                    reduced(pair.gloo, flags.to(at::kInt), ReduceOp::MIN)),
          "so are products");
}

void layouts(const Pair& pair) {
  for (const std::vector<std::int64_t>& sizes : {std::vector<std::int64_t>{7, 5}, {300, 200}}) {
    const at::Tensor sum = expected_sum(sizes, pair.size, 5);
    at::Tensor turned = numbers(sizes, at::kDouble, pair.rank, 5).t().contiguous().t();
    require(!turned.is_contiguous(), "the tensor is not contiguous");
    reduced(pair.shared, turned, ReduceOp::SUM);
    require_near({turned}, {sum}, "a transposed tensor");
    at::Tensor wide = at::zeros({sizes[0], 2 * sizes[1]}, at::kDouble);
    at::Tensor every_other = wide.slice(1, 0, 2 * sizes[1], 2);
    every_other.copy_(numbers(sizes, at::kDouble, pair.rank, 5));
    reduced(pair.shared, every_other, ReduceOp::SUM);
    require_near({every_other}, {sum}, "every other column");
    require(wide.slice(1, 1, 2 * sizes[1], 2).eq(0).all().item<bool>(), "the others are not touched");
    const at::Tensor real = numbers(sizes, at::kDouble, pair.rank, 5);
    const at::Tensor complex = reduced(pair.shared, at::complex(real, -real), ReduceOp::SUM);
    require_near({at::real(complex), at::imag(complex)}, {sum, -sum}, "complex numbers");
  }
  Tensors several{numbers({3, 4}, at::kDouble, pair.rank, 6), numbers({50'000}, at::kDouble, pair.rank, 7)};
  pair.shared->allreduce_coalesced(several)->wait();
  require_near(several, {expected_sum({3, 4}, pair.size, 6), expected_sum({50'000}, pair.size, 7)},
               "several tensors at once");
}

Tensors of_all_ranks(const Pair& pair, std::int64_t length, std::int64_t seed) {
  Tensors all;
  for (int rank = 0; rank < pair.size; ++rank) all.push_back(numbers({length}, at::kDouble, rank, seed));
  return all;
}

Tensors empty_for_all(const Pair& pair, std::int64_t length) {
  Tensors all;
  for (int rank = 0; rank < pair.size; ++rank) all.push_back(at::empty({length}, at::kDouble));
  return all;
}

void copies(const Pair& pair, std::int64_t length) {
  const auto own = static_cast<std::size_t>(pair.rank);
  const Tensors all = of_all_ranks(pair, length, 11);
  for (int root = 0; root < pair.size; ++root) {
    const std::string what = cat(" of ", length, " with root ", root);
    const auto is_root = pair.rank == root;
    Tensors one{is_root ? all[own].clone() : at::empty({length}, at::kDouble)};
    pair.shared->broadcast(one, {root})->wait();
    require(at::equal(one[0], all[static_cast<std::size_t>(root)]), "broadcast" + what);

    Tensors sum{all[own].clone()};
    pair.shared->reduce(sum, {ReduceOp::SUM, root})->wait();
    const at::Tensor expected = is_root ? expected_sum({length}, pair.size, 11) : all[own];
    require(at::allclose(sum[0], expected, 1e-12, is_root ? 1e-12 : 0),
            is_root ? "reduce" + what : "the others keep theirs");

    std::vector<Tensors> gathered;
    if (is_root) gathered.push_back(empty_for_all(pair, length));
    Tensors input{all[own].clone()};
    c10d::GatherOptions to_root;
    to_root.rootRank = root;
    pair.shared->gather(gathered, input, to_root)->wait();
    for (std::size_t i = 0; is_root && i < all.size(); ++i)
      require(at::equal(gathered[0][i], all[i]), "gather" + what);

    std::vector<Tensors> scattered;
    if (is_root) scattered.push_back(all);
    Tensors output{at::empty({length}, at::kDouble)};
    c10d::ScatterOptions from_root;
    from_root.rootRank = root;
    pair.shared->scatter(output, scattered, from_root)->wait();
    require(at::equal(output[0], all[own]), "scatter" + what);
  }
}

void exchanges_of_all(const Pair& pair, std::int64_t length) {
  const auto own = static_cast<std::size_t>(pair.rank);
  const Tensors all = of_all_ranks(pair, length, 12);
  const auto backend = pair.shared->getBackend(c10::DeviceType::CPU);
  std::vector<Tensors> gathered{empty_for_all(pair, length)};
  Tensors input{all[own].clone()};
  pair.shared->allgather(gathered, input)->wait();
  for (std::size_t i = 0; i < all.size(); ++i) require(at::equal(gathered[0][i], all[i]), "all-gather");

  at::Tensor whole = at::empty({length * pair.size}, at::kDouble), part = all[own].clone();
  backend->_allgather_base(whole, part)->wait();
  require(at::equal(whole, at::cat(all)), "all-gather into one");

  // Every rank gives what rank r has in `all`, times its own number.
  std::vector<Tensors> inputs(1);
  for (const auto& one : all) inputs[0].push_back(one * (pair.rank + 1));
  Tensors output{at::empty({length}, at::kDouble)};
  pair.shared->reduce_scatter(output, inputs)->wait();
  const double factor = pair.size * (pair.size + 1) / 2.0;
  require(at::allclose(output[0], all[own] * factor, 1e-12, 1e-12), "reduce-scatter");
  at::Tensor joined = at::cat(inputs[0]), reduced_part = at::empty({length}, at::kDouble);
  backend->_reduce_scatter_base(reduced_part, joined)->wait();
  require(at::equal(reduced_part, output[0]), "reduce-scatter from one");

  Tensors received = empty_for_all(pair, length);
  pair.shared->alltoall(received, inputs[0])->wait();
  for (std::size_t i = 0; i < all.size(); ++i)
    require(at::equal(received[i], all[own] * (static_cast<double>(i) + 1)), "all-to-all");
  at::Tensor mixed = at::empty({length * pair.size}, at::kDouble);
  std::vector<std::int64_t> equal;
  backend->alltoall_base(mixed, joined, equal, equal)->wait();
  require(at::equal(mixed, at::cat(received)), "all-to-all from one into one");
}

// Names and descriptors of shared memory are gone once the ranks are connected.
void require_no_trace() {
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
    require(target.find("memfd:isnet") == std::string::npos, "no descriptor is left: " + target);
  }
}

void exchanges(World& world) {
  const Pair pair(world);
  if (!pair.shared) return;
  require(pair.shared->getBackend(c10::DeviceType::CPU)->getBackendName() == "shm", "memory is shared");
  require_no_trace();
  all_reduce(pair);
  layouts(pair);
  for (const std::int64_t length : lengths) {
    copies(pair, length);
    exchanges_of_all(pair, length);
  }
  pair.shared->barrier()->wait();
}

// Operations under way on two groups, larger than the memory that is shared, awaited in another order on
// every other rank.
void orders(World& world) {
  const Communicator communicator(world, group_options());
  if (world.size() == 1) return;
  const Group groups[2] = {communicator.process_group(), communicator.new_process_group()};
  for (int round = 0; round < 5; ++round) {
    std::vector<Tensors> tensors;
    std::vector<c10::intrusive_ptr<c10d::Work>> works;
    for (int i = 0; i < 6; ++i)
      tensors.push_back({numbers({i < 4 ? 400'000 : 2}, at::kDouble, world.rank(), 20 + i)});
    for (int i = 0; i < 6; ++i)
      works.push_back(groups[i % 2]->allreduce(tensors[static_cast<std::size_t>(i)]));
    for (int i = 0; i < 6; ++i) {
      auto& work = works[static_cast<std::size_t>(world.rank() % 2 == 0 ? i : 5 - i)];
      if (round % 2 == 0)
        work->wait();
      else
        while (!work->isCompleted()) std::this_thread::yield();
      require(work->isSuccess(), "it has succeeded");
    }
    for (int i = 0; i < 6; ++i) {
      const at::Tensor& sum = tensors[static_cast<std::size_t>(i)][0];
      require_near({sum}, {expected_sum(sum.sizes(), world.size(), 20 + i)}, cat("sum ", i));
      require(works[static_cast<std::size_t>(i)]->getFuture()->value().toTensorVector()[0].is_same(sum),
              "its future has the tensor");
    }
  }
}

// Many small ones and some large ones, also where ranks share cores.
void crowd(World& world) {
  const Communicator communicator(world, group_options());
  for (int i = 0; i < 3000; ++i) {
    std::vector<double> values{static_cast<double>(i), static_cast<double>(world.rank())};
    communicator.all_reduce_sum(values);
    require(values[0] == static_cast<double>(i) * world.size(), "each sum is its own");
    require(values[1] == world.size() * (world.size() - 1) / 2.0, "of all ranks");
  }
  std::string bytes(world.is_main() ? 30'000'000 : 0, 'x');
  communicator.broadcast(bytes);
  require(bytes.size() == 30'000'000 && bytes.back() == 'x', "many bytes");
}

void refusals(World& world) {
  const Pair pair(world);
  const auto refused = [](const std::function<void()>& exchange, const std::string& text) {
    try {
      exchange();
    } catch (const c10::Error& e) {
      return require(std::string(e.what()).find(text) != std::string::npos, cat(text, " in: ", e.what()));
    }
    require(false, text + " is refused");
  };
  const Tensors two{at::zeros({2}), at::zeros({2})};
  const auto shared = pair.shared->getBackend(c10::DeviceType::CPU);
  refused([&] { reduced(pair.shared, at::zeros({2}, at::kLong), ReduceOp::AVG); }, "cannot reduce Long");
  Tensors sparse{at::zeros({2, 2}).to_sparse()};
  refused([&] { shared->allreduce(sparse); }, "dense tensors only");
  Tensors several = two;
  refused([&] { shared->allreduce(several); }, "one tensor, not 2");
  Tensors one{at::zeros({2})};
  refused([&] { shared->broadcast(one, {7}); }, "no rank 7");
  refused([&] { shared->send(one, 0, 0); }, "does not support send");
  Tensors complex{at::complex(at::ones({2}), at::ones({2}))};
  c10d::AllreduceOptions product;
  product.reduceOp = ReduceOp::PRODUCT;
  refused([&] { shared->allreduce(complex, product); }, "complex values can only");
  require_near({reduced(pair.shared, at::ones({3}, at::kDouble), ReduceOp::SUM)},
               {at::full({3}, static_cast<double>(world.size()), at::kDouble)}, "and all goes on");
}

// Rank 1 is in another operation than the others.
void mismatch(World& world) {
  const Communicator communicator(world, group_options());
  communicator.barrier();  // all are connected
  if (world.rank() == 1) communicator.minimum(1);
  Tensors tensors{at::zeros({4}, at::kDouble)};
  const auto group = communicator.process_group();
  complete(*group, "an exchange", [&] { return group->broadcast(tensors); });
}

// Where one rank cannot share, none does.
void unshared(World& world) {
  const BackendPlace place = meet(world, {});
  const auto connect = [&](const std::string& name, BackendPlace where, std::uint64_t slots) {
    std::string why;
    where.store = c10::make_intrusive<c10d::PrefixStore>(name, place.store);
    shared_memory::Layout layout;
    layout.slots = slots;
    const bool connected = shared_memory::connect(where, why, layout).defined();
    require(connected == why.empty(), "a reason where it fails: " + why);
    return why;
  };
  require(connect("alike", place, 4).empty(), "ranks that can share do");
  const std::string size = connect("sizes", place, world.rank() == 1 ? 8 : 4);
  require(size == "rank 1: the shared memory has another size", size);
  BackendPlace other = place;
  other.local_size = 1;
  const std::string hosts = connect("hosts", other, 4);
  require(hosts == "rank 0: the ranks are on several hosts", hosts);
  // Rank 0 is the store's server: it stays until the others have read what they need.
  place.store->add("done", 1);
  while (world.is_main() && place.store->add("done", 0) < world.size())
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

}  // namespace

RankCases exchange_cases() {
  return {{"exchanges", exchanges}, {"orders", orders},     {"crowd", crowd},
          {"refusals", refusals},   {"mismatch", mismatch}, {"unshared", unshared}};
}

}  // namespace isnet::testing
