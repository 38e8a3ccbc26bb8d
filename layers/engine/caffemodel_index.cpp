#include "engine/caffemodel_index.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "kernels/error.hpp"

namespace p3d {
namespace {

enum Wire { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

// One field of a message: its number, wire type, value (varints) and where its
// payload lies.
struct Field {
  uint32_t number = 0;
  uint32_t wire = 0;
  uint64_t value = 0;
  uint64_t begin = 0;
  uint64_t end = 0;
};

// Where name, type and blobs are in the three generations of layer messages;
// V1 may hold a whole V0 layer.
struct LayerFormat {
  uint32_t name;
  uint32_t type;
  uint32_t blobs;
  const LayerFormat* v0;
  uint32_t v0_number;
};
const LayerFormat kV0Layer = {1, 2, 50, nullptr, 0};
const LayerFormat kV1Layer = {4, 5, 6, &kV0Layer, 1};
const LayerFormat kLayer = {1, 2, 7, nullptr, 0};

// What no net comes near, so that a small hostile file cannot ask for a large
// index.
constexpr size_t kMaxLayers = 1 << 17;
constexpr size_t kMaxBlobs = 1 << 18;
constexpr size_t kMaxRuns = 1 << 20;
constexpr size_t kMaxAxes = 32;  // as upstream
constexpr uint64_t kMaxName = 1 << 16;
constexpr size_t kIndexWindowBytes = 1 << 14;
constexpr uint64_t kNoEnd = uint64_t{1} << 62;

class Indexer {
 public:
  Indexer(const ByteSource& source, std::vector<WeightLayer>* layers)
      : source_(source), window_(source, kIndexWindowBytes), layers_(*layers) {}

  std::string Net() {
    std::string name;
    bool old_layers = false, new_layers = false;
    Field f;
    // The end of the net is not stored: a field that reaches past the end of
    // the file shows that the file was cut short.
    uint64_t at = 0;
    while (at < source_.size()) {
      needed_ = 0;
      Next(&at, kNoEnd, &f);
      needed_ = f.end;
      if (f.wire == kBytes && f.number == 1) {
        name = Text(f);
      } else if (f.wire == kBytes && (f.number == 2 || f.number == 100)) {
        (f.number == 2 ? old_layers : new_layers) = true;
        if (layers_.size() == kMaxLayers) Damaged(f.begin, "too many layers");
        layers_.emplace_back();
        Layer(f, f.number == 2 ? kV1Layer : kLayer);
      }
    }
    if (at > source_.size()) Truncated();
    Check(!layers_.empty(), "file ", source_.name(),
          " holds no layers: it is not a caffemodel");
    Check(!(old_layers && new_layers), "file ", source_.name(),
          " mixes layers of the old format (field 2) with layers of today's "
          "(field 100), which Caffe refuses too: save it again with the "
          "program that made it");
    return name;
  }

 private:
  void Layer(const Field& message, const LayerFormat& format) {
    WeightLayer& layer = layers_.back();
    Field f;
    for (uint64_t at = message.begin; Next(&at, message.end, &f);) {
      if (f.wire == kVarint && &format == &kV1Layer && f.number == format.type)
        layer.type = TypeOfV1(f.value);
      if (f.wire != kBytes) continue;
      if (f.number == format.name) {
        layer.name = Text(f);
      } else if (f.number == format.type && &format != &kV1Layer) {
        layer.type = &format == &kV0Layer ? TypeOfV0(Text(f)) : Text(f);
      } else if (f.number == format.blobs) {
        if (++blobs_ > kMaxBlobs) Damaged(f.begin, "too many blobs");
        layer.blobs.emplace_back();
        Blob(f, &layer.blobs.back());
      } else if (format.v0 != nullptr && f.number == format.v0_number) {
        Layer(f, *format.v0);
      }
    }
  }

  void Blob(const Field& message, WeightBlob* blob) {
    std::vector<DataRun> floats, doubles;
    int64_t old_shape[4] = {0, 0, 0, 0};
    Field f;
    for (uint64_t at = message.begin; Next(&at, message.end, &f);) {
      if (f.wire == kVarint && f.number >= 1 && f.number <= 4) {
        blob->legacy = true;
        old_shape[f.number - 1] = static_cast<int32_t>(f.value);
      } else if (f.wire == kBytes && f.number == 7) {
        Shape(f, &blob->shape);
      } else if (f.number == 5) {
        Data(f, kFixed32, &floats);
      } else if (f.number == 8) {
        Data(f, kFixed64, &doubles);
      }
    }
    if (blob->legacy) blob->shape.assign(old_shape, old_shape + 4);
    blob->count = Count(message.begin, blob->shape);
    blob->is_double = !doubles.empty();
    blob->runs = std::move(doubles.empty() ? floats : doubles);
    blob->runs.shrink_to_fit();
    for (const DataRun& run : blob->runs) blob->stored += run.count;
  }

  void Shape(const Field& message, std::vector<int64_t>* shape) {
    Field f;
    for (uint64_t at = message.begin; Next(&at, message.end, &f);) {
      if (f.number != 1) continue;
      if (f.wire == kVarint) AddAxis(f.begin, f.value, shape);
      if (f.wire != kBytes) continue;
      for (uint64_t dim = f.begin; dim < f.end;) {
        const uint64_t begin = dim;
        AddAxis(begin, Varint(&dim, f.end), shape);
      }
    }
  }

  void AddAxis(uint64_t at, uint64_t dim, std::vector<int64_t>* shape) {
    if (shape->size() == kMaxAxes) Damaged(at, "a blob of more than 32 axes");
    shape->push_back(static_cast<int64_t>(dim));
  }

  // A piece of a repeated float (wire kFixed32) or double (kFixed64) field:
  // one number, or many packed.
  void Data(const Field& f, uint32_t wire, std::vector<DataRun>* runs) {
    const uint64_t width = wire == kFixed32 ? 4 : 8;
    if (f.wire != wire && f.wire != kBytes) return;
    if (f.end > source_.size()) Truncated();
    if ((f.end - f.begin) % width != 0)
      Damaged(f.begin, "numbers that do not fill their field");
    const uint64_t count = (f.end - f.begin) / width;
    if (count == 0) return;
    if (count == 1 && !runs->empty()) {
      DataRun& last = runs->back();
      if (last.count == 1) last.stride = f.begin - last.offset;
      if (f.begin == last.offset + last.count * last.stride) {
        ++last.count;
        return;
      }
    }
    if (++runs_ > kMaxRuns) Damaged(f.begin, "weights in too many pieces");
    runs->push_back({f.begin, count, width});
  }

  int64_t Count(uint64_t at, const std::vector<int64_t>& shape) {
    constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
    int64_t count = 1;
    for (int64_t dim : shape) {
      if (dim < 0) Damaged(at, "a blob with a negative axis");
      if (dim > 0 && count > kMax / dim) Damaged(at, "an impossible shape");
      count *= dim;
    }
    return count;
  }

  // Reads the field at *at of a message that ends at `end` and moves *at behind
  // it. False at the end of the message.
  bool Next(uint64_t* at, uint64_t end, Field* f) {
    if (*at >= end) return false;
    const uint64_t begin = *at;
    const uint64_t tag = Varint(at, end);
    f->number = static_cast<uint32_t>(tag >> 3);
    f->wire = static_cast<uint32_t>(tag & 7);
    if (tag > std::numeric_limits<uint32_t>::max() || f->number == 0)
      Damaged(begin, "an impossible field number");
    f->begin = *at;
    uint64_t size = 0;
    if (f->wire == kVarint) {
      f->value = Varint(at, end);
      size = *at - f->begin;
    } else if (f->wire == kBytes) {
      size = Varint(at, end);
      f->begin = *at;
    } else if (f->wire == kFixed32 || f->wire == kFixed64) {
      size = f->wire == kFixed32 ? 4 : 8;
    } else {
      Damaged(begin, "an impossible field type");
    }
    if (size > end - f->begin)
      Damaged(begin, "a field that reaches past the end of its message");
    *at = f->end = f->begin + size;
    return true;
  }

  uint64_t Varint(uint64_t* at, uint64_t end) {
    const uint64_t begin = *at;
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (*at >= end) Damaged(begin, "a number cut off by its message's end");
      if (*at >= source_.size()) Truncated();
      const uint64_t byte = *window_.At((*at)++, 1);
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    Damaged(begin, "a number of more than ten bytes");
  }

  std::string Text(const Field& f) {
    if (f.end > source_.size()) Truncated();
    if (f.end - f.begin > kMaxName) Damaged(f.begin, "a name of over 64 KiB");
    std::string text(static_cast<size_t>(f.end - f.begin), '\0');
    if (!text.empty()) source_.Read(f.begin, text.size(), &text[0]);
    return text;
  }

  std::string Where() const {
    if (layers_.empty()) return "before its first layer";
    const WeightLayer& layer = layers_.back();
    if (!layer.name.empty()) return "in layer '" + Printable(layer.name) + "'";
    return "in its layer number " + std::to_string(layers_.size() - 1);
  }

  [[noreturn]] void Truncated() const {
    Fail(
        "file ", source_.name(), " is cut short ", Where(), ": it has ",
        WithCommas(static_cast<int64_t>(source_.size())),
        " bytes and goes on at least to byte ",
        WithCommas(static_cast<int64_t>(std::max(needed_, source_.size() + 1))),
        "; download or copy it again");
  }

  [[noreturn]] void Damaged(uint64_t at, const char* what) const {
    Fail("file ", source_.name(), " is damaged or no caffemodel: ", what,
         " at byte ", WithCommas(static_cast<int64_t>(at)), " ", Where(),
         "; download or copy it again");
  }

  const ByteSource& source_;
  ByteWindow window_;
  std::vector<WeightLayer>& layers_;
  // End of the outermost field that is being read, by its own account.
  uint64_t needed_ = 0;
  size_t blobs_ = 0;
  size_t runs_ = 0;
};

}  // namespace

void IndexCaffemodel(const ByteSource& source, std::string* net_name,
                     std::vector<WeightLayer>* layers) {
  *net_name = Indexer(source, layers).Net();
}

}  // namespace p3d
