#include "kernels/conv/device_choices.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <set>

#include "kernels/cuda/cuda_device.hpp"

namespace p3d {
namespace cuda {
namespace {

constexpr int kMostWays = 3;  // of a library, that are tried
constexpr int64_t kMostWorkspace = int64_t{256} << 20;
// What a library's way may take of our own kernel's time: little more than what
// timing varies by is not worth a library.
constexpr double kWorth = .95;
// Of a process, for libraries' ways; the next one goes on where it ended.
constexpr double kMostSeconds = 60;
const char kOwn[] = "own";

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

// Of a library once: for some forms that is as it should be, for all it tells
// what is wrong.
void SayRefusal(const ConvFinder& finder, const ConvForm& form,
                const char* why) {
  static auto* const said = new std::set<std::string>;
  if (!said->insert(finder.name()).second) return;
  std::fprintf(stderr, "caffe-p3d: %s does not do every convolution (%s: %s)\n",
               finder.name(), form.Text().c_str(), why);
}

ConvWays Find(const ConvFinder& finder, const ConvForm& form, int first,
              int most) {
  try {
    if (finder.CanAsk(form)) {
      return finder.Find(form, first, most, kMostWorkspace);
    }
  } catch (const Error& error) {
    SayRefusal(finder, form, error.what());
  }
  return {};
}

ConvTrial::Way WayOf(const OwnKernels& own, int number) {
  return [&own, number](CUstream_st* stream, const ConvPlaces& places) {
    own.Launch(stream, places, number);
  };
}
ConvTrial::Way WayOf(const ConvWay& way, void* workspace) {
  return [&way, workspace](CUstream_st* stream, const ConvPlaces& places) {
    way.Run(stream, places, workspace);
  };
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
                        const ConvPlaces& places, const OwnKernels& own) {
  const std::string text = form.Text();
  auto found = choices_.find(text);
  if (found == choices_.end()) {
    if (DeviceCapturing()) return false;
    std::unique_ptr<Choice> choice = Choose(form, places, own);
    if (!choice) return false;
    found = choices_.emplace(text, std::move(choice)).first;
  }
  const Choice& choice = *found->second;
  if (choice.way) {
    choice.way->Run(stream, places, workspace_);
  } else if (choice.own >= 0) {
    own.Launch(stream, places, choice.own);
  }
  return choice.way || choice.own >= 0;
}

std::string DeviceChoices::Text() const {
  std::string text;
  for (const auto& entry : choices_) {
    text += entry.second->name + "\t" + entry.first + "\n";
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
    if (choice.name != kOwn && choice.form.Product() == product)
      return choice.name;
  }
  return "";
}

std::unique_ptr<DeviceChoices::Choice> DeviceChoices::Choose(
    const ConvForm& form, const ConvPlaces& places, const OwnKernels& own) {
  std::unique_ptr<Choice> choice(new Choice{form, kOwn, nullptr, -1});
  const std::string pinned = Pinned();
  if (pinned == kOwn || (pinned.empty() && MostSeconds() <= 0)) return choice;
  const auto kept = kept_.find(form.Text());
  const std::string name = !pinned.empty()       ? pinned
                           : kept == kept_.end() ? ""
                                                 : kept->second;
  const std::vector<OwnKernels::Kernel> kernels = own.All();
  for (const OwnKernels::Kernel& kernel : kernels) {
    if (kernel.name == name) choice->Take(kernel);
  }
  try {
    if (pinned.empty()) {
      if (std::unique_ptr<ConvWay> way = Restored(form, name)) {
        Reserve(*way);
        choice->Take(std::move(way));
        return choice;
      }
    }
    ConvWays ways = FindOne(form, name);
    if (!ways.empty()) Reserve(*ways[0]);
    if (pinned.empty() && !ways.empty()) {
      choice->Take(std::move(ways[0]));
      Keep(form, *choice->way);
    }
    if (choice->name != kOwn) return choice;
    const ConvTrial trial(form, places, WayOf(own, kernels[0].number));
    if (!trial.Tells()) return nullptr;
    if (pinned.empty()) {
      TakeFastest(trial, own, kernels, choice.get());
    } else if (!ways.empty() &&
               trial.IsRight(ways[0]->name(), WayOf(*ways[0], workspace_))) {
      choice->Take(std::move(ways[0]));
    }
  } catch (const OutOfMemory&) {
    // So there is no room to compare, or for what a library works in.
  }
  return choice;
}

void DeviceChoices::TakeFastest(const ConvTrial& trial, const OwnKernels& own,
                                const std::vector<OwnKernels::Kernel>& kernels,
                                Choice* choice) {
  double best = std::numeric_limits<double>::infinity();
  for (const OwnKernels::Kernel& kernel : kernels) {
    const ConvTrial::Way run = WayOf(own, kernel.number);
    if (&kernel != &kernels[0] && !trial.IsRight(kernel.name, run)) continue;
    const double seconds = trial.Seconds(run);
    if (seconds >= best) continue;
    best = seconds;
    choice->Take(kernel);
  }
  const bool asked =
      std::any_of(finders_.begin(), finders_.end(),
                  [&](const std::unique_ptr<ConvFinder>& finder) {
                    return finder->CanAsk(choice->form);
                  });
  if (asked && compared_seconds_ >= MostSeconds()) return;
  if (asked) TakeFasterWay(trial, kWorth * best, choice);
  file_.Add(choice->form.Text(), choice->name);
  if (choice->way) Keep(choice->form, *choice->way);
}

void DeviceChoices::TakeFasterWay(const ConvTrial& trial, double best,
                                  Choice* choice) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  SayOnce();
  for (std::unique_ptr<ConvWay>& way : FindAll(choice->form)) {
    Reserve(*way);
    const ConvTrial::Way run = WayOf(*way, workspace_);
    if (!trial.IsRight(way->name(), run)) continue;
    const double seconds = trial.Seconds(run);
    if (seconds >= best) continue;
    best = seconds;
    choice->Take(std::move(way));
  }
  const std::chrono::duration<double> spent = Clock::now() - start;
  compared_seconds_ += spent.count();
}

void DeviceChoices::Choice::Take(const OwnKernels::Kernel& kernel) {
  name = kernel.name;
  own = kernel.number;
}
void DeviceChoices::Choice::Take(std::unique_ptr<ConvWay> taken) {
  name = taken->name();
  way = std::move(taken);
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

std::unique_ptr<ConvWay> DeviceChoices::Restored(
    const ConvForm& form, const std::string& choice) const {
  for (const auto& finder : finders_) {
    const int number = Number(choice, finder->name());
    if (number < 0) continue;
    const std::string stored = file_.Kept(choice + "\t" + form.Text());
    try {
      if (!stored.empty()) return finder->Restore(form, number, stored);
    } catch (const Error&) {
      // So it is made anew.
    }
  }
  return nullptr;
}

void DeviceChoices::Keep(const ConvForm& form, const ConvWay& way) const {
  const std::string what = way.name() + "\t" + form.Text();
  try {
    const std::string stored = way.Stored();
    if (!stored.empty()) file_.Keep(what, stored);
  } catch (const Error&) {
    // The library does not say it: the next process makes it anew.
  }
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
