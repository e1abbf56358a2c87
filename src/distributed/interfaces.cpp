#include "distributed/interfaces.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

namespace isnet {
namespace {

std::uint32_t address_of(const sockaddr* address) {
  sockaddr_in copy{};
  std::memcpy(&copy, address, sizeof copy);
  return copy.sin_addr.s_addr;
}

// The interface of each rank on this network, if all have one and hosts have different addresses on it.
std::vector<std::size_t> on_network(const std::vector<Host>& hosts, const Interface& network) {
  std::vector<std::size_t> result;
  for (const auto& host : hosts) {
    const auto found = std::find_if(host.interfaces.begin(), host.interfaces.end(),
                                    [&](const Interface& one) { return one.same_network(network); });
    if (found == host.interfaces.end()) return {};
    for (std::size_t rank = 0; rank < result.size(); ++rank)
      if (hosts[rank].name != host.name && hosts[rank].interfaces[result[rank]].address == found->address)
        return {};
    result.push_back(static_cast<std::size_t>(found - host.interfaces.begin()));
  }
  return result;
}

}  // namespace

bool Interface::loopback() const {
  return (ntohl(address) >> 24) == 127;
}

bool Interface::same_network(const Interface& other) const {
  return netmask == other.netmask && (address & netmask) == (other.address & other.netmask);
}

std::string address_text(std::uint32_t address) {
  std::array<char, INET_ADDRSTRLEN> text{};
  ::inet_ntop(AF_INET, &address, text.data(), text.size());
  return text.data();
}

std::vector<Interface> local_interfaces() {
  ifaddrs* list = nullptr;
  std::vector<Interface> interfaces;
  if (::getifaddrs(&list) != 0) return interfaces;
  for (const ifaddrs* entry = list; entry; entry = entry->ifa_next) {
    if (!entry->ifa_addr || !entry->ifa_netmask || entry->ifa_addr->sa_family != AF_INET) continue;
    if (!(entry->ifa_flags & IFF_UP)) continue;
    Interface one;
    std::strncpy(one.name, entry->ifa_name, sizeof one.name - 1);
    one.address = address_of(entry->ifa_addr);
    one.netmask = address_of(entry->ifa_netmask);
    interfaces.push_back(one);
  }
  ::freeifaddrs(list);
  return interfaces;
}

std::vector<std::size_t> shared_network(const std::vector<Host>& hosts) {
  if (hosts.empty()) return {};
  for (const auto& candidate : hosts.front().interfaces) {
    if (candidate.loopback()) continue;
    if (auto result = on_network(hosts, candidate); !result.empty()) return result;
  }
  return {};
}

}  // namespace isnet
