#ifndef P3D_CORE_BLOB_HPP_
#define P3D_CORE_BLOB_HPP_

#include <pybind11/pybind11.h>

#include <memory>
#include <mutex>

#include "engine/net.hpp"

// The net's lock, taken without holding the interpreter's: a forward in another
// thread may need that for a Python layer.
template <typename Dtype>
std::unique_lock<std::recursive_mutex> Lock(const p3d::Net<Dtype>* net) {
  pybind11::gil_scoped_release release;
  return net ? std::unique_lock<std::recursive_mutex>(net->mutex())
             : std::unique_lock<std::recursive_mutex>();
}

// A blob of a net, or one on its own.
template <typename Dtype>
struct BlobHandle {
  std::shared_ptr<p3d::Net<Dtype>> net;
  std::shared_ptr<p3d::Blob<Dtype>> blob;
  int index = -1;  // in the net; -1 for parameters
};

#endif  // P3D_CORE_BLOB_HPP_
