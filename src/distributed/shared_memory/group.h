// A c10d backend for the ranks of one host: CPU tensors through memory that they share.
#pragma once

#include <c10/util/intrusive_ptr.h>

#include <string>

#include "distributed/process_group.h"
#include "distributed/shared_memory/segment.h"

namespace isnet::shared_memory {

/// Connects the ranks, or finds with all of them that it cannot be done (several hosts, containers that do
/// not see each other's processes, no memory): nullptr on every rank, and `why` then. Collective. Errors:
/// c10::DistError (the store, a rank that is missing).
c10::intrusive_ptr<c10d::Backend> connect(const BackendPlace& place, std::string& why,
                                          const Layout& layout = {});

}  // namespace isnet::shared_memory
