#ifndef CAFFE_CONVOLUTION_BY_AXES_LAYER_HPP_
#define CAFFE_CONVOLUTION_BY_AXES_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/**
 * @brief A convolution whose parameters do not tell how many axes it has: it
 *        becomes a Convolution3DLayer or the layer that the factory would have
 *        made, once its first bottom is known, and from then on hands on
 *        everything to it.
 */
template <typename Dtype>
class ConvolutionByAxesLayer : public Layer<Dtype> {
 public:
  typedef shared_ptr<Layer<Dtype> > (*Creator)(const LayerParameter&);

  ConvolutionByAxesLayer(const LayerParameter& param, Creator upstream)
      : Layer<Dtype>(param), upstream_(upstream) {}
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                          const vector<Blob<Dtype>*>& top);
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top);

  virtual inline const char* type() const { return "Convolution"; }
  virtual inline int MinBottomBlobs() const { return 1; }
  virtual inline int MinTopBlobs() const { return 1; }
  virtual inline bool EqualNumBottomTopBlobs() const { return true; }

  /// The layer that does the work; null before LayerSetUp.
  const shared_ptr<Layer<Dtype> >& chosen() const { return chosen_; }

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

 private:
  const Creator upstream_;
  shared_ptr<Layer<Dtype> > chosen_;
};

}  // namespace caffe

#endif  // CAFFE_CONVOLUTION_BY_AXES_LAYER_HPP_
