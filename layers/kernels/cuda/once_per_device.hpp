#ifndef P3D_KERNELS_ONCE_PER_DEVICE_HPP_
#define P3D_KERNELS_ONCE_PER_DEVICE_HPP_

#include <map>
#include <mutex>

namespace p3d {
namespace cuda {

// What find() says of the device in use, whose number is given: asked once for
// each, by whichever thread comes first; others wait for it. It stays known
// while static objects end.
template <bool (*find)()>
bool OncePerDevice(int device) {
  static std::mutex* const mutex = new std::mutex;
  static std::map<int, bool>* const known = new std::map<int, bool>;
  const std::lock_guard<std::mutex> lock(*mutex);
  const auto found = known->find(device);
  if (found != known->end()) return found->second;
  return (*known)[device] = find();
}

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_ONCE_PER_DEVICE_HPP_
