#ifndef P3D_KERNELS_CONV_IGEMM_LOOPS_HPP_
#define P3D_KERNELS_CONV_IGEMM_LOOPS_HPP_

#include <cstdint>
#include <memory>

#include "kernels/conv/conv_igemm.hpp"
#include "kernels/conv/conv_loops.hpp"

namespace p3d {

// Calls a micro-kernel of conv_igemm.hpp for each tile and panel.
template <typename Value>
class IgemmLoops : public ConvLoops<Value> {
 public:
  // Null for absurd shapes.
  static std::unique_ptr<const IgemmLoops> Create(
      const ConvShape& shape, const WeightPanels& panels,
      const IgemmKernelOf<Value>& kernel);

 private:
  using Base = ConvLoops<Value>;
  using typename Base::Block;
  using typename Base::Buffers;
  using typename Base::Task;
  IgemmLoops(const ConvShape& shape, const WeightPanels& panels,
             const IgemmKernelOf<Value>& kernel);
  void RunBlock(const Block& block, const Task& task,
                const Buffers& buffers) const override;

  const IgemmKernelOf<Value>& kernel_;
};

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_IGEMM_LOOPS_HPP_
