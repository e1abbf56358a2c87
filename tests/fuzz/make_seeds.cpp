// fuzz_seeds FOLDER: writes a few good inputs for each target into FOLDER/TARGET, to begin with.
#include <iostream>

#include "base/files.h"
#include "base/safetensors.h"
#include "data/hostile/mutants.h"
#include "support/data.h"

int main(int count, char** arguments) {
  using namespace isnet;
  namespace fs = std::filesystem;
  if (count != 2) {
    std::cerr << "usage: fuzz_seeds FOLDER\n";
    return 2;
  }
  const fs::path folder = arguments[1];
  testing::write_seed_shards(folder / "shard");
  for (const char* target : {"data_set", "safetensors", "option_file", "csv", "idx", "pickle", "json",
                             "checkpoint_state", "pack_journal", "plugin_file", "stored_options"})
    fs::create_directories(folder / target);
  const auto write = [&](const std::string& name, std::string_view content) {
    write_file_atomically(folder / name, content);
  };
  testing::write_small_data_set(folder / "set", {{"train", 4}, {"val", 2}});
  fs::rename(folder / "set/dataset.json", folder / "data_set/dataset.json");
  fs::remove_all(folder / "set");
  const std::string bytes(24, 'b');
  safetensors::write(folder / "safetensors/two.safetensors",
                     {{"weight", {"F32", {2, 3}, bytes}}, {"bias", {"I64", {3}, bytes}}}, {{"format", "pt"}});
  write("option_file/options.ini",
        "# a comment\nmax-epochs = 3\nlr=1e-3\n\n[section]\nfast = 1\ndata = \"a b\"\n");
  write("csv/manifest.csv", "image,label,\"a, b\"\r\nx.png,1,\"say \"\"x\"\"\"\r\ny.png,2,\n");
  write("idx/labels", std::string("\0\0\x08\x01\0\0\0\x03\x01\x02\x03", 11));
  write("idx/images", std::string("\0\0\x08\x03\0\0\0\x01\0\0\0\x02\0\0\0\x02\x01\x02\x03\x04", 20));
  // {"state_dict": {"w": (1, 2.5, [None, True])}} as Python's pickle writes it, protocol 2.
  static constexpr char pickle[] =
      "\x80\x02}q\0X\n\0\0\0state_dictq\x01}q\x02X\x01\0\0\0wq\x03K\x01"
      "G@\x04\0\0\0\0\0\0]q\x04(N\x88"
      "e\x87q\x05ss.";
  write("pickle/dictionary.pkl", std::string_view(pickle, sizeof pickle - 1));
  write("json/values.json", R"({"a": [1, -2.5e3, "x\u00fc", null, true], "b": {"c": {}}})");
  write("checkpoint_state/state.json", R"({"loop": {"epoch": 1, "batch": 2, "validated": 2, "global_step": 3,
    "metric_names": ["loss"], "bad_steps": {"in_a_row": 0, "total": 0}, "nonfinite_relevance": [0, 0],
    "gradient_scaler": {"scale": 65536.0, "growth_tracker": 0}}, "bucket_plan": [[0, 1]], "world_size": 1,
    "train_samples": 8, "batches": {"ranks": 1, "size": 2}, "validation_metrics": {"val_loss": 0.5},
    "callbacks": {"model_checkpoint": [{"file": "epoch=000-val_loss=0.5000.ckpt", "value": 0.5}]},
    "options": "lr = 0.1\n", "found_options": {"cut": "1"}, "class_names": ["a", "b"]})");
  write("pack_journal/record.json", R"({"sources": "s", "samples": 2, "sha256": "h", "marked": 0,
    "partly_covered": 0, "fully_covered": 0, "contents": ["x", "y"], "bad": [[0, "no image"]]})");
  write("pack_journal/plan.json", R"({"plan": "fingerprint", "shards": ["train/shard-00000.h5"]})");
  write("stored_options/resnet.ini", "network = resnet\nblocks = 1,1\nwidths = 4,6\n");
  write("stored_options/sequence.ini",
        "network = sequence\nlayers = conv 4 3 pad 1, relu, avgpool global, flatten, linear\n");
  fs::copy_file("/proc/self/exe", folder / "plugin_file/program", fs::copy_options::overwrite_existing);
  return 0;
}
