#ifndef P3D_KERNELS_DEVICE_CHOICES_HPP_
#define P3D_KERNELS_DEVICE_CHOICES_HPP_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kernels/conv/choice_file.hpp"
#include "kernels/conv/conv_trial.hpp"
#include "kernels/conv/conv_way.hpp"

namespace p3d {
namespace cuda {

// What does the convolutions on one GPU: see conv_choice.hpp. Not for several
// threads at once.
class DeviceChoices {
 public:
  using Finders = std::vector<std::unique_ptr<ConvFinder>>;

  // Between our own kernels and these libraries on the GPU in use. `system`
  // names all that choices depend on.
  DeviceChoices(Finders finders, const std::string& cache,
                const std::string& system);

  // As a ConvChooser does.
  bool Run(CUstream_st* stream, const ConvForm& form, const ConvPlaces& places,
           const OwnKernels& own);

  // See ConvChoices and ForwardWay.
  std::string Text() const;
  std::string ForwardWay(Precision kind, const ConvShape& shape) const;

 private:
  struct Choice {
    void Take(const OwnKernels::Kernel& kernel);
    void Take(std::unique_ptr<ConvWay> taken);

    ConvForm form;
    std::string name;  // "cudnn_1", "own_wgmma_64x64"; "own", what seems right
    std::unique_ptr<ConvWay> way;  // none: our own kernel
    int own;                       // its number, -1 for that
  };

  // Null where nothing can be told yet.
  std::unique_ptr<Choice> Choose(const ConvForm& form, const ConvPlaces& places,
                                 const OwnKernels& own);
  void TakeFastest(const ConvTrial& trial, const OwnKernels& own,
                   const std::vector<OwnKernels::Kernel>& kernels,
                   Choice* choice);
  // What takes less than `best` seconds, of the libraries'.
  void TakeFasterWay(const ConvTrial& trial, double best, Choice* choice);
  // All that are worth a try; the one that a choice names, or none.
  ConvWays FindAll(const ConvForm& form) const;
  ConvWays FindOne(const ConvForm& form, const std::string& choice) const;
  // That one as an earlier process left it; null where there is none.
  std::unique_ptr<ConvWay> Restored(const ConvForm& form,
                                    const std::string& choice) const;
  // Leaves it to the next process.
  void Keep(const ConvForm& form, const ConvWay& way) const;

  void Reserve(const ConvWay& way);

  const Finders finders_;
  const ChoiceFile file_;
  const std::map<std::string, std::string> kept_;
  std::map<std::string, std::unique_ptr<Choice>> choices_;  // by form
  double compared_seconds_ = 0;
  void* workspace_ = nullptr;
  int64_t workspace_bytes_ = 0;
};

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_DEVICE_CHOICES_HPP_
