// The functions of tvl1_rows.hpp with the vectors of lanes_<set>-inl.hpp and
// four functions more, which the source file of an instruction set defines:
//
//   Min(a, b), SquareRoot(v)
//   Before(w, v)   the left neighbours of v's lanes; w lies before v in its row
//   Behind(v, w)   the right neighbours; w lies behind v
//
// There is no include guard: each of those files has its own copy.

// kLanes values from i on, of both components.
struct Values {
  Vector flow[2], dual_x[2], dual_y[2];
};

inline void LoadValues(const Tvl1Row& row, int64_t i, Values* v) {
  for (int c = 0; c < 2; ++c) {
    const Tvl1Component& t = row.components[c];
    v->flow[c] = Load(t.flow + i);
    v->dual_x[c] = Load(t.dual_x + i);
    v->dual_y[c] = Load(t.dual_y + i);
  }
}

// The dual variables follow the flow, which comes in `next` and goes on there
// with the values behind.
inline void Follow(const Tvl1Row& row, int64_t i, Vector (&next)[2],
                   Values* v) {
  const Vector step = Broadcast(row.step), one = Broadcast(1);
  Vector length[2];
  for (int c = 0; c < 2; ++c) {
    const Tvl1Component& t = row.components[c];
    v->flow[c] = next[c];
    next[c] = Load(t.flow + i + kLanes);
    const Vector dx = Behind(v->flow[c], next[c]) - v->flow[c];
    const Vector dy = Load(t.flow_below + i) - v->flow[c];
    const Vector slope = SquareRoot(MultiplyAdd(dx, dx, Multiply(dy, dy)));
    length[c] = MultiplyAdd(step, slope, one);
    v->dual_x[c] = MultiplyAdd(step, dx, Load(t.dual_x + i));
    v->dual_y[c] = MultiplyAdd(step, dy, Load(t.dual_y + i));
  }
  // One division for both lengths.
  const Vector both = one / Multiply(length[0], length[1]);
  for (int c = 0; c < 2; ++c) {
    const Tvl1Component& t = row.components[c];
    const Vector scale = Multiply(both, length[1 - c]);
    v->dual_x[c] = Multiply(v->dual_x[c], scale);
    v->dual_y[c] = Multiply(v->dual_y[c], scale);
    Store(t.dual_x_out + i, v->dual_x[c]);
    Store(t.dual_y_out + i, v->dual_y[c]);
  }
}

// How far the flow goes towards the images, in gradients.
inline Vector Pull(const Tvl1Row& row, int64_t i, const Vector (&gradient)[2],
                   const Vector (&flow)[2]) {
  const Vector rho =
      MultiplyAdd(gradient[0], flow[0],
                  MultiplyAdd(gradient[1], flow[1], Load(row.residual + i)));
  const Vector most = Broadcast(row.most);
  const Vector whole = Multiply(rho, Load(row.inverse + i));
  return Max(Min(whole, most), Zero() - most);
}

// The flow moves, the first `left` values of it; `before` are the dual
// variables on the left, then these here.
inline void Move(const Tvl1Row& row, int64_t i, int64_t left, const Values& v,
                 Vector (&before)[2], Vector* sum) {
  const Vector gradient[] = {Load(row.components[0].gradient + i),
                             Load(row.components[1].gradient + i)};
  const Vector pull = Pull(row, i, gradient, v.flow);
  for (int c = 0; c < 2; ++c) {
    const Tvl1Component& t = row.components[c];
    const Vector along_x = v.dual_x[c] - Before(before[c], v.dual_x[c]);
    const Vector along_y = v.dual_y[c] - Load(t.dual_y_above + i);
    before[c] = v.dual_x[c];
    Vector change = MultiplyAdd(Broadcast(row.theta), along_x + along_y,
                                Multiply(pull, gradient[c]));
    if (left < kLanes) {
      constexpr float kOnes[] = {1, 1, 1, 1, 1, 1, 1, 1,
                                 1, 1, 1, 1, 1, 1, 1, 1};
      change = Multiply(change, LoadLanes(kOnes, FirstLanes(left)));
    }
    Store(t.flow_out + i, v.flow[c] + change);
    *sum = MultiplyAdd(change, change, *sum);
  }
}

template <bool kDual, bool kFlow>
float Pass(const Tvl1Row& given) {
  const Tvl1Row row = given;  // which no store can change
  Vector next[] = {Load(row.components[0].flow), Load(row.components[1].flow)};
  Vector before[] = {Zero(), Zero()};
  Vector sum = Zero();
  for (int64_t i = 0; i < row.width; i += kLanes) {
    Values v;
    if (kDual) {
      Follow(row, i, next, &v);
    } else {
      LoadValues(row, i, &v);
    }
    if (kFlow) Move(row, i, row.width - i, v, before, &sum);
  }
  if (!kFlow) return 0;
  for (const Tvl1Component& t : row.components) {
    t.flow_out[row.width] = t.flow_out[row.width - 1];
  }
  float parts[kLanes], all = 0;
  Store(parts, sum);
  for (float part : parts) all += part;
  return all;
}

float Flow(const Tvl1Row& row) { return Pass<false, true>(row); }
void Dual(const Tvl1Row& row) { Pass<true, false>(row); }
float DualFlow(const Tvl1Row& row) { return Pass<true, true>(row); }

// *a is the lesser of both then.
inline void Order(Vector* a, Vector* b) {
  const Vector least = Min(*a, *b);
  *b = Max(*a, *b);
  *a = least;
}

// The least of n values becomes the first one, the greatest the last one.
template <int n>
inline void Extremes(Vector* v) {
  for (int i = 0; i < n / 2; ++i) Order(v + i, v + n - 1 - i);
  for (int i = 1; i < (n + 1) / 2; ++i) Order(v, v + i);
  for (int i = n / 2; i < n - 1; ++i) Order(v + i, v + n - 1);
}

template <int n>
inline void Sort(Vector* v) {
  Extremes<n>(v);
  Sort<n - 2>(v + 1);
}
template <>
inline void Sort<1>(Vector*) {}

// Neither of two extremes of more than half of the values is their median.
inline Vector Median(Vector a, Vector b, Vector c) {
  Vector v[] = {a, b, c};
  Extremes<3>(v);
  return v[1];
}
inline Vector Median(Vector (&v)[7]) {
  Extremes<5>(v);
  Vector four[] = {v[1], v[2], v[3], v[5]};
  Extremes<4>(four);
  return Median(four[1], four[2], v[6]);
}

// Of a window with sorted columns, at[0] has the least value of each column.
inline Vector MedianOf(Vector (&at)[3][3]) {
  return Median(Max(Max(at[0][0], at[0][1]), at[0][2]),
                Median(at[1][0], at[1][1], at[1][2]),
                Min(Min(at[2][0], at[2][1]), at[2][2]));
}
// With rows sorted, too, each value is at least as great as those above and on
// the left of it. So the median is on the diagonal from at[0][4] to at[4][0],
// or the greatest of those right above the diagonal, or the least right below.
inline Vector MedianOf(Vector (&at)[5][5]) {
  for (auto& row : at) Sort<5>(row);
  Vector seven[7];
  for (int i = 0; i < 5; ++i) seven[i] = at[i][4 - i];
  seven[5] = Max(Max(at[0][3], at[1][2]), Max(at[2][1], at[3][0]));
  seven[6] = Min(Min(at[1][4], at[2][3]), Min(at[3][2], at[4][1]));
  return Median(seven);
}

template <int side>
void SortColumns(int64_t width, const float* const* rows,
                 float* const* sorted) {
  for (int64_t i = 0; i < width; i += kLanes) {
    Vector column[side];
    for (int j = 0; j < side; ++j) column[j] = Load(rows[j] + i);
    Sort<side>(column);
    for (int j = 0; j < side; ++j) Store(sorted[j] + i, column[j]);
  }
}

template <int side>
void Medians(int64_t width, const float* const* sorted, float* medians) {
  for (int64_t i = 0; i < width; i += kLanes) {
    Vector at[side][side];
    for (int j = 0; j < side; ++j) {
      for (int k = 0; k < side; ++k) {
        at[j][k] = Load(sorted[j] + i + k - side / 2);
      }
    }
    Store(medians + i, MedianOf(at));
  }
}

const Tvl1Rows kRows = {Flow,
                        Dual,
                        DualFlow,
                        {SortColumns<3>, SortColumns<5>},
                        {Medians<3>, Medians<5>}};
