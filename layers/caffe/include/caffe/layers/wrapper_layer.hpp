#ifndef CAFFE_WRAPPER_LAYER_HPP_
#define CAFFE_WRAPPER_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/**
 * @brief A layer that has another one do its work.
 */
template <typename Dtype>
class WrapperLayer : public Layer<Dtype> {
 public:
  explicit WrapperLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                          const vector<Blob<Dtype>*>& top);
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top);

  virtual inline const char* type() const {
    return this->layer_param_.type().c_str();
  }

  /// The layer that does the work.
  const shared_ptr<Layer<Dtype> >& inner() const { return inner_; }

 protected:
  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top);
  virtual void Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top);
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& top,
                            const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom);
  virtual void Backward_gpu(const vector<Blob<Dtype>*>& top,
                            const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom);

  /// What the inner layer is given for bottoms or tops.
  virtual vector<Blob<Dtype>*> Seen(const vector<Blob<Dtype>*>& blobs) {
    return blobs;
  }

  /// To be set before this class's LayerSetUp.
  shared_ptr<Layer<Dtype> > inner_;
};

}  // namespace caffe

#endif  // CAFFE_WRAPPER_LAYER_HPP_
