#include <sstream>
#include <string>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/common.hpp"
#include "caffe/filler.hpp"
#include "caffe/layer_factory.hpp"
#include "caffe/layers/convolution3d_layer.hpp"
#include "caffe/layers/convolution_by_axes_layer.hpp"
#include "caffe/test/test_caffe_main.hpp"
#include "caffe/test/test_gradient_check_util.hpp"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace caffe {

namespace {

// Layers of the table below: a bottom and its parameters.
struct ConvolutionCase {
  const char* bottom;      // sizes of n, c, l, h, w
  const char* parameters;  // of convolution_param
};

const ConvolutionCase kCases[] = {
    // The kernels of P3D: 1x1x1, 1x3x3, 3x1x1, 1x7x7, with and without strides.
    {"2 3 4 5 6", "num_output: 4 kernel_size: 1"},
    {"1 3 4 5 7",
     "num_output: 5 kernel_size: 1 kernel_size: 3 kernel_size: 3 "
     "pad: 0 pad: 1 pad: 1 bias_term: false"},
    {"2 2 5 3 4",
     "num_output: 3 kernel_size: 3 kernel_size: 1 kernel_size: 1 "
     "pad: 1 pad: 0 pad: 0"},
    {"1 2 2 9 11",
     "num_output: 3 kernel_size: 1 kernel_size: 7 kernel_size: 7 "
     "stride: 1 stride: 2 stride: 2 pad: 0 pad: 3 pad: 3"},
    {"2 3 2 5 6", "num_output: 2 kernel_size: 1 stride: 1 stride: 2 stride: 2"},
    // Dense kernels, dilation, groups, strides beyond the kernel, a length
    // above the height.
    {"1 2 4 5 4", "num_output: 2 kernel_size: 3 pad: 1 stride: 2"},
    {"1 2 6 5 7",
     "num_output: 2 kernel_size: 2 kernel_size: 3 kernel_size: 2 "
     "dilation: 2 dilation: 1 dilation: 3 pad: 1 pad: 0 pad: 2"},
    {"2 4 3 3 4", "num_output: 6 kernel_size: 2 pad: 1 group: 2"},
    {"1 2 7 3 5",
     "num_output: 2 kernel_size: 1 kernel_size: 2 kernel_size: 1 "
     "stride: 3 stride: 1 stride: 2"},
    {"1 1 1 1 1", "num_output: 1 kernel_size: 3 pad: 2"},
    // Kernels larger than the input by less than a stride.
    {"1 2 2 5 6", "num_output: 2 kernel_size: 4 stride: 3"},
    {"2 1 3 3 1", "num_output: 1 kernel_size: 2 dilation: 2 stride: 4"},
};

// Small ones, as the gradient checker runs a layer for every pair of values.
const ConvolutionCase kGradientCases[] = {
    {"1 2 2 3 3",
     "num_output: 2 kernel_size: 1 kernel_size: 3 kernel_size: 3 "
     "stride: 1 stride: 2 stride: 2 pad: 0 pad: 1 pad: 1"},
    {"2 1 3 1 2",
     "num_output: 2 kernel_size: 3 kernel_size: 1 kernel_size: 1 "
     "pad: 1 pad: 0 pad: 0 bias_term: false"},
    {"1 1 3 3 4", "num_output: 2 kernel_size: 2 pad: 1 stride: 2"},
    {"1 4 1 2 2", "num_output: 4 kernel_size: 1 group: 2"},
    {"1 1 5 3 4",
     "num_output: 2 kernel_size: 2 dilation: 2 dilation: 1 dilation: 3"},
};

LayerParameter ParameterOf(const string& convolution_param) {
  LayerParameter param;
  CHECK(google::protobuf::TextFormat::ParseFromString(
      "name: 'conv' type: 'Convolution' convolution_param { "
      "weight_filler { type: 'gaussian' std: 1 } "
      "bias_filler { type: 'gaussian' std: 1 } " +
          convolution_param + " }",
      &param));
  return param;
}

vector<int> ShapeOf(const string& sizes) {
  std::istringstream words(sizes);
  vector<int> shape;
  for (int size; words >> size;) shape.push_back(size);
  return shape;
}

template <typename Dtype>
void Fill(Blob<Dtype>* blob) {
  FillerParameter filler_param;
  GaussianFiller<Dtype>(filler_param).Fill(blob);
}

template <typename Dtype>
void ExpectNear(const Blob<Dtype>& expected, const Blob<Dtype>& got,
                bool diff) {
  ASSERT_EQ(expected.shape_string(), got.shape_string());
  const Dtype* a = diff ? expected.cpu_diff() : expected.cpu_data();
  const Dtype* b = diff ? got.cpu_diff() : got.cpu_data();
  for (int i = 0; i < expected.count(); ++i) {
    ASSERT_NEAR(a[i], b[i], 1e-4 * std::max(Dtype(1), std::abs(a[i])))
        << "value " << i << (diff ? " of the diff" : " of the data");
  }
}

}  // namespace

template <typename TypeParam>
class Convolution3DLayerTest : public MultiDeviceTest<TypeParam> {
  typedef typename TypeParam::Dtype Dtype;

 protected:
  Convolution3DLayerTest() {
    bottom_.push_back(&bottom_blob_);
    top_.push_back(&top_blob_);
  }

  // Forward and backward of Convolution3D against those of upstream's layer
  // with the same weights; diffs of parameters add up from the same start.
  void CompareWithUpstream(const ConvolutionCase& test_case) {
    SCOPED_TRACE(string(test_case.bottom) + ": " + test_case.parameters);
    const LayerParameter param = ParameterOf(test_case.parameters);
    bottom_blob_.Reshape(ShapeOf(test_case.bottom));
    Fill(&bottom_blob_);
    Convolution3DLayer<Dtype> layer(param);
    layer.SetUp(bottom_, top_);
    ConvolutionLayer<Dtype> upstream(param);
    Blob<Dtype> upstream_bottom, upstream_top;
    upstream_bottom.CopyFrom(bottom_blob_, false, true);
    const vector<Blob<Dtype>*> bottoms(1, &upstream_bottom);
    const vector<Blob<Dtype>*> tops(1, &upstream_top);
    upstream.SetUp(bottoms, tops);
    for (int i = 0; i < layer.blobs().size(); ++i) {
      upstream.blobs()[i]->CopyFrom(*layer.blobs()[i]);
      caffe_set(layer.blobs()[i]->count(), Dtype(0.5),
                layer.blobs()[i]->mutable_cpu_diff());
      upstream.blobs()[i]->CopyFrom(*layer.blobs()[i], true);
    }
    layer.Forward(bottom_, top_);
    upstream.Forward(bottoms, tops);
    ExpectNear(upstream_top, top_blob_, false);
    Blob<Dtype> diff(top_blob_.shape());
    Fill(&diff);
    caffe_copy(diff.count(), diff.cpu_data(), top_blob_.mutable_cpu_diff());
    caffe_copy(diff.count(), diff.cpu_data(), upstream_top.mutable_cpu_diff());
    layer.Backward(top_, vector<bool>(1, true), bottom_);
    upstream.Backward(tops, vector<bool>(1, true), bottoms);
    ExpectNear(upstream_bottom, bottom_blob_, true);
    for (int i = 0; i < layer.blobs().size(); ++i) {
      ExpectNear(*upstream.blobs()[i], *layer.blobs()[i], true);
    }
  }

  shared_ptr<Layer<Dtype> > Create(const string& convolution_param) {
    return LayerRegistry<Dtype>::CreateLayer(ParameterOf(convolution_param));
  }

  Blob<Dtype> bottom_blob_;
  Blob<Dtype> top_blob_;
  vector<Blob<Dtype>*> bottom_;
  vector<Blob<Dtype>*> top_;
};

TYPED_TEST_CASE(Convolution3DLayerTest, TestDtypesAndDevices);

TYPED_TEST(Convolution3DLayerTest, TestSetUp) {
  typedef typename TypeParam::Dtype Dtype;
  this->bottom_blob_.Reshape(ShapeOf("2 3 16 21 22"));
  Convolution3DLayer<Dtype> layer(
      ParameterOf("num_output: 8 kernel_size: 1 kernel_size: 7 kernel_size: 7 "
                  "stride: 1 stride: 2 stride: 2 pad: 0 pad: 3 pad: 3"));
  layer.SetUp(this->bottom_, this->top_);
  EXPECT_EQ("2 8 16 11 11 (30976)", this->top_blob_.shape_string());
  EXPECT_EQ("8 3 1 7 7 (1176)", layer.blobs()[0]->shape_string());
  EXPECT_EQ("8 (8)", layer.blobs()[1]->shape_string());
  // Another length and size, as of another clip.
  this->bottom_blob_.Reshape(ShapeOf("1 3 5 8 30"));
  layer.Reshape(this->bottom_, this->top_);
  EXPECT_EQ("1 8 5 4 15 (2400)", this->top_blob_.shape_string());
}

TYPED_TEST(Convolution3DLayerTest, TestAgainstUpstream) {
  for (int i = 0; i < sizeof(kCases) / sizeof(kCases[0]); ++i) {
    this->CompareWithUpstream(kCases[i]);
  }
}

TYPED_TEST(Convolution3DLayerTest, TestGradient) {
  typedef typename TypeParam::Dtype Dtype;
  for (int i = 0; i < sizeof(kGradientCases) / sizeof(kGradientCases[0]); ++i) {
    const ConvolutionCase& test_case = kGradientCases[i];
    SCOPED_TRACE(string(test_case.bottom) + ": " + test_case.parameters);
    this->bottom_blob_.Reshape(ShapeOf(test_case.bottom));
    Fill(&this->bottom_blob_);
    Convolution3DLayer<Dtype> layer(ParameterOf(test_case.parameters));
    GradientChecker<Dtype> checker(1e-2, 1e-3);
    checker.CheckGradientExhaustive(&layer, this->bottom_, this->top_);
  }
}

TYPED_TEST(Convolution3DLayerTest, TestSeveralBottoms) {
  typedef typename TypeParam::Dtype Dtype;
  this->bottom_blob_.Reshape(ShapeOf("1 2 2 2 3"));
  Fill(&this->bottom_blob_);
  Blob<Dtype> second_bottom(ShapeOf("1 2 2 2 3")), second_top;
  Fill(&second_bottom);
  this->bottom_.push_back(&second_bottom);
  this->top_.push_back(&second_top);
  Convolution3DLayer<Dtype> layer(ParameterOf("num_output: 2 kernel_size: 2"));
  GradientChecker<Dtype> checker(1e-2, 1e-3);
  checker.CheckGradientExhaustive(&layer, this->bottom_, this->top_);
}

TYPED_TEST(Convolution3DLayerTest, TestFactory) {
  typedef typename TypeParam::Dtype Dtype;
  const string kernel =
      "num_output: 2 kernel_size: 1 kernel_size: 3 "
      "kernel_size: 3 ";
  vector<string> engines;
  engines.push_back("");
  engines.push_back("engine: DEFAULT");
  engines.push_back("engine: CAFFE");
  engines.push_back("engine: CUDNN");
  for (int i = 0; i < engines.size(); ++i) {
    shared_ptr<Layer<Dtype> > layer = this->Create(kernel + engines[i]);
    EXPECT_TRUE(dynamic_cast<Convolution3DLayer<Dtype>*>(layer.get()))
        << engines[i];
    EXPECT_STREQ("Convolution", layer->type());
  }
  shared_ptr<Layer<Dtype> > upstream =
      this->Create(kernel + "force_nd_im2col: true engine: CAFFE");
  EXPECT_FALSE(dynamic_cast<Convolution3DLayer<Dtype>*>(upstream.get()));
  EXPECT_TRUE(dynamic_cast<ConvolutionLayer<Dtype>*>(upstream.get()));
  upstream = this->Create("num_output: 2 kernel_h: 3 kernel_w: 1");
  EXPECT_FALSE(dynamic_cast<Convolution3DLayer<Dtype>*>(upstream.get()));
}

// Upstream's convolution_param has no field above dilation's; forks' have.
TYPED_TEST(Convolution3DLayerTest, TestHasFieldsAbove) {
  PoolingParameter param;
  EXPECT_FALSE(HasFieldsAbove(0, param));
  param.set_kernel_size(3);
  param.set_stride_w(1);
  EXPECT_TRUE(HasFieldsAbove(PoolingParameter::kStrideWFieldNumber - 1, param));
  EXPECT_FALSE(HasFieldsAbove(PoolingParameter::kStrideWFieldNumber, param));
}

// One kernel_size for all axes: the bottom decides.
TYPED_TEST(Convolution3DLayerTest, TestFactoryByAxes) {
  typedef typename TypeParam::Dtype Dtype;
  const char* const bottoms[] = {"1 2 2 2", "1 2 1 2 2"};
  for (int i = 0; i < 2; ++i) {
    this->bottom_blob_.Reshape(ShapeOf(bottoms[i]));
    Fill(&this->bottom_blob_);
    shared_ptr<Layer<Dtype> > layer =
        this->Create("num_output: 2 kernel_size: 3 pad: 1");
    ConvolutionByAxesLayer<Dtype>* by_axes =
        dynamic_cast<ConvolutionByAxesLayer<Dtype>*>(layer.get());
    ASSERT_TRUE(by_axes);
    layer->SetUp(this->bottom_, this->top_);
    EXPECT_EQ(i == 1, dynamic_cast<Convolution3DLayer<Dtype>*>(
                          by_axes->inner().get()) != NULL);
    EXPECT_EQ(2, layer->blobs().size());
    EXPECT_EQ(this->bottom_blob_.shape(), this->top_blob_.shape());
    GradientChecker<Dtype> checker(1e-2, 1e-3);
    checker.CheckGradientExhaustive(layer.get(), this->bottom_, this->top_);
  }
}

}  // namespace caffe
