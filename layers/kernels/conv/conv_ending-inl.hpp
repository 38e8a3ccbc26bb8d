// The epilogue of a convolution (see Epilogue) for a vector of channels,
// written once for all micro-kernels. To be included as
// conv_igemm_tile-inl.hpp, before it.

#define P3D_INLINE inline __attribute__((always_inline))

// Ask for a cache line, in L1, in L1 alone to be written, in L2.
inline void FetchNear(const void* p) { __builtin_prefetch(p, 0, 3); }
inline void FetchToWrite(const void* p) { __builtin_prefetch(p, 1, 3); }
inline void FetchFar(const void* p) { __builtin_prefetch(p, 0, 2); }

// kWhole: all lanes exist, else those of `mask`.
template <bool kWhole, typename From>
P3D_INLINE Vector LoadSome(const From* from, Mask mask) {
  return kWhole ? Load(from) : LoadLanes(from, mask);
}

// What max(floor, v) makes of v.
P3D_INLINE Vector Floor(bool relu) {
  return Broadcast(relu ? 0.f : -__builtin_inff());
}

// Channels from `channel` on. Absent steps are replaced by ones that change
// nothing.
template <bool kWhole, bool kResidual, typename Value>
struct Ending {
  P3D_INLINE Ending(const Epilogue<Value>& e, int64_t channel, Mask lanes)
      : mask(lanes),
        scale(e.scale ? LoadSome<kWhole>(e.scale + channel, lanes)
                      : Broadcast(1.f)),
        shift(e.shift ? LoadSome<kWhole>(e.shift + channel, lanes) : Zero()),
        floor(Floor(e.inner_relu || (!kResidual && e.outer_relu))),
        outer_floor(Floor(e.outer_relu)),
        alpha(Broadcast(e.alpha)),
        beta(Broadcast(e.beta)) {}

  // What becomes of `sum`; `residual` is read where there is one.
  P3D_INLINE Vector Of(Vector sum, const Value* residual) const {
    const Vector value = Max(floor, MultiplyAdd(sum, scale, shift));
    if (!kResidual) return value;
    const Vector other = LoadSome<kWhole>(residual, mask);
    return Max(outer_floor, MultiplyAdd(alpha, value, Multiply(beta, other)));
  }
  // Writes it to y.
  P3D_INLINE void Put(Vector sum, const Value* residual, Value* y) const {
    const Vector value = Of(sum, residual);
    if (kWhole) {
      Store(y, value);
    } else {
      StoreLanes(y, mask, value);
    }
  }

  const Mask mask;
  const Vector scale, shift, floor, outer_floor, alpha, beta;
};
