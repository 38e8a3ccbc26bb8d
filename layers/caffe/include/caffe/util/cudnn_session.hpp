#ifndef CAFFE_UTIL_CUDNN_SESSION_HPP_
#define CAFFE_UTIL_CUDNN_SESSION_HPP_
#ifdef USE_CUDNN

#include "caffe/common.hpp"
#include "caffe/util/cudnn.hpp"

namespace caffe {

/// Memory of the current GPU for the length of a scope: less than was asked
/// for, down to nothing, where there is no more.
class CudnnTrialMemory {
 public:
  explicit CudnnTrialMemory(size_t bytes);
  ~CudnnTrialMemory();

  void* data() const { return data_; }
  size_t size() const { return size_; }

  /// A quarter of what is free now, at most 1 GiB.
  static size_t Budget();

 private:
  CudnnTrialMemory(const CudnnTrialMemory&) = delete;
  void* data_;
  size_t size_;
};

/// What cuDNN needs once per thread and GPU: a handle on the default stream and
/// a workspace, which is every user's until it returns, since what they launch
/// runs one after the other.
class CudnnSession {
 public:
  /// This thread's for the current GPU.
  static CudnnSession& Get();

  CudnnSession();
  ~CudnnSession();

  cudnnHandle_t handle() const { return handle_; }
  /// Memory of at least `bytes`, NULL for none.
  void* Workspace(size_t bytes);

 private:
  CudnnSession(const CudnnSession&) = delete;
  cudnnHandle_t handle_;
  void* workspace_;
  size_t workspace_size_;
};

}  // namespace caffe

#endif  // USE_CUDNN
#endif  // CAFFE_UTIL_CUDNN_SESSION_HPP_
