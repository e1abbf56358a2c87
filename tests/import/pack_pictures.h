// Packs of generated pictures, for tests.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <string>

#include "base/error.h"
#include "base/files.h"
#include "import/layouts.h"
#include "import/pack.h"
#include "support/pictures.h"
#include "support/temporary_folder.h"

namespace isnet::testing {

class PackPictures : public ::testing::Test {
 protected:
  PackPictures() {
    input.images = folder / "images";
    input.masks = folder / "masks";
    options.output = folder / "out";
    options.transform.channels = 3;
    options.transform.height = options.transform.width = 16;
    options.shard_size = 7;
    options.seed = 5;
  }
  // `per_class` pictures with masks of each of three classes, no two alike.
  void write_pictures(int per_class) {
    for (int i = 0; i < 3 * per_class; ++i) {
      const auto name = cat(std::array{"a", "b", "c"}[static_cast<std::size_t>(i % 3)], "/", i);
      write_numbered_picture(folder / cat("images/", name, ".png"), i);
      write_block_mask(folder / cat("masks/", name, ".png"));
    }
  }
  PackReport packed() { return pack(*folders_importer(input), options); }
  // Names and contents of all that a pack left.
  std::map<std::string, std::string> output() const { return contents_of(options.output); }
  void damage(const std::string& name) { write_file_atomically(folder / name, "no image"); }

  TemporaryFolder folder;
  FoldersInput input;
  PackOptions options;
};

}  // namespace isnet::testing
