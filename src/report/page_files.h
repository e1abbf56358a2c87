// The files of the page, as embed.cmake compiles them into this library.
#pragma once

#include <string>
#include <vector>

namespace isnet {

/// A file of src/report/page by its name there ("page/style.css"), or "library.js", the charting library.
struct PageFile {
  std::string name, text;
};

/// In the order of CMakeLists.txt, the library last.
const std::vector<PageFile>& page_files();

}  // namespace isnet
