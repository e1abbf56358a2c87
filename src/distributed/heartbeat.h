// A thread of each rank that shows the others that it lives, and what the training thread is doing; and that
// ends the run with one message when a rank is gone, silent or stands still (docs/distributed.md, Ends).
//
// Rank 0 hears from all and judges (rank_watch.h); the others watch rank 0. One for each process, from the
// first Communicator of several ranks on until World::finish. Everything here does nothing where it is not
// running.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "distributed/rank_watch.h"

namespace c10d {
class Store;
}

namespace isnet::heartbeat {

/// The place of this rank, and the address of rank 0.
struct Place {
  int rank = 0;
  std::vector<std::string> hosts;  ///< of all ranks, by rank
  std::string address;             ///< of rank 0 on the network of the run
  std::string token;               ///< of the run
};

/// Collective: rank 0 listens on its address and a free port, which the store tells the others. Nothing where
/// it runs already, or with an interval of 0. Errors: communication (who cannot reach whom, where).
void start(c10d::Store& store, const Place& place, const HeartbeatOptions& options);

/// Whether ranks watch each other.
bool runs();

/// Tells the others at once that this rank ends with an error, while its objects still clean up. `secondary`:
/// only because another rank is gone or hangs.
void report(int status, const std::string& message, bool secondary);

/// Tells the others that people have been told of this rank's error.
void said();

/// How to end after an exchange has failed.
struct Ending {
  bool explained = false;  ///< another rank has said, or says, what has happened
  bool alone = false;      ///< a rank is gone: do not wait for a common end
  int status = 1;
};
/// After report() of a secondary error: waits some seconds at most for what the others know. On the training
/// thread.
Ending explanation(int status);

/// Whether rank 0 writes a checkpoint that the end of a run that has failed should still wait for. `late`:
/// the time since the run should have ended; HeartbeatOptions::saving bounds it.
bool main_rank_saves(std::chrono::milliseconds late);

/// This rank is done, and will close its connections.
void leave();
/// Whether this rank has told of an error, or left.
bool told();
/// Says goodbye and ends the thread.
void stop();

}  // namespace isnet::heartbeat
