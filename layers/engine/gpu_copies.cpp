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

Landing::Landing(size_t bytes) : memory_(bytes) {
  for (auto& buffer : buffers_) buffer.reset(new LockedBuffer(bytes));
  Gpu().RecordEvent(read_.get());  // behind the allocation
}

void* Landing::Next() const {
  const LockedBuffer& buffer = *buffers_[next_];
  buffer.Wait();
  return buffer.data();
}

void* Landing::Copy() {
  const LockedBuffer& buffer = *buffers_[next_];
  next_ = 1 - next_;
  Gpu().CopyAhead(memory_.data(), buffer.data(), buffer.bytes(), read_.get(),
                  buffer.event());
  Gpu().DeviceWait(buffer.event());
  return memory_.data();
}

void GpuFeed::Send(Blob<float>* blob) {
  Check(blob->count() == count_, "the blob has ", blob->count(),
        " values, the feed is for ", count_, "; make another feed");
  WithValues<float>(Side::kGpu, [&](auto kind) {
    using Value = decltype(kind);
    Value* const to =
        blob->write_data_of<Value>(Order::kChannelsLast, Side::kGpu);
    landing_.Send([&](const void* arrived) {
      const GpuKernels<Value> gpu = GpuOf<Value>();
      gpu.ToChannelsLast(gpu.stream, blob->geometry(),
                         static_cast<const float*>(arrived), to);
    });
  });
}

GpuPixelFeed::GpuPixelFeed(const Geometry& geometry, int64_t means)
    : geometry_(geometry), means_(means), landing_(bytes()) {}

size_t GpuPixelFeed::bytes() const {
  Check(means_ > 0 && geometry_.pixels % means_ == 0, means_,
        " means per channel are not possible for ", geometry_.pixels,
        " pixels; their number has to divide that of the pixels");
  const int64_t planes = geometry_.num * geometry_.channels;
  return static_cast<size_t>(planes * (means_ + 1)) * sizeof(float) +
         static_cast<size_t>(geometry_.count());
}

// Floats first: they want a place that is a multiple of their size.
GpuPixelFeed::Batch GpuPixelFeed::At(void* buffer) const {
  const int64_t planes = geometry_.num * geometry_.channels;
  float* const mean = static_cast<float*>(buffer);
  float* const scale = mean + planes * means_;
  return {reinterpret_cast<uint8_t*>(scale + planes), mean, scale};
}

void GpuPixelFeed::Send(Blob<float>* blob) {
  Check(blob->geometry() == geometry_,
        "the blob was reshaped; make another feed");
  WithValues<float>(Side::kGpu, [&](auto kind) {
    using Value = decltype(kind);
    Value* const to =
        blob->write_data_of<Value>(Order::kChannelsLast, Side::kGpu);
    landing_.Send([&](void* arrived) {
      const Batch batch = At(arrived);
      const GpuKernels<Value> gpu = GpuOf<Value>();
      gpu.PixelsToChannelsLast(gpu.stream, geometry_, batch.pixels, means_,
                               batch.mean, batch.scale, to);
    });
  });
}

void GpuFetch::Begin(const Blob<float>& blob) {
  const size_t bytes = static_cast<size_t>(blob.count()) * sizeof(float);
  if (buffer_) buffer_->Wait();
  if (!buffer_ || buffer_->bytes() < bytes) {
    buffer_.reset(new LockedBuffer(bytes));
  }
  const Storage<float>::Places now = blob.storage().places();
  if (now.caffe || now.last) {
    Gpu().CopyBack(buffer_->data(), blob.data(Order::kCaffe, Side::kGpu),
                   bytes);
    Gpu().RecordEvent(buffer_->event());
  } else {
    const float* values = blob.data();
    std::copy(values, values + blob.count(),
              static_cast<float*>(buffer_->data()));
  }
}

const float* GpuFetch::Values() const {
  buffer_->Wait();
  return static_cast<const float*>(buffer_->data());
}

}  // namespace p3d
