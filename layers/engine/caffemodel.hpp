#ifndef P3D_ENGINE_CAFFEMODEL_HPP_
#define P3D_ENGINE_CAFFEMODEL_HPP_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/byte_source.hpp"

namespace p3d {

// `count` numbers at `offset`, `offset + stride`, ... of the file.
struct DataRun {
  uint64_t offset;
  uint64_t count;
  uint64_t stride;  // bytes
};

struct WeightBlob {
  // As stored. Old files say (num, channels, height, width) instead of a list
  // of axes; their biases are 1x1x1xN.
  std::vector<int64_t> shape;
  bool legacy = false;
  int64_t count = 1;  // product of shape; 1 for a blob without axes
  // Where the numbers lie. A blob that stores both kinds means the doubles.
  bool is_double = false;
  uint64_t stored = 0;
  std::vector<DataRun> runs;
};

struct WeightLayer {
  std::string name;
  // The type as upstream spells it today ("Convolution"), also for files that
  // store the enum of V1 or the words of V0; empty where the file says none.
  std::string type;
  std::vector<WeightBlob> blobs;
};

// The weights of a .caffemodel: a serialized NetParameter, of which only layer
// names, types and blobs are followed and everything else is stepped over.
// Forks of Caffe number their layer parameters differently, so that no schema
// reads all files; these few fields are the same everywhere:
//
//   NetParameter       name 1, layer 100 | layers 2 (V1)
//   LayerParameter     name 1, type 2, blobs 7
//   V1LayerParameter   name 4, type 5 (enum), blobs 6, layer 1 (V0)
//   V0LayerParameter   name 1, type 2, blobs 50
//   BlobProto          shape 7, data 5, double_data 8, num..width 1-4
//
// Numbers may be packed, one by one, or in several pieces, in any mixture.
// Diffs are skipped, NaN is a number like any other.
//
// The constructors walk the file once without reading the numbers and throw
// Error if it is not a caffemodel (the text says what it seems to be), ends
// early or is damaged. What they allocate is bounded by a small multiple of
// what the file holds. All other functions may be called from several threads.
class CaffemodelReader {
 public:
  explicit CaffemodelReader(const std::string& path);
  // Reads from memory, which must outlive the reader; `name` is for messages.
  CaffemodelReader(const void* data, size_t size, const std::string& name);

  // The file name, for messages.
  const std::string& source() const { return source_->name(); }
  // Name of the net.
  const std::string& name() const { return name_; }
  // In the order of the file; names may repeat.
  const std::vector<WeightLayer>& layers() const { return layers_; }

  // Throws Error unless this blob exists and holds exactly the numbers that
  // its shape asks for.
  void CheckBlob(size_t layer, size_t blob) const;

  // CheckBlob, then copies the count numbers of the blob to `out`, in the
  // precision of `out`.
  void Read(size_t layer, size_t blob, float* out) const;
  void Read(size_t layer, size_t blob, double* out) const;

 private:
  explicit CaffemodelReader(std::unique_ptr<ByteSource> source);
  template <typename Dtype>
  void ReadAs(size_t layer, size_t blob, Dtype* out) const;

  std::unique_ptr<ByteSource> source_;
  std::string name_;
  std::vector<WeightLayer> layers_;
};

}  // namespace p3d

#endif  // P3D_ENGINE_CAFFEMODEL_HPP_
