#ifndef P3D_ENGINE_ALONE_HPP_
#define P3D_ENGINE_ALONE_HPP_

namespace p3d {

// While one lives, this thread runs layers that other ranks (see
// kernels/cuda/nccl_cuda.hpp) do not run now: they would wait for answers that
// never come.
class Alone {
 public:
  Alone();
  ~Alone();
  Alone(const Alone&) = delete;
  Alone& operator=(const Alone&) = delete;
};

// Throws Error while one lives: for layers that are about to ask other ranks.
void CheckNotAlone();

}  // namespace p3d

#endif  // P3D_ENGINE_ALONE_HPP_
