#include "model/pickle/unpickler.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <unordered_map>

#include "base/error.h"

namespace isnet {
namespace {

// A state dictionary has some twenty values for each tensor.
constexpr std::size_t most_nodes = 4'000'000, most_items = 4 * most_nodes;

// Names that the pickles of state dictionaries contain.
const std::vector<std::string>& known_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all{"collections.OrderedDict",
                                 "collections.Counter",
                                 "torch.Size",
                                 "torch._utils._rebuild_tensor",
                                 "torch._utils._rebuild_tensor_v2",
                                 "torch._utils._rebuild_tensor_v3",
                                 "torch._utils._rebuild_parameter",
                                 "torch.nn.parameter.Parameter",
                                 "torch.storage.UntypedStorage"};
    for (const char* type :
         {"Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool"})
      for (const char* end : {"Storage", "Tensor"}) all.push_back(cat("torch.", type, end));
    for (const char* type :
         {"float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"})
      all.push_back(cat("torch.", type));
    return all;
  }();
  return names;
}

std::string hexadecimal(unsigned char byte) {
  char text[5];
  std::snprintf(text, sizeof text, "0x%02x", byte);
  return text;
}

// Text of a file in a message: hostile names must not control the terminal.
std::string printable(std::string_view text) {
  std::string result(text.substr(0, 100));
  for (char& c : result)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return result;
}

}  // namespace

class PickleMachine {
 public:
  using Id = Pickle::Id;
  using Kind = Pickle::Kind;
  using Node = Pickle::Node;

  PickleMachine(std::string_view content, std::size_t offset, const std::string& source,
                std::vector<Node>& nodes)
      : content_(content), source_(source), offset_(offset), nodes_(nodes) {}

  Id run() {
    while (true) {
      at_ = offset_;
      const unsigned char code = static_cast<unsigned char>(bytes(1)[0]);
      if (code == '.') break;
      if (!(data(code) || collection(code) || memo(code) || reduction(code)))
        broken("opcode ", hexadecimal(code), ", which pickles of state dictionaries do not have");
    }
    return pop();
  }
  std::size_t offset() const { return offset_; }

 private:
  template <typename... Parts>
  [[noreturn]] void broken(const Parts&... parts) const {
    fail(ErrorKind::checkpoint, source_, ": not a state dictionary of Python: byte ", at_,
         " of its pickle: ", parts...,
         " (the file is damaged, or holds something else: write model.state_dict() with torch.save)");
  }

  // Reading.
  std::string_view bytes(std::uint64_t size) {
    if (size > content_.size() - offset_) broken("it ends too early");
    const auto result = content_.substr(offset_, static_cast<std::size_t>(size));
    offset_ += static_cast<std::size_t>(size);
    return result;
  }
  std::uint64_t number(std::size_t size) {
    const std::string_view raw = bytes(size);
    std::uint64_t value = 0;
    for (std::size_t i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(raw[i]);
    return value;
  }
  std::string_view line() {
    const auto end = content_.find('\n', offset_);
    if (end == std::string_view::npos) broken("it ends too early");
    const auto result = content_.substr(offset_, end - offset_);
    offset_ = end + 1;
    return result;
  }

  // The stack.
  void count(std::size_t items) {
    items_ += items;
    if (items_ > most_items) broken("its collections hold more than ", most_items, " values");
  }
  Id make(Node node) {
    if (nodes_.size() == most_nodes) broken("it has more than ", most_nodes, " values");
    count(node.items.size());
    nodes_.push_back(std::move(node));
    return static_cast<Id>(nodes_.size() - 1);
  }
  bool push(Node node) {
    stack_.push_back(make(std::move(node)));
    return true;
  }
  Id pop() {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) broken("its stack is empty");
    const Id id = stack_.back();
    stack_.pop_back();
    return id;
  }
  std::vector<Id> pop(std::size_t many) {
    std::vector<Id> ids(many);
    for (std::size_t i = many; i-- > 0;) ids[i] = pop();
    return ids;
  }
  std::vector<Id> pop_to_mark() {
    if (marks_.empty()) broken("a mark is missing");
    const std::size_t mark = marks_.back();
    marks_.pop_back();
    std::vector<Id> ids(stack_.begin() + static_cast<std::ptrdiff_t>(mark), stack_.end());
    stack_.resize(mark);
    return ids;
  }
  Node& peek(Kind kind, const char* what) {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) broken("its stack is empty");
    Node& node = nodes_[stack_.back()];
    if (node.kind != kind) broken(what, " is expected, there is ", describe(node));
    return node;
  }

  bool push_integer(std::int64_t value) { return push({Kind::integer, value, 0, {}, {}}); }
  bool push_text(std::uint64_t size) { return push({Kind::text, 0, 0, bytes(size), {}}); }
  bool push_sequence(Kind kind, std::vector<Id> items) { return push({kind, 0, 0, {}, std::move(items)}); }

  // Numbers and texts.
  bool data(unsigned char code) {
    switch (code) {
      case 0x80:  // PROTO
        if (number(1) > 5) broken("its protocol is too recent");
        return true;
      case 0x95:  // FRAME
        number(8);
        return true;
      case 'N':
        return push({});
      case 0x88:
        return push({Kind::boolean, 1, 0, {}, {}});
      case 0x89:
        return push({Kind::boolean, 0, 0, {}, {}});
      case 'J':
        return push_integer(static_cast<std::int32_t>(number(4)));
      case 'K':
        return push_integer(static_cast<std::int64_t>(number(1)));
      case 'M':
        return push_integer(static_cast<std::int64_t>(number(2)));
      case 0x8a:
        return push_long(bytes(number(1)));
      case 'G':
        return push({Kind::real, 0, real(bytes(8)), {}, {}});
      case 'X':
      case 'T':
      case 'B':
        return push_text(number(4));
      case 0x8c:
      case 'U':
      case 'C':
        return push_text(number(1));
      case 0x8d:
      case 0x8e:
        return push_text(number(8));
      default:
        return false;
    }
  }
  bool push_long(std::string_view raw) {
    if (raw.size() > 8) return push({Kind::big_integer, 0, 0, raw, {}});
    std::uint64_t value = 0;
    for (std::size_t i = raw.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(raw[i]);
    if (!raw.empty() && raw.size() < 8 && (raw.back() & 0x80)) value |= ~std::uint64_t{0} << 8 * raw.size();
    return push_integer(static_cast<std::int64_t>(value));
  }
  static double real(std::string_view raw) {  // big endian
    std::uint64_t value = 0;
    for (const char c : raw) value = value << 8 | static_cast<unsigned char>(c);
    return std::bit_cast<double>(value);
  }

  // Tuples, lists and dictionaries.
  bool collection(unsigned char code) {
    switch (code) {
      case '(':
        marks_.push_back(stack_.size());
        return true;
      case '0':
        pop();
        return true;
      case '1':
        pop_to_mark();
        return true;
      case ')':
        return push_sequence(Kind::tuple, {});
      case 0x85:
        return push_sequence(Kind::tuple, pop(1));
      case 0x86:
        return push_sequence(Kind::tuple, pop(2));
      case 0x87:
        return push_sequence(Kind::tuple, pop(3));
      case 't':
        return push_sequence(Kind::tuple, pop_to_mark());
      case ']':
        return push_sequence(Kind::list, {});
      case '}':
        return push_sequence(Kind::dictionary, {});
      case 'a':
        return append(Kind::list, "a list", pop(1));
      case 'e':
        return append(Kind::list, "a list", pop_to_mark());
      case 's':
        return append(Kind::dictionary, "a dictionary", pop(2));
      case 'u':
        return append(Kind::dictionary, "a dictionary", pop_to_mark());
      default:
        return false;
    }
  }
  bool append(Kind kind, const char* what, const std::vector<Id>& items) {
    Node& node = peek(kind, what);
    if (kind == Kind::dictionary && items.size() % 2 != 0) broken("a key without its value");
    count(items.size());
    node.items.insert(node.items.end(), items.begin(), items.end());
    return true;
  }

  bool memo(unsigned char code) {
    switch (code) {
      case 'q':
        return remember(number(1));
      case 'r':
        return remember(number(4));
      case 0x94:
        return remember(memo_.size());
      case 'h':
        return recall(number(1));
      case 'j':
        return recall(number(4));
      default:
        return false;
    }
  }
  bool remember(std::uint64_t place) {
    if (stack_.empty()) broken("its stack is empty");
    if (memo_.size() >= most_nodes) broken("it remembers more than ", most_nodes, " values");
    memo_[place] = stack_.back();
    return true;
  }
  bool recall(std::uint64_t place) {
    const auto found = memo_.find(place);
    if (found == memo_.end()) broken("it asks for a value that it has not stored");
    stack_.push_back(found->second);
    return true;
  }

  // Names, and what they are asked to make.
  bool reduction(unsigned char code) {
    switch (code) {
      case 'c': {
        const auto module = line(), name = line();
        return push_name(module, name);
      }
      case 0x93: {  // STACK_GLOBAL
        const Id name = pop(), module = pop();
        if (nodes_[name].kind != Kind::text || nodes_[module].kind != Kind::text)
          broken("a name that is no text");
        return push_name(nodes_[module].text, nodes_[name].text);
      }
      case 'Q':
        return push_sequence(Kind::persistent, pop(1));
      case 'R':
      case 0x81: {  // NEWOBJ
        const Id arguments = pop(), callee = pop();
        if (nodes_[callee].kind != Kind::name || nodes_[arguments].kind != Kind::tuple)
          broken("a call of ", describe(nodes_[callee]), " with ", describe(nodes_[arguments]));
        return call(nodes_[callee].text, nodes_[arguments].items);
      }
      case 'b':
        return build(pop());
      default:
        return false;
    }
  }
  bool push_name(std::string_view module, std::string_view name) {
    const std::string full = cat(module, '.', name);
    const auto& known = known_names();
    const auto found = std::find(known.begin(), known.end(), full);
    if (found == known.end())
      fail(ErrorKind::checkpoint, source_, ": byte ", at_, " of its pickle names '", printable(full),
           "', which weights do not need and isnet does not run; write the weights alone, in Python: "
           "torch.save(model.state_dict(), FILE)");
    return push({Kind::name, 0, 0, *found, {}});
  }
  bool call(std::string_view name, const std::vector<Id>& arguments) {
    if (name == "torch.Size") {
      if (arguments.size() != 1 || !is_sequence(arguments[0])) broken("a torch.Size of something else");
      const auto sizes = nodes_[arguments[0]].items;
      return push_sequence(Kind::tuple, sizes);
    }
    if (name != "collections.OrderedDict" && name != "collections.Counter")
      return push({Kind::call, 0, 0, name, arguments});
    if (arguments.empty()) return push_sequence(Kind::dictionary, {});
    if (arguments.size() != 1) broken("a dictionary of several arguments");
    const auto source = nodes_[arguments[0]];
    if (source.kind == Kind::dictionary) return push_sequence(Kind::dictionary, source.items);
    std::vector<Id> items;  // Python 2 gives a list of lists
    if (!is_sequence(arguments[0])) broken("a dictionary of ", describe(source));
    for (const Id pair : source.items) {
      if (!is_sequence(pair) || nodes_[pair].items.size() != 2) broken("a key without its value");
      items.insert(items.end(), nodes_[pair].items.begin(), nodes_[pair].items.end());
    }
    return push_sequence(Kind::dictionary, items);
  }
  bool is_sequence(Id id) const { return nodes_[id].kind == Kind::tuple || nodes_[id].kind == Kind::list; }

  // State given to an object that exists already. Dictionaries have attributes (_metadata), which do not
  // matter here; old files give parameters and tensors their content so.
  bool build(Id state) {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) broken("its stack is empty");
    Node& node = nodes_[stack_.back()];
    if (node.kind != Kind::dictionary && node.kind != Kind::call) broken("a state for ", describe(node));
    if (node.kind != Kind::call || nodes_[state].kind != Kind::tuple) return true;
    const std::vector<Id>& given = nodes_[state].items;
    if (node.items.empty() && (given.size() == 4 || given.size() == 5)) node.items = given;
    return true;
  }

  std::string_view content_;
  const std::string& source_;
  std::size_t offset_, at_ = 0;
  std::vector<Node>& nodes_;
  std::vector<Id> stack_;
  std::vector<std::size_t> marks_;
  std::size_t items_ = 0;
  std::unordered_map<std::uint64_t, Id> memo_;
};

Pickle::Pickle(std::string_view content, std::size_t& offset, const std::string& source) {
  PickleMachine machine(content, offset, source, nodes_);
  top_ = machine.run();
  offset = machine.offset();
}

const Pickle::Node* Pickle::find(const Node& dictionary, std::string_view key) const {
  for (std::size_t i = 0; i + 1 < dictionary.items.size(); i += 2) {
    const Node& name = nodes_[dictionary.items[i]];
    if (name.kind == Kind::text && name.text == key) return &nodes_[dictionary.items[i + 1]];
  }
  return nullptr;
}

std::string describe(const Pickle::Node& node) {
  if (node.kind == Pickle::Kind::name) return cat("the name ", node.text);
  if (node.kind == Pickle::Kind::call) return cat("a call of ", node.text);
  constexpr const char* names[] = {"None",     "a truth value", "an integer", "an integer",   "a number",
                                   "a text",   "a tuple",       "a list",     "a dictionary", "",
                                   "a storage"};
  return names[static_cast<std::size_t>(node.kind)];
}

}  // namespace isnet
