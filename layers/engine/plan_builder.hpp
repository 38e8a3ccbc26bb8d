#ifndef P3D_ENGINE_PLAN_BUILDER_HPP_
#define P3D_ENGINE_PLAN_BUILDER_HPP_

#include <vector>

#include "engine/net.hpp"
#include "engine/plan_step.hpp"

namespace p3d {

// The steps of layers 0..last without sources, which have run before, and
// without layers that `runs`, where it is not empty, says do not run; all have
// their shapes. Blobs to `keep` are never folded away. With `backward` nothing
// is folded that a gradient could not find its way back through.
std::vector<PlanStep> MakePlanSteps(Net<float>* net, int last,
                                    const std::vector<bool>& keep,
                                    const std::vector<bool>& runs,
                                    bool backward);

}  // namespace p3d

#endif  // P3D_ENGINE_PLAN_BUILDER_HPP_
