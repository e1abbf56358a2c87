// Mutated shards and data sets: each is refused with a data error that names the file, or read as it was.
// Nothing crashes, hangs, or takes memory beyond the file's size. Everything is read by a process of its own,
// since a crash inside HDF5 counts too. ISNET_MUTATIONS=N takes N mutations of each seed file instead of a
// few.
#include <gmock/gmock.h>

#include <cstdlib>
#include <map>
#include <sstream>

#include "hostile/mutants.h"
#include "support/list_reader.h"
#include "support/temporary_folder.h"

namespace isnet::testing {
namespace {

namespace fs = std::filesystem;

struct Answer {
  enum class Kind { read, refused, crashed } kind = Kind::crashed;
  bool is_data_error = false;
  std::size_t largest = 0;                   ///< bytes
  std::map<std::string, std::string> parts;  ///< of what was read
  std::string message;                       ///< of a refusal, or what is known of a crash
};

Answer parsed(const std::string& line) {
  std::istringstream words(line);
  Answer answer;
  std::string kind, word;
  words >> kind;
  if (kind == "crashed:") {
    answer.message = line;
    return answer;
  }
  answer.kind = kind == "read" ? Answer::Kind::read : Answer::Kind::refused;
  if (kind == "refused") {
    words >> word >> answer.largest;
    answer.is_data_error = word == "data";
    std::getline(words, answer.message);
    return answer;
  }
  words >> answer.largest;
  while (words >> word) answer.parts[word.substr(0, word.find('='))] = word.substr(word.find('=') + 1);
  return answer;
}

std::vector<Answer> answers(const std::vector<fs::path>& paths, const TemporaryFolder& folder) {
  std::vector<Answer> all;
  for (const auto& line : list_answers(ISNET_HOSTILE_READER, paths, folder, 1024))
    all.push_back(parsed(line));
  return all;
}

std::size_t size_of(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return fs::is_regular_file(path, ignored) ? fs::file_size(path) : 0;
  std::size_t size = 0;
  for (const auto& entry : fs::recursive_directory_iterator(path))
    if (entry.is_regular_file(ignored)) size += entry.file_size();
  return size;
}

class Hostile : public ::testing::Test {
 protected:
  static int mutations(int few) {
    const char* asked = std::getenv("ISNET_MUTATIONS");
    return asked ? std::atoi(asked) : few;
  }

  void judge(const char* what, const std::vector<Mutant>& mutants) {
    std::vector<fs::path> paths;
    std::map<std::string, std::size_t> originals;
    for (const auto& mutant : mutants)
      if (!mutant.original.empty() && originals.emplace(mutant.original, paths.size()).second)
        paths.emplace_back(mutant.original);
    const std::size_t before = paths.size();
    for (const auto& mutant : mutants) paths.push_back(mutant.path);
    const auto all = answers(paths, folder);
    ASSERT_EQ(all.size(), paths.size());
    for (std::size_t i = 0; i < before; ++i)
      ASSERT_EQ(all[i].kind, Answer::Kind::read) << paths[i] << ": " << all[i].message;
    for (std::size_t i = 0; i < mutants.size(); ++i) {
      const Answer* original = mutants[i].original.empty() ? nullptr : &all[originals[mutants[i].original]];
      judge_one(mutants[i], all[before + i], original);
    }
    std::cout << what << ": " << mutants.size() << " mutants, " << refused << " refused, " << equal
              << " read equal, " << touched << " read equal but where values were changed, " << elsewhere
              << " read as another shard, " << crashed << " crashed\n";
    EXPECT_EQ(crashed, 0);
  }

  void judge_one(const Mutant& mutant, const Answer& answer, const Answer* original) {
    const std::string name = mutant.name + " (" + mutant.path.string() + ")";
    if (answer.kind == Answer::Kind::crashed) {
      ++crashed;
      ADD_FAILURE() << name << ": " << answer.message;
      return;
    }
    constexpr std::size_t own_buffers = 4 << 20;  // HDF5's tables, a buffer to read a file with
    EXPECT_LE(answer.largest, own_buffers + 2 * size_of(mutant.path)) << name << answer.message;
    if (answer.kind == Answer::Kind::refused) {
      ++refused;
      EXPECT_NE(mutant.expected, Expected::equal) << name << answer.message;
      EXPECT_TRUE(answer.is_data_error) << name << answer.message;
      EXPECT_THAT(answer.message, ::testing::HasSubstr(mutant.path.filename().string())) << name;
      EXPECT_THAT(answer.message, ::testing::HasSubstr(mutant.says)) << name;
      return;
    }
    EXPECT_NE(mutant.expected, Expected::refused) << name;
    bool same = true, only_touched = true;
    for (const auto& [part, sum] : answer.parts) {
      if (!original || original->parts.count(part) == 0 || original->parts.at(part) != sum) {
        same = false;
        if (std::getenv("ISNET_SHOW")) std::cout << part << " ";
        only_touched = only_touched && (mutant.touched.contains(part) || mutant.touched.contains("*"));
        if (mutant.expected != Expected::any && !mutant.touched.contains(part) &&
            !mutant.touched.contains("*"))
          ADD_FAILURE() << name << ": " << part << " was read with another value";
      }
    }
    ++(same ? equal : only_touched ? touched : elsewhere);
    if (!same && !only_touched && std::getenv("ISNET_SHOW")) std::cout << name << "\n";
  }

  TemporaryFolder folder;
  int refused = 0, equal = 0, touched = 0, elsewhere = 0, crashed = 0;
};

TEST_F(Hostile, MalformedShards) {
  judge("malformed shards", malformed_shards(folder / "malformed"));
}

TEST_F(Hostile, DamagedShards) {
  const auto seeds = write_seed_shards(folder / "seeds");
  judge("damaged shards", damaged_shards(folder / "damaged", seeds, mutations(150), 1));
}

TEST_F(Hostile, Manifests) {
  judge("data sets", manifests(folder / "sets", mutations(60), 2));
}

}  // namespace
}  // namespace isnet::testing
