// ONNX files that are damaged, or made to do harm: one line with node or tensor, and never more memory than their size.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "graph/import.h"
#include "graph/onnx_file.h"
#include "models.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::AllOf;
using ::testing::HasSubstr;

// What is said of a file with this content, whose name comes first.
std::string said_of(const std::string& content) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "net.onnx", content);
  return data_refusal([&] { import_graph(read_onnx(folder / "net.onnx")); });
}

std::string said_of(const onnx::ModelProto& model) { return said_of(model.SerializeAsString()); }

TEST(HostileOnnx, ASoundFileIsRead) {
  EXPECT_EQ(said_of(small_model()), "accepted");
}

TEST(HostileOnnx, AFileThatIsCutAnywhereIsRefusedOrWhole) {
  const std::string whole = small_model().SerializeAsString();
  const TemporaryFolder folder;
  for (std::size_t size = 0; size < whole.size(); size += 7) {
    write_file_atomically(folder / "net.onnx", whole.substr(0, size));
    EXPECT_NE(data_refusal([&] { import_graph(read_onnx(folder / "net.onnx")); }), "") << size;
  }
}

TEST(HostileOnnx, OtherFilesAreNoOnnx) {
  EXPECT_THAT(said_of(std::string("PK\3\4")), HasSubstr("no ONNX file"));
  EXPECT_THAT(said_of(std::string()), HasSubstr("no ONNX file"));
}

TEST(HostileOnnx, AnyChangedByteIsReadOrRefused) {
  const std::string whole = small_model().SerializeAsString();
  const TemporaryFolder folder;
  for (std::size_t place = 0; place < whole.size(); ++place)
    for (const char value : {'\0', '\x7f', '\xff'}) {
      std::string damaged = whole;
      damaged[place] = value;
      try {
        import_graph(parse_onnx(damaged, GraphValues::all));
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::data) << place << ": " << error.what();
      }
    }
}

TEST(HostileOnnx, ATensorNeedsItsBytes) {
  auto model = small_model();
  model.mutable_graph()->mutable_initializer(0)->set_dims(0, 1LL << 30);
  EXPECT_THAT(said_of(model), AllOf(HasSubstr("'conv.weight'"), HasSubstr("bytes")));
  model.mutable_graph()->mutable_initializer(0)->set_dims(1, 1LL << 38);
  EXPECT_THAT(said_of(model), AllOf(HasSubstr("'conv.weight'"), HasSubstr("too large")));
  model.mutable_graph()->mutable_initializer(0)->set_dims(1, -3);
  EXPECT_THAT(said_of(model), AllOf(HasSubstr("'conv.weight'"), HasSubstr("negative")));
}

TEST(HostileOnnx, ACycleNamesItsNode) {
  auto model = small_model();
  model.mutable_graph()->mutable_node(1)->set_input(0, "c");
  EXPECT_THAT(said_of(model), AllOf(HasSubstr("'node_b' (GlobalAveragePool)"), HasSubstr("cycle")));
}

TEST(HostileOnnx, TwoWritersOfANameAreRefused) {
  auto model = small_model();
  model.mutable_graph()->mutable_node(1)->set_output(0, "a");
  EXPECT_THAT(said_of(model), HasSubstr("two nodes or tensors write 'a'"));
}

TEST(HostileOnnx, OtherDomainsAndControlFlowAreRefusedByNode) {
  auto model = small_model();
  model.mutable_graph()->mutable_node(1)->set_domain("com.microsoft");
  EXPECT_THAT(said_of(model), AllOf(HasSubstr("'node_b'"), HasSubstr("'com.microsoft'")));
  model = small_model();
  auto& attribute = *model.mutable_graph()->mutable_node(1)->add_attribute();
  attribute.set_name("then_branch");
  attribute.set_type(onnx::AttributeProto::GRAPH);
  EXPECT_THAT(said_of(model), AllOf(HasSubstr("'node_b'"), HasSubstr("control flow")));
}

TEST(HostileOnnx, VersionsOfOperatorsHaveBounds) {
  auto model = small_model();
  model.mutable_opset_import(0)->set_version(999);
  EXPECT_THAT(said_of(model), HasSubstr("opset 999; supported: 9 to 25"));
}

TEST(HostileOnnx, AGraphWithoutAClassHeadNamesWhatMakesItsOutput) {
  auto model = empty_model();
  add_node(model, "LSTM", {"x"}, "y");
  EXPECT_THAT(said_of(model), AllOf(HasSubstr("no class head"), HasSubstr("'node_y' (LSTM)")));
}

TEST(HostileOnnx, NamesThatChangeATerminalAreRefused) {
  auto model = small_model();
  model.mutable_graph()->mutable_node(0)->set_name("\x1b[2J");
  EXPECT_THAT(said_of(model), AllOf(HasSubstr("\\x1B"), HasSubstr("control character")));
}

TEST(HostileOnnx, ImagesHaveThreeChannels) {
  auto model = small_model();
  model.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim(1)->set_dim_value(1);
  EXPECT_THAT(said_of(model), HasSubstr("has 1 channels, images have 3"));
}

// A model whose first tensor's values are in another file.
onnx::ModelProto with_external(const std::string& location, const std::string& offset) {
  auto model = small_model();
  auto& tensor = *model.mutable_graph()->mutable_initializer(0);
  tensor.clear_float_data();
  tensor.set_data_location(onnx::TensorProto::EXTERNAL);
  for (const auto& [key, value] : {std::pair{"location", location}, {"offset", offset}}) {
    auto& entry = *tensor.add_external_data();
    entry.set_key(key);
    entry.set_value(value);
  }
  return model;
}

TEST(HostileOnnx, ExternalDataAreReadBesideTheFileAndNowhereElse) {
  const TemporaryFolder outside, folder;
  const std::string values(4 * 3 * 3 * 3 * 4 + 16, '\x3f');
  write_file_atomically(outside / "secret", values);
  write_file_atomically(folder / "net.data", values);
  std::filesystem::create_symlink(outside / "secret", folder / "link");
  const auto said = [&](const std::string& location, const std::string& offset) {
    write_file_atomically(folder / "net.onnx", with_external(location, offset).SerializeAsString());
    return data_refusal([&] { read_onnx(folder / "net.onnx"); });
  };
  EXPECT_EQ(said("net.data", "16"), "accepted");
  EXPECT_THAT(said("net.data", "17"), HasSubstr("does not hold its 432 bytes at 17"));
  EXPECT_THAT(said("net.data", "-1"), HasSubstr("offset '-1'"));
  for (const std::string& location :
       {(outside / "secret").string(), "../" + outside.path().filename().string() + "/secret", std::string("link"),
        std::string("nothing")})
    EXPECT_THAT(said(location, "0"), HasSubstr("not in the file's folder")) << location;
}

}  // namespace
}  // namespace isnet
