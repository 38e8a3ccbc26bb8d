#include "engine/alone.hpp"

#include "kernels/error.hpp"

namespace p3d {
namespace {

thread_local int alone = 0;

}  // namespace

Alone::Alone() { ++alone; }
Alone::~Alone() { --alone; }

void CheckNotAlone() {
  Check(alone == 0,
        "synchronised statistics need all ranks, and gradients are made again "
        "on one; ask for them before the first iteration, on every rank");
}

}  // namespace p3d
