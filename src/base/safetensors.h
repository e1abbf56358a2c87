// The safetensors format: 8 bytes of header length (little endian), a JSON header, then the tensors' bytes
// without holes. https://github.com/huggingface/safetensors. Knows bytes, not torch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"

namespace isnet::safetensors {

/// A tensor as stored: row-major little-endian bytes.
struct TensorView {
  std::string dtype;  ///< "F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL"
  std::vector<std::int64_t> shape;
  std::string_view bytes;
};

/// Bytes of one element of this dtype; 0 if unknown.
std::size_t element_size(const std::string& dtype);

/// The content of a file's header: its tensors, without their bytes, and its metadata.
struct Description {
  std::map<std::string, TensorView> tensors;
  std::map<std::string, std::string> metadata;
};

/// A file's content: parsed, checked, tensors viewing into the bytes that this object owns.
class File {
 public:
  /// Reads and checks: header inside the file, valid JSON, known dtypes, sizes equal to shapes, no holes, no
  /// overlaps, nothing after the end. The tensors' bytes are read once the header is known to fit the file's
  /// size. Errors: checkpoint (file, place, what is wrong), data (no regular file), runtime (reading).
  explicit File(const std::filesystem::path& path, Links links = Links::follow);
  /// Reads and checks the header alone, which is quick. Errors: the same.
  static Description describe(const std::filesystem::path& path, Links links = Links::follow);
  /// The same of a file that was read already; `source` is its name for messages.
  File(std::string content, const std::string& source);

  const std::map<std::string, TensorView>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  struct Header;
  static Header header_of(std::string_view text, std::uint64_t data_size, const std::string& source);
  void adopt(const Header& header, std::uint64_t data);

  std::string content_;
  std::map<std::string, TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// Writes atomically (files.h), tensors in the order of their names. Errors: runtime; internal if a
/// tensor's bytes do not fit its shape.
void write(const std::filesystem::path& path, const std::map<std::string, TensorView>& tensors,
           const std::map<std::string, std::string>& metadata = {});

}  // namespace isnet::safetensors
