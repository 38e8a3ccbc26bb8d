#include "engine/caffemodel.hpp"

#include <cstring>
#include <type_traits>
#include <utility>

#include "engine/caffemodel_index.hpp"
#include "kernels/error.hpp"

namespace p3d {
namespace {

// Runs shorter than this are collected through a window instead of one system
// call each.
constexpr uint64_t kDirectBytes = 1 << 14;
constexpr size_t kWindowBytes = 1 << 16;

template <typename Stored, typename Dtype>
Dtype* Gather(const DataRun& run, ByteWindow* window, Dtype* out) {
  uint64_t offset = run.offset;
  for (uint64_t i = 0; i < run.count; ++i, offset += run.stride) {
    Stored value;
    std::memcpy(&value, window->At(offset, sizeof(Stored)), sizeof(Stored));
    *out++ = static_cast<Dtype>(value);
  }
  return out;
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text;
  for (int64_t dim : shape)
    text += (text.empty() ? "" : ", ") + std::to_string(dim);
  return "(" + text + ")";
}

}  // namespace

CaffemodelReader::CaffemodelReader(std::unique_ptr<ByteSource> source)
    : source_(std::move(source)) {
  RefuseOtherFormats(*source_);
  IndexCaffemodel(*source_, &name_, &layers_);
}

CaffemodelReader::CaffemodelReader(const std::string& path)
    : CaffemodelReader(OpenFile(path)) {}

CaffemodelReader::CaffemodelReader(const void* data, size_t size,
                                   const std::string& name)
    : CaffemodelReader(OpenMemory(data, size, name)) {}

void CaffemodelReader::CheckBlob(size_t layer, size_t blob) const {
  Check(layer < layers_.size() && blob < layers_[layer].blobs.size(), "file ",
        source(), " has no blob ", blob, " in layer number ", layer);
  const WeightBlob& b = layers_[layer].blobs[blob];
  if (b.stored == static_cast<uint64_t>(b.count)) return;
  Fail("file ", source(), ", layer '", Printable(layers_[layer].name),
       "', blob ", blob, ": its shape ", ShapeText(b.shape), " asks for ",
       WithCommas(b.count), " numbers, the file stores ", WithCommas(b.stored),
       b.stored == 0 ? "; a fork that keeps weights in a format of its own "
                       "wrote it: save them as float32 there"
                     : "; the file is damaged, fetch it again");
}

template <typename Dtype>
void CaffemodelReader::ReadAs(size_t layer, size_t blob, Dtype* out) const {
  CheckBlob(layer, blob);
  const WeightBlob& b = layers_[layer].blobs[blob];
  const bool same_type = b.is_double == std::is_same<Dtype, double>::value;
  std::unique_ptr<ByteWindow> window;
  for (const DataRun& run : b.runs) {
    const uint64_t bytes = run.count * sizeof(Dtype);
    if (same_type && run.stride == sizeof(Dtype) && bytes >= kDirectBytes) {
      source_->Read(run.offset, static_cast<size_t>(bytes), out);
      out += run.count;
      continue;
    }
    if (!window) window.reset(new ByteWindow(*source_, kWindowBytes));
    out = b.is_double ? Gather<double>(run, window.get(), out)
                      : Gather<float>(run, window.get(), out);
  }
}

void CaffemodelReader::Read(size_t layer, size_t blob, float* out) const {
  ReadAs(layer, blob, out);
}

void CaffemodelReader::Read(size_t layer, size_t blob, double* out) const {
  ReadAs(layer, blob, out);
}

}  // namespace p3d
