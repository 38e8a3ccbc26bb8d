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

// The calls of a layer that is written in Python. While one lasts its net
// waits, and threads of the layer's own may have its blobs.
class LayerCalls {
 public:
  // One call, from here to the end of its life.
  class Call {
   public:
    explicit Call(LayerCalls* calls) : calls_(calls) { Count(1); }
    ~Call() { Count(-1); }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

   private:
    void Count(int change) {
      std::lock_guard<std::recursive_mutex> lock(calls_->mutex_);
      calls_->running_ += change;
    }
    LayerCalls* calls_;
  };

  // Keeps a call that lasts from ending; not locked where there is none.
  std::unique_lock<std::recursive_mutex> Hold() {
    std::unique_lock<std::recursive_mutex> lock(mutex_);
    if (running_ == 0) lock.unlock();
    return lock;
  }

 private:
  std::recursive_mutex mutex_;
  int running_ = 0;
};

// A blob of a net, or one on its own.
template <typename Dtype>
struct BlobHandle {
  std::shared_ptr<p3d::Net<Dtype>> net;
  std::shared_ptr<p3d::Blob<Dtype>> blob;
  int index = -1;  // in the net; -1 for parameters
  std::shared_ptr<LayerCalls> calls =
      nullptr;  // of the layer that was given it
};

// The lock of the net that a blob is of, not locked where it is of none; taken
// without the interpreter's lock.
template <typename Dtype>
std::unique_lock<std::recursive_mutex> LockNet(
    const BlobHandle<Dtype>& handle) {
  using Lock = std::unique_lock<std::recursive_mutex>;
  if (handle.net) return Lock(handle.net->mutex());
  const auto& mutex = handle.blob->net_mutex();
  return mutex ? Lock(*mutex) : Lock();
}
// That lock, or a call of the layer that has the blob.
template <typename Dtype>
std::unique_lock<std::recursive_mutex> LockOf(const BlobHandle<Dtype>& handle) {
  if (handle.calls) {
    auto call = handle.calls->Hold();
    if (call) return call;
  }
  return LockNet(handle);
}

#endif  // P3D_CORE_BLOB_HPP_
