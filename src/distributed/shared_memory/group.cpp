#include "distributed/shared_memory/group.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/graph_task.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>

#include <atomic>
#include <utility>
#include <vector>

#include "base/error.h"
#include "distributed/shared_memory/operations.h"

namespace isnet::shared_memory {
namespace {

using Tensors = std::vector<at::Tensor>;
using WorkPointer = c10::intrusive_ptr<c10d::Work>;
using FuturePointer = c10::intrusive_ptr<c10::ivalue::Future>;

// What c10d calls an operation under way.
class SharedWork final : public c10d::Work {
 public:
  SharedWork(std::shared_ptr<Ring> ring, std::shared_ptr<Operation> operation, c10d::OpType type,
             std::chrono::milliseconds timeout, Tensors results)
      : Work(ring->rank(), type),
        ring_(std::move(ring)),
        operation_(std::move(operation)),
        timeout_(timeout),
        results_(std::move(results)),
        future_(c10::make_intrusive<c10::ivalue::Future>(c10::ListType::create(c10::TensorType::get()))) {}

  FuturePointer future() const { return future_; }
  bool isCompleted() override { return ring_->poll(*operation_); }
  bool isSuccess() const override { return operation_->done() && !operation_->error(); }
  std::exception_ptr exception() const override { return operation_->done() ? operation_->error() : nullptr; }
  Tensors result() override { return results_; }
  void synchronize() override {}
  bool wait(std::chrono::milliseconds timeout) override {
    ring_->wait(*operation_, timeout == kNoTimeout ? timeout_ : timeout);
    return true;
  }

  // Nobody works in the background. Within a backward pass the future is completed at that pass's end, before
  // callbacks that are queued later (the reducer's, which awaits it); elsewhere, now.
  FuturePointer getFuture() override {
    if (isCompleted()) return future_;
    if (torch::autograd::get_current_graph_task_id() < 0) {
      ring_->wait(*operation_, timeout_);
      return future_;
    }
    torch::autograd::Engine::get_default_engine().queue_callback(
        [ring = ring_, operation = operation_, timeout = timeout_] { ring->wait(*operation, timeout); });
    return future_;
  }

 private:
  std::shared_ptr<Ring> ring_;
  std::shared_ptr<Operation> operation_;
  std::chrono::milliseconds timeout_;
  Tensors results_;
  FuturePointer future_;
};

// A tensor of the caller's, and the contiguous one that the operation works on: the same where possible.
class Held {
 public:
  explicit Held(const at::Tensor& tensor) : given_(tensor) {
    TORCH_CHECK(tensor.layout() == c10::kStrided,
                "ranks that share memory exchange dense tensors only, not sparse ones");
    TORCH_CHECK(tensor.device().is_cpu(), "ranks that share memory exchange CPU tensors only, not ",
                tensor.device());
    packed_ = tensor.detach();
    if (complex()) packed_ = at::view_as_real(packed_.resolve_conj());
    packed_ = packed_.contiguous();
  }
  std::byte* data() const { return static_cast<std::byte*>(packed_.data_ptr()); }
  std::size_t bytes() const { return packed_.nbytes(); }
  const at::Tensor& packed() const { return packed_; }
  bool complex() const { return given_.is_complex(); }
  void deliver() const {
    at::Tensor target = given_.detach();
    if (target.is_complex()) target = at::view_as_real(target);
    if (target.data_ptr() != packed_.data_ptr()) target.copy_(packed_);
  }

 private:
  at::Tensor given_, packed_;
};

std::vector<Held> held(const Tensors& tensors) {
  return {tensors.begin(), tensors.end()};
}

const at::Tensor& only(const Tensors& tensors, const char* operation) {
  TORCH_CHECK(tensors.size() == 1, operation, " takes one tensor, not ", tensors.size());
  return tensors.front();
}

// One for each rank, all alike.
std::vector<Held> one_for_each(const Tensors& tensors, int ranks, std::size_t bytes, const char* operation) {
  TORCH_CHECK(tensors.size() == static_cast<std::size_t>(ranks), operation, " needs ", ranks,
              " tensors, not ", tensors.size());
  auto result = held(tensors);
  for (const auto& one : result)
    TORCH_CHECK(one.bytes() == bytes, operation, ": tensors of ", bytes, " and ", one.bytes(), " bytes");
  return result;
}

template <typename Pointer>
std::vector<Pointer> pointers(const std::vector<Held>& tensors) {
  std::vector<Pointer> result;
  for (const auto& one : tensors) result.push_back(one.data());
  return result;
}

class SharedMemoryGroup final : public c10d::Backend {
 public:
  explicit SharedMemoryGroup(std::shared_ptr<Ring> ring)
      : Backend(ring->rank(), ring->ranks()), ring_(std::move(ring)) {}

  const std::string getBackendName() const override { return "shm"; }
  void setTimeout(std::chrono::milliseconds timeout) override { ring_->set_timeout(timeout); }
  void setSequenceNumberForGroup() override {}
  std::uint64_t getSequenceNumberForGroup() override { return started_; }  // operations so far

  WorkPointer allreduce(Tensors& tensors, const c10d::AllreduceOptions& options) override {
    const Held tensor(only(tensors, "all-reduce"));
    return begin(all_reduce(circle(), reduced(tensor, options.reduceOp)), c10d::OpType::ALLREDUCE,
                 options.timeout, {tensor}, {}, tensors);
  }
  WorkPointer allreduce_coalesced(Tensors& tensors, const c10d::AllreduceCoalescedOptions& options) override {
    TORCH_CHECK(!tensors.empty(), "all-reduce of no tensors");
    Tensors flat;
    for (const auto& tensor : tensors) flat.push_back(Held(tensor).packed().reshape(-1));
    const Held together(at::cat(flat));
    const auto spread = [tensors, together] {
      std::int64_t begin = 0;
      for (const auto& tensor : tensors) {
        at::Tensor target = tensor.detach();
        if (target.is_complex()) target = at::view_as_real(target);
        target.copy_(together.packed().narrow(0, begin, target.numel()).view(target.sizes()));
        begin += target.numel();
      }
    };
    return begin(all_reduce(circle(), reduced(together, options.reduceOp)), c10d::OpType::ALLREDUCE_COALESCED,
                 options.timeout, {}, spread, tensors);
  }
  WorkPointer reduce(Tensors& tensors, const c10d::ReduceOptions& options) override {
    const Held tensor(only(tensors, "reduce"));
    return begin(all_reduce(circle(), reduced(tensor, options.reduceOp), root(options.rootRank)),
                 c10d::OpType::REDUCE, options.timeout, {tensor}, {}, tensors);
  }
  WorkPointer broadcast(Tensors& tensors, const c10d::BroadcastOptions& options) override {
    const Held tensor(only(tensors, "broadcast"));
    Shown what{nullptr, tensor.bytes(), root(options.rootRank), nowhere()};
    if (what.source == getRank())
      what.input = tensor.data();
    else
      what.outputs[static_cast<std::size_t>(what.source)] = tensor.data();
    return begin(show(circle(), "broadcast", std::move(what)), c10d::OpType::BROADCAST, options.timeout,
                 {tensor}, {}, tensors);
  }
  WorkPointer allgather(std::vector<Tensors>& outputs, Tensors& inputs,
                        const c10d::AllgatherOptions& options) override {
    const Held input(only(inputs, "all-gather"));
    TORCH_CHECK(outputs.size() == 1, "all-gather takes one list of outputs");
    auto results = one_for_each(outputs[0], getSize(), input.bytes(), "all-gather");
    Shown what{input.data(), input.bytes(), -1, pointers<std::byte*>(results)};
    return begin(show(circle(), "all-gather", std::move(what)), c10d::OpType::ALLGATHER, options.timeout,
                 std::move(results), keep({input}), outputs[0]);
  }
  WorkPointer _allgather_base(at::Tensor& output, at::Tensor& input,
                              const c10d::AllgatherOptions& options) override {
    const Held own(input), all(output);
    check_whole(all, own, "all-gather");
    Shown what{own.data(), own.bytes(), -1, parts<std::byte*>(all, own.bytes())};
    return begin(show(circle(), "all-gather", std::move(what)), c10d::OpType::_ALLGATHER_BASE,
                 options.timeout, {all}, keep({own}), {output});
  }
  WorkPointer gather(std::vector<Tensors>& outputs, Tensors& inputs,
                     const c10d::GatherOptions& options) override {
    const Held input(only(inputs, "gather"));
    const int target = root(options.rootRank);
    std::vector<Held> results;
    if (target == getRank()) {
      TORCH_CHECK(outputs.size() == 1, "gather takes one list of outputs on its root");
      results = one_for_each(outputs[0], getSize(), input.bytes(), "gather");
    }
    Shown what{input.data(), input.bytes(), -1, results.empty() ? nowhere() : pointers<std::byte*>(results)};
    return begin(show(circle(), "gather", std::move(what)), c10d::OpType::GATHER, options.timeout,
                 std::move(results), keep({input}), {});
  }
  WorkPointer scatter(Tensors& outputs, std::vector<Tensors>& inputs,
                      const c10d::ScatterOptions& options) override {
    const Held output(only(outputs, "scatter"));
    Dealt what;
    what.bytes = output.bytes();
    what.source = root(options.rootRank);
    what.outputs = nowhere();
    what.outputs[static_cast<std::size_t>(what.source)] = output.data();
    std::vector<Held> given;
    if (what.source == getRank()) {
      TORCH_CHECK(inputs.size() == 1, "scatter takes one list of inputs on its root");
      given = one_for_each(inputs[0], getSize(), output.bytes(), "scatter");
      what.inputs = pointers<const std::byte*>(given);
    }
    return begin(deal(circle(), "scatter", std::move(what)), c10d::OpType::SCATTER, options.timeout, {output},
                 keep(std::move(given)), outputs);
  }
  WorkPointer reduce_scatter(Tensors& outputs, std::vector<Tensors>& inputs,
                             const c10d::ReduceScatterOptions& options) override {
    const Held output(only(outputs, "reduce-scatter"));
    TORCH_CHECK(inputs.size() == 1, "reduce-scatter takes one list of inputs");
    auto given = one_for_each(inputs[0], getSize(), output.bytes(), "reduce-scatter");
    auto from = pointers<const std::byte*>(given);
    return reduce_dealt(output, std::move(from), std::move(given), options);
  }
  WorkPointer _reduce_scatter_base(at::Tensor& output, at::Tensor& input,
                                   const c10d::ReduceScatterOptions& options) override {
    const Held own(output), all(input);
    check_whole(all, own, "reduce-scatter");
    return reduce_dealt(own, parts<const std::byte*>(all, own.bytes()), {all}, options);
  }
  WorkPointer alltoall(Tensors& outputs, Tensors& inputs, const c10d::AllToAllOptions& options) override {
    TORCH_CHECK(!inputs.empty(), "all-to-all of no tensors");
    const std::size_t bytes = Held(inputs.front()).bytes();
    auto given = one_for_each(inputs, getSize(), bytes, "all-to-all");
    auto results = one_for_each(outputs, getSize(), bytes, "all-to-all");
    Dealt what;
    what.inputs = pointers<const std::byte*>(given);
    what.outputs = pointers<std::byte*>(results);
    what.bytes = bytes;
    return begin(deal(circle(), "all-to-all", std::move(what)), c10d::OpType::ALLTOALL, options.timeout,
                 std::move(results), keep(std::move(given)), outputs);
  }
  WorkPointer alltoall_base(at::Tensor& output, at::Tensor& input, std::vector<std::int64_t>& output_sizes,
                            std::vector<std::int64_t>& input_sizes,
                            const c10d::AllToAllOptions& options) override {
    TORCH_CHECK(output_sizes.empty() && input_sizes.empty(),
                "ranks that share memory exchange equal parts only in an all-to-all; gloo takes other sizes");
    const Held all(input), result(output);
    const std::size_t bytes = all.bytes() / static_cast<std::size_t>(getSize());
    TORCH_CHECK(result.bytes() == all.bytes() && bytes * static_cast<std::size_t>(getSize()) == all.bytes(),
                "all-to-all: ", all.bytes(), " bytes cannot be exchanged for ", result.bytes(), " among ",
                getSize(), " ranks");
    Dealt what;
    what.inputs = parts<const std::byte*>(all, bytes);
    what.outputs = parts<std::byte*>(result, bytes);
    what.bytes = bytes;
    return begin(deal(circle(), "all-to-all", std::move(what)), c10d::OpType::ALLTOALL_BASE, options.timeout,
                 {result}, keep({all}), {output});
  }
  WorkPointer barrier(const c10d::BarrierOptions& options) override {
    return begin(show(circle(), "barrier", {}), c10d::OpType::BARRIER, options.timeout, {}, {}, {});
  }

 private:
  using Action = std::function<void()>;

  Circle circle() const { return {getRank(), getSize(), ring_->slot_bytes()}; }
  std::vector<std::byte*> nowhere() const {
    return std::vector<std::byte*>(static_cast<std::size_t>(getSize()), nullptr);
  }
  int root(std::int64_t rank) const {
    TORCH_CHECK(rank >= 0 && rank < getSize(), "there is no rank ", rank, " among ", getSize());
    return static_cast<int>(rank);
  }
  static Reduced reduced(const Held& tensor, const c10d::ReduceOp& arithmetic) {
    const at::Tensor& packed = tensor.packed();
    TORCH_CHECK(!tensor.complex() || c10d::isComplexViewAsRealAllowed(arithmetic),
                "complex values can only be added up, or averaged, over ranks");
    return {tensor.data(), static_cast<std::size_t>(packed.numel()),
            static_cast<std::size_t>(packed.element_size()), packed.scalar_type(), arithmetic.op_};
  }
  // Equal parts of a tensor, one for each rank.
  template <typename Pointer>
  std::vector<Pointer> parts(const Held& tensor, std::size_t bytes) const {
    std::vector<Pointer> result;
    for (int rank = 0; rank < getSize(); ++rank)
      result.push_back(tensor.data() + bytes * static_cast<std::size_t>(rank));
    return result;
  }
  void check_whole(const Held& all, const Held& own, const char* operation) const {
    TORCH_CHECK(all.bytes() == own.bytes() * static_cast<std::size_t>(getSize()), operation, ": ",
                all.bytes(), " bytes are not ", getSize(), " times ", own.bytes());
  }
  // Tensors that only have to stay.
  static Action keep(std::vector<Held> tensors) {
    return [tensors = std::move(tensors)] {};
  }

  WorkPointer reduce_dealt(const Held& output, std::vector<const std::byte*> inputs, std::vector<Held> kept,
                           const c10d::ReduceScatterOptions& options) {
    const Reduced values = reduced(output, options.reduceOp);
    Dealt what;
    what.inputs = std::move(inputs);
    what.outputs = nowhere();
    what.outputs[static_cast<std::size_t>(getRank())] = output.data();
    what.bytes = output.bytes();
    what.reduction = reduction(values.type, values.arithmetic);
    what.element_bytes = values.element_bytes;
    what.detail =
        static_cast<std::uint32_t>(values.type) << 8 | static_cast<std::uint32_t>(values.arithmetic);
    return begin(deal(circle(), "reduce-scatter", std::move(what)), c10d::OpType::REDUCE_SCATTER,
                 options.timeout, {output}, keep(std::move(kept)), {});
  }

  // `results` are delivered where the caller wants them, then `also` is done.
  WorkPointer begin(std::shared_ptr<Operation> operation, c10d::OpType type,
                    std::chrono::milliseconds timeout, std::vector<Held> results, Action also,
                    Tensors outputs) {
    const auto work = c10::make_intrusive<SharedWork>(
        ring_, operation, type, timeout.count() > 0 ? timeout : std::chrono::milliseconds(0), outputs);
    operation->on_end = [future = work->future(), results = std::move(results), also = std::move(also),
                         outputs = std::move(outputs)](const std::exception_ptr& error) {
      if (error) return future->setErrorIfNeeded(error);
      const at::NoGradGuard no_grad;
      for (const auto& one : results) one.deliver();
      if (also) also();
      future->markCompleted(c10::IValue(outputs));
    };
    ring_->start(std::move(operation));
    ++started_;
    return work;
  }

  std::shared_ptr<Ring> ring_;
  std::atomic<std::uint64_t> started_{0};
};

// What every rank tells the others while they connect: "" for success, else a reason.
std::string first_problem(const BackendPlace& place, const std::string& stage, const std::string& own) {
  place.store->set(cat(stage, "/", place.rank), own);
  std::string problem;
  for (int rank = 0; rank < place.world_size; ++rank) {
    const auto bytes = place.store->get(cat(stage, "/", rank));
    if (problem.empty() && !bytes.empty())
      problem = cat("rank ", rank, ": ", std::string(bytes.begin(), bytes.end()));
  }
  return problem;
}

std::shared_ptr<Segment> share(const BackendPlace& place, const Layout& layout) {
  if (place.local_size != place.world_size) fail(ErrorKind::usage, "the ranks are on several hosts");
  if (place.rank == 0) {
    auto segment = Segment::create(layout);
    place.store->set("address", segment->address());
    return segment;
  }
  const auto bytes = place.store->get("address");
  if (bytes.empty()) fail(ErrorKind::runtime, "rank 0 has no memory to share");
  return Segment::attach(layout, std::string(bytes.begin(), bytes.end()));
}

}  // namespace

c10::intrusive_ptr<c10d::Backend> connect(const BackendPlace& place, std::string& why, const Layout& layout) {
  Layout whole = layout;
  whole.ranks = place.world_size;
  std::shared_ptr<Segment> segment;
  std::string problem;
  try {
    segment = share(place, whole);
    segment->announce(place.rank);
  } catch (const c10::DistError&) {
    throw;  // the store's
  } catch (const std::exception& e) {
    problem = e.what();
    if (place.rank == 0 && place.local_size == place.world_size) place.store->set("address", std::string());
  }
  why = first_problem(place, "mapped", problem);
  if (!why.empty()) return nullptr;
  segment->seal();
  auto ring = std::make_shared<Ring>(std::move(segment), Ring::Place{place.rank, place.timeout, place.rings});
  place.rings->add(ring);
  return c10::make_intrusive<SharedMemoryGroup>(std::move(ring));
}

namespace {

const Registration<BackendFactory> registration(
    process_group_backends(),
    {"shm", "Shared memory, for CPU tensors of ranks on one host", {}, [](const BackendPlace& place) {
       std::string why;
       auto backend = connect(place, why);
       if (!backend) fail(ErrorKind::usage, "--backend shm: ", why, "; allowed here: gloo");
       return backend;
     }});

}  // namespace
}  // namespace isnet::shared_memory
