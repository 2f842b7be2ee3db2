// A multilayer perceptron and its gradient on tiles of TILE chains, feature by feature: a row of memory holds one
// feature of all chains of the tile, so every line is arithmetic on vectors over chains, and no chain sees another.
// What follows a product (bias, residual, activation) happens while its sums are in registers.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#ifdef __AVX512F__
constexpr int LANES = 16, ROWS = 12;
#else
constexpr int LANES = 8, ROWS = 4;  // 16 registers, not 32
#endif
constexpr int VECTORS = 2, TILE = LANES * VECTORS;  // ROWS x VECTORS sums fill the registers
constexpr float EPSILON = 1e-5f;                    // of layer normalisation

typedef float Floats __attribute__((vector_size(4 * LANES)));
typedef int32_t Ints __attribute__((vector_size(4 * LANES)));

enum Kind : int64_t { LINEAR, NORM, NORM_BACK, GATE };
enum Finish : int64_t { PLAIN, SILU, SLOPE };

// One operation on rows of the tile's memory; each place is a first row, or -1 for none.
struct Instruction {
    int64_t kind, finish, num_in, num_out, source, target, add, slope, normed;
    const float *weight, *bias;
};

struct Memory {
    float *rows;
    Floats *at(int64_t row) const { return (Floats *)(rows + row * TILE); }
};

static inline Floats splat(float a) { return a - Floats{}; }

// exp for |a| <= 87: 2^n exp(r), |r| <= ln(2)/2, by a polynomial that is right to 1e-7.
static inline Floats exp_of(Floats a) {
    const float to_whole = 12582912.0f;  // adding and subtracting it rounds
    Floats n = (a * 1.44269504f + to_whole) - to_whole;
    Floats r = a - n * 0.693359375f + n * 2.12194440e-4f;
    Floats p = r * 1.9875691e-4f + 1.3981999e-3f;
    p = p * r + 8.3334520e-3f;
    p = p * r + 4.1665796e-2f;
    p = p * r + 1.6666666e-1f;
    p = p * r + 0.5f;
    p = p * r * r + r + 1.0f;
    return p * (Floats)((__builtin_convertvector(n, Ints) + 127) << 23);
}

static inline Floats sigmoid(Floats a) {
    a = a < -87.0f ? splat(-87.0f) : a;
    a = a > 87.0f ? splat(87.0f) : a;
    return 1.0f / (1.0f + exp_of(-a));
}

// silu(a), and its derivative into `slope`.
static inline Floats silu(Floats a, Floats &slope) {
    Floats s = sigmoid(a), z = a * s;
    slope = s + z * (1.0f - s);
    return z;
}

// R rows of `target = finish(weight source + bias + add)`; weights are packed [in][R].
template <int R>
static void block(const Instruction &in, const Memory &memory, const float *weight, int row) {
    const Floats *source = memory.at(in.source);
    Floats sum[R][VECTORS];
#pragma GCC unroll 12
    for (int r = 0; r < R; r++)
#pragma GCC unroll 2
        for (int v = 0; v < VECTORS; v++) sum[r][v] = splat(in.bias ? in.bias[row + r] : 0.0f);
    for (int k = 0; k < in.num_in; k++, weight += R, source += VECTORS)
#pragma GCC unroll 12
        for (int r = 0; r < R; r++)
#pragma GCC unroll 2
            for (int v = 0; v < VECTORS; v++) sum[r][v] += weight[r] * source[v];
    Floats *target = memory.at(in.target + row), *slope = memory.at(in.slope + row);
    const Floats *add = memory.at(in.add + row);
    for (int i = 0; i < R * VECTORS; i++) {
        Floats a = sum[i / VECTORS][i % VECTORS];
        if (in.add >= 0) a += add[i];
        if (in.finish == SILU) a = silu(a, slope[i]);
        if (in.finish == SLOPE) a *= slope[i];
        target[i] = a;
    }
}

static void linear(const Instruction &in, const Memory &memory) {
    const float *weight = in.weight;
    int row = 0;
    for (; row + ROWS <= in.num_out; row += ROWS, weight += ROWS * in.num_in) block<ROWS>(in, memory, weight, row);
    int left = in.num_out - row;
    if (left & 8) block<8>(in, memory, weight, row), row += 8, weight += 8 * in.num_in;
    if (left & 4) block<4>(in, memory, weight, row), row += 4, weight += 4 * in.num_in;
    if (left & 2) block<2>(in, memory, weight, row), row += 2, weight += 2 * in.num_in;
    if (left & 1) block<1>(in, memory, weight, row);
}

// `n = (h - mean h) / sd h` over the features of each chain, and 1/sd into `slope`.
static void norm(const Instruction &in, const Memory &memory) {
    const int64_t width = in.num_in;
    const Floats *h = memory.at(in.source);
    Floats *n = memory.at(in.target), *inverse_sd = memory.at(in.slope);
    for (int v = 0; v < VECTORS; v++) {
        Floats mean = {}, variance = {};
        for (int64_t i = v; i < width * VECTORS; i += VECTORS) mean += h[i];
        mean /= float(width);
        for (int64_t i = v; i < width * VECTORS; i += VECTORS) variance += (h[i] - mean) * (h[i] - mean);
        Floats inside = variance / float(width) + EPSILON, inverse;
        for (int t = 0; t < LANES; t++) inverse[t] = 1.0f / std::sqrt(inside[t]);
        for (int64_t i = v; i < width * VECTORS; i += VECTORS) n[i] = (h[i] - mean) * inverse;
        inverse_sd[v] = inverse;
    }
}

// `add + (g - mean g - n mean(g n)) / sd`: the gradient of h, where g is the gradient of n.
static void norm_back(const Instruction &in, const Memory &memory) {
    const int64_t width = in.num_in;
    const Floats *g = memory.at(in.source), *n = memory.at(in.normed), *add = memory.at(in.add);
    Floats *target = memory.at(in.target);
    for (int v = 0; v < VECTORS; v++) {
        Floats mean = {}, along = {}, inverse = memory.at(in.slope)[v];
        for (int64_t i = v; i < width * VECTORS; i += VECTORS) mean += g[i], along += g[i] * n[i];
        mean /= float(width), along /= float(width);
        for (int64_t i = v; i < width * VECTORS; i += VECTORS) {
            Floats back = (g[i] - mean - n[i] * along) * inverse;
            target[i] = in.add >= 0 ? add[i] + back : back;
        }
    }
}

// `silu(weight n + bias)`, feature by feature, and its derivative into `slope`.
static void gate(const Instruction &in, const Memory &memory) {
    const Floats *n = memory.at(in.source);
    Floats *target = memory.at(in.target), *slope = memory.at(in.slope);
    for (int64_t i = 0; i < in.num_in * VECTORS; i++) {
        float weight = in.weight[i / VECTORS];
        target[i] = silu(n[i] * weight + in.bias[i / VECTORS], slope[i]);
        slope[i] *= weight;
    }
}

static void run(const Instruction *program, int64_t num_instructions, const Memory &memory) {
    for (int64_t i = 0; i < num_instructions; i++) {
        if (program[i].kind == LINEAR) linear(program[i], memory);
        if (program[i].kind == NORM) norm(program[i], memory);
        if (program[i].kind == NORM_BACK) norm_back(program[i], memory);
        if (program[i].kind == GATE) gate(program[i], memory);
    }
}

// Aligned memory of this thread, kept between calls: fresh pages would cost as much as a small tile.
static Memory memory_of(int64_t num_rows) {
    struct Owned {
        float *rows = nullptr;
        int64_t held = 0;
        ~Owned() { free(rows); }
    };
    static thread_local Owned owned;
    if (num_rows > owned.held) {
        free(owned.rows);
        owned.rows = (float *)aligned_alloc(64, num_rows * TILE * sizeof(float));
        owned.held = num_rows;
    }
    return {owned.rows};
}

extern "C" int64_t rows_per_block() { return ROWS; }

// Where the program finds and leaves things, and what its output F says: with x the point,
// `f = constant - quadratic |x|^2/2 + (inner ? inner <x, F> : F)`.
struct Frame {
    int64_t num_rows, dim, output, gradient;
    float constant, quadratic, inner;
};

// f and grad f of each point. The program starts from x in rows 0..dim-1 and ones in row dim; it leaves F at `output`
// and at `gradient` the gradient of the last term of f, without what comes of the x in <x, F> itself.
extern "C" void value_and_score(const Frame *frame, const Instruction *program, int64_t num_instructions, const float *x,
                                float *value, float *score, int64_t num_chains) {
    const Memory memory = memory_of(frame->num_rows);
    const int64_t dim = frame->dim;
    const float inner = frame->inner;
    memset(memory.rows, 0, dim * TILE * sizeof(float));
    for (int v = 0; v < VECTORS; v++) memory.at(dim)[v] = splat(1.0f);
    for (int64_t first = 0; first < num_chains; first += TILE) {
        const int count = num_chains - first < TILE ? int(num_chains - first) : TILE;
        for (int t = 0; t < count; t++)
            for (int64_t k = 0; k < dim; k++) memory.rows[k * TILE + t] = x[(first + t) * dim + k];
        run(program, num_instructions, memory);
        const Floats *y = memory.at(0), *f = memory.at(frame->output);
        Floats *g = memory.at(frame->gradient), sum[VECTORS];
        for (int v = 0; v < VECTORS; v++) sum[v] = inner != 0 ? splat(0.0f) : f[v];
        for (int64_t i = 0; i < dim * VECTORS; i++) {
            Floats product = inner != 0 ? inner * f[i] : splat(0.0f);
            sum[i % VECTORS] += y[i] * (product - 0.5f * frame->quadratic * y[i]);
            g[i] += product - frame->quadratic * y[i];
        }
        const float *sums = (const float *)sum, *gradients = (const float *)g;
        for (int t = 0; t < count; t++) {
            value[first + t] = sums[t] + frame->constant;
            for (int64_t k = 0; k < dim; k++) score[(first + t) * dim + k] = gradients[k * TILE + t];
        }
    }
}
