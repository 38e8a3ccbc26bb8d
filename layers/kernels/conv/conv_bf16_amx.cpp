#include "kernels/conv/conv_bf16_amx.hpp"

#include <algorithm>

// What compilers know of AMX since then.
#if defined(__x86_64__) && defined(__linux__) && \
    (defined(__clang__) ? __clang_major__ >= 12 : __GNUC__ >= 11)
#define P3D_COMPILES_AMX
#endif

#ifdef P3D_COMPILES_AMX

#define P3D_LANES_AMX
#include "kernels/cpu/lanes_avx512-inl.hpp"

namespace p3d {
namespace {

#include "kernels/conv/conv_ending-inl.hpp"

// Which register holds what: sums of the first rows, of the second rows, pixels
// and weights.
#define P3D_SUM_00 0
#define P3D_SUM_01 1
#define P3D_SUM_10 2
#define P3D_SUM_11 3
#define P3D_PIXELS_0 4
#define P3D_PIXELS_1 5
#define P3D_WEIGHTS_0 6
#define P3D_WEIGHTS_1 7

constexpr int64_t kSumsPitch = 2 * kLanes;
constexpr int64_t kSecond = kAmxRows * kSumsPitch;  // sums of the second rows

// As the processor reads it.
struct Configuration {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

constexpr Configuration ForWords(int words) {
  Configuration all;
  for (int i = 0; i < 8; ++i) {
    all.row_bytes[i] = kAmxWords * sizeof(float);
    all.rows[i] = kAmxRows;
  }
  for (int i : {P3D_PIXELS_0, P3D_PIXELS_1}) {
    all.row_bytes[i] = static_cast<uint16_t>(words * sizeof(float));
  }
  for (int i : {P3D_WEIGHTS_0, P3D_WEIGHTS_1}) {
    all.rows[i] = static_cast<uint8_t>(words);
  }
  return all;
}
// Not variables of BeginTiles: compilers know of their first bytes alone that
// they are read.
constexpr Configuration kForWords[] = {
    ForWords(1),  ForWords(2),  ForWords(3),  ForWords(4),
    ForWords(5),  ForWords(6),  ForWords(7),  ForWords(8),
    ForWords(9),  ForWords(10), ForWords(11), ForWords(12),
    ForWords(13), ForWords(14), ForWords(15), ForWords(16)};

void BeginTiles(int64_t words) { _tile_loadconfig(&kForWords[words - 1]); }

void EndTiles() { _tile_release(); }

template <int kRows, int kColumns>
P3D_INLINE void ZeroSums() {
  _tile_zero(P3D_SUM_00);
  if (kColumns == 2) _tile_zero(P3D_SUM_01);
  if (kRows == 2) _tile_zero(P3D_SUM_10);
  if (kRows == 2 && kColumns == 2) _tile_zero(P3D_SUM_11);
}

template <int kRows, int kColumns>
P3D_INLINE void LoadSums(const float* sums) {
  const int64_t bytes = kSumsPitch * sizeof(float);
  _tile_loadd(P3D_SUM_00, sums, bytes);
  if (kColumns == 2) _tile_loadd(P3D_SUM_01, sums + kLanes, bytes);
  sums += kSecond;
  if (kRows == 2) _tile_loadd(P3D_SUM_10, sums, bytes);
  if (kRows == 2 && kColumns == 2) {
    _tile_loadd(P3D_SUM_11, sums + kLanes, bytes);
  }
}

template <int kRows, int kColumns>
P3D_INLINE void StoreSums(float* sums) {
  const int64_t bytes = kSumsPitch * sizeof(float);
  _tile_stored(P3D_SUM_00, sums, bytes);
  if (kColumns == 2) _tile_stored(P3D_SUM_01, sums + kLanes, bytes);
  sums += kSecond;
  if (kRows == 2) _tile_stored(P3D_SUM_10, sums, bytes);
  if (kRows == 2 && kColumns == 2) {
    _tile_stored(P3D_SUM_11, sums + kLanes, bytes);
  }
}

inline void StoreBoth(float* p, Vector first, Vector second) {
  Store(p, first);
  Store(p + kLanes, second);
}

// The epilogue of a tile, row by row. kWhole: of all 32 outputs.
template <bool kWhole, bool kResidual, typename Value>
struct Rows {
  P3D_INLINE explicit Rows(const AmxSumsOf<Value>& s)
      : first(s.epilogue, 0, FirstLanes(std::min<int64_t>(s.width, kLanes))),
        second(s.epilogue, kLanes,
               FirstLanes(std::max<int64_t>(s.width - kLanes, 0))),
        sums(s.sums),
        residual(kResidual ? s.epilogue.residual : s.y),
        y(s.y),
        places(s.y_places),
        next_places(s.next_places),
        count(s.rows),
        next_count(s.next_rows) {}

  P3D_INLINE void End(int64_t rows) {
    for (const int64_t stop = std::min(count, done + rows); done < stop;
         ++done) {
      if (done < next_count) {
        const int64_t next = next_places[done];
        FetchToWrite(y + next);
        if (kResidual) FetchNear(residual + next);
      }
      if (places[done] >= 0) Put(sums + done * kSumsPitch, places[done]);
    }
  }

  P3D_INLINE void Put(const float* row, int64_t place) const {
    const Vector a = Load(row), b = Load(row + kLanes);
    const Value* const from = residual + place;
    if (kWhole) {
      StoreBoth(y + place, first.Of(a, from), second.Of(b, from + kLanes));
    } else {
      first.Put(a, from, y + place);
      second.Put(b, from + kLanes, y + place + kLanes);
    }
  }

  const Ending<kWhole, kResidual, Value> first, second;
  const float* const sums;
  const Value* const residual;
  Value* const y;
  const int64_t* const places;
  const int64_t* const next_places;
  const int64_t count, next_count;
  int64_t done = 0;
};

struct NoRows {
  template <typename Sums>
  explicit NoRows(const Sums&) {}
  void End(int64_t) {}
};

template <int kRows, int kColumns, typename Ending>
P3D_INLINE void MultiplyChunks(const AmxProduct& t, int64_t rows_per_chunk,
                               Ending* ending) {
  const AmxRows p = t.pixels[0], q = t.pixels[kRows - 1];
  const int64_t p_bytes = p.pitch * sizeof(float);
  const int64_t q_bytes = q.pitch * sizeof(float);
  const int64_t w_bytes = t.pitch * sizeof(float);
  const char* ahead = reinterpret_cast<const char*>(t.prefetch);
  for (int64_t i = t.begin; i < t.end; ++i) {
    const float* const w = t.weights[i];
    _tile_loadd(P3D_PIXELS_0, p.words + p.places[i], p_bytes);
    _tile_loadd(P3D_WEIGHTS_0, w, w_bytes);
    _tile_dpbf16ps(P3D_SUM_00, P3D_PIXELS_0, P3D_WEIGHTS_0);
    if (kColumns == 2) {
      _tile_loadd(P3D_WEIGHTS_1, w + kLanes, w_bytes);
      _tile_dpbf16ps(P3D_SUM_01, P3D_PIXELS_0, P3D_WEIGHTS_1);
    }
    if (kRows == 2) {
      _tile_loadd(P3D_PIXELS_1, q.words + q.places[i], q_bytes);
      _tile_dpbf16ps(P3D_SUM_10, P3D_PIXELS_1, P3D_WEIGHTS_0);
      if (kColumns == 2) {
        _tile_dpbf16ps(P3D_SUM_11, P3D_PIXELS_1, P3D_WEIGHTS_1);
      }
    }
    for (int64_t line = 0; line < t.prefetch_lines; ++line, ahead += 64) {
      FetchFar(ahead);
    }
    ending->End(rows_per_chunk);
  }
}

template <int kRows, int kColumns, typename Ending>
P3D_INLINE void MultiplyTile(const AmxProduct& t, float* sums,
                             int64_t rows_to_end, Ending* ending) {
  if (t.begin == 0) {
    ZeroSums<kRows, kColumns>();
  } else {
    LoadSums<kRows, kColumns>(sums);
  }
  const int64_t chunks = std::max<int64_t>(1, t.end - t.begin);
  MultiplyChunks<kRows, kColumns>(t, (rows_to_end + chunks - 1) / chunks,
                                  ending);
  ending->End(rows_to_end);
  StoreSums<kRows, kColumns>(sums);
}

template <typename Ending, typename Value>
void MultiplyAndEnd(const AmxProduct& t, const AmxSumsOf<Value>& s,
                    const AmxSumsOf<Value>& complete) {
  Ending ending(complete);
  const int64_t rows = complete.rows;
  const bool both = s.rows > kAmxRows;
  if (s.width > kLanes) {
    both ? MultiplyTile<2, 2>(t, s.sums, rows, &ending)
         : MultiplyTile<1, 2>(t, s.sums, rows, &ending);
  } else {
    both ? MultiplyTile<2, 1>(t, s.sums, rows, &ending)
         : MultiplyTile<1, 1>(t, s.sums, rows, &ending);
  }
}

template <bool kResidual, typename Value>
void MultiplyAndEnd(const AmxProduct& t, const AmxSumsOf<Value>& s,
                    const AmxSumsOf<Value>& complete) {
  if (complete.width == 2 * kLanes) {
    MultiplyAndEnd<Rows<true, kResidual, Value>>(t, s, complete);
  } else {
    MultiplyAndEnd<Rows<false, kResidual, Value>>(t, s, complete);
  }
}

template <typename Value>
void Multiply(const AmxProduct& t, const AmxSumsOf<Value>& s,
              const AmxSumsOf<Value>* complete) {
  if (!complete) {
    MultiplyAndEnd<NoRows>(t, s, s);
  } else if (complete->epilogue.residual) {
    MultiplyAndEnd<true>(t, s, *complete);
  } else {
    MultiplyAndEnd<false>(t, s, *complete);
  }
}

template <typename Value>
void End(const AmxSumsOf<Value>& complete) {
  if (complete.epilogue.residual) {
    Rows<false, true, Value>(complete).End(complete.rows);
  } else {
    Rows<false, false, Value>(complete).End(complete.rows);
  }
}

void Gather(const float* x, const int64_t* places, int64_t rows,
            const AmxPiece* pieces, int64_t count, float* to, int64_t pitch) {
  for (int64_t r = 0; r < rows; ++r, to += pitch) {
    for (int64_t i = 0; i < count; ++i) {
      const AmxPiece piece = pieces[i];
      const float* const from = x + places[r] + piece.x;
      int64_t j = 0;
      for (; j + kLanes <= piece.length; j += kLanes) {
        Store(to + piece.to + j, Load(from + j));
      }
      if (j == piece.length && j > 0) continue;
      const Mask rest = FirstLanes(piece.length - j);
      Store(to + piece.to + j, LoadLanes(from + j, rest));
    }
  }
}

inline __m512i JoinWords(__m256i first, __m256i second) {
  const __m512i both =
      _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1);
  return _mm512_permutexvar_epi16(_mm512_loadu_si512(kInTurn), both);
}

void Join(const Bf16* first, const Bf16* second, int64_t count, float* words) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const auto* const a = reinterpret_cast<const __m256i*>(first + i);
    const auto* const b = reinterpret_cast<const __m256i*>(second + i);
    _mm512_storeu_si512(
        words + i, JoinWords(_mm256_loadu_si256(a), _mm256_loadu_si256(b)));
  }
  if (i == count) return;
  const Mask rest = FirstLanes(count - i);
  _mm512_mask_storeu_epi32(
      words + i, rest,
      JoinWords(_mm256_maskz_loadu_epi16(rest, first + i),
                _mm256_maskz_loadu_epi16(rest, second + i)));
}

// Rows become columns: of two rows and columns, of four, of all.
P3D_INLINE void Transpose(__m512i (&v)[kLanes]) {
  __m512i t[kLanes];
  for (int i = 0; i < 8; ++i) {
    t[2 * i] = _mm512_unpacklo_epi32(v[2 * i], v[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_epi32(v[2 * i], v[2 * i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    v[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    v[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    v[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    v[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  const int kEvens = 0x88, kOdds = 0xdd;
  for (int j = 0; j < 4; ++j) {
    for (int i = 0; i < 16; i += 8) {
      t[i + j] = _mm512_shuffle_i32x4(v[i + j], v[i + 4 + j], kEvens);
      t[i + 4 + j] = _mm512_shuffle_i32x4(v[i + j], v[i + 4 + j], kOdds);
    }
  }
  for (int j = 0; j < 8; ++j) {
    v[j] = _mm512_shuffle_i32x4(t[j], t[8 + j], kEvens);
    v[8 + j] = _mm512_shuffle_i32x4(t[j], t[8 + j], kOdds);
  }
}

void Turn(const Bf16* x, int64_t x_pitch, int64_t rows, int64_t depth,
          float* to, int64_t pitch) {
  for (int64_t d = 0; d < depth; d += 2 * kLanes, to += kLanes) {
    for (int64_t r = 0; r < rows; r += kLanes) {
      const int64_t some = std::min<int64_t>(kLanes, rows - r);
      const Mask lanes = FirstLanes(some);
      __m512i v[kLanes];
      for (int w = 0; w < kLanes; ++w) {
        const int64_t i = d + 2 * w;
        const Bf16* const first = x + i * x_pitch + r;
        v[w] = JoinWords(_mm256_maskz_loadu_epi16(i < depth ? lanes : 0, first),
                         _mm256_maskz_loadu_epi16(i + 1 < depth ? lanes : 0,
                                                  first + x_pitch));
      }
      Transpose(v);
      for (int i = 0; i < some; ++i) {
        _mm512_storeu_si512(to + (r + i) * pitch, v[i]);
      }
    }
  }
}

const AmxKernels kKernels = {"conv_bf16_igemm_32x32_amx",
                             BeginTiles,
                             EndTiles,
                             {Multiply<Bf16>, End<Bf16>},
                             {Multiply<float>, End<float>},
                             Gather,
                             Join,
                             Turn};

}  // namespace
}  // namespace p3d

#include "kernels/cpu/lanes_end-inl.hpp"

#endif  // P3D_COMPILES_AMX

namespace p3d {

const AmxKernels* AmxKernelsFor(Isa isa) {
#ifdef P3D_COMPILES_AMX
  if (isa >= Isa::kAmx) return &kKernels;
#endif
  (void)isa;
  return nullptr;
}

}  // namespace p3d
