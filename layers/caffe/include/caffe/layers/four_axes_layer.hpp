#ifndef CAFFE_FOUR_AXES_LAYER_HPP_
#define CAFFE_FOUR_AXES_LAYER_HPP_

#include <map>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layers/wrapper_layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/**
 * @brief Has a layer that takes each value by itself, and knows no more than
 *        four axes, work on blobs of any number of them: it sees those of more
 *        as (N, C, all the rest, 1).
 *
 * Upstream's cuDNN layers for ReLU, Sigmoid and TanH are such, and what a Caffe
 * with cuDNN makes of these types where the prototxt names no engine. One
 * bottom, one top, which may be the same.
 */
template <typename Dtype>
class FourAxesLayer : public WrapperLayer<Dtype> {
 public:
  FourAxesLayer(const LayerParameter& param,
                const shared_ptr<Layer<Dtype> >& inner)
      : WrapperLayer<Dtype>(param) {
    this->inner_ = inner;
  }
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top);

  virtual inline int ExactNumBottomBlobs() const { return 1; }
  virtual inline int ExactNumTopBlobs() const { return 1; }

 protected:
  virtual vector<Blob<Dtype>*> Seen(const vector<Blob<Dtype>*>& blobs);

 private:
  map<Blob<Dtype>*, shared_ptr<Blob<Dtype> > > views_;
};

/**
 * @brief What the layer factory makes of `type: "ReLU"`, "Sigmoid" and "TanH":
 *        what `upstream`, its own creator, makes of it, with blobs of any
 *        number of axes also where that is cuDNN's.
 */
template <typename Dtype>
shared_ptr<Layer<Dtype> > CreateActivation(
    const LayerParameter& param,
    shared_ptr<Layer<Dtype> > (*upstream)(const LayerParameter&));

}  // namespace caffe

#endif  // CAFFE_FOUR_AXES_LAYER_HPP_
