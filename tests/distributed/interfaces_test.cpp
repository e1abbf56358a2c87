#include "distributed/interfaces.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>

#include <cstring>

namespace isnet {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Interface interface(const std::string& name, const std::string& address, int prefix) {
  Interface one;
  std::strncpy(one.name, name.c_str(), sizeof one.name - 1);
  ::inet_pton(AF_INET, address.c_str(), &one.address);
  one.netmask = htonl(prefix == 0 ? 0 : ~std::uint32_t{0} << (32 - prefix));
  return one;
}

TEST(SharedNetwork, IsTheFirstOfRank0ThatAllRanksHave) {
  const std::vector<Host> hosts{
      {"a", {interface("eth0", "192.168.1.1", 24), interface("ib0", "10.0.0.1", 16)}},
      {"b", {interface("ib7", "10.0.3.2", 16), interface("eth0", "192.168.2.1", 24)}},
  };
  EXPECT_THAT(shared_network(hosts), ElementsAre(1, 0));
}

TEST(SharedNetwork, ABridgeThatLooksAlikeOnAllHostsConnectsNothing) {
  const auto bridge = interface("docker0", "172.17.0.1", 16);
  EXPECT_THAT(shared_network({{"a", {bridge, interface("eth0", "10.0.0.1", 24)}},
                              {"b", {bridge, interface("eth0", "10.0.0.2", 24)}}}),
              ElementsAre(1, 1));
  EXPECT_THAT(shared_network({{"a", {bridge}}, {"b", {bridge}}}), IsEmpty());
}

TEST(SharedNetwork, RanksOfOneHostShareItsAddress) {
  const Host a{"a", {interface("eth0", "10.0.0.1", 24)}}, b{"b", {interface("eth0", "10.0.0.2", 24)}};
  EXPECT_THAT(shared_network({a, a, b, b}), ElementsAre(0, 0, 0, 0));
}

TEST(SharedNetwork, LoopbackAndNetworksOfOtherSizeDoNotCount) {
  EXPECT_THAT(
      shared_network({{"a", {interface("lo", "127.0.0.1", 8)}}, {"b", {interface("lo", "127.0.0.1", 8)}}}),
      IsEmpty());
  EXPECT_THAT(
      shared_network({{"a", {interface("e", "10.0.0.1", 24)}}, {"b", {interface("e", "10.0.0.2", 16)}}}),
      IsEmpty());
}

TEST(LocalInterfaces, HoldLoopback) {
  for (const auto& one : local_interfaces())
    if (one.loopback()) {
      EXPECT_EQ(address_text(one.address), "127.0.0.1");
      return;
    }
  FAIL() << "no loopback interface";
}

}  // namespace
}  // namespace isnet
