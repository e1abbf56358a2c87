#include <gmock/gmock.h>

#include "bench/report.h"
#include "bench/rounds.h"
#include "bench/statistics.h"
#include "support/refusal.h"

namespace isnet::bench {
namespace {

using isnet::testing::refusal;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Statistics, MedianOfOddAndEvenCounts) {
  const Summary odd = summary_of({5, 1, 3});
  EXPECT_EQ(odd.median, 3);
  EXPECT_EQ(odd.min, 1);
  EXPECT_EQ(odd.max, 5);
  EXPECT_EQ(odd.count, 3u);
  EXPECT_EQ(summary_of({4, 1, 2, 10}).median, 3);
  EXPECT_EQ(summary_of({7}).median, 7);
  EXPECT_THAT(refusal(ErrorKind::internal, [] { summary_of({}); }), HasSubstr("no values"));
}

TEST(Statistics, RatiosAreThoseOfARoundAndNotOfMedians) {
  // The machine is twice as slow in the second round, and hits both alike.
  const std::vector<double> a{2, 4, 2}, b{1, 2, 1};
  EXPECT_THAT(paired_ratios(a, b, 1), ElementsAre(2, 2, 2));
  EXPECT_THAT(paired_ratios(a, b, 4), ElementsAre(0.5, 0.5, 0.5));
  const std::vector<double> c{1, 2, 9}, d{9, 2, 1};
  EXPECT_EQ(summary_of(paired_ratios(c, d, 1)).max, 9);
  EXPECT_THAT(refusal(ErrorKind::internal, [&] { paired_ratios(a, {1, 2}, 1); }),
              HasSubstr("3 values and 2"));
}

TEST(Rounds, VariantsTakeTurnsAndWarmUpIsNotCounted) {
  std::string order;
  double a = 0, b = 100;
  const auto values = run_rounds({[&] { return order += "A", ++a; }, [&] { return order += "B", ++b; }},
                                 {/*warmup=*/1, /*rounds=*/2, 0});
  EXPECT_EQ(order, "ABABAB");
  EXPECT_THAT(values, ElementsAre(ElementsAre(2, 3), ElementsAre(102, 103)));
}

// A process that counts its requests and says `seconds` for each.
std::unique_ptr<Child> shell(const std::string& script) {
  return std::make_unique<Child>("it", std::vector<std::string>{"/bin/sh", "-c", script},
                                 std::vector<std::string>{"SPEED=3"});
}
constexpr const char* counting = R"(n=0; while read request; do
    n=$((n+1))
    if [ $request = step ]; then
      echo "{\"seconds\": $n$SPEED, \"peak_bytes\": ${n}000000, \"idle_cpu\": 0.25, \"idle_wall\": 1}"
    else echo '{"share": 0.5}'; fi
  done)";

TEST(Rounds, MeasureProcesses) {
  std::vector<Subject> subjects;
  subjects.push_back({"a", "first", shell(counting)});
  subjects.push_back({"b", "second", shell(std::string("SPEED=0; ") + counting)});
  const Group group = measure("both", subjects, {/*warmup=*/1, /*rounds=*/2, /*profiled=*/1});
  EXPECT_EQ(group.title, "both");
  ASSERT_EQ(group.rows.size(), 2u);
  EXPECT_EQ(group.rows[0].name, "a");
  EXPECT_THAT(group.rows[0].seconds, ElementsAre(23, 33));
  EXPECT_THAT(group.rows[1].seconds, ElementsAre(20, 30));
  EXPECT_EQ(group.rows[0].peak_bytes, 3e6);
  EXPECT_THAT(group.rows[0].convolution_share, ElementsAre(0.5));
  EXPECT_EQ(group.rows[0].idle_cpu, 0.75);
}

TEST(Child, SaysWhatWentWrong) {
  const auto first_answer = [](const std::string& script) { return [script] { shell(script)->answer(); }; };
  EXPECT_THAT(refusal(ErrorKind::usage, first_answer(R"(echo '{"error": "too small", "status": 2}')")),
              HasSubstr("it: too small"));
  EXPECT_THAT(refusal(ErrorKind::checkpoint, first_answer("exit 3")), HasSubstr("ended with status 3"));
  EXPECT_THAT(refusal(ErrorKind::runtime, first_answer("exit 0")), HasSubstr("ended with status 0"));
  EXPECT_THAT(refusal(ErrorKind::runtime, first_answer("kill -9 $$")), HasSubstr("signal 9"));
  EXPECT_THAT(refusal(ErrorKind::runtime, first_answer("echo hello")), HasSubstr("'hello'"));
  EXPECT_THAT(refusal(ErrorKind::runtime, [] { Child("it", {"/no/such/program"}, {}); }),
              HasSubstr("cannot start /no/such/program"));
}

Report small_report() {
  Group group;
  group.title = "steps";
  Row python, ours;
  python.name = "python-plain";
  python.title = "Python, plain step";
  python.seconds = {0.1, 0.2, 0.4};
  python.peak_bytes = 1e9;
  ours.name = "isnet";
  ours.title = "ISNet step";
  ours.seconds = {0.4, 0.4, 1.6};
  ours.peak_bytes = 2.5e9;
  ours.convolution_share = {0.75};
  ours.idle_cpu = 0.1;
  ours.idle_wall = 10;
  group.rows = {python, ours};
  group.add_ratio("ISNet / (4 · Python's plain)", "isnet", "python-plain", 4);
  group.add_ratio("of a row that was left out", "isnet", "python-forward", 1);
  Report report;
  report.benchmark = "step";
  report.header = {"one machine"};
  report.facts = {{"rounds", 3}};
  report.groups = {group};
  return report;
}

TEST(Report, TableHasMediansExtremesAndCounts) {
  EXPECT_EQ(table_text(small_report()),
            "one machine\n"
            "idle processes used at most 1.00% of a core\n"
            "\n"
            "steps               median ms    min     max  count  peak MB  convolutions\n"
            "------------------  ---------  -----  ------  -----  -------  ------------\n"
            "Python, plain step      200.0  100.0   400.0      3     1000             –\n"
            "ISNet step              400.0  400.0  1600.0      3     2500           75%\n"
            "\n"
            "ratio, pair by pair           median    min    max  count\n"
            "----------------------------  ------  -----  -----  -----\n"
            "ISNet / (4 · Python's plain)   1.000  0.500  1.000      3\n");
}

TEST(Report, JsonHasTheSameAndAllValues) {
  const Json json = json_of(small_report());
  EXPECT_EQ(json.at("benchmark"), "step");
  EXPECT_EQ(json.at("rounds"), 3);
  const Json& group = json.at("groups").at(0);
  EXPECT_EQ(group.at("variants").at(1).at("seconds"),
            Json::parse(R"({"median": 0.4, "min": 0.4, "max": 1.6, "count": 3, "values": [0.4, 0.4, 1.6]})"));
  EXPECT_FALSE(group.at("variants").at(0).contains("convolution_share"));
  ASSERT_EQ(group.at("ratios").size(), 1u);
  EXPECT_EQ(group.at("ratios").at(0).at("values"), Json({1.0, 0.5, 1.0}));
  EXPECT_EQ(group.at("ratios").at(0).at("factor"), 4);
}

}  // namespace
}  // namespace isnet::bench
