// A driver for compilers without libFuzzer: replays the files that are named, and the files of the folders;
// with -runs=N mutates them N times, by -seed=S. AFL++ takes the program as it is: afl-fuzz … -- fuzz_shard
// @@
#include <algorithm>
#include <iostream>
#include <iterator>
#include <random>
#include <vector>

#include "fuzz.h"

namespace {

namespace fs = std::filesystem;
using Bytes = std::string;

Bytes read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(file), {});
}

void mutate(Bytes& bytes, std::mt19937_64& random, const std::vector<Bytes>& corpus) {
  const auto below = [&](std::size_t end) { return static_cast<std::size_t>(random() % end); };
  for (std::size_t step = 0, steps = 1 + below(4); step < steps; ++step) {
    if (bytes.empty()) bytes.push_back(0);
    const auto at = below(bytes.size());
    switch (below(6)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1u << below(8)));
        break;
      case 1:
        bytes[at] = static_cast<char>(random());
        break;
      case 2:
        for (auto i = at; i < std::min(bytes.size(), at + 8); ++i) bytes[i] = below(2) ? '\xff' : '\0';
        break;
      case 3:
        bytes.resize(at);
        break;
      case 4:
        bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), 1 + below(8),
                     static_cast<char>(random()));
        break;
      default: {
        const auto& other = corpus[below(corpus.size())];
        if (other.empty()) break;
        const auto from = below(other.size());
        const auto count = std::min({std::size_t{1} + below(64), other.size() - from, bytes.size() - at});
        std::copy_n(other.begin() + static_cast<std::ptrdiff_t>(from), count,
                    bytes.begin() + static_cast<std::ptrdiff_t>(at));
      }
    }
  }
}

void try_one(const Bytes& bytes) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

}  // namespace

int main(int count, char** arguments) {
  std::size_t runs = 0;
  std::uint64_t seed = 1;
  std::vector<Bytes> corpus;
  for (int i = 1; i < count; ++i) {
    const std::string word = arguments[i];
    if (word.starts_with("-runs="))
      runs = std::stoul(word.substr(6));
    else if (word.starts_with("-seed="))
      seed = std::stoul(word.substr(6));
    else if (fs::is_directory(word))
      for (const auto& file : fs::recursive_directory_iterator(word)) corpus.push_back(read(file.path()));
    else
      corpus.push_back(read(word));
  }
  std::sort(corpus.begin(), corpus.end());
  for (const auto& bytes : corpus) try_one(bytes);
  if (corpus.empty()) corpus.emplace_back();
  std::mt19937_64 random(seed);
  for (std::size_t run = 0; run < runs; ++run) {
    auto bytes = corpus[static_cast<std::size_t>(random() % corpus.size())];
    mutate(bytes, random, corpus);
    try_one(bytes);
  }
  std::cout << corpus.size() << " files and " << runs << " mutations: no find\n";
  return 0;
}
