#include "caffe/layers/wrapper_layer.hpp"

#include <vector>

namespace caffe {

template <typename Dtype>
void WrapperLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                     const vector<Blob<Dtype>*>& top) {
  inner_->LayerSetUp(Seen(bottom), Seen(top));
  this->blobs_ = inner_->blobs();
  this->param_propagate_down_.resize(this->blobs_.size(), true);
}

template <typename Dtype>
void WrapperLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                  const vector<Blob<Dtype>*>& top) {
  inner_->Reshape(Seen(bottom), Seen(top));
}

// The inner layer's own Forward and Backward know which device is in use.
template <typename Dtype>
void WrapperLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  inner_->Forward(Seen(bottom), Seen(top));
}

template <typename Dtype>
void WrapperLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  Forward_cpu(bottom, top);
}

template <typename Dtype>
void WrapperLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                       const vector<bool>& propagate_down,
                                       const vector<Blob<Dtype>*>& bottom) {
  for (int i = 0; i < this->blobs_.size(); ++i) {
    inner_->set_param_propagate_down(i, this->param_propagate_down(i));
  }
  inner_->Backward(Seen(top), propagate_down, Seen(bottom));
}

template <typename Dtype>
void WrapperLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                       const vector<bool>& propagate_down,
                                       const vector<Blob<Dtype>*>& bottom) {
  Backward_cpu(top, propagate_down, bottom);
}

INSTANTIATE_CLASS(WrapperLayer);

}  // namespace caffe
