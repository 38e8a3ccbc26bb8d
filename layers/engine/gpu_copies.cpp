#include "engine/gpu_copies.hpp"

#include <algorithm>

#include "kernels/error.hpp"

namespace p3d {

LockedBuffer::~LockedBuffer() {
  try {
    Wait();
  } catch (const Error&) {  // of a GPU that failed: it copies no more
  }
  Gpu().HostRelease(data_);
}

GpuFeed::GpuFeed(Blob<float>* blob)
    : blob_(blob),
      count_(blob->count()),
      landing_(static_cast<size_t>(count_) * sizeof(float)) {
  for (auto& buffer : buffers_)
    buffer.reset(new LockedBuffer(landing_.bytes()));
  Gpu().RecordEvent(read_.get());  // behind the allocation
}

float* GpuFeed::Next() const {
  buffers_[next_]->Wait();
  return buffers_[next_]->data();
}

void GpuFeed::Send() {
  Check(blob_->count() == count_, "the blob was reshaped; make another feed");
  const LockedBuffer& buffer = *buffers_[next_];
  next_ = 1 - next_;
  WithValues<float>(Side::kGpu, [&](auto kind) {
    using Value = decltype(kind);
    Value* const to =
        blob_->write_data_of<Value>(Order::kChannelsLast, Side::kGpu);
    Gpu().CopyAhead(landing_.data(), buffer.data(), buffer.bytes(), read_.get(),
                    buffer.event());
    Gpu().DeviceWait(buffer.event());
    const GpuKernels<Value> gpu = GpuOf<Value>();
    gpu.ToChannelsLast(gpu.stream, blob_->geometry(),
                       static_cast<const float*>(landing_.data()), to);
  });
  Gpu().RecordEvent(read_.get());
}

void GpuFetch::Begin(const Blob<float>& blob) {
  const size_t bytes = static_cast<size_t>(blob.count()) * sizeof(float);
  if (buffer_) buffer_->Wait();
  if (!buffer_ || buffer_->bytes() < bytes) {
    buffer_.reset(new LockedBuffer(bytes));
  }
  const Storage<float>::OnGpu now = blob.storage().on_gpu();
  if (now.caffe || now.last) {
    Gpu().CopyBack(buffer_->data(), blob.data(Order::kCaffe, Side::kGpu),
                   bytes);
    Gpu().RecordEvent(buffer_->event());
  } else {
    const float* values = blob.data();
    std::copy(values, values + blob.count(), buffer_->data());
  }
}

const float* GpuFetch::Values() const {
  buffer_->Wait();
  return buffer_->data();
}

}  // namespace p3d
