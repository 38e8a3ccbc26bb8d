#ifndef P3D_ENGINE_PLAN_HPP_
#define P3D_ENGINE_PLAN_HPP_

#include <functional>
#include <memory>
#include <vector>

#include "engine/net.hpp"

namespace p3d {

// How a net runs in inference: layers joined into steps, values in one arena.
class Plan {
 public:
  using Poll = std::function<void()>;

  // Null where the net cannot be planned and has to run layer by layer.
  static std::unique_ptr<Plan> Make(Net<float>* net);

  // Runs all steps and returns the weighted loss; `times`, if given, gets one
  // entry per step.
  float Run(const Poll& poll, std::vector<StepTime>* times);
};

}  // namespace p3d

#endif  // P3D_ENGINE_PLAN_HPP_
