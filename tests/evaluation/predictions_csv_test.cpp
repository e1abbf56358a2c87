#include "evaluation/predictions_csv.h"

#include <gmock/gmock.h>

#include "base/files.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PredictionsFile : public ::testing::Test {
 protected:
  PredictionsBySplit read(const std::string& text, const PredictionsInput& input = {}) {
    write_file_atomically(folder_ / "p.csv", text);
    return read_predictions(folder_ / "p.csv", input);
  }
  Predictions read_one(const std::string& text, const PredictionsInput& input = {}) {
    return read(text, input).at(0).second;
  }
  std::string answer(const std::string& text, const PredictionsInput& input = {}) {
    return data_refusal([&] { read(text, input); });
  }
  TemporaryFolder folder_;
};

Predictions single_label() {
  Predictions predictions;
  predictions.class_names = {"cat", "big, dog"};
  predictions.ids = {"first", "second \"x\""};
  predictions.labels = {1, 0};
  predictions.logits = {0.25, 1.0 / 3, 7, -7};
  predictions.groups = {"p1", ""};
  set_probabilities_from_logits(predictions);
  decide(predictions);
  return predictions;
}

TEST_F(PredictionsFile, ReadsBackAsItWasWritten) {
  const Predictions written = single_label();
  const std::string text = predictions_csv({{"test", written}}, true);
  EXPECT_THAT(text, ::testing::StartsWith(
                        "id,label,prediction,cat,\"big, dog\",logit:cat,\"logit:big, dog\",group\n"));
  const Predictions read = read_one(text);
  EXPECT_EQ(read.ids, written.ids);
  EXPECT_EQ(read.labels, written.labels);
  EXPECT_EQ(read.predicted, written.predicted);
  EXPECT_EQ(read.probabilities, written.probabilities);
  EXPECT_EQ(read.logits, written.logits);
  EXPECT_EQ(read.groups, written.groups);
  EXPECT_EQ(read.class_names, written.class_names);
}

TEST_F(PredictionsFile, SeveralLabelsReadBackToo) {
  Predictions written;
  written.kind = ScoreKind::multi_label;
  written.class_names = {"a", "group"};
  written.ids = {"x", "y", "z"};
  written.label_flags = {1, 1, 0, 0, 0, 1};
  written.probabilities = {0.9, 0.8, 0.1, 0.2, 0.7, 0.6};
  decide(written);
  const std::string text = predictions_csv({{"test", written}}, false);
  EXPECT_EQ(text,
            "id,label,prediction,a,probability:group\nx,0 1,0 1,0.9,0.8\ny,,,0.1,0.2\nz,1,0 1,0.7,0.6\n");
  const Predictions read = read_one(text);
  EXPECT_EQ(read.kind, ScoreKind::multi_label);
  EXPECT_EQ(read.label_flags, written.label_flags);
  EXPECT_EQ(read.predicted_flags, written.predicted_flags);
  EXPECT_EQ(read.class_names, written.class_names);
}

TEST_F(PredictionsFile, HasAColumnForSeveralSplits) {
  const auto splits = read(predictions_csv({{"test", single_label()}, {"test-b", single_label()}}, false));
  ASSERT_EQ(splits.size(), 2u);
  EXPECT_EQ(splits[1].first, "test-b");
  EXPECT_EQ(splits[1].second.ids, single_label().ids);
}

TEST_F(PredictionsFile, LabelsAreNumbersOrNamesInAnyOrderOfColumns) {
  const Predictions by_name = read_one("dog,cat,id,label\n0.9,0.1,x,dog\n0.2,0.8,y,cat\n");
  EXPECT_THAT(by_name.class_names, ElementsAre("dog", "cat"));
  EXPECT_THAT(by_name.labels, ElementsAre(0, 1));
  EXPECT_THAT(by_name.predicted, ElementsAre(0, 1)) << "decided, as the file has no predictions";
  EXPECT_THAT(read_one("id,label,dog,cat\nx,1.0,0.9,0.1\n").labels, ElementsAre(1))
      << "as pandas writes them";
  EXPECT_THAT(read_one("id,label,big dog,cat\nx,big dog,0.9,0.1\n").labels, ElementsAre(0));
}

TEST_F(PredictionsFile, NumbersThatAreNamesTooAreToldByThePredictions) {
  const char* rows = "id,label,prediction,1,2,3\nx,1,2,0.1,0.8,0.1\ny,2,2,0.2,0.7,0.1\n";
  EXPECT_THAT(read_one(rows).labels, ElementsAre(0, 1))
      << "class '2' is the most probable: numbers are names";
  EXPECT_THAT(read_one("id,label,prediction,1,2,3\nx,1,1,0.1,0.8,0.1\n").labels, ElementsAre(1));
  EXPECT_THAT(answer("id,label,1,2,3\nx,1,0.1,0.8,0.1\n"), HasSubstr("are labels names or numbers?"));
  EXPECT_THAT(read_one("id,label,0,1\nx,1,0.1,0.9\n").labels, ElementsAre(1));
}

TEST_F(PredictionsFile, SamplesOfAnImplicitClassHaveItsNameOrTheNextNumber) {
  PredictionsInput input;
  input.implicit_class = "normal";
  const Predictions read = read_one("id,label,a,b\nx,0,0.3,0.1\ny,normal,0.1,0.2\nz,2,0.1,0.2\n", input);
  EXPECT_EQ(read.kind, ScoreKind::multi_label);
  EXPECT_THAT(read.label_flags, ElementsAre(1, 0, 0, 0, 0, 0));
}

TEST_F(PredictionsFile, WhatIsWrongIsSaidWithItsLine) {
  EXPECT_THAT(answer(""), HasSubstr("is empty"));
  EXPECT_THAT(answer("id,label,a,b\n"), HasSubstr("no sample"));
  EXPECT_THAT(answer("label,a,b\n0,1,0\n"), HasSubstr("there is no column 'id'"));
  EXPECT_THAT(answer("id,label\nx,0\n"), HasSubstr("no columns with probabilities"));
  EXPECT_THAT(answer("id,label,a\nx,0,0.7\n"), HasSubstr("two classes need a column of probabilities each"));
  EXPECT_THAT(answer("id,a,a\nx,0,1\n"), HasSubstr("two columns are named 'a'"));
  EXPECT_THAT(answer("id,label,a,b\nx,0,0.5,0.5\nx,1,0.5,0.5\n"),
              HasSubstr("line 3: id 'x' is in line 2 already"));
  EXPECT_THAT(answer("id,label,a,b\n,0,0.5,0.5\n"), HasSubstr("line 2: the id is empty"));
  EXPECT_THAT(answer("id,label,a,b\nx,0,nan,0.5\n"), HasSubstr("line 2: class 'a': nan is not a probability"));
  EXPECT_THAT(answer("id,label,a,b\nx,0,1.5,0.5\n"), HasSubstr("line 2: class 'a': 1.5 is not a probability"));
  EXPECT_THAT(answer("id,label,a,b\nx,0,high,0.5\n"), HasSubstr("line 2: class 'a': 'high' is not a number"));
  EXPECT_THAT(answer("id,label,a,b\nx,2,0.5,0.5\n"),
              HasSubstr("line 2: label '2' is not one of the 2 classes"));
  EXPECT_THAT(answer("id,label,a,b\nx,c,0.5,0.5\n"), HasSubstr("line 2: label 'c' is not one"));
  EXPECT_THAT(answer("id,label,a,b\nx,-1,0.5,0.5\n"), HasSubstr("line 2: label '-1' is not one"));
  EXPECT_THAT(answer("id,label,a,b\nx,0,0.7,0.7\n"), HasSubstr("sum to 1.4 instead of 1"));
  EXPECT_THAT(answer("id,label,a,b\nx,0,0.5,0.5\ny,,0.5,0.5\n"), HasSubstr("line 3: the label is missing"));
  EXPECT_THAT(answer("id,label,a,b,logit:a\nx,0,0.5,0.5,1\n"), HasSubstr("'logit:<class>' are not those"));
  EXPECT_THAT(answer("id,label,a,b,logit:a,logit:b\nx,0,0.5,0.5,1,inf\n"), HasSubstr("is not finite"));
  EXPECT_THAT(answer("id,label,a,b\nx,0,0.5\n"), HasSubstr("line 2: 3 fields"));
}

TEST_F(PredictionsFile, RowsNeedNotSumToOneWhereTheyAreMultiLabel) {
  PredictionsInput input;
  input.kind = ScoreKind::multi_label;
  EXPECT_EQ(read_one("id,label,a,b\nx,0,0.7,0.7\n", input).label_flags, (std::vector<std::uint8_t>{1, 0}));
}

TEST_F(PredictionsFile, ProbabilitiesMayMissOneByTheRoundingOfSinglePrecision) {
  EXPECT_THAT(read_one("id,label,a,b\nx,0,1.0000001,-1e-8\n").probabilities, ElementsAre(1, 0));
  EXPECT_THAT(read_one("id,label,a,b\nx,0,1,1e-400\n").probabilities, ElementsAre(1, 0));
  EXPECT_THAT(answer("id,label,a,b\nx,0,1e400,0\n"), HasSubstr("inf is not a probability"));
}

TEST_F(PredictionsFile, IsBroughtIntoTheOrderOfAnother) {
  const auto first = read_one("id,label,a,b\nx,0,0.9,0.1\ny,1,0.2,0.8\n");
  const auto second = read_one("id,label,prediction,b,a\ny,b,b,0.7,0.3\nx,a,b,0.6,0.4\n");
  const Predictions same = aligned(second, first, "B", "A");
  EXPECT_EQ(same.ids, first.ids);
  EXPECT_EQ(same.labels, first.labels);
  EXPECT_THAT(same.predicted, ElementsAre(1, 1));
  EXPECT_THAT(same.probabilities, ElementsAre(0.4, 0.6, 0.3, 0.7));
}

TEST_F(PredictionsFile, IsNotComparedWithOneOfOtherSamplesClassesOrLabels) {
  const auto first = read_one("id,label,a,b\nx,0,0.9,0.1\ny,1,0.2,0.8\n");
  const auto refused = [&](const std::string& text) {
    const Predictions other = read_one(text);
    return data_refusal([&] { aligned(other, first, "B", "A"); });
  };
  EXPECT_THAT(refused("id,label,a,b\nx,0,0.9,0.1\n"), HasSubstr("B: samples of A are missing: 'y'"));
  EXPECT_THAT(refused("id,label,a,b\nx,0,0.9,0.1\ny,1,0.2,0.8\nz,1,0.2,0.8\n"),
              HasSubstr("B: samples that A does not have: 'z'"));
  EXPECT_THAT(refused("id,label,a,b\nx,1,0.9,0.1\ny,1,0.2,0.8\n"),
              HasSubstr("'x' has another label than in A"));
  EXPECT_THAT(refused("id,label,a,c\nx,0,0.9,0.1\ny,1,0.2,0.8\n"), HasSubstr("class 'b' is missing"));
  EXPECT_THAT(refused("id,label,a,b,c\nx,0,0.9,0.1,0\ny,1,0.2,0.8,0\n"),
              HasSubstr("3 classes are not the 2"));
}

TEST_F(PredictionsFile, ColumnsOfATableAreFoundById) {
  const auto table = folder_ / "t.csv";
  write_file_atomically(table, "site,id\nA,y\nB,x\nC,z\n");
  EXPECT_THAT(column_by_id(table, "site", {"x", "y"}), ElementsAre("B", "A"));
  EXPECT_THAT(data_refusal([&] { column_by_id(table, "age", {"x"}); }), HasSubstr("no column 'age'"));
  EXPECT_THAT(data_refusal([&] { column_by_id(table, "site", {"w"}); }),
              HasSubstr("no row for the sample 'w'"));
  write_file_atomically(table, "site,id\nA,y\nB,y\n");
  EXPECT_THAT(data_refusal([&] { column_by_id(table, "site", {"y"}); }),
              HasSubstr("line 3: id 'y' appears twice"));
}

}  // namespace
}  // namespace isnet
