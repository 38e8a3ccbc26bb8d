#include "kernels/cuda/device_choices.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "kernels/conv/conv_expected.hpp"
#include "kernels/cuda/cuda_device.hpp"

namespace p3d {
namespace cuda {
namespace {

constexpr int kMostWays = 3;  // of a library, that are tried
constexpr int64_t kMostWorkspace = int64_t{256} << 20;
constexpr int kRepeats = 10;  // of what is timed
// What a library's way may take of our own kernel's time: to be made anew takes
// each process a second.
constexpr double kWorth = .95;
// Of a process, for comparisons; the next one goes on where they ended.
constexpr double kMostSeconds = 60;
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

double MostSeconds() {
  const char* text = std::getenv("P3D_CONVOLUTION_SECONDS");
  return text ? std::atof(text) : kMostSeconds;
}

// N of "library_N", -1 of anything else.
int Number(const std::string& choice, const std::string& library) {
  int number = -1, end = 0;
  std::sscanf(choice.c_str(), (library + "_%d%n").c_str(), &number, &end);
  return end == static_cast<int>(choice.size()) && number >= 0 ? number : -1;
}

ConvWays Find(const ConvFinder& finder, const ConvForm& form, int first,
              int most) {
  try {
    if (finder.CanAsk(form)) {
      return finder.Find(form, first, most, kMostWorkspace);
    }
  } catch (const Error&) {
    // It has none for this form.
  }
  return {};
}

// The same with another result, in place where that was.
ConvPlaces Moved(const ConvPlaces& places, void* result) {
  ConvPlaces moved = places;
  moved.result = result;
  if (places.residual == places.result) moved.residual = result;
  return moved;
}

void Begin(const ConvForm& form, const ConvPlaces& places,
           const ConvPlaces& at) {
  if (at.residual == at.result) {
    CopyOnDevice(at.result, places.result, form.result_bytes());
  } else {
    ZeroOnDevice(at.result, form.result_bytes());
  }
}

template <typename Run>
double Seconds(const Run& run) {
  return DeviceSeconds([&] {
    for (int i = 0; i < kRepeats; ++i) run();
  });
}

template <typename Run>
bool Right(const ConvForm& form, const ConvWay& way, const Run& run,
           const void* result, const ConvExpected& expected) {
  try {
    run();
  } catch (const Error&) {
    return false;  // it said that it could
  }
  const double error = expected.Error(result);
  if (error <= expected.Tolerance()) return true;
  std::fprintf(stderr,
               "caffe-p3d: %s is not used for a convolution, its results are "
               "%g of the largest value off: %s\n",
               way.name().c_str(), error, form.Text().c_str());
  return false;
}

// It may be minutes before anything else is seen.
void SayOnce() {
  static const bool said = [] {
    std::fprintf(stderr,
                 "caffe-p3d: ways to do convolutions are compared on this GPU, "
                 "which takes seconds for each shape and is kept for the next "
                 "time (%g s at most; P3D_CONVOLUTION=own does without)\n",
                 MostSeconds());
    return true;
  }();
  static_cast<void>(said);
}

}  // namespace

DeviceChoices::DeviceChoices(Finders finders, const std::string& cache,
                             const std::string& system)
    : finders_(std::move(finders)), file_(cache, system), kept_(file_.Read()) {}

bool DeviceChoices::Run(CUstream_st* stream, const ConvForm& form,
                        const ConvPlaces& places, const OwnKernel& own) {
  const auto can = [&](const std::unique_ptr<ConvFinder>& finder) {
    return finder->CanAsk(form);
  };
  if (std::none_of(finders_.begin(), finders_.end(), can)) return false;
  const std::string text = form.Text();
  auto found = choices_.find(text);
  if (found == choices_.end()) {
    if (DeviceCapturing()) return false;
    std::unique_ptr<Choice> choice = Choose(stream, form, places, own);
    if (!choice) return false;
    found = choices_.emplace(text, std::move(choice)).first;
  }
  const ConvWay* way = found->second->way.get();
  if (way) way->Run(stream, places, workspace_);
  return way;
}

std::string DeviceChoices::Text() const {
  std::string text;
  for (const auto& entry : choices_) {
    text += entry.second->name() + "\t" + entry.first + "\n";
  }
  return text;
}

std::string DeviceChoices::ForwardWay(Precision kind,
                                      const ConvShape& shape) const {
  ConvForm wanted;
  wanted.kind = kind;
  wanted.shape = shape;
  const std::string product = wanted.Product();
  for (const auto& entry : choices_) {
    const Choice& choice = *entry.second;
    if (choice.way && choice.form.Product() == product) return choice.name();
  }
  return "";
}

std::string DeviceChoices::Choice::name() const {
  return way ? way->name() : kOwn;
}

std::unique_ptr<DeviceChoices::Choice> DeviceChoices::Choose(
    CUstream_st* stream, const ConvForm& form, const ConvPlaces& places,
    const OwnKernel& own) {
  std::unique_ptr<Choice> choice(new Choice{form, nullptr});
  const std::string pinned = Pinned();
  if (pinned == kOwn) return choice;
  const auto kept = kept_.find(form.Text());
  if (pinned.empty() && kept != kept_.end()) {
    if (kept->second == kOwn) return choice;
    ConvWays ways = FindOne(form, kept->second);
    if (!ways.empty()) {
      Reserve(*ways[0]);
      choice->way = std::move(ways[0]);
      return choice;
    }
  }
  // What follows here is for this process alone.
  if (pinned.empty() && compared_seconds_ >= MostSeconds()) return choice;
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  try {
    choice = Compare(stream, form, places, own, pinned);
  } catch (const OutOfMemory&) {
    // So there is no room to compare.
  }
  const std::chrono::duration<double> spent = Clock::now() - start;
  compared_seconds_ += spent.count();
  return choice;
}

std::unique_ptr<DeviceChoices::Choice> DeviceChoices::Compare(
    CUstream_st* stream, const ConvForm& form, const ConvPlaces& places,
    const OwnKernel& own, const std::string& pinned) {
  std::unique_ptr<Choice> choice(new Choice{form, nullptr});
  const bool race = pinned.empty();
  if (race) SayOnce();
  const Scratch result(form.result_bytes());
  const ConvPlaces at = Moved(places, result.data());
  const auto run_own = [&] { own.launch(stream, at); };
  Begin(form, places, at);
  run_own();
  const ConvExpected expected(form, result.data());
  if (!expected.Tells()) return nullptr;
  ConvWays ways = race ? FindAll(form) : FindOne(form, pinned);
  double best = race && !ways.empty() ? kWorth * Seconds(run_own) : 1;
  for (std::unique_ptr<ConvWay>& way : ways) {
    Reserve(*way);
    const auto run = [&] { way->Run(stream, at, workspace_); };
    Begin(form, places, at);
    if (!Right(form, *way, run, result.data(), expected)) continue;
    const double seconds = race ? Seconds(run) : 0;
    if (seconds >= best) continue;
    best = seconds;
    choice->way = std::move(way);
  }
  if (race) file_.Add(form.Text(), choice->name());
  return choice;
}

ConvWays DeviceChoices::FindAll(const ConvForm& form) const {
  ConvWays all;
  for (const auto& finder : finders_) {
    for (auto& way : Find(*finder, form, 0, kMostWays)) {
      all.push_back(std::move(way));
    }
  }
  return all;
}

ConvWays DeviceChoices::FindOne(const ConvForm& form,
                                const std::string& choice) const {
  for (const auto& finder : finders_) {
    if (choice == finder->name()) return Find(*finder, form, 0, 1);
    const int number = Number(choice, finder->name());
    if (number < 0) continue;
    ConvWays ways = Find(*finder, form, number, 1);
    if (!ways.empty() && ways[0]->name() != choice) ways.clear();
    return ways;
  }
  return {};
}

// Memory that graphs know is never released: it grows to twice as much.
void DeviceChoices::Reserve(const ConvWay& way) {
  if (way.workspace_bytes() <= workspace_bytes_) return;
  int64_t bytes = std::max<int64_t>(workspace_bytes_, 1 << 20);
  while (bytes < way.workspace_bytes()) bytes *= 2;
  workspace_ = DeviceKeep(bytes);
  workspace_bytes_ = bytes;
}

}  // namespace cuda
}  // namespace p3d
