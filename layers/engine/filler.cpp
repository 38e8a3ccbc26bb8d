#include "engine/filler.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include "kernels/error.hpp"
#include "kernels/random.hpp"

namespace p3d {
namespace {

template <typename Dtype>
using Writer = std::function<void(Dtype* values)>;

int64_t Count(const Shape& shape) {
  int64_t count = 1;
  for (int64_t size : shape) count *= size;
  return count;
}

// The n of xavier and msra.
double Fan(const Fields& filler, const Shape& shape) {
  const double count = static_cast<double>(Count(shape));
  const double in = shape.empty() ? count : count / shape[0];
  const double out = shape.size() > 1 ? count / shape[1] : count;
  const std::string& norm = filler.Str("variance_norm");
  if (norm == "FAN_OUT") return out;
  return norm == "AVERAGE" ? (in + out) / 2 : in;
}

template <typename Dtype>
Writer<Dtype> Constant(double value, const Shape& shape) {
  const int64_t count = Count(shape);
  return [=](Dtype* values) {
    std::fill(values, values + count, static_cast<Dtype>(value));
  };
}

template <typename Dtype>
Writer<Dtype> Uniform(double low, double high, const Shape& shape) {
  Check(low <= high, "a uniform filler's min ", low, " is above its max ",
        high);
  const int64_t count = Count(shape);
  const uint64_t seed = NextSeed();
  return [=](Dtype* values) { FillUniform(seed, low, high, count, values); };
}

template <typename Dtype>
Writer<Dtype> Gaussian(double mean, double deviation, const Shape& shape) {
  Check(deviation >= 0, "a gaussian filler's std is ", deviation,
        "; it cannot be negative");
  const int64_t count = Count(shape);
  const uint64_t seed = NextSeed();
  return [=](Dtype* values) {
    FillGaussian(seed, mean, deviation, count, values);
  };
}

template <typename Dtype>
Writer<Dtype> SparseGaussian(const Fields& filler, const Shape& shape) {
  const int64_t sparse = filler.Int("sparse");
  Check(sparse >= -1, "a filler's sparse is ", sparse,
        "; it is a number of values per row, or -1 for all");
  const Writer<Dtype> all =
      Gaussian<Dtype>(filler.Float("mean"), filler.Float("std"), shape);
  if (sparse < 0) return all;
  const int64_t count = Count(shape);
  const double keep =
      static_cast<double>(sparse) / (shape.empty() ? 1 : shape[0]);
  const uint64_t seed = NextSeed();
  return [=](Dtype* values) {
    all(values);
    KeepRandomly(seed, keep, 1, count, values, values);
  };
}

template <typename Dtype>
Writer<Dtype> PositiveUnitball(const Shape& shape) {
  const Writer<Dtype> uniform = Uniform<Dtype>(0, 1, shape);
  const int64_t rows = shape.empty() ? 1 : shape[0];
  const int64_t columns = Count(shape) / rows;
  return [=](Dtype* values) {
    uniform(values);
    for (int64_t r = 0; r < rows; ++r) {
      Dtype* row = values + r * columns;
      double sum = 0;
      for (int64_t i = 0; i < columns; ++i) sum += row[i];
      for (int64_t i = 0; i < columns && sum > 0; ++i) {
        row[i] = static_cast<Dtype>(row[i] / sum);
      }
    }
  };
}

template <typename Dtype>
Writer<Dtype> Bilinear(const Shape& shape) {
  Check(shape.size() >= 3, "a bilinear filler is for convolution weights, ",
        "not for the shape ", ShapeString(shape));
  const int64_t count = Count(shape);
  return [=](Dtype* values) {
    for (int64_t i = 0; i < count; ++i) {
      double product = 1;
      int64_t rest = i;
      for (size_t axis = shape.size(); axis-- > 2;) {
        const double x = static_cast<double>(rest % shape[axis]);
        rest /= shape[axis];
        const double f = std::ceil(shape[axis] / 2.0);
        const double c = (shape[axis] - 1) / (2 * f);
        product *= 1 - std::fabs(x / f - c);
      }
      values[i] = static_cast<Dtype>(product);
    }
  };
}

template <typename Dtype>
Writer<Dtype> MakeWriter(const Fields& filler, const Shape& shape) {
  const std::string& type = filler.Str("type");
  if (type == "gaussian") return SparseGaussian<Dtype>(filler, shape);
  Check(filler.Int("sparse") == -1, "a filler of type '", type,
        "' cannot be sparse; only 'gaussian' can");
  if (type == "constant") return Constant<Dtype>(filler.Float("value"), shape);
  if (type == "uniform") {
    return Uniform<Dtype>(filler.Float("min"), filler.Float("max"), shape);
  }
  if (type == "positive_unitball") return PositiveUnitball<Dtype>(shape);
  if (type == "xavier") {
    const double scale = std::sqrt(3 / Fan(filler, shape));
    return Uniform<Dtype>(-scale, scale, shape);
  }
  if (type == "msra") {
    return Gaussian<Dtype>(0, std::sqrt(2 / Fan(filler, shape)), shape);
  }
  if (type == "bilinear") return Bilinear<Dtype>(shape);
  Fail("there is no filler '", type,
       "'; choose constant, uniform, gaussian, positive_unitball, xavier, msra "
       "or bilinear");
}

// The blob's storage owns the source, so the source must not own the storage.
template <typename Dtype>
void SetWriter(const Writer<Dtype>& writer, Storage<Dtype>* storage) {
  storage->SetSource(
      [=] { writer(storage->write_data(Order::kCaffe, Geometry())); });
}

}  // namespace

template <typename Dtype>
void Fill(const Fields& filler, const std::shared_ptr<Blob<Dtype>>& blob) {
  Check(blob->count() > 0, "cannot fill a blob without values (shape ",
        ShapeString(blob->shape()), ")");
  SetWriter(MakeWriter<Dtype>(filler, blob->shape()), &blob->storage());
}

template <typename Dtype>
void FillConstant(double value, const std::shared_ptr<Blob<Dtype>>& blob) {
  SetWriter(Constant<Dtype>(value, blob->shape()), &blob->storage());
}

template void Fill(const Fields&, const std::shared_ptr<Blob<float>>&);
template void Fill(const Fields&, const std::shared_ptr<Blob<double>>&);
template void FillConstant(double, const std::shared_ptr<Blob<float>>&);
template void FillConstant(double, const std::shared_ptr<Blob<double>>&);

}  // namespace p3d
