#ifdef USE_CUDNN
#include "caffe/util/cudnn_session.hpp"

#include <algorithm>
#include <map>

namespace caffe {

CudnnTrialMemory::CudnnTrialMemory(size_t bytes) : data_(NULL), size_(bytes) {
  while (size_ > 0 && cudaMalloc(&data_, size_) != cudaSuccess) {
    cudaGetLastError();  // forgets it
    data_ = NULL;
    size_ /= 2;
  }
}

CudnnTrialMemory::~CudnnTrialMemory() { cudaFree(data_); }

size_t CudnnTrialMemory::Budget() {
  size_t free = 0, total = 0;
  CUDA_CHECK(cudaMemGetInfo(&free, &total));
  return std::min<size_t>(free / 4, 1 << 30);
}

CudnnSession& CudnnSession::Get() {
  static thread_local std::map<int, shared_ptr<CudnnSession> > sessions;
  int device = 0;
  CUDA_CHECK(cudaGetDevice(&device));
  shared_ptr<CudnnSession>& session = sessions[device];
  if (!session) session.reset(new CudnnSession());
  return *session;
}

CudnnSession::CudnnSession() : workspace_(NULL), workspace_size_(0) {
  CUDNN_CHECK(cudnnCreate(&handle_));
}

CudnnSession::~CudnnSession() {
  cudaFree(workspace_);
  cudnnDestroy(handle_);
}

void* CudnnSession::Workspace(size_t bytes) {
  if (bytes > workspace_size_) {
    CUDA_CHECK(cudaFree(workspace_));  // waits for who uses it
    workspace_ = NULL;
    workspace_size_ = 0;
    CUDA_CHECK(cudaMalloc(&workspace_, bytes));
    workspace_size_ = bytes;
  }
  return bytes > 0 ? workspace_ : NULL;
}

}  // namespace caffe

#endif  // USE_CUDNN
