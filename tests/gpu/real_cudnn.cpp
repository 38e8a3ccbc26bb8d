// What the real cuDNN says about our convolutions, where there is one but no
// GPU is needed: plans are made for the GPU that a JSON text describes.
//
//   real_cudnn FOLDER DEVICE.json ["case"...]
//
// FOLDER has libcudnn.so.9, what it needs lies beside it as PyPI's packages do.
// Prints for each form how many plans there are, and
// the memory that the first one needs to work in; that one is then made again
// of what it is stored as.

#include <cstdio>
#include <fstream>
#include <iterator>

#include "../kernels/conv_cases.hpp"
#include "../kernels/testing.hpp"
#include "kernels/conv/cudnn_conv.hpp"

namespace {

using p3d::Precision;
using p3d::cuda::ConvForm;
using p3d::cuda::ConvUse;

// Of a convolution without and with every part of an epilogue.
std::vector<ConvForm> Forms(const std::string& text, Precision kind) {
  std::vector<ConvForm> forms;
  for (int use = 0; use < 3; ++use) {
    ConvForm form;
    form.use = static_cast<ConvUse>(use);
    form.kind = kind;
    form.shape = testing::Parse(text);
    forms.push_back(form);
    form.residual = true;
    forms.push_back(form);
    if (form.use != ConvUse::kForward) continue;
    form.scale = form.shift = form.inner_relu = form.residual = true;
    form.alpha = form.beta = .5f;
    form.outer_relu = true;
    forms.push_back(form);
    form.residual = form.outer_relu = false;
    forms.push_back(form);
  }
  return forms;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = argv[1];
  const auto library = p3d::cudnn::Load({folder, folder + "/../../cu13/lib"});
  std::ifstream file(argv[2]);
  p3d::cudnn::Target target;
  target.json.assign(std::istreambuf_iterator<char>(file), {});
  std::vector<std::string> cases(argv + 3, argv + argc);
  if (cases.empty()) {
    cases.assign(std::begin(testing::kP3d), std::end(testing::kP3d));
  }
  for (Precision kind :
       {Precision::kBf16, Precision::kFp16, Precision::kTf32}) {
    for (const std::string& text : cases) {
      for (const ConvForm& form : Forms(text, kind)) {
        if (!p3d::cudnn::CanAsk(form)) continue;
        try {
          const auto plans =
              p3d::cudnn::MakeWays(*library, target, form, 0, 1, 256 << 20);
          std::printf("%zu plans, %lld bytes: %s\n", plans.size(),
                      plans.empty()
                          ? -1LL
                          : static_cast<long long>(plans[0]->workspace_bytes()),
                      form.Text().c_str());
          std::fflush(stdout);
          if (!testing::Expect(!plans.empty(), "no plan: " + form.Text()))
            continue;
          const std::string stored = plans[0]->Stored();
          const auto again =
              p3d::cudnn::RestoreWay(*library, target, form, 0, stored);
          testing::Expect(
              again->name() == plans[0]->name() && again->Stored() == stored &&
                  again->workspace_bytes() == plans[0]->workspace_bytes(),
              "not restored: " + form.Text());
        } catch (const p3d::Error& error) {
          testing::Expect(false, form.Text() + ": " + error.what());
        }
      }
    }
  }
  return testing::Finish();
}
