#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/common.hpp"
#include "caffe/filler.hpp"
#include "caffe/layers/bn_layer.hpp"
#include "caffe/test/test_caffe_main.hpp"
#include "caffe/test/test_gradient_check_util.hpp"
#include "gtest/gtest.h"

namespace caffe {

// Shapes of every number of axes, with odd sizes; the last has one value per
// channel.
const vector<vector<int> >& BNShapes() {
  static const vector<vector<int> > shapes = {{3, 2, 3, 5, 4}, {1, 3, 2, 1, 7},
                                              {5, 4, 3, 3},    {4, 1, 9},
                                              {7, 5},          {1, 6, 1, 1, 1}};
  return shapes;
}

// Straight from the formulas, in double, of one channel.
struct PlainBN {
  PlainBN(const Blob<double>& x, int c, bool batch, double mean,
          double variance, double eps)
      : num(x.shape(0)),
        channels(x.shape(1)),
        pixels(x.count(2)),
        c(c),
        m(num * pixels),
        mean(mean),
        variance(variance),
        eps(eps) {
    if (!batch) return;
    this->mean = Sum([&](int i) { return x.cpu_data()[i] / m; });
    this->variance = Sum([&](int i) {
      const double d = x.cpu_data()[i] - this->mean;
      return d * d / m;
    });
  }
  template <typename Term>
  double Sum(const Term& term) const {
    double sum = 0;
    ForEach([&](int i) { sum += term(i); });
    return sum;
  }
  template <typename Body>
  void ForEach(const Body& body) const {
    for (int n = 0; n < num; ++n) {
      for (int p = 0; p < pixels; ++p) body((n * channels + c) * pixels + p);
    }
  }
  double deviation() const { return std::sqrt(variance + eps); }

  int num, channels, pixels, c, m;
  double mean, variance, eps;
};

template <typename TypeParam>
class BNLayerTest : public MultiDeviceTest<TypeParam> {
  typedef typename TypeParam::Dtype Dtype;

 protected:
  BNLayerTest()
      : bottom_(new Blob<Dtype>()),
        top_(new Blob<Dtype>()),
        mean_(0.5),
        engine_(BNParameter_Engine_DEFAULT) {
    bottoms_.push_back(bottom_.get());
    tops_.push_back(top_.get());
  }

  void Fill(float mean, float std, Blob<Dtype>* blob) {
    FillerParameter param;
    param.set_mean(mean);
    param.set_std(std);
    GaussianFiller<Dtype>(param).Fill(blob);
  }

  // A layer for `shape`, with random parameters and a random bottom.
  void SetUpLayer(const vector<int>& shape, LayerParameter param) {
    Caffe::set_random_seed(1701);
    param.mutable_bn_param()->set_engine(engine_);
    bottom_->Reshape(shape);
    Fill(mean_, 2, bottom_.get());
    layer_.reset(new BNLayer<Dtype>(param));
    layer_->SetUp(bottoms_, tops_);
    for (int i = 0; i < 4; ++i) Fill(1, 0.1, layer_->blobs()[i].get());
  }

  // A random diff on the top; the parameters' diffs start at 2 and 3.
  void Backward() {
    Blob<Dtype> diff(tops_[0]->shape());
    Fill(0.5, 1, &diff);
    caffe_copy(diff.count(), diff.cpu_data(), tops_[0]->mutable_cpu_diff());
    for (int i = 0; i < 2; ++i) {
      caffe_set(layer_->blobs()[i]->count(), Dtype(2 + i),
                layer_->blobs()[i]->mutable_cpu_diff());
    }
    layer_->Backward(tops_, vector<bool>(1, true), bottoms_);
  }

  static void ToDouble(int count, const Dtype* from, double* to) {
    std::copy(from, from + count, to);
  }

  // Compares a forward and a backward pass with the formulas.
  void TestPasses(const vector<int>& shape, Phase phase, bool frozen) {
    LayerParameter param;
    param.set_phase(phase);
    param.mutable_bn_param()->set_frozen(frozen);
    SetUpLayer(shape, param);
    const vector<shared_ptr<Blob<Dtype> > >& blobs = layer_->blobs();
    Blob<double> x(shape);
    ToDouble(x.count(), bottom_->cpu_data(), x.mutable_cpu_data());
    vector<PlainBN> channels;
    for (int c = 0; c < shape[1]; ++c) {
      channels.push_back(PlainBN(x, c, phase == TRAIN && !frozen,
                                 blobs[2]->cpu_data()[c],
                                 blobs[3]->cpu_data()[c], 1e-5));
    }
    const string name = bottom_->shape_string() +
                        (phase == TRAIN ? " TRAIN" : " TEST") +
                        (frozen ? " frozen" : "");
    layer_->Forward(bottoms_, tops_);
    for (int c = 0; c < shape[1]; ++c) CheckForward(name, channels[c]);
    Backward();
    for (int c = 0; c < shape[1]; ++c) {
      if (frozen) {
        CheckFrozenBackward(name, channels[c]);
      } else {
        CheckBackward(name, channels[c]);
      }
    }
  }

  void CheckForward(const string& name, const PlainBN& plain) {
    const Dtype slope = layer_->blobs()[0]->cpu_data()[plain.c];
    const Dtype bias = layer_->blobs()[1]->cpu_data()[plain.c];
    const Dtype* x = bottom_->cpu_data();
    plain.ForEach([&](int i) {
      EXPECT_NEAR(tops_[0]->cpu_data()[i],
                  slope * (x[i] - plain.mean) / plain.deviation() + bias, 1e-4)
          << name << " channel " << plain.c;
    });
  }

  // With the batch formula, whatever statistics Forward took.
  void CheckBackward(const string& name, const PlainBN& plain) {
    const Dtype slope = layer_->blobs()[0]->cpu_data()[plain.c];
    const Dtype* x = bottom_->cpu_data();
    const Dtype* dy = tops_[0]->cpu_diff();
    const auto t = [&](int i) {
      return (x[i] - plain.mean) / plain.deviation();
    };
    const double sum = plain.Sum([&](int i) { return dy[i]; });
    const double moment = plain.Sum([&](int i) { return dy[i] * t(i); });
    const double gain = slope / plain.deviation();
    EXPECT_NEAR(2 + moment, layer_->blobs()[0]->cpu_diff()[plain.c], 1e-3)
        << name << ": d slope of channel " << plain.c;
    EXPECT_NEAR(3 + sum, layer_->blobs()[1]->cpu_diff()[plain.c], 1e-3)
        << name << ": d bias of channel " << plain.c;
    plain.ForEach([&](int i) {
      EXPECT_NEAR(gain * (dy[i] - sum / plain.m - t(i) * moment / plain.m),
                  bottoms_[0]->cpu_diff()[i], 1e-4 * (1 + gain))
          << name << ": d bottom of channel " << plain.c;
    });
  }

  void CheckFrozenBackward(const string& name, const PlainBN& plain) {
    const double gain =
        layer_->blobs()[0]->cpu_data()[plain.c] / plain.deviation();
    EXPECT_EQ(2, layer_->blobs()[0]->cpu_diff()[plain.c]) << name;
    EXPECT_EQ(3, layer_->blobs()[1]->cpu_diff()[plain.c]) << name;
    plain.ForEach([&](int i) {
      EXPECT_NEAR(gain * tops_[0]->cpu_diff()[i], bottoms_[0]->cpu_diff()[i],
                  1e-4)
          << name << ": d bottom of channel " << plain.c;
    });
  }

  void CheckRunning() {
    LayerParameter param;
    param.mutable_bn_param()->set_momentum(0.75);
    SetUpLayer(BNShapes()[0], param);
    Blob<double> x(bottom_->shape());
    ToDouble(x.count(), bottom_->cpu_data(), x.mutable_cpu_data());
    const PlainBN plain(x, 1, true, 0, 0, 0);
    const double mean = layer_->blobs()[2]->cpu_data()[1];
    const double variance = layer_->blobs()[3]->cpu_data()[1];
    layer_->Forward(bottoms_, tops_);
    EXPECT_NEAR(0.75 * mean + 0.25 * plain.mean,
                layer_->blobs()[2]->cpu_data()[1], 1e-5);
    EXPECT_NEAR(0.75 * variance + 0.25 * plain.variance,
                layer_->blobs()[3]->cpu_data()[1], 1e-5);
    for (int frozen = 0; frozen < 2; ++frozen) {
      param.set_phase(frozen ? TRAIN : TEST);
      param.mutable_bn_param()->set_frozen(frozen);
      SetUpLayer(BNShapes()[0], param);
      layer_->Forward(bottoms_, tops_);
      EXPECT_EQ(mean, layer_->blobs()[2]->cpu_data()[1]);
      EXPECT_EQ(variance, layer_->blobs()[3]->cpu_data()[1]);
    }
  }

  // In place gives what a top of its own gives, in both directions.
  void CheckInPlace() {
    for (int way = 0; way < 4; ++way) {
      LayerParameter param;
      param.set_phase(way % 2 ? TRAIN : TEST);
      param.mutable_bn_param()->set_frozen(way / 2);
      Blob<Dtype> data, diff, slope_diff;
      for (int in_place = 0; in_place < 2; ++in_place) {
        tops_[0] = in_place ? bottom_.get() : top_.get();
        SetUpLayer(BNShapes()[0], param);
        layer_->Forward(bottoms_, tops_);
        Blob<Dtype> top;
        top.CopyFrom(*tops_[0], false, true);
        Backward();
        const Blob<Dtype>& slope = *layer_->blobs()[0];
        if (!in_place) {
          data.CopyFrom(top, false, true);
          diff.CopyFrom(*bottom_, true, true);
          slope_diff.CopyFrom(slope, true, true);
          continue;
        }
        for (int i = 0; i < top.count(); ++i) {
          EXPECT_EQ(data.cpu_data()[i], top.cpu_data()[i]) << "way " << way;
          EXPECT_EQ(diff.cpu_diff()[i], bottom_->cpu_diff()[i])
              << "way " << way;
        }
        for (int c = 0; c < slope.count(); ++c) {
          EXPECT_EQ(slope_diff.cpu_diff()[c], slope.cpu_diff()[c]);
        }
      }
    }
  }

  void CheckNotWanted() {
    LayerParameter param;
    SetUpLayer(BNShapes()[0], param);
    layer_->set_param_propagate_down(0, false);
    layer_->Forward(bottoms_, tops_);
    Backward();
    EXPECT_EQ(2, layer_->blobs()[0]->cpu_diff()[0]);
    EXPECT_NE(3, layer_->blobs()[1]->cpu_diff()[0]);
  }

  shared_ptr<Blob<Dtype> > bottom_, top_;
  vector<Blob<Dtype>*> bottoms_, tops_;
  shared_ptr<BNLayer<Dtype> > layer_;
  float mean_;
  BNParameter_Engine engine_;
};

TYPED_TEST_CASE(BNLayerTest, TestDtypesAndDevices);

TYPED_TEST(BNLayerTest, TestSetUp) {
  typedef typename TypeParam::Dtype Dtype;
  for (int frozen = 0; frozen < 2; ++frozen) {
    LayerParameter param;
    param.add_param()->set_name("shared");
    param.mutable_bn_param()->set_frozen(frozen);
    this->bottom_->Reshape(BNShapes()[0]);
    BNLayer<Dtype> layer(param);
    layer.SetUp(this->bottoms_, this->tops_);
    EXPECT_TRUE(this->top_->shape() == this->bottom_->shape());
    ASSERT_EQ(4, layer.blobs().size());
    const Dtype starts[] = {1, 0, 0, Dtype(frozen)};
    ASSERT_EQ(4, layer.layer_param().param_size());
    EXPECT_EQ("shared", layer.layer_param().param(0).name());
    for (int i = 0; i < 4; ++i) {
      EXPECT_EQ("1 2 (2)", layer.blobs()[i]->shape_string());
      EXPECT_EQ(starts[i], layer.blobs()[i]->cpu_data()[1]) << "blob " << i;
      const int trained = i < 2 && !frozen;
      EXPECT_EQ(trained, layer.layer_param().param(i).lr_mult());
      EXPECT_EQ(trained, layer.layer_param().param(i).decay_mult());
    }
  }
}

TYPED_TEST(BNLayerTest, TestTrain) {
  for (const vector<int>& shape : BNShapes()) {
    this->TestPasses(shape, TRAIN, false);
  }
}

TYPED_TEST(BNLayerTest, TestTest) {
  for (const vector<int>& shape : BNShapes()) {
    this->TestPasses(shape, TEST, false);
  }
}

TYPED_TEST(BNLayerTest, TestFrozen) {
  for (const vector<int>& shape : BNShapes()) {
    this->TestPasses(shape, TRAIN, true);
    this->TestPasses(shape, TEST, true);
  }
}

// float32 has 7 digits, of which a mean of 1e4 leaves 3.
TYPED_TEST(BNLayerTest, TestLargeMean) {
  this->mean_ = 1e4;
  this->TestPasses(BNShapes()[0], TRAIN, false);
}

TYPED_TEST(BNLayerTest, TestRunning) { this->CheckRunning(); }

TYPED_TEST(BNLayerTest, TestInPlace) { this->CheckInPlace(); }

TYPED_TEST(BNLayerTest, TestNotWanted) { this->CheckNotWanted(); }

// All the same with cuDNN where this Caffe has it.
TYPED_TEST(BNLayerTest, TestCudnn) {
  this->engine_ = BNParameter_Engine_CUDNN;
  for (const vector<int>& shape : BNShapes()) {
    this->TestPasses(shape, TRAIN, false);
    this->TestPasses(shape, TEST, false);
    this->TestPasses(shape, TRAIN, true);
  }
  this->CheckRunning();
  this->CheckInPlace();
  this->CheckNotWanted();
}

TYPED_TEST(BNLayerTest, TestGradient) {
  typedef typename TypeParam::Dtype Dtype;
  const vector<vector<int> > shapes = {{2, 2, 1, 3, 2}, {3, 3, 2}, {4, 2}};
  for (const vector<int>& shape : shapes) {
    LayerParameter param;
    param.mutable_bn_param()->mutable_slope_filler()->set_value(1.5);
    param.mutable_bn_param()->set_eps(1e-2);
    this->SetUpLayer(shape, param);
    BNLayer<Dtype> layer(param);
    GradientChecker<Dtype> checker(1e-2, 1e-3);
    checker.CheckGradientExhaustive(&layer, this->bottoms_, this->tops_);
  }
}

// What is wrong is said with the layer's name and the value.
TYPED_TEST(BNLayerTest, TestErrors) {
  typedef typename TypeParam::Dtype Dtype;
  LayerParameter param;
  param.set_name("odd");
  this->SetUpLayer(BNShapes()[0], param);
  this->bottom_->Reshape(vector<int>(5, 3));
  EXPECT_DEATH(this->layer_->Reshape(this->bottoms_, this->tops_),
               "BN 'odd' is for 2 channels; the bottom's shape is 3 3 3 3 3");
  this->bottom_->Reshape(vector<int>(1, 3));
  BNLayer<Dtype> layer(param);
  EXPECT_DEATH(layer.SetUp(this->bottoms_, this->tops_),
               "BN 'odd' needs a channel axis; the bottom's shape is 3");
  this->bottom_->Reshape(vector<int>({0, 2, 3}));
  EXPECT_DEATH(layer.SetUp(this->bottoms_, this->tops_),
               "cannot take statistics of a bottom without values");
}

}  // namespace caffe
