#include <string>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/common.hpp"
#include "caffe/filler.hpp"
#include "caffe/layer_factory.hpp"
#include "caffe/layers/four_axes_layer.hpp"
#include "caffe/layers/relu_layer.hpp"
#include "caffe/test/test_caffe_main.hpp"
#include "caffe/test/test_gradient_check_util.hpp"
#include "gtest/gtest.h"

namespace caffe {

namespace {

// As upstream's layers by cuDNN: dies of more than four axes.
template <typename Dtype>
class OldReLULayer : public ReLULayer<Dtype> {
 public:
  explicit OldReLULayer(const LayerParameter& param)
      : ReLULayer<Dtype>(param) {}
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top) {
    ReLULayer<Dtype>::Reshape(bottom, top);
    EXPECT_EQ(bottom[0]->count(), bottom[0]->num() * bottom[0]->channels() *
                                      bottom[0]->height() * bottom[0]->width());
  }
};

const vector<vector<int> >& Shapes() {
  static const vector<vector<int> > shapes = {
      {2, 3, 4, 5, 3}, {1, 2, 1, 1, 1, 7}, {3, 2, 5, 1}, {4, 3}, {9}};
  return shapes;
}

}  // namespace

template <typename TypeParam>
class FourAxesLayerTest : public MultiDeviceTest<TypeParam> {
  typedef typename TypeParam::Dtype Dtype;

 protected:
  FourAxesLayerTest() {
    bottom_.push_back(&bottom_blob_);
    top_.push_back(&top_blob_);
  }

  shared_ptr<Layer<Dtype> > Wrapped() {
    const LayerParameter param;
    return shared_ptr<Layer<Dtype> >(new FourAxesLayer<Dtype>(
        param, shared_ptr<Layer<Dtype> >(new OldReLULayer<Dtype>(param))));
  }

  // A pass both ways through `layer` on random values of this shape, against
  // y = max(x, 0).
  void TestReLU(const vector<int>& shape, Layer<Dtype>* layer) {
    bottom_blob_.Reshape(shape);
    GaussianFiller<Dtype>(FillerParameter()).Fill(&bottom_blob_);
    Blob<Dtype> x;
    x.CopyFrom(bottom_blob_, false, true);
    layer->SetUp(bottom_, top_);
    ASSERT_TRUE(top_[0]->shape() == shape) << top_[0]->shape_string();
    layer->Forward(bottom_, top_);
    for (int i = 0; i < x.count(); ++i) {
      ASSERT_EQ(std::max(x.cpu_data()[i], Dtype(0)), top_[0]->cpu_data()[i]);
      top_[0]->mutable_cpu_diff()[i] = i + 1;
    }
    layer->Backward(top_, vector<bool>(1, true), bottom_);
    for (int i = 0; i < x.count(); ++i) {
      ASSERT_EQ(x.cpu_data()[i] > 0 ? i + 1 : 0, bottom_blob_.cpu_diff()[i]);
    }
  }

  Blob<Dtype> bottom_blob_, top_blob_;
  vector<Blob<Dtype>*> bottom_, top_;
};

TYPED_TEST_CASE(FourAxesLayerTest, TestDtypesAndDevices);

TYPED_TEST(FourAxesLayerTest, TestShapes) {
  for (const vector<int>& shape : Shapes()) {
    this->TestReLU(shape, this->Wrapped().get());
  }
}

TYPED_TEST(FourAxesLayerTest, TestInPlace) {
  this->top_[0] = &this->bottom_blob_;
  for (const vector<int>& shape : Shapes()) {
    this->TestReLU(shape, this->Wrapped().get());
  }
}

// One layer, for one shape after the other.
TYPED_TEST(FourAxesLayerTest, TestReshaped) {
  const shared_ptr<Layer<typename TypeParam::Dtype> > layer = this->Wrapped();
  for (const vector<int>& shape : Shapes()) {
    this->TestReLU(shape, layer.get());
  }
}

// Whoever owns the memory of a blob.
TYPED_TEST(FourAxesLayerTest, TestOtherMemory) {
  typedef typename TypeParam::Dtype Dtype;
  const shared_ptr<Layer<Dtype> > layer = this->Wrapped();
  this->TestReLU(Shapes()[0], layer.get());
  Blob<Dtype> other(Shapes()[0]);
  caffe_set(other.count(), Dtype(3), other.mutable_cpu_data());
  this->bottom_blob_.ShareData(other);
  layer->Forward(this->bottom_, this->top_);
  EXPECT_EQ(3, this->top_blob_.cpu_data()[other.count() - 1]);
}

// What the factory makes of ReLU, Sigmoid and TanH takes any number of axes,
// with cuDNN too.
TYPED_TEST(FourAxesLayerTest, TestFactory) {
  typedef typename TypeParam::Dtype Dtype;
  for (const char* type : {"ReLU", "Sigmoid", "TanH"}) {
    LayerParameter param;
    param.set_type(type);
    for (const vector<int>& shape : Shapes()) {
      const shared_ptr<Layer<Dtype> > layer =
          LayerRegistry<Dtype>::CreateLayer(param);
      EXPECT_STREQ(type, layer->type());
      this->bottom_blob_.Reshape(shape);
      layer->SetUp(this->bottom_, this->top_);
      layer->Forward(this->bottom_, this->top_);
      EXPECT_TRUE(this->top_blob_.shape() == shape) << type;
    }
    this->bottom_blob_.Reshape(Shapes()[0]);
    GaussianFiller<Dtype>(FillerParameter()).Fill(&this->bottom_blob_);
    const shared_ptr<Layer<Dtype> > layer =
        LayerRegistry<Dtype>::CreateLayer(param);
    GradientChecker<Dtype> checker(1e-2, 1e-3, 1701, 0., 0.01);
    checker.CheckGradientEltwise(layer.get(), this->bottom_, this->top_);
  }
}

}  // namespace caffe
