#include <algorithm>
#include <cfloat>
#include <cmath>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/common.hpp"
#include "caffe/filler.hpp"
#include "caffe/layers/pooling3d_layer.hpp"
#include "caffe/test/test_caffe_main.hpp"
#include "caffe/test/test_gradient_check_util.hpp"
#include "caffe/util/rng.hpp"
#include "gtest/gtest.h"

namespace caffe {

// A pooling and what it makes of a bottom (N, C, l, h, w); axes are l, h, w.
struct Pooling3DCase {
  int num, channels;
  int in[3], kernel[3], stride[3], pad[3];
  int out[3];
};

const Pooling3DCase kPooling3DCases[] = {
    // pool1 of the P3D nets: the last windows stand over the edge
    {1, 2, {4, 8, 8}, {2, 3, 3}, {2, 2, 2}, {0, 0, 0}, {2, 4, 4}},
    // their temporal pools
    {2, 3, {4, 5, 3}, {2, 1, 1}, {2, 1, 1}, {0, 0, 0}, {2, 5, 3}},
    {1, 1, {3, 5, 7}, {3, 3, 3}, {2, 2, 2}, {1, 1, 1}, {2, 3, 4}},
    // longer than high, padded along the length
    {1, 2, {9, 3, 4}, {3, 2, 2}, {2, 2, 1}, {1, 0, 0}, {5, 2, 3}},
    // any pad drops last windows on all axes
    {1, 2, {5, 5, 3}, {2, 1, 1}, {2, 2, 3}, {1, 0, 0}, {3, 3, 1}},
    // a window that would begin beyond in + pad
    {1, 2, {3, 4, 4}, {2, 3, 2}, {2, 3, 1}, {1, 2, 1}, {2, 2, 5}},
    {2, 2, {1, 5, 5}, {1, 2, 2}, {3, 4, 3}, {0, 0, 0}, {1, 2, 2}},
    {1, 1, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}},
};

// Windows at 0 and 3: the second lies outside of 3 elements.
const Pooling3DCase kEmptyWindows = {1,         2,         {3, 4, 3}, {1, 1, 1},
                                     {3, 2, 2}, {0, 0, 0}, {2, 3, 2}};

string Describe(const Pooling3DCase& test) {
  std::ostringstream text;
  text << test.num << " x " << test.channels;
  for (int i = 0; i < 3; ++i) {
    text << ", axis " << test.in[i] << " kernel " << test.kernel[i]
         << " stride " << test.stride[i] << " pad " << test.pad[i];
  }
  return text.str();
}

// Calls body(place, value) for what output `o` of an image's channel sees, and
// returns the size of its window within the padded bottom.
template <typename Dtype, typename Body>
double PlainWindow(const Pooling3DCase& test, const int* o, const Dtype* plane,
                   const Body& body) {
  int start[3], stop[3];
  double size = 1;
  for (int i = 0; i < 3; ++i) {
    start[i] = o[i] * test.stride[i] - test.pad[i];
    stop[i] = std::min(start[i] + test.kernel[i], test.in[i] + test.pad[i]);
    size *= stop[i] - start[i];
  }
  for (int l = start[0]; l < stop[0]; ++l) {
    for (int h = start[1]; h < stop[1]; ++h) {
      for (int w = start[2]; w < stop[2]; ++w) {
        if (l < 0 || l >= test.in[0] || h < 0 || h >= test.in[1] || w < 0 ||
            w >= test.in[2]) {
          continue;
        }
        const int place = (l * test.in[1] + h) * test.in[2] + w;
        body(place, plane[place]);
      }
    }
  }
  return size;
}

template <typename TypeParam>
class Pooling3DLayerTest : public MultiDeviceTest<TypeParam> {
  typedef typename TypeParam::Dtype Dtype;

 protected:
  Pooling3DLayerTest() {
    bottoms_.push_back(&bottom_);
    tops_.push_back(&top_);
  }

  static LayerParameter Param(const Pooling3DCase& test,
                              Pooling3DParameter_PoolMethod pool) {
    LayerParameter layer;
    layer.set_name("odd");
    Pooling3DParameter* param = layer.mutable_pooling3d_param();
    param->set_pool(pool);
    param->set_kernel_l(test.kernel[0]);
    param->set_kernel_h(test.kernel[1]);
    param->set_kernel_w(test.kernel[2]);
    param->set_stride_l(test.stride[0]);
    param->set_stride_h(test.stride[1]);
    param->set_stride_w(test.stride[2]);
    param->set_pad_l(test.pad[0]);
    param->set_pad_h(test.pad[1]);
    param->set_pad_w(test.pad[2]);
    return layer;
  }

  // Different values in [0.1, 2), far enough apart for differences.
  void FillBottom(const Pooling3DCase& test) {
    Caffe::set_random_seed(1701);
    const int shape[] = {test.num, test.channels, test.in[0], test.in[1],
                         test.in[2]};
    bottom_.Reshape(vector<int>(shape, shape + 5));
    vector<int> order(bottom_.count());
    for (int i = 0; i < order.size(); ++i) order[i] = i;
    shuffle(order.begin(), order.end());
    for (int i = 0; i < order.size(); ++i) {
      bottom_.mutable_cpu_data()[i] = 0.1 + 1.9 * order[i] / order.size();
    }
  }

  // Calls body(offset of the output, offset of the plane, the output's place).
  template <typename Body>
  void ForEachOutput(const Pooling3DCase& test, const Body& body) {
    const int planes = test.num * test.channels;
    int at = 0, o[3];
    for (int plane = 0; plane < planes; ++plane) {
      for (o[0] = 0; o[0] < test.out[0]; ++o[0]) {
        for (o[1] = 0; o[1] < test.out[1]; ++o[1]) {
          for (o[2] = 0; o[2] < test.out[2]; ++o[2], ++at) {
            body(at, plane * bottom_.count(2), o);
          }
        }
      }
    }
  }

  void CheckShape(const Pooling3DCase& test) {
    const int shape[] = {test.num, test.channels, test.out[0], test.out[1],
                         test.out[2]};
    for (const Blob<Dtype>* top : tops_) {
      EXPECT_TRUE(top->shape() == vector<int>(shape, shape + 5))
          << Describe(test) << ": " << top->shape_string();
    }
  }

  void CheckMax(const Pooling3DCase& test) {
    ForEachOutput(test, [&](int at, int plane, const int* o) {
      Dtype best = -FLT_MAX, mask = -1;
      PlainWindow(test, o, bottom_.cpu_data() + plane, [&](int p, Dtype v) {
        if (v > best) {
          best = v;
          mask = p;
        }
      });
      EXPECT_EQ(best, top_.cpu_data()[at]) << Describe(test);
      EXPECT_EQ(mask, places_.cpu_data()[at]) << Describe(test);
    });
  }

  void CheckAve(const Pooling3DCase& test) {
    ForEachOutput(test, [&](int at, int plane, const int* o) {
      double sum = 0;
      bool empty = true;
      const double size =
          PlainWindow(test, o, bottom_.cpu_data() + plane, [&](int, Dtype v) {
            sum += v;
            empty = false;
          });
      EXPECT_NEAR(empty ? 0 : sum / size, top_.cpu_data()[at], 1e-5)
          << Describe(test);
    });
  }

  Blob<Dtype> bottom_, top_, places_;
  vector<Blob<Dtype>*> bottoms_, tops_;
};

TYPED_TEST_CASE(Pooling3DLayerTest, TestDtypesAndDevices);

TYPED_TEST(Pooling3DLayerTest, TestForwardMax) {
  typedef typename TypeParam::Dtype Dtype;
  this->tops_.push_back(&this->places_);
  vector<Pooling3DCase> cases(std::begin(kPooling3DCases),
                              std::end(kPooling3DCases));
  cases.push_back(kEmptyWindows);
  for (const Pooling3DCase& test : cases) {
    this->FillBottom(test);
    Pooling3DLayer<Dtype> layer(
        this->Param(test, Pooling3DParameter_PoolMethod_MAX));
    layer.SetUp(this->bottoms_, this->tops_);
    this->CheckShape(test);
    layer.Forward(this->bottoms_, this->tops_);
    this->CheckMax(test);
  }
}

TYPED_TEST(Pooling3DLayerTest, TestForwardAve) {
  typedef typename TypeParam::Dtype Dtype;
  vector<Pooling3DCase> cases(std::begin(kPooling3DCases),
                              std::end(kPooling3DCases));
  cases.push_back(kEmptyWindows);
  for (const Pooling3DCase& test : cases) {
    this->FillBottom(test);
    Pooling3DLayer<Dtype> layer(
        this->Param(test, Pooling3DParameter_PoolMethod_AVE));
    layer.SetUp(this->bottoms_, this->tops_);
    this->CheckShape(test);
    layer.Forward(this->bottoms_, this->tops_);
    this->CheckAve(test);
  }
}

// A layer follows its bottom's size.
TYPED_TEST(Pooling3DLayerTest, TestReshape) {
  typedef typename TypeParam::Dtype Dtype;
  Pooling3DCase test = kPooling3DCases[0];
  this->FillBottom(test);
  Pooling3DLayer<Dtype> layer(
      this->Param(test, Pooling3DParameter_PoolMethod_AVE));
  layer.SetUp(this->bottoms_, this->tops_);
  const int in[] = {7, 5, 6}, out[] = {4, 2, 3};
  std::copy(in, in + 3, test.in);
  std::copy(out, out + 3, test.out);
  this->FillBottom(test);
  layer.Reshape(this->bottoms_, this->tops_);
  this->CheckShape(test);
  layer.Forward(this->bottoms_, this->tops_);
  this->CheckAve(test);
}

// Of ties the first in the order l, h, w wins.
TYPED_TEST(Pooling3DLayerTest, TestTies) {
  typedef typename TypeParam::Dtype Dtype;
  const Pooling3DCase test = {1,         1,         {2, 2, 3}, {2, 2, 2},
                              {1, 1, 1}, {0, 0, 0}, {1, 1, 2}};
  this->FillBottom(test);
  this->tops_.push_back(&this->places_);
  const Dtype values[] = {1, 0, 5, 5, 5, 0, 5, 0, 5, 0, 0, 0};
  std::copy(values, values + 12, this->bottom_.mutable_cpu_data());
  Pooling3DLayer<Dtype> layer(
      this->Param(test, Pooling3DParameter_PoolMethod_MAX));
  layer.SetUp(this->bottoms_, this->tops_);
  layer.Forward(this->bottoms_, this->tops_);
  EXPECT_EQ(3, this->places_.cpu_data()[0]);
  EXPECT_EQ(2, this->places_.cpu_data()[1]);
}

// kernel_size, stride and pad are for h and w.
TYPED_TEST(Pooling3DLayerTest, TestShortNames) {
  typedef typename TypeParam::Dtype Dtype;
  const Pooling3DCase& test = kPooling3DCases[0];
  this->FillBottom(test);
  LayerParameter param;
  param.mutable_pooling3d_param()->set_kernel_size(3);
  param.mutable_pooling3d_param()->set_kernel_l(2);
  param.mutable_pooling3d_param()->set_stride(2);
  param.mutable_pooling3d_param()->set_stride_l(2);
  this->tops_.push_back(&this->places_);
  Pooling3DLayer<Dtype> layer(param);
  layer.SetUp(this->bottoms_, this->tops_);
  this->CheckShape(test);
  layer.Forward(this->bottoms_, this->tops_);
  this->CheckMax(test);
}

TYPED_TEST(Pooling3DLayerTest, TestGlobal) {
  typedef typename TypeParam::Dtype Dtype;
  const Pooling3DCase test = {2,         2,         {3, 5, 2}, {3, 5, 2},
                              {1, 1, 1}, {0, 0, 0}, {1, 1, 1}};
  this->FillBottom(test);
  LayerParameter param;
  param.mutable_pooling3d_param()->set_global_pooling(true);
  param.mutable_pooling3d_param()->set_pool(Pooling3DParameter_PoolMethod_AVE);
  Pooling3DLayer<Dtype> layer(param);
  layer.SetUp(this->bottoms_, this->tops_);
  this->CheckShape(test);
  layer.Forward(this->bottoms_, this->tops_);
  this->CheckAve(test);
}

TYPED_TEST(Pooling3DLayerTest, TestRoundDown) {
  typedef typename TypeParam::Dtype Dtype;
  Pooling3DCase test = kPooling3DCases[0];
  test.out[1] = test.out[2] = 3;
  this->FillBottom(test);
  LayerParameter param = this->Param(test, Pooling3DParameter_PoolMethod_AVE);
  param.mutable_pooling3d_param()->set_round_mode(
      Pooling3DParameter_RoundMode_FLOOR);
  Pooling3DLayer<Dtype> layer(param);
  layer.SetUp(this->bottoms_, this->tops_);
  this->CheckShape(test);
  layer.Forward(this->bottoms_, this->tops_);
  this->CheckAve(test);
}

TYPED_TEST(Pooling3DLayerTest, TestGradientMax) {
  typedef typename TypeParam::Dtype Dtype;
  for (const Pooling3DCase& test : kPooling3DCases) {
    this->FillBottom(test);
    Pooling3DLayer<Dtype> layer(
        this->Param(test, Pooling3DParameter_PoolMethod_MAX));
    GradientChecker<Dtype> checker(1e-3, 1e-2);
    checker.CheckGradientExhaustive(&layer, this->bottoms_, this->tops_);
  }
}

TYPED_TEST(Pooling3DLayerTest, TestGradientAve) {
  typedef typename TypeParam::Dtype Dtype;
  for (const Pooling3DCase& test : kPooling3DCases) {
    this->FillBottom(test);
    Pooling3DLayer<Dtype> layer(
        this->Param(test, Pooling3DParameter_PoolMethod_AVE));
    GradientChecker<Dtype> checker(1e-2, 1e-2);
    checker.CheckGradientExhaustive(&layer, this->bottoms_, this->tops_);
  }
}

// Windows outside the bottom take part in no gradient, nor in the memory
// before and behind.
TYPED_TEST(Pooling3DLayerTest, TestBackwardEmptyWindows) {
  typedef typename TypeParam::Dtype Dtype;
  const Pooling3DCase& test = kEmptyWindows;
  this->FillBottom(test);
  for (int average = 0; average < 2; ++average) {
    Pooling3DLayer<Dtype> layer(
        this->Param(test, average ? Pooling3DParameter_PoolMethod_AVE
                                  : Pooling3DParameter_PoolMethod_MAX));
    layer.SetUp(this->bottoms_, this->tops_);
    layer.Forward(this->bottoms_, this->tops_);
    caffe_set(this->top_.count(), Dtype(2), this->top_.mutable_cpu_diff());
    layer.Backward(this->tops_, vector<bool>(1, true), this->bottoms_);
    vector<Dtype> right(this->bottom_.count());
    this->ForEachOutput(test, [&](int, int plane, const int* o) {
      PlainWindow(test, o, this->bottom_.cpu_data() + plane,
                  [&](int p, Dtype) { right[plane + p] += 2; });
    });
    for (int i = 0; i < right.size(); ++i) {
      EXPECT_EQ(right[i], this->bottom_.cpu_diff()[i]) << "at " << i;
    }
  }
}

TYPED_TEST(Pooling3DLayerTest, TestStochasticTrain) {
  typedef typename TypeParam::Dtype Dtype;
  Pooling3DCase test = kPooling3DCases[0];
  this->FillBottom(test);
  LayerParameter param =
      this->Param(test, Pooling3DParameter_PoolMethod_STOCHASTIC);
  param.set_phase(TRAIN);
  Pooling3DLayer<Dtype> layer(param);
  layer.SetUp(this->bottoms_, this->tops_);
  layer.Forward(this->bottoms_, this->tops_);
  Blob<Dtype> first;
  first.CopyFrom(this->top_, false, true);
  Dtype different = 0;
  Caffe::set_random_seed(5);
  layer.Forward(this->bottoms_, this->tops_);
  this->ForEachOutput(test, [&](int at, int plane, const int* o) {
    bool found = false;
    PlainWindow(test, o, this->bottom_.cpu_data() + plane, [&](int, Dtype v) {
      found = found || v == this->top_.cpu_data()[at];
    });
    EXPECT_TRUE(found) << "output " << at << " is no value of its window";
    different += first.cpu_data()[at] != this->top_.cpu_data()[at];
  });
  EXPECT_GT(different, 0) << "two draws are the same";
  first.CopyFrom(this->top_, false, true);
  Caffe::set_random_seed(5);
  layer.Forward(this->bottoms_, this->tops_);
  for (int i = 0; i < first.count(); ++i) {
    EXPECT_EQ(first.cpu_data()[i], this->top_.cpu_data()[i])
        << "the same seed gives another draw";
  }
  GradientChecker<Dtype> checker(1e-4, 1e-2);
  checker.CheckGradientExhaustive(&layer, this->bottoms_, this->tops_);
}

TYPED_TEST(Pooling3DLayerTest, TestStochasticTest) {
  typedef typename TypeParam::Dtype Dtype;
  const Pooling3DCase& test = kPooling3DCases[0];
  this->FillBottom(test);
  LayerParameter param =
      this->Param(test, Pooling3DParameter_PoolMethod_STOCHASTIC);
  param.set_phase(TEST);
  Pooling3DLayer<Dtype> layer(param);
  layer.SetUp(this->bottoms_, this->tops_);
  layer.Forward(this->bottoms_, this->tops_);
  this->ForEachOutput(test, [&](int at, int plane, const int* o) {
    double sum = 0, squares = 0;
    PlainWindow(test, o, this->bottom_.cpu_data() + plane, [&](int, Dtype v) {
      sum += v;
      squares += v * v;
    });
    EXPECT_NEAR(squares / sum, this->top_.cpu_data()[at], 1e-5);
  });
  EXPECT_DEATH(
      layer.Backward(this->tops_, vector<bool>(1, true), this->bottoms_),
      "'odd' with pool: STOCHASTIC has a backward pass in phase TRAIN only");
}

// What is wrong is said with the layer's name, the value and the cure.
TYPED_TEST(Pooling3DLayerTest, TestErrors) {
  typedef typename TypeParam::Dtype Dtype;
  const Pooling3DCase& test = kPooling3DCases[0];
  this->FillBottom(test);
  const LayerParameter right =
      this->Param(test, Pooling3DParameter_PoolMethod_STOCHASTIC);
  const struct {
    void (*change)(Pooling3DParameter* param);
    const char* message;
  } errors[] = {
      {[](Pooling3DParameter* p) { p->set_kernel_size(2); },
       "'odd': give either kernel_size or both kernel_h and kernel_w"},
      {[](Pooling3DParameter* p) { p->clear_stride_w(); },
       "'odd': give either stride or both stride_h and stride_w"},
      {[](Pooling3DParameter* p) { p->set_pad(1); },
       "'odd': give either pad or both pad_h and pad_w"},
      {[](Pooling3DParameter* p) { p->clear_kernel_l(); },
       "'odd': the window's size is missing: give kernel_l"},
      {[](Pooling3DParameter* p) { p->set_stride_l(0); },
       "'odd': kernel and stride of the window have to be at least 1, not 2 "
       "and 0"},
      {[](Pooling3DParameter* p) { p->set_global_pooling(true); },
       "'odd': global_pooling takes no kernel size"},
      {[](Pooling3DParameter* p) { p->set_pad_l(1); },
       "'odd' cannot pad \\(by 1\\) for pool: STOCHASTIC"},
      {[](Pooling3DParameter* p) {
         p->set_pool(Pooling3DParameter_PoolMethod_AVE);
         p->set_pad_h(3);
       },
       "'odd': the pad 3 has to be smaller than the kernel 3"},
      {[](Pooling3DParameter* p) { p->set_kernel_l(90); },
       "'odd': a kernel of 90 with stride 2 and pad 0 does not fit into 4 "},
  };
  for (const auto& error : errors) {
    LayerParameter param = right;
    error.change(param.mutable_pooling3d_param());
    Pooling3DLayer<Dtype> layer(param);
    EXPECT_DEATH(layer.SetUp(this->bottoms_, this->tops_), error.message);
  }
  Pooling3DLayer<Dtype> layer(right);
  this->tops_.push_back(&this->places_);
  EXPECT_DEATH(layer.SetUp(this->bottoms_, this->tops_),
               "produces at most 1 top");
  this->tops_.pop_back();
  this->bottom_.Reshape(vector<int>(4, 2));
  EXPECT_DEATH(layer.SetUp(this->bottoms_, this->tops_),
               "'odd' needs 5 axes \\(num, channels, length, height, width\\), "
               "the bottom's shape is 2 2 2 2 \\(16\\)");
}

}  // namespace caffe
