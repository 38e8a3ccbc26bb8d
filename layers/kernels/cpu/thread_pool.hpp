#ifndef P3D_KERNELS_THREAD_POOL_HPP_
#define P3D_KERNELS_THREAD_POOL_HPP_

#include <cstdint>
#include <functional>

namespace p3d {

// The number of threads that ParallelFor uses, the caller's own included. At
// first: the environment variable P3D_NUM_THREADS, else what the affinity mask
// and the cgroup's CPU quota allow.
int NumThreads();

// Sets it, from 1 on; throws Error below 1. Takes effect at the next
// ParallelFor.
void SetNumThreads(int threads);

// Calls body(task) for every task in [0, tasks), each exactly once, on the
// pool's threads and the caller's, and returns when all are done. Tasks are
// handed out one at a time, so make them of similar cost and not too small
// (tens of microseconds). Results must not depend on which thread runs a task:
// no task may read what another writes.
//
// The first exception thrown by a task is rethrown here after the others
// ended. May be called from several threads at once and from inside a task (the
// inner call runs on the calling thread alone). A process forked from one that
// used the pool gets a pool of its own.
void ParallelFor(int64_t tasks, const std::function<void(int64_t)>& body);

}  // namespace p3d

#endif  // P3D_KERNELS_THREAD_POOL_HPP_
