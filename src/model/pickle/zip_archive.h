// ZIP files whose members are stored as they are, not compressed: what torch.save writes. Knows bytes, not
// torch. Format: PKWARE's APPNOTE.TXT, with zip64.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace isnet {

/// The members of a ZIP file by name, viewing into its bytes.
class ZipArchive {
 public:
  /// `content` is the whole file and has to outlive this object; `source` is its name for messages. Checked:
  /// every offset and size, overlaps, names that come twice, checksums (torch leaves them 0 where they are
  /// switched off). Errors: checkpoint (file, member, what is wrong).
  ZipArchive(std::string_view content, const std::string& source);

  const std::map<std::string, std::string_view>& members() const { return members_; }

 private:
  std::map<std::string, std::string_view> members_;
};

}  // namespace isnet
