// Files of Open MPI that would stay behind when its launcher is killed: each process's segment of shared
// memory (4 MiB in /dev/shm), and the launcher's session folder (8 MB).
#pragma once

#include <mpi.h>

namespace isnet {

/// Takes the name off this process's segment, once all ranks of its host have attached to it, so that it is
/// gone with the last of them, whatever ends them. Collective over `local`, the ranks of this host.
void unname_mpi_segment(MPI_Comm local, int local_rank);

/// Gives the name back, since MPI_Finalize complains where it finds none to remove. Collective over all
/// ranks.
void rename_mpi_segment();

/// Removes session folders of this user on this host whose launcher is gone.
void remove_stale_mpi_sessions();

}  // namespace isnet
