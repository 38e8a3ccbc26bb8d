// A cuBLASLt that is none: the functions that the kernels use, which multiply
// matrices by plain loops, rounding what is stored. It refuses what the real
// one's documentation says that it refuses: sizes that do not fit, kinds of
// values that are not in its table, attributes that it has not, a vector of
// scales among them, or that are of another size, memory to work in that is too
// little or not aligned.
//
//   $P3D_SIMULATED_CUBLASLT_VERSION   what it says it is (default 131000)
//   $P3D_SIMULATED_CUBLASLT_PLANS     algorithms it offers (default 3)
//   $P3D_SIMULATED_CUBLASLT_UNFIT     the numbers of those that do not fit
//   $P3D_SIMULATED_CUBLASLT_LIES      of those that compute nonsense
//   $P3D_SIMULATED_CUBLASLT_FAILS     and of those that cannot be run
//   $P3D_SIMULATED_CUBLASLT_SAME      if set, values of 16 bits make no floats
//   $P3D_SIMULATED_CUBLASLT_BROKEN    if set, it cannot be started
//   $P3D_SIMULATED_CUBLASLT_LOG       a file that gets a line for each one run

#include <algorithm>
#include <cstring>
#include <map>
#include <string>

#include "kernels/cuda/cublaslt_api.hpp"
#include "simulated_library.hpp"

using namespace p3d::cublaslt;  // NOLINT: all of it is simulated here
using p3d::Precision;

namespace {

constexpr Status kBroken = 1, kInvalid = 7, kUnsupported = 15;
constexpr size_t kWorkspace = 1000;

// By attribute.
using Bytes = std::map<int, std::string>;

template <typename T>
T Get(const Bytes& bytes, int attribute, T otherwise) {
  const auto found = bytes.find(attribute);
  if (found != bytes.end()) {
    std::memcpy(&otherwise, found->second.data(), sizeof(T));
  }
  return otherwise;
}

struct Product {
  int compute, scale;
  Bytes bytes;
  bool Is(int attribute, int value) const {
    return Get<int32_t>(bytes, attribute, 0) == value;
  }
  int epilogue() const { return Get<int32_t>(bytes, kEpilogue, kNoEpilogue); }
  const void* bias() const {
    return Get<const void*>(bytes, kBiasPointer, nullptr);
  }
};

struct Matrix {
  int type;
  int64_t rows, columns, step;

  Precision kind() const {
    return type == kFloat  ? Precision::kFloat32
           : type == kHalf ? Precision::kFp16
                           : Precision::kBf16;
  }
  float At(const void* values, int64_t row, int64_t column) const {
    return simulated::Read(kind(), values, row + column * step);
  }
};

template <typename T>
T* As(RawDescriptor raw) {
  return static_cast<T*>(raw);
}

// The sizes of what is multiplied, as the transpositions make them.
struct Shape {
  Shape(const Product& product, const Matrix& a, const Matrix& b)
      : transpose_a(product.Is(kTransposeA, kTransposed)),
        transpose_b(product.Is(kTransposeB, kTransposed)),
        rows(transpose_a ? a.columns : a.rows),
        columns(transpose_b ? b.rows : b.columns),
        terms(transpose_a ? a.rows : a.columns),
        fits((transpose_b ? b.columns : b.rows) == terms) {}
  bool transpose_a, transpose_b;
  int64_t rows, columns, terms;
  bool fits;
};

bool InTable(const Product& product, const Matrix& a, const Matrix& b,
             const Matrix& c, const Matrix& d) {
  if (a.type != b.type || c.type != d.type || product.scale != kFloat) {
    return false;
  }
  if (product.compute == kComputeTf32) {
    return a.type == kFloat && d.type == kFloat;
  }
  return product.compute == kComputeFloat &&
         (d.type == a.type || d.type == kFloat);
}

bool Same(const Matrix& c, const Matrix& d) {
  return c.rows == d.rows && c.columns == d.columns && c.step >= c.rows;
}

Status Refusal(const Product& product, const Matrix& a, const Matrix& b,
               const Matrix& c, const Matrix& d) {
  const Shape shape(product, a, b);
  if (!shape.fits || d.rows != shape.rows || d.columns != shape.columns ||
      !Same(c, d)) {
    return kInvalid;
  }
  if ((product.epilogue() & kBias) && !product.bias()) return kInvalid;
  if (!InTable(product, a, b, c, d)) return kUnsupported;
  if (d.type != a.type &&
      !simulated::Variable("P3D_SIMULATED_CUBLASLT_SAME").empty()) {
    return kUnsupported;
  }
  return kSuccess;
}

bool Aligned(const void* place, size_t bytes) {
  return reinterpret_cast<uintptr_t>(place) % bytes == 0;
}

// Of a product's attribute; 0 of what it has not. The real one has vectors for
// alpha, too, and then no algorithm for values that are no integers.
size_t SizeOf(int attribute) {
  switch (attribute) {
    case kTransposeA:
    case kTransposeB:
    case kEpilogue:
      return 4;
    case kBiasPointer:
      return 8;
    default:
      return 0;
  }
}

}  // namespace

P3D_SIMULATED size_t cublasLtGetVersion() {
  return simulated::Number("P3D_SIMULATED_CUBLASLT_VERSION", 131000);
}
P3D_SIMULATED const char* cublasLtGetStatusString(Status status) {
  return status == kInvalid ? "an unsupported value or parameter was passed"
                            : "as it was told";
}
P3D_SIMULATED Status cublasLtCreate(Handle* handle) {
  static int made;
  *handle = &made;
  const bool broken =
      !simulated::Variable("P3D_SIMULATED_CUBLASLT_BROKEN").empty();
  return broken ? kBroken : kSuccess;
}

P3D_SIMULATED Status cublasLtMatmulDescCreate(RawDescriptor* made, int compute,
                                              int scale) {
  *made = new Product{compute, scale, {}};
  return kSuccess;
}
P3D_SIMULATED Status cublasLtMatmulDescDestroy(RawDescriptor raw) {
  delete As<Product>(raw);
  return kSuccess;
}
P3D_SIMULATED Status cublasLtMatmulDescSetAttribute(RawDescriptor raw, int name,
                                                    const void* value,
                                                    size_t size) {
  if (size != SizeOf(name)) return kInvalid;
  As<Product>(raw)->bytes[name].assign(static_cast<const char*>(value), size);
  return kSuccess;
}

P3D_SIMULATED Status cublasLtMatrixLayoutCreate(RawDescriptor* made, int type,
                                                uint64_t rows, uint64_t columns,
                                                int64_t step) {
  *made = new Matrix{type, static_cast<int64_t>(rows),
                     static_cast<int64_t>(columns), step};
  return kSuccess;
}
P3D_SIMULATED Status cublasLtMatrixLayoutDestroy(RawDescriptor raw) {
  delete As<Matrix>(raw);
  return kSuccess;
}

P3D_SIMULATED Status cublasLtMatmulPreferenceCreate(RawDescriptor* made) {
  *made = new Bytes;
  return kSuccess;
}
P3D_SIMULATED Status cublasLtMatmulPreferenceDestroy(RawDescriptor raw) {
  delete As<Bytes>(raw);
  return kSuccess;
}
P3D_SIMULATED Status cublasLtMatmulPreferenceSetAttribute(RawDescriptor raw,
                                                          int name,
                                                          const void* value,
                                                          size_t size) {
  if (size != (name == kMostWorkspace ? 8 : 4)) return kInvalid;
  (*As<Bytes>(raw))[name].assign(static_cast<const char*>(value), size);
  return kSuccess;
}

P3D_SIMULATED Status cublasLtMatmulAlgoGetHeuristic(
    Handle, RawDescriptor product, RawDescriptor a, RawDescriptor b,
    RawDescriptor c, RawDescriptor d, RawDescriptor wishes, int room,
    Proposal* proposals, int* count) {
  *count = 0;
  if (room <= 0) return kInvalid;
  const Status refusal =
      Refusal(*As<Product>(product), *As<Matrix>(a), *As<Matrix>(b),
              *As<Matrix>(c), *As<Matrix>(d));
  if (refusal != kSuccess) return refusal;
  const Bytes& wished = *As<Bytes>(wishes);
  if (Get<uint64_t>(wished, kMostWorkspace, 0) < kWorkspace) {
    return kUnsupported;
  }
  uint64_t alignment = 1;  // that its algorithms count on
  for (int side : {kAlignmentA, kAlignmentB, kAlignmentC, kAlignmentD}) {
    alignment = std::max<uint64_t>(alignment, Get<uint32_t>(wished, side, 256));
  }
  // That of the place which the bias has by now is counted on as well.
  const auto bias = reinterpret_cast<uint64_t>(As<Product>(product)->bias());
  *count = std::min(room, simulated::Number("P3D_SIMULATED_CUBLASLT_PLANS", 3));
  for (int i = 0; i < *count; ++i) {
    const bool unfit = simulated::Lists("P3D_SIMULATED_CUBLASLT_UNFIT", i);
    proposals[i] = {};
    proposals[i].algorithm.data[0] = i;
    proposals[i].algorithm.data[1] = alignment;
    proposals[i].algorithm.data[2] = bias & -bias;
    proposals[i].workspace_bytes = kWorkspace;
    proposals[i].state = unfit ? kUnsupported : kSuccess;
  }
  return kSuccess;
}

P3D_SIMULATED Status cublasLtMatmul(Handle, RawDescriptor raw_product,
                                    const void* alpha, const void* as,
                                    RawDescriptor raw_a, const void* bs,
                                    RawDescriptor raw_b, const void* beta,
                                    const void* cs, RawDescriptor raw_c,
                                    void* ds, RawDescriptor raw_d,
                                    const Algorithm* algorithm, void* workspace,
                                    size_t workspace_bytes, CUstream_st*) {
  const Product& product = *As<Product>(raw_product);
  const Matrix &a = *As<Matrix>(raw_a), &b = *As<Matrix>(raw_b),
               &c = *As<Matrix>(raw_c), &d = *As<Matrix>(raw_d);
  const Status refusal = Refusal(product, a, b, c, d);
  if (refusal != kSuccess) return refusal;
  for (const void* place : {as, bs, cs, static_cast<const void*>(ds)}) {
    if (!Aligned(place, algorithm->data[1])) return kInvalid;
  }
  const uint64_t of_bias = algorithm->data[2];
  if (of_bias && !Aligned(product.bias(), of_bias)) return kInvalid;
  if (!Aligned(workspace, 256) || workspace_bytes < kWorkspace) return kInvalid;
  const int number = static_cast<int>(algorithm->data[0]);
  if (simulated::Lists("P3D_SIMULATED_CUBLASLT_FAILS", number)) {
    return kUnsupported;
  }
  simulated::Log("P3D_SIMULATED_CUBLASLT_LOG", number);
  std::memset(workspace, 1, kWorkspace);
  const Shape shape(product, a, b);
  const float of_sum = *static_cast<const float*>(alpha);
  const float of_c = *static_cast<const float*>(beta);
  for (int64_t j = 0; j < shape.columns; ++j) {
    for (int64_t i = 0; i < shape.rows; ++i) {
      double sum = 0;
      for (int64_t k = 0; k < shape.terms; ++k) {
        sum += double{shape.transpose_a ? a.At(as, k, i) : a.At(as, i, k)} *
               (shape.transpose_b ? b.At(bs, j, k) : b.At(bs, k, j));
      }
      float value = of_sum * static_cast<float>(sum);
      if (of_c != 0) value += of_c * c.At(cs, i, j);
      if (product.epilogue() & kBias) {
        value += simulated::Read(d.kind(), product.bias(), i);
      }
      if ((product.epilogue() & kRelu) && value < 0) value = 0;
      simulated::Write(d.kind(), value, ds, i + j * d.step);
    }
  }
  if (simulated::Lists("P3D_SIMULATED_CUBLASLT_LIES", number)) {
    simulated::Spoil(d.kind(), ds);
  }
  return kSuccess;
}
