// Ranks that find each other, average gradients, agree, and end together. Each test starts real ranks of
// rank_programs.cpp, whose cases check themselves.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>

#include "base/cores.h"
#include "support/ranks.h"

namespace isnet {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::ProgramOptions;
using testing::ProgramResult;

ProgramResult ranks(int count, const std::string& name, const ProgramOptions& options = {}) {
  return testing::run_ranks(count, {ISNET_RANK_PROGRAMS, name}, options);
}

ProgramResult alone(const std::string& name, const ProgramOptions& options = {}) {
  return testing::run_program({ISNET_RANK_PROGRAMS, name}, options);
}

int count_of(const std::string& text, const std::string& part) {
  int count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// A listening socket on a free port of loopback, as another program may hold one.
class TakenPort {
 public:
  TakenPort() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in place{};
    place.sin_family = AF_INET;
    place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof place;
    ::bind(socket_, reinterpret_cast<sockaddr*>(&place), size);
    ::listen(socket_, 1);
    ::getsockname(socket_, reinterpret_cast<sockaddr*>(&place), &size);
    port_ = ntohs(place.sin_port);
  }
  ~TakenPort() { ::close(socket_); }
  TakenPort(const TakenPort&) = delete;
  TakenPort& operator=(const TakenPort&) = delete;
  int port() const { return port_; }

 private:
  int socket_;
  int port_ = 0;
};

ProgramOptions with_backend(const std::string& backend) {
  return {.environment = {{"ISNET_TEST_BACKEND", backend}}};
}

class OnRanks : public ::testing::TestWithParam<std::pair<int, const char*>> {
 protected:
  void expect_success(const std::string& name) {
    const auto result = ranks(GetParam().first, name, with_backend(GetParam().second));
    EXPECT_EQ(result.status, 0) << result.output;
  }
};

TEST_P(OnRanks, GradientsAreTheMeanOverRanksBeforeAndAfterBucketsAreRebuilt) {
  expect_success("gradients");
}
TEST_P(OnRanks, GradientsAreTheMeanOverRanksAsViewsOfBucketsToo) {
  expect_success("gradients-as-views");
}
TEST_P(OnRanks, AccumulatedGradientsAreTheMeanOfTheSums) {
  expect_success("accumulation");
}
TEST_P(OnRanks, SumsExtremesAndTextsAreThoseOfAllRanks) {
  expect_success("metrics");
}
TEST_P(OnRanks, AResumedRunWithTheStoredBucketPlanIsBitwiseTheUninterruptedOne) {
  expect_success("bucket-plan");
}
TEST_P(OnRanks, ParametersMayBeUnusedInSomeStepsWhereThatIsAllowed) {
  expect_success("unused");
}
TEST_P(OnRanks, AStaticGraphAveragesFromTheFirstStepAlsoWhileItAccumulates) {
  expect_success("static-graph");
}
TEST_P(OnRanks, CompressedGradientsAreNearTheMeanAndBitwiseTheSameOnAllRanks) {
  expect_success("compressed");
}
TEST_P(OnRanks, ViewsOfBucketsStayViewsHoweverGradientsAreCleared) {
  expect_success("cleared-views");
}
TEST_P(OnRanks, NothingIsSentWhileGradientsAccumulate) {
  expect_success("silence");
}
TEST_P(OnRanks, OperationsUnderWayOnTwoGroupsMayBeAwaitedInAnyOrder) {
  expect_success("orders");
}
INSTANTIATE_TEST_SUITE_P(Ranks, OnRanks,
                         ::testing::Values(std::pair(1, "auto"), std::pair(2, "shm"), std::pair(2, "gloo"),
                                           std::pair(3, "shm"), std::pair(3, "gloo")),
                         [](const auto& one) { return std::to_string(one.param.first) + one.param.second; });

TEST(SharedMemoryRanks, OperationsAreThoseOfGloo) {
  for (const int count : {2, 3, 4}) {
    const auto result = ranks(count, "exchanges", {.timeout = std::chrono::seconds(120)});
    EXPECT_EQ(result.status, 0) << result.output;
  }
}

TEST(SharedMemoryRanks, MayBeMoreThanCores) {
  const auto result = ranks(2 * static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)), "crowd",
                            {.timeout = std::chrono::seconds(120)});
  EXPECT_EQ(result.status, 0) << result.output;
}

TEST(SharedMemoryRanks, RefuseWhatTheyCannotExchange) {
  const auto result = ranks(2, "refusals");
  EXPECT_EQ(result.status, 0) << result.output;
}

TEST(SharedMemoryRanks, InDifferentOperationsSayWhich) {
  const auto result = ranks(3, "mismatch");
  EXPECT_EQ(result.status, 1) << result.output;
  EXPECT_THAT(result.output, HasSubstr("are not in the same operation"));
}

TEST(SharedMemoryRanks, AllDoWithoutWhereOneCannotShare) {
  const auto result = ranks(3, "unshared");
  EXPECT_EQ(result.status, 0) << result.output;
}

TEST(Distributed, BuffersAreEachRanksOwnUntilSynchronised) {
  const auto result = ranks(2, "buffers");
  EXPECT_EQ(result.status, 0) << result.output;
}

TEST(Distributed, ModelsThatDifferAreMadeEqualAndAChangeIsFoundWithRankAndParameter) {
  const auto result = ranks(3, "equalised");
  EXPECT_EQ(result.status, 1) << result.output;
  EXPECT_THAT(result.output, HasSubstr("rank 2 and rank 0 have different values in second.bias"));
  EXPECT_THAT(result.output, Not(HasSubstr("not so")));
}

TEST(Distributed, AParameterWithoutAGradientIsNamedWithItsRank) {
  const auto result = ranks(2, "unused-refused");
  EXPECT_EQ(result.status, 1) << result.output;
  EXPECT_THAT(result.output, HasSubstr("rank 1: the backward pass ended before all gradients were reduced; "
                                       "parameters without a gradient: left.weight, left.bias (use them"));
}

TEST(Distributed, AStaticGraphThatChangesIsRefused) {
  const auto result = ranks(2, "static-graph-changes");
  EXPECT_EQ(result.status, 2) << result.output;
  EXPECT_THAT(result.output, HasSubstr("static_graph is set, but this step uses parameters"));
}

TEST(Distributed, CompressionOfDoublesIsRefusedWithTheParameter) {
  for (const int count : {1, 2}) {
    const auto result = ranks(count, "compressed-doubles");
    EXPECT_EQ(result.status, 2) << result.output;
    EXPECT_THAT(result.output, HasSubstr("the parameter first.weight is float64"));
  }
}

TEST(Distributed, DifferentOptionsAreRefusedWithTheDifferenceAndStatus2) {
  const auto result = ranks(3, "different-options");
  EXPECT_EQ(result.status, 2) << result.output;
  EXPECT_THAT(result.output,
              HasSubstr("rank 1 differs from rank 0 in options: 'lr = 0.2' there, 'lr = 0.1' on rank 0"));
  EXPECT_THAT(result.output, Not(HasSubstr("MPI_ABORT")));
}

TEST(Distributed, DifferentNetworksAreRefusedWithTheParameter) {
  const auto result = ranks(2, "different-networks");
  EXPECT_EQ(result.status, 2) << result.output;
  EXPECT_THAT(result.output, HasSubstr("parameter head.weight [5, 32]"));
}

TEST(Distributed, AKilledRankEndsTheOthersSoon) {
  for (const char* backend : {"shm", "gloo"}) {
    auto options = with_backend(backend);
    options.timeout = std::chrono::seconds(60);
    const auto result = ranks(3, "killed", options);
    EXPECT_NE(result.status, 0);
    EXPECT_THAT(result.output, Not(HasSubstr("pair.cc")));
    EXPECT_LE(count_of(result.output, "error: "), 1) << result.output;  // mpirun may be faster than ours
    EXPECT_FALSE(result.timed_out) << result.output;
    EXPECT_LT(result.seconds, 30 * isnet::testing::patience);
  }
}

TEST(Distributed, ARankThatHangsEndsTheOthersAfterTheTimeout) {
  const auto hanging = [](const char* backend) {
    auto options = with_backend(backend);
    options.timeout = std::chrono::seconds(60);
    return ranks(2, "hanging", options);
  };
  // They wait most of the time: both at once.
  auto shm = std::async(std::launch::async, hanging, "shm"),
       gloo = std::async(std::launch::async, hanging, "gloo");
  for (auto* run : {&shm, &gloo}) {
    const auto result = run->get();
    EXPECT_EQ(result.status, 1) << result.output;
    EXPECT_FALSE(result.timed_out) << result.output;
    EXPECT_EQ(count_of(result.output, "error: "), 1) << result.output;
    EXPECT_THAT(
        result.output,
        ContainsRegex("error: rank 1 on [^ ]+ does not answer \\(stopped, or host or "
                      "network is gone\\); .*; rank 0 on [^ ]+ (waits|timed out waiting) in exchange number "
                      "[0-9]+ \\(averaging gradients\\)"));
  }
}

TEST(Distributed, ALimitOfOpenFilesThatIsTooLowIsNamedAtTheStart) {
  const auto result = testing::run_ranks(
      2, {"sh", "-c", "ulimit -n 200; exec \"$0\" \"$1\"", ISNET_RANK_PROGRAMS, "lone-failure"});
  EXPECT_EQ(result.status, 2) << result.output;
  EXPECT_EQ(count_of(result.output, "error: "), 1) << result.output;
  EXPECT_THAT(result.output,
              ContainsRegex("error: rank 0 on [^ ]+ may open 200 files and sockets; 2 ranks need 260: "
                            "raise the hard limit"));
}

TEST(Distributed, AFailureOfOneRankEndsAllWithItsStatus) {
  const auto result = ranks(3, "lone-failure");
  EXPECT_EQ(result.status, 3) << result.output;
  EXPECT_THAT(result.output, HasSubstr("shard-00000.h5 is cut in half"));
}

TEST(Distributed, ARankThatDoesNotComeIsNamedWithItsHost) {
  const auto result = ranks(3, "late", {.timeout = std::chrono::seconds(60)});
  EXPECT_EQ(result.status, 1) << result.output;
  EXPECT_FALSE(result.timed_out) << result.output;
  EXPECT_THAT(result.output,
              ContainsRegex("error: rank 2 on [^ ]+: not all ranks have come to the rendezvous at "
                            "127.0.0.1 port [0-9]+ in time \\(--startup-timeout\\); missing: rank 1 "
                            "on "));
  EXPECT_EQ(count_of(result.output, "error: "), 1) << result.output;
  EXPECT_THAT(result.output, Not(HasSubstr("isnet-"))) << "the token of the run";
}

TEST(Distributed, APlannedStatusReachesTheLauncher) {
  const auto result = ranks(2, "stopped");
  EXPECT_EQ(result.status, 75) << result.output;
  EXPECT_THAT(result.output, Not(HasSubstr("MPI_ABORT")));
}

TEST(Distributed, ATakenPortIsNamedWithARemedy) {
  const TakenPort taken;
  const auto result = testing::run_ranks(2, {ISNET_RANK_PROGRAMS, "connect", std::to_string(taken.port())});
  EXPECT_EQ(result.status, 1) << result.output;
  EXPECT_THAT(result.output, HasSubstr("port " + std::to_string(taken.port()) + " on 127.0.0.1 is taken"));
  EXPECT_THAT(result.output, HasSubstr("--master-port"));
}

TEST(Distributed, AFreePortThatIsAskedForIsUsed) {
  int port = 0;
  {
    port = TakenPort().port();
  }
  const auto result = testing::run_ranks(2, {ISNET_RANK_PROGRAMS, "connect", std::to_string(port)});
  EXPECT_EQ(result.status, 0) << result.output;
}

TEST(Distributed, AnUnknownInterfaceIsNamedWithTheKnownOnes) {
  const auto result = ranks(2, "connect", {.environment = {{"GLOO_SOCKET_IFNAME", "nosuch0"}}});
  EXPECT_EQ(result.status, 2) << result.output;
  EXPECT_THAT(result.output, HasSubstr("no interface 'nosuch0' that is up; it has lo"));
}

TEST(Distributed, AProcessWithoutALauncherIsAWorldOfOneWithoutMpi) {
  EXPECT_THAT(alone("place").output, HasSubstr("rank 0 of 1, local 0 of 1, launched 0"));
  for (const std::string name : {"gradients", "accumulation", "metrics", "bucket-plan", "connect"}) {
    const auto result = alone(name);
    EXPECT_EQ(result.status, 0) << result.output;
  }
  EXPECT_EQ(alone("stopped").status, 75);
}

TEST(Distributed, RanksShareTheCoresUnlessToldOtherwise) {
  const auto shared = ranks(2, "place");
  const int cores = available_cores();
  EXPECT_THAT(shared.output, HasSubstr("rank 0 of 2, local 0 of 2, launched 1"));
  EXPECT_THAT(shared.output, HasSubstr("rank 1 of 2, local 1 of 2, launched 1"));
  EXPECT_EQ(count_of(shared.output, "threads " + std::to_string(std::max(1, cores / 2)) + "\n"), 2)
      << shared.output;
  const auto told = ranks(2, "place", {.environment = {{"OMP_NUM_THREADS", std::to_string(cores)}}});
  EXPECT_EQ(count_of(told.output, "threads " + std::to_string(cores) + "\n"), 2) << told.output;
}

TEST(Distributed, ProcessesThatSrunStartedWithoutPmixAreRefused) {
  const auto result = alone("place", {.environment = {{"SLURM_STEP_NUM_TASKS", "4"}, {"SLURM_PROCID", "1"}}});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("--mpi=pmix"));
  const auto single = alone("place", {.environment = {{"SLURM_STEP_NUM_TASKS", "1"}, {"SLURM_PROCID", "0"}}});
  EXPECT_EQ(single.status, 0) << single.output;
}

using Variables = std::map<std::string, std::string>;

TEST(Distributed, ProcessesThatAnotherMpiStartedAreRefusedWithTheRemedy) {
  const std::vector<Variables> launchers{
      {{"PMI_RANK", "0"}, {"PMI_SIZE", "2"}},
      {{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}, {"MPI_LOCALRANKID", "1"}, {"MPI_LOCALNRANKS", "2"}},
      {{"MPI_LOCALRANKID", "0"}, {"MPI_LOCALNRANKS", "2"}},
      {{"MV2_COMM_WORLD_RANK", "0"}, {"MV2_COMM_WORLD_SIZE", "2"}},
      {{"PALS_RANKID", "1"}},
      {{"ALPS_APP_PE", "0"}},
      {{"SLURM_STEP_NUM_TASKS", "1"}, {"PMI_RANK", "1"}, {"PMI_SIZE", "4"}},  // inside a Slurm job
      {{"LOCAL_RANK", "0"}, {"RANK", "0"}, {"WORLD_SIZE", "2"}}};
  for (const auto& variables : launchers) {
    const auto result = alone("place", {.environment = variables});
    EXPECT_EQ(result.status, 2) << variables.begin()->first << "\n" << result.output;
    EXPECT_THAT(result.output, HasSubstr("start them with Open MPI's mpirun"));
  }
}

TEST(Distributed, OneProcessOfAnotherLauncherIsARunOfOne) {
  const std::vector<Variables> launchers{{{"PMI_RANK", "0"}, {"PMI_SIZE", "1"}},
                                         {{"SLURM_STEP_NUM_TASKS", "1"}, {"PMI_RANK", "0"}},
                                         {{"WORLD_SIZE", "4"}},
                                         {{"LOCAL_RANK", "0"}, {"WORLD_SIZE", "1"}}};
  for (const auto& variables : launchers) {
    const auto result = alone("place", {.environment = variables});
    EXPECT_EQ(result.status, 0) << variables.begin()->first << "\n" << result.output;
    EXPECT_THAT(result.output, HasSubstr("rank 0 of 1"));
  }
}

// As where mpirun is of another Open MPI than the library.
TEST(Distributed, AProcessThatMpiDoesNotConnectWithTheOthersIsRefused) {
  const auto result = alone("place", {.environment = {{"OMPI_COMM_WORLD_SIZE", "2"}}});
  EXPECT_EQ(result.status, 2) << result.output;
  EXPECT_THAT(result.output, HasSubstr("mpirun started 2 processes, but MPI connects only 1"));
}

}  // namespace
}  // namespace isnet
