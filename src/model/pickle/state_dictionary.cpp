#include "model/pickle/state_dictionary.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/error.h"
#include "model/pickle/unpickler.h"
#include "model/pickle/zip_archive.h"

namespace isnet {
namespace {

using Kind = Pickle::Kind;
using Node = Pickle::Node;

constexpr std::string_view zip_signature("PK\3\4", 4);
// 0x1950a86a20f9469cfc6c, little endian: the first pickle of the format without ZIP.
constexpr std::string_view magic("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);

struct TypeName {
  at::ScalarType type;
  const char *storage, *tensor, *dtype;
};
constexpr TypeName type_names[] = {
    {at::kDouble, "torch.DoubleStorage", "torch.DoubleTensor", "torch.float64"},
    {at::kFloat, "torch.FloatStorage", "torch.FloatTensor", "torch.float32"},
    {at::kHalf, "torch.HalfStorage", "torch.HalfTensor", "torch.float16"},
    {at::kBFloat16, "torch.BFloat16Storage", "torch.BFloat16Tensor", "torch.bfloat16"},
    {at::kLong, "torch.LongStorage", "torch.LongTensor", "torch.int64"},
    {at::kInt, "torch.IntStorage", "torch.IntTensor", "torch.int32"},
    {at::kShort, "torch.ShortStorage", "torch.ShortTensor", "torch.int16"},
    {at::kChar, "torch.CharStorage", "torch.CharTensor", "torch.int8"},
    {at::kByte, "torch.ByteStorage", "torch.ByteTensor", "torch.uint8"},
    {at::kBool, "torch.BoolStorage", "torch.BoolTensor", "torch.bool"},
};

std::optional<at::ScalarType> type_of(std::string_view name) {
  if (name == "torch.storage.UntypedStorage") return at::kByte;
  for (const auto& one : type_names)
    if (name == one.storage || name == one.tensor || name == one.dtype) return one.type;
  return std::nullopt;
}

// The arguments of a call that makes a tensor: storage, offset, sizes, strides, and more in later versions; 0
// for other calls.
std::size_t arguments_of(std::string_view name) {
  if (name == "torch._utils._rebuild_tensor_v3") return 7;  // with the type
  if (name == "torch._utils._rebuild_tensor_v2") return 6;  // with requires_grad and hooks
  const bool old = name == "torch._utils._rebuild_tensor" ||
                   std::any_of(std::begin(type_names), std::end(type_names),
                               [&](const TypeName& one) { return name == one.tensor; });
  return old ? 4 : 0;
}

template <typename... Parts>
[[noreturn]] void refuse(const std::string& source, const Parts&... parts) {
  fail(ErrorKind::checkpoint, source, ": ", parts...,
       " (the file is damaged, or holds something else: write model.state_dict() with torch.save)");
}

// Memory that tensors view into; its bytes lie in the file, in the order of the machine that wrote it.
struct Storage {
  at::ScalarType type = at::kByte;
  std::uint64_t elements = 0;
  std::string_view bytes;
  bool found = false;
  at::Tensor memory;  // one dimension; made when it is first needed
};

// From a pickle's values to tensors.
class Tensors {
 public:
  Tensors(const Pickle& pickle, const std::string& source, bool big_endian)
      : pickle_(pickle), source_(source), big_endian_(big_endian) {
    for (const Node& node : pickle.nodes())
      if (node.kind == Kind::persistent) declare(node);
  }

  std::map<std::string, Storage>& storages() { return storages_; }

  StateDictionary read() {
    const Node* dictionary = &pickle_.top();
    if (dictionary->kind != Kind::dictionary) refuse(source_, "it holds ", describe(*dictionary));
    StateDictionary result;
    const Node& whole = *dictionary;
    for (const char* key : {"state_dict", "model_state_dict", "model", "state_dict_ema", "model_ema",
                            "ema_state_dict", "ema_model", "ema"}) {
      const Node* inner = pickle_.find(whole, key);
      if (!inner || inner->kind != Kind::dictionary) continue;
      if (!result.key.empty()) {
        result.other_keys.emplace_back(key);
        continue;
      }
      dictionary = inner;
      result.key = key;
    }
    for (std::size_t i = 0; i + 1 < dictionary->items.size(); i += 2) {
      const Node &name = pickle_[dictionary->items[i]], &value = pickle_[dictionary->items[i + 1]];
      if (name.kind != Kind::text) refuse(source_, "a tensor's name is ", describe(name));
      name_ = name.text;
      result.tensors[name_] = tensor(value);
    }
    if (result.tensors.empty()) refuse(source_, "it holds no tensors");
    return result;
  }

 private:
  template <typename... Parts>
  [[noreturn]] void refuse_tensor(const Parts&... parts) const {
    refuse(source_, "tensor '", name_, "': ", parts...);
  }

  // ('storage', type, key, device, elements), and in old files a view of it.
  void declare(const Node& node) {
    const Node& id = pickle_[node.items[0]];
    const auto is = [&](std::size_t i, Kind kind) { return pickle_[id.items[i]].kind == kind; };
    if (id.kind != Kind::tuple || id.items.size() < 5 || id.items.size() > 6 || !is(0, Kind::text) ||
        !is(1, Kind::name) || !is(2, Kind::text) || !is(4, Kind::integer))
      refuse(source_, "a storage is not described as torch.save does it");
    if (id.items.size() == 6 && !is(5, Kind::none)) refuse(source_, "it holds views of storages");
    const auto type = type_of(pickle_[id.items[1]].text);
    const std::string key(pickle_[id.items[2]].text);
    const std::int64_t elements = pickle_[id.items[4]].integer;
    if (pickle_[id.items[0]].text != "storage" || !type || elements < 0)
      refuse(source_, "a storage is not described as torch.save does it");
    Storage& storage = storages_[key];
    if (storage.elements == 0) {
      storage.type = *type;
      storage.elements = static_cast<std::uint64_t>(elements);
    }
    if (storage.type != *type || storage.elements != static_cast<std::uint64_t>(elements))
      refuse(source_, "storage ", key, " is described in two ways");
  }

  at::Tensor tensor(const Node& value) {
    const Node* node = &value;
    // Parameters wrap tensors; old ones hold (data, gradient, hooks, …) as their state.
    for (int depth = 0; depth < 3 && node->kind == Kind::call; ++depth) {
      const bool parameter =
          node->text == "torch._utils._rebuild_parameter" || node->text == "torch.nn.parameter.Parameter";
      if (!parameter || node->items.empty()) break;
      node = &pickle_[node->items[0]];
    }
    if (node->kind != Kind::call) refuse_tensor("it is ", describe(value), ", not a tensor");
    const auto& items = node->items;
    const std::size_t at_least = arguments_of(node->text);
    if (at_least == 0) refuse_tensor("it is ", describe(value), ", not a tensor");
    if (items.size() < at_least) refuse_tensor("it has ", items.size(), " arguments");
    at::Tensor memory = memory_of(pickle_[items[0]]);
    if (at_least == 7) {
      const Node& dtype = pickle_[items[6]];
      const auto type = dtype.kind == Kind::name ? type_of(dtype.text) : std::nullopt;
      if (!type) refuse_tensor("its type is ", describe(dtype));
      if (memory.scalar_type() != at::kByte || memory.nbytes() % c10::elementSize(*type) != 0)
        refuse_tensor("its storage is of another type");
      memory = memory.view(*type);
    }
    return view(memory, integer(items[1]), integers(items[2]), integers(items[3]));
  }

  at::Tensor memory_of(const Node& node) {
    if (node.kind != Kind::persistent) refuse_tensor("its storage is ", describe(node));
    const std::string key(pickle_[pickle_[node.items[0]].items[2]].text);
    Storage& storage = storages_.at(key);
    if (storage.memory.defined()) return storage.memory;
    if (!storage.found) refuse_tensor("its storage ", key, " is missing");
    const std::uint64_t width = c10::elementSize(storage.type);
    if (storage.bytes.size() % width != 0 || storage.bytes.size() / width != storage.elements)
      refuse_tensor("its storage ", key, " has ", storage.bytes.size(), " bytes for ", storage.elements,
                    " elements");
    storage.memory = at::empty({static_cast<std::int64_t>(storage.elements)}, storage.type);
    if (storage.bytes.empty()) return storage.memory;
    auto* target = static_cast<char*>(storage.memory.data_ptr());
    std::memcpy(target, storage.bytes.data(), storage.bytes.size());
    if (big_endian_ && width > 1)
      for (std::size_t i = 0; i < storage.bytes.size(); i += width)
        std::reverse(target + i, target + i + width);
    if (storage.type == at::kBool)  // any byte but 0 and 1 would be undefined behaviour
      for (std::size_t i = 0; i < storage.bytes.size(); ++i) target[i] = target[i] != 0;
    return storage.memory;
  }

  std::int64_t integer(Pickle::Id id) const {
    if (pickle_[id].kind != Kind::integer || pickle_[id].integer < 0)
      refuse_tensor("its place is ", describe(pickle_[id]), " or negative");
    return pickle_[id].integer;
  }
  std::vector<std::int64_t> integers(Pickle::Id id) const {
    const Node& node = pickle_[id];
    if (node.kind != Kind::tuple || node.items.size() > 64) refuse_tensor("its shape is ", describe(node));
    std::vector<std::int64_t> values;
    for (const auto item : node.items) values.push_back(integer(item));
    return values;
  }

  // A view of the storage, which has to hold all of it.
  at::Tensor view(const at::Tensor& memory, std::int64_t offset, const std::vector<std::int64_t>& sizes,
                  const std::vector<std::int64_t>& strides) const {
    if (sizes.size() != strides.size())
      refuse_tensor("it has ", sizes.size(), " sizes and ", strides.size(), " strides");
    std::int64_t elements = 1, last = offset;
    bool too_large = false;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      std::int64_t reach = 0;
      too_large |= __builtin_mul_overflow(elements, sizes[i], &elements);
      too_large |= __builtin_mul_overflow(std::max<std::int64_t>(sizes[i] - 1, 0), strides[i], &reach);
      too_large |= __builtin_add_overflow(last, reach, &last);
    }
    const bool empty = std::find(sizes.begin(), sizes.end(), 0) != sizes.end();
    if (too_large || offset > memory.numel() || (!empty && last >= memory.numel()))
      refuse_tensor("it reaches behind the end of its storage of ", memory.numel(), " elements");
    return memory.as_strided(sizes, strides, offset);
  }

  const Pickle& pickle_;
  const std::string& source_;
  bool big_endian_;
  std::map<std::string, Storage> storages_;
  std::string name_;
};

// Members lie in a folder of the archive: NAME/data.pkl, NAME/data/KEY, NAME/byteorder.
StateDictionary read_zip(std::string_view content, const std::string& source) {
  const ZipArchive archive(content, source);
  std::string folder;
  for (const auto& member : archive.members()) {
    const auto slash = member.first.find('/');
    if (slash != std::string::npos && member.first.substr(slash + 1) == "data.pkl")
      folder = member.first.substr(0, slash + 1);
  }
  if (folder.empty()) refuse(source, "it has no member data.pkl");
  if (archive.members().count(folder + "constants.pkl") > 0)
    fail(ErrorKind::checkpoint, source,
         ": it is a TorchScript program, not weights; write the weights alone, in Python: "
         "torch.save(model.state_dict(), FILE)");
  const auto order = archive.members().find(folder + "byteorder");
  const bool big_endian = order != archive.members().end() && order->second == "big";
  std::size_t offset = 0;
  const Pickle pickle(archive.members().at(folder + "data.pkl"), offset, source);
  Tensors tensors(pickle, source, big_endian);
  for (auto& [key, storage] : tensors.storages()) {
    const auto member = archive.members().find(cat(folder, "data/", key));
    storage.found = member != archive.members().end();
    if (storage.found) storage.bytes = member->second;
  }
  return tensors.read();
}

// Pickles one after the other (magic number, protocol, system, value, keys), then each key's storage: its
// number of elements (8 bytes) and its bytes, little endian whatever the system.
StateDictionary read_legacy(std::string_view content, const std::string& source) {
  std::size_t offset = 0;
  const auto next = [&] { return Pickle(content, offset, source); };
  const Pickle first = next();
  if (first.top().kind != Kind::big_integer || first.top().text != magic)
    refuse(source, "it is a pickle, but not one of torch.save");
  const Pickle protocol = next();
  if (protocol.top().kind != Kind::integer || protocol.top().integer != 1001)
    refuse(source, "it has another protocol than 1001");
  next();  // sizes of C types
  const Pickle value = next(), keys = next();
  Tensors tensors(value, source, /*big_endian=*/false);
  if (keys.top().kind != Kind::list) refuse(source, "its list of storages is ", describe(keys.top()));
  for (const auto id : keys.top().items) {
    const auto found = tensors.storages().find(std::string(keys[id].text));
    if (found == tensors.storages().end() || found->second.found)
      refuse(source, "its list of storages is not that of its tensors");
    Storage& storage = found->second;
    std::uint64_t elements = 0, bytes = 0;
    if (content.size() - offset < 8) refuse(source, "it ends before storage ", found->first);
    std::memcpy(&elements, content.data() + offset, 8);
    offset += 8;
    if (elements != storage.elements ||
        __builtin_mul_overflow(elements, c10::elementSize(storage.type), &bytes) ||
        bytes > content.size() - offset)
      refuse(source, "it ends within storage ", found->first);
    storage.bytes = content.substr(offset, static_cast<std::size_t>(bytes));
    storage.found = true;
    offset += static_cast<std::size_t>(bytes);
  }
  return tensors.read();
}

}  // namespace

bool is_of_torch_save(std::string_view content) {
  if (content.substr(0, 4) == zip_signature) return true;
  // A safetensors file has its header's length here, and a brace after it.
  return !content.empty() && content[0] == '\x80' && !(content.size() > 8 && content[8] == '{');
}

StateDictionary read_state_dictionary(std::string_view content, const std::string& source) {
  return content.substr(0, 4) == zip_signature ? read_zip(content, source) : read_legacy(content, source);
}

}  // namespace isnet
