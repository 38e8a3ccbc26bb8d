// Closes the region that a lanes_<set>-inl.hpp opened.

#ifndef __clang__
#pragma GCC diagnostic pop
#pragma GCC pop_options
#elif defined(P3D_TARGET_REGION)
#pragma clang attribute pop
#endif
#undef P3D_TARGET_REGION
