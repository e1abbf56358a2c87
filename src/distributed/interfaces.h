// Network interfaces of this host, and which of them connects the ranks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace isnet {

/// An interface that is up and has an IPv4 address. Plain bytes, so that ranks can exchange it.
struct Interface {
  char name[16] = {};
  std::uint32_t address = 0;  ///< network byte order
  std::uint32_t netmask = 0;  ///< network byte order

  bool loopback() const;
  bool same_network(const Interface& other) const;
};

/// Dotted notation.
std::string address_text(std::uint32_t address);

/// In the order in which the system lists them.
std::vector<Interface> local_interfaces();

/// The offer of one rank: its host and its interfaces.
struct Host {
  std::string name;
  std::vector<Interface> interfaces;
};

/// For each rank, the index of its interface on the first network of rank 0 that all ranks share; empty when
/// there is none. A network does not count where two hosts have the same address on it (bridges of containers
/// and virtual machines look alike on every host and connect nothing), nor does loopback.
std::vector<std::size_t> shared_network(const std::vector<Host>& hosts);

}  // namespace isnet
