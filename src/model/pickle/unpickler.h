// Python's pickles, as far as state dictionaries need them. A pickle is a program for a small stack machine,
// which may name any function of Python and have it called. This machine calls nothing: it knows a few names
// by heart, builds plain data, and refuses every other name. Format: Python's pickletools.py. Knows no torch.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace isnet {

/// The content of a pickle, as nodes that refer to each other by their numbers: values may be shared, and hostile
/// ones may contain themselves.
class Pickle {
 public:
  using Id = std::uint32_t;

  enum class Kind {
    none,
    boolean,      ///< `integer`
    integer,      ///< `integer`
    big_integer,  ///< more than 64 bits; `text`: its bytes, little endian
    real,         ///< `real`
    text,         ///< `text`; byte strings too
    tuple,        ///< `items`; torch.Size too
    list,         ///< `items`
    dictionary,   ///< `items`: key, value, key, value, …; OrderedDict and Counter too
    name,         ///< something of Python's, by its full name: `text`
    persistent,   ///< what the pickle left to somebody else: `items[0]` says what
    call          ///< what a name (`text`) would make of arguments (`items`)
  };

  struct Node {
    Kind kind = Kind::none;
    std::int64_t integer = 0;
    double real = 0;
    std::string_view text;
    std::vector<Id> items;
  };

  /// Reads the pickle that begins at `content[offset]`, and moves `offset` behind it. Texts view into
  /// `content`. `source` is the file's name for messages. Errors: checkpoint (file, byte, what is wrong; a
  /// name that state dictionaries do not need).
  Pickle(std::string_view content, std::size_t& offset, const std::string& source);

  const Node& top() const { return nodes_[top_]; }
  const Node& operator[](Id id) const { return nodes_[id]; }
  const std::vector<Node>& nodes() const { return nodes_; }
  /// The value under a key; null if there is none.
  const Node* find(const Node& dictionary, std::string_view key) const;

 private:
  friend class PickleMachine;
  std::vector<Node> nodes_;
  Id top_ = 0;
};

/// "a text", "a list", … for messages.
std::string describe(const Pickle::Node& node);

}  // namespace isnet
