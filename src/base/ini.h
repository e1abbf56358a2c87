// Options as text: what --config reads, and what options.ini, checkpoints and weights files hold.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace isnet {

/// One line "name = value", without the blanks around name and value. In a section "[s]" the name is
/// "s.name".
struct IniEntry {
  std::string name, value;
};

/// A line that is no entry, no section and no comment.
struct IniFault {
  int line = 0;      ///< counted from 1
  std::string text;  ///< without comment and blanks
};

/// The lines of a text in their order; a name may come several times.
struct IniText {
  std::vector<IniEntry> entries;
  std::vector<IniFault> faults;

  /// Returns the value of the first entry with this name; null where there is none.
  const std::string* find(std::string_view name) const;
};

/// Reads lines "name = value" and sections; "#" begins a comment. Errors: none; see IniText::faults.
IniText read_ini(std::string_view text);

/// Returns the line of an entry, line end included.
std::string ini_line(const std::string& name, const std::string& value);

/// Whether read_ini() reads the value back as it is: no "#", no line break, no blanks at either end.
bool fits_ini(std::string_view value);

}  // namespace isnet
