#include "kernels/conv_choice.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <map>
#include <memory>
#include <mutex>

#include "kernels/choice_file.hpp"
#include "kernels/conv_library.hpp"
#include "kernels/cuda_device.hpp"
#include "kernels/cudnn_conv.hpp"

namespace p3d {
namespace cuda {
namespace {

constexpr size_t kMostPlans = 3;
constexpr int64_t kMostWorkspace = int64_t{256} << 20;
constexpr int kRepeats = 10;  // of what is timed
const char kOwn[] = "own";

// Memory on the GPU for the length of a choice.
class Scratch {
 public:
  explicit Scratch(size_t bytes) : data_(DeviceAllocate(bytes)) {}
  ~Scratch() { DeviceRelease(data_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  void* data() const { return data_; }

 private:
  void* data_;
};

std::string Pinned() {
  const char* name = std::getenv("P3D_CONVOLUTION");
  return name ? name : "";
}

// N of "cudnn_N", -1 of anything else.
int PlanNumber(const std::string& name) {
  int number = -1, end = 0;
  std::sscanf(name.c_str(), "cudnn_%d%n", &number, &end);
  return end == static_cast<int>(name.size()) && number >= 0 ? number : -1;
}

bool Aligned(const ConvPlaces& places) {
  for (const void* place :
       {places.first, places.second, places.scale, places.shift,
        places.residual, static_cast<const void*>(places.result)}) {
    if (reinterpret_cast<uintptr_t>(place) % 16 != 0) return false;
  }
  return true;
}

// Adds values [first, first + count) of a result on the GPU, as floats.
template <typename Value>
void Append(const void* result, size_t first, size_t count,
            std::vector<float>* values) {
  std::vector<Value> part(count);
  CopyToHost(part.data(), static_cast<const Value*>(result) + first,
             count * sizeof(Value));
  values->insert(values->end(), part.begin(), part.end());
}

// Results on the host: all, or those at the beginning, in the middle and at the
// end, for there may be a thousand million.
std::vector<float> Values(const ConvForm& form, const void* result) {
  constexpr size_t kPart = 1 << 19;
  const bool wide =
      form.kind == ValueKind::kTf32 || form.use == ConvUse::kWeightGradient;
  const auto append = wide                            ? Append<float>
                      : form.kind == ValueKind::kBf16 ? Append<Bf16>
                                                      : Append<Fp16>;
  const size_t count = form.result_bytes() / (wide ? 4 : 2);
  std::vector<float> values;
  if (count <= 3 * kPart) {
    append(result, 0, count, &values);
  } else {
    for (const size_t first : {size_t{0}, (count - kPart) / 2, count - kPart}) {
      append(result, first, kPart, &values);
    }
  }
  return values;
}

float Largest(const std::vector<float>& values) {
  float largest = 0;
  for (const float value : values) {
    const float size = std::fabs(value);
    largest = size <= largest ? largest : size;  // keeps NaN
  }
  return largest;
}

// The largest difference over the largest of `want`; what is no number counts
// as infinitely far off.
double Error(const std::vector<float>& got, const std::vector<float>& want,
             float largest) {
  double error = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    const double difference = std::fabs(double{got[i]} - want[i]) / largest;
    if (!(difference <= error)) error = difference;
    if (error != error) return std::numeric_limits<double>::infinity();
  }
  return error;
}

// Two roundings of the largest value, and what a sum in another order may add.
double Tolerance(const ConvForm& form) {
  switch (form.kind) {
    case ValueKind::kBf16:
      return 1. / 64;
    case ValueKind::kFp16:
      return 1. / 512;
    default:
      return 1. / 256;
  }
}

using Plan = cudnn::ConvPlan;

// What is known about one GPU.
class OnDevice {
 public:
  OnDevice(const cudnn::Library& library, const std::string& cache, int device)
      : library_(library),
        file_(cache, DescribeDevice(device).name + ", " + DeviceSoftware() +
                         ", cuDNN " + cudnn::VersionText(library.version) +
                         ", choices 1"),
        kept_(file_.Read()) {
    library_.Check(library_.cudnnCreate(&target_.handle), "cudnnCreate");
  }

  bool Run(CUstream_st* stream, const ConvForm& form, const ConvPlaces& places,
           const OwnKernel& own) {
    const std::string text = form.Text();
    auto found = choices_.find(text);
    if (found == choices_.end()) {
      if (DeviceCapturing()) return false;
      std::unique_ptr<Choice> choice = Choose(stream, form, places, own);
      if (!choice) return false;
      found = choices_.emplace(text, std::move(*choice)).first;
    }
    const Plan* plan = found->second.plan.get();
    if (plan) plan->Run(target_.handle, stream, places, workspace_);
    return plan;
  }

  std::string Choices() const {
    std::string text;
    for (const auto& entry : choices_) {
      text += entry.second.name + "\t" + entry.first + "\n";
    }
    return text;
  }

 private:
  struct Choice {
    std::string name;
    std::unique_ptr<Plan> plan;  // none: our own kernel
  };
  using Plans = std::vector<std::unique_ptr<Plan>>;

  // Null where nothing can be told yet.
  std::unique_ptr<Choice> Choose(CUstream_st* stream, const ConvForm& form,
                                 const ConvPlaces& places,
                                 const OwnKernel& own) {
    std::unique_ptr<Choice> choice(new Choice{kOwn, nullptr});
    const std::string pinned = Pinned();
    if (pinned == kOwn) return choice;
    const auto kept = kept_.find(form.Text());
    if (pinned.empty() && kept != kept_.end()) {
      if (kept->second == kOwn) return choice;
      Plans plans = FindOne(form, kept->second);
      if (!plans.empty()) return Take(std::move(plans[0]));
    }
    try {
      return Compare(stream, form, places, own, pinned);
    } catch (const OutOfMemory&) {
      return choice;  // for this process
    }
  }

  std::unique_ptr<Choice> Compare(CUstream_st* stream, const ConvForm& form,
                                  const ConvPlaces& places,
                                  const OwnKernel& own,
                                  const std::string& pinned) {
    std::unique_ptr<Choice> choice(new Choice{kOwn, nullptr});
    const bool race = pinned.empty();
    const Scratch result(form.result_bytes());
    const ConvPlaces at = Moved(places, result.data());
    const auto run_own = [&] { own.launch(stream, at); };
    Begin(form, places, at);
    run_own();
    const std::vector<float> want = Values(form, result.data());
    const float largest = Largest(want);
    // Zeros, and what has overflown, tell nothing about a plan.
    if (!(largest > 0) || std::isinf(largest)) return nullptr;
    Plans plans = race ? Find(form, 0, kMostPlans) : FindOne(form, pinned);
    double best = race && !plans.empty() ? Seconds(run_own) : 1;
    for (std::unique_ptr<Plan>& plan : plans) {
      Reserve(*plan);
      const auto run = [&] {
        plan->Run(target_.handle, stream, at, workspace_);
      };
      Begin(form, places, at);
      if (!Right(form, run, at, want, largest)) continue;
      const double seconds = race ? Seconds(run) : 0;
      if (seconds >= best) continue;
      best = seconds;
      choice = Take(std::move(plan));
    }
    if (race) file_.Add(form.Text(), choice->name);
    return choice;
  }

  // The same with another result, in place where that was.
  static ConvPlaces Moved(const ConvPlaces& places, void* result) {
    ConvPlaces moved = places;
    moved.result = result;
    if (places.residual == places.result) moved.residual = result;
    return moved;
  }
  static void Begin(const ConvForm& form, const ConvPlaces& places,
                    const ConvPlaces& at) {
    if (at.residual == at.result) {
      CopyOnDevice(at.result, places.result, form.result_bytes());
    } else {
      ZeroOnDevice(at.result, form.result_bytes());
    }
  }

  template <typename Run>
  static double Seconds(const Run& run) {
    return DeviceSeconds([&] {
      for (int i = 0; i < kRepeats; ++i) run();
    });
  }

  template <typename Run>
  static bool Right(const ConvForm& form, const Run& run, const ConvPlaces& at,
                    const std::vector<float>& want, float largest) {
    try {
      run();
    } catch (const p3d::Error&) {
      return false;  // it said that it could
    }
    const double error = Error(Values(form, at.result), want, largest);
    if (error <= Tolerance(form)) return true;
    std::fprintf(stderr,
                 "caffe-p3d: a convolution of cuDNN's is not used, its results "
                 "are %g of the largest value off: %s\n",
                 error, form.Text().c_str());
    return false;
  }

  // The one that a choice names; none where it names none.
  Plans FindOne(const ConvForm& form, const std::string& choice) const {
    if (choice == "cudnn") return Find(form, 0, 1);
    const int number = PlanNumber(choice);
    if (number < 0) return {};
    Plans plans = Find(form, number, 1);
    if (!plans.empty() && plans[0]->number() != number) plans.clear();
    return plans;
  }
  Plans Find(const ConvForm& form, int first, size_t most) const {
    try {
      return cudnn::MakePlans(library_, target_, form, first, most,
                              kMostWorkspace);
    } catch (const p3d::Error&) {
      return {};
    }
  }

  std::unique_ptr<Choice> Take(std::unique_ptr<Plan> plan) {
    Reserve(*plan);
    const std::string name = "cudnn_" + std::to_string(plan->number());
    return std::unique_ptr<Choice>(new Choice{name, std::move(plan)});
  }

  // Memory that graphs know is never released: it grows to twice as much.
  void Reserve(const Plan& plan) {
    if (plan.workspace_bytes() <= workspace_bytes_) return;
    int64_t bytes = std::max<int64_t>(workspace_bytes_, 1 << 20);
    while (bytes < plan.workspace_bytes()) bytes *= 2;
    workspace_ = DeviceKeep(bytes);
    workspace_bytes_ = bytes;
  }

  const cudnn::Library& library_;
  cudnn::Target target_;
  const ChoiceFile file_;
  const std::map<std::string, std::string> kept_;
  std::map<std::string, Choice> choices_;  // by form
  void* workspace_ = nullptr;
  int64_t workspace_bytes_ = 0;
};

class Chooser {
 public:
  void Use(const std::vector<std::string>& folders, const std::string& cache) {
    const std::lock_guard<std::mutex> lock(mutex_);
    folders_ = folders;
    cache_ = cache;
  }

  bool Run(CUstream_st* stream, const ConvForm& form, const ConvPlaces& places,
           const OwnKernel& own) {
    if (!cudnn::CanAsk(form) || !Aligned(places)) return false;
    const std::lock_guard<std::mutex> lock(mutex_);
    const int device = DeviceInUse();
    std::unique_ptr<OnDevice>& on = devices_[device];
    if (!on) {
      if (DeviceCapturing() || !Loaded()) return false;
      try {
        on.reset(new OnDevice(*library_, cache_, device));
      } catch (const p3d::Error& error) {
        reason_ = error.what();
        std::fprintf(stderr, "caffe-p3d: cuDNN is not used: %s\n",
                     reason_.c_str());
        return false;
      }
    }
    return on->Run(stream, form, places, own);
  }

  std::string Libraries() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return Loaded() ? "cuDNN " + cudnn::VersionText(library_->version)
                    : reason_;
  }

  std::string Choices() {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::string text;
    for (const auto& device : devices_) {
      if (device.second) text += device.second->Choices();
    }
    return text;
  }

 private:
  bool Loaded() {
    if (library_ || !reason_.empty()) return reason_.empty();
    try {
      library_ = cudnn::Load(folders_);
    } catch (const p3d::Error& error) {
      reason_ = error.what();
    }
    return reason_.empty();
  }

  std::mutex mutex_;
  std::vector<std::string> folders_;
  std::string cache_;
  std::unique_ptr<cudnn::Library> library_;
  std::string reason_;  // why there is none, or none that works
  std::map<int, std::unique_ptr<OnDevice>> devices_;
};

// Never destroyed: CUDA is gone before static objects are.
Chooser& TheChooser() {
  static Chooser* chooser = new Chooser;
  return *chooser;
}

bool RunChosen(CUstream_st* stream, const ConvForm& form,
               const ConvPlaces& places, const OwnKernel& own) {
  return TheChooser().Run(stream, form, places, own);
}

}  // namespace

void UseConvLibraries(const std::vector<std::string>& folders,
                      const std::string& cache) {
  TheChooser().Use(folders, cache);
  SetConvLibrary(RunChosen);
}
std::string ConvLibraries() { return TheChooser().Libraries(); }
std::string ConvChoices() { return TheChooser().Choices(); }

}  // namespace cuda
}  // namespace p3d
