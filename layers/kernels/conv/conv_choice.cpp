#include "kernels/conv/conv_choice.hpp"

#include <cstdio>
#include <map>
#include <memory>
#include <mutex>

#include "kernels/aligned.hpp"
#include "kernels/conv/cublaslt_conv.hpp"
#include "kernels/conv/cudnn_conv.hpp"
#include "kernels/conv/device_choices.hpp"
#include "kernels/cuda/cuda_device.hpp"

namespace p3d {
namespace cuda {
namespace {

class Chooser {
 public:
  void Use(const std::vector<std::string>& folders, const std::string& cache) {
    const std::lock_guard<std::mutex> lock(mutex_);
    folders_ = folders;
    cache_ = cache;
  }

  bool Run(CUstream_st* stream, const ConvForm& form, const ConvPlaces& places,
           const OwnKernels& own) {
    if (!Aligned(places.first, places.second, places.scale, places.shift,
                 places.residual, places.result))
      return false;
    const std::lock_guard<std::mutex> lock(mutex_);
    DeviceChoices* const choices = Here();
    return choices && choices->Run(stream, form, places, own);
  }

  std::string Libraries() {
    const std::lock_guard<std::mutex> lock(mutex_);
    Load();
    std::string text;
    for (const ConvLibrary& library : libraries_) {
      text += (text.empty() ? "" : ", ") + library.title;
    }
    return text;
  }

  std::string Choices() {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::string text;
    for (const auto& device : devices_) {
      text += device.second->Text();
    }
    return text;
  }

  std::string ForwardWay(Precision kind, const ConvShape& shape) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = devices_.find(DeviceInUse());
    if (found == devices_.end()) return "";
    return found->second->ForwardWay(kind, shape);
  }

 private:
  // Those of the GPU in use; null where no library is started because a graph
  // is captured.
  DeviceChoices* Here() {
    const int device = DeviceInUse();
    if (!devices_.count(device)) {
      if (DeviceCapturing()) return nullptr;
      devices_[device] = Started(device);
    }
    return devices_[device].get();
  }

  std::unique_ptr<DeviceChoices> Started(int device) {
    Load();
    DeviceChoices::Finders finders;
    std::string system = DescribeDevice(device).name + ", " + DeviceSoftware();
    for (ConvLibrary& library : libraries_) {
      if (!library.start) continue;
      try {
        finders.push_back(library.start());
        system += ", " + library.title;
      } catch (const Error& error) {
        std::fprintf(stderr, "caffe-p3d: %s is not used: %s\n",
                     library.title.c_str(), error.what());
        library = {error.what(), nullptr};
      }
    }
    return std::unique_ptr<DeviceChoices>(
        new DeviceChoices(std::move(finders), cache_, system + ", choices 5"));
  }

  void Load() {
    if (!libraries_.empty()) return;
    for (auto load : {cudnn::LoadConvolutions, cublaslt::LoadConvolutions}) {
      try {
        libraries_.push_back(load(folders_));
      } catch (const Error& error) {
        libraries_.push_back({error.what(), nullptr});
      }
    }
  }

  std::mutex mutex_;
  std::vector<std::string> folders_;
  std::string cache_;
  // One that is not there, or does not work, has a reason for its title.
  std::vector<ConvLibrary> libraries_;
  std::map<int, std::unique_ptr<DeviceChoices>> devices_;
};

// Never destroyed: CUDA is gone before static objects are.
Chooser& TheChooser() {
  static Chooser* chooser = new Chooser;
  return *chooser;
}

bool RunChosen(CUstream_st* stream, const ConvForm& form,
               const ConvPlaces& places, const OwnKernels& own) {
  return TheChooser().Run(stream, form, places, own);
}

}  // namespace

void UseConvLibraries(const std::vector<std::string>& folders,
                      const std::string& cache) {
  TheChooser().Use(folders, cache);
  SetConvChooser(RunChosen);
}
std::string ConvLibraries() { return TheChooser().Libraries(); }
std::string ConvChoices() { return TheChooser().Choices(); }
std::string ForwardWay(Precision kind, const ConvShape& shape) {
  return TheChooser().ForwardWay(kind, shape);
}

}  // namespace cuda
}  // namespace p3d
