// numpy's random numbers, faster: the very bytes of Generator(Philox(key, counter)), without a call for each number.
//
// Philox 4x64-10 (Salmon et al., SC 2011), and for normals the ziggurat of 256 layers (Marsaglia & Tsang, Journal of
// Statistical Software 5, 2000) in single precision as numpy 2 has it.
#include <cmath>
#include <cstdint>

#pragma GCC optimize("fp-contract=off")  // numpy rounds each operation

namespace {

constexpr int LAYERS = 256, BLOCKS = 64;
constexpr double EDGE = 3.6541528853610088, AREA = 0.00492867323399;  // where the tail begins; of each layer

constexpr float SIGN[2] = {1.0f, -1.0f};

double density(double x) { return std::exp(-0.5 * x * x); }

// Layer i reaches to x = width[i] 2^23; a point whose 23 bits are below `inside[i]` lies under the curve for sure.
struct Ziggurat {
    uint32_t inside[LAYERS];
    float width[LAYERS], height[LAYERS];

    Ziggurat() {
        const double bits = 8388608.0;
        double x = EDGE, base = AREA / density(EDGE);
        inside[0] = uint32_t(EDGE / base * bits + 0.5);
        width[0] = float(base / bits);
        height[0] = 1.0f;
        for (int i = LAYERS - 1; i > 0; i--) {
            width[i] = float(x / bits);
            height[i] = float(density(x));
            double next = i > 1 ? std::sqrt(-2.0 * std::log(AREA / x + density(x))) : 0.0;
            inside[i] = uint32_t(next / x * bits + 0.5);
            x = next;
        }
    }
};

const Ziggurat ziggurat;

struct Philox {
    uint64_t key[2], counter[4], words[4 * BLOCKS];
    int used = 4 * BLOCKS;
    bool has_upper = false;
    uint64_t last = 0;

    explicit Philox(const uint64_t *place)  // two words of key, four of counter
        : key{place[0], place[1]}, counter{place[2], place[3], place[4], place[5]} {}

    void refill() {
        for (int block = 0; block < BLOCKS; block++) {
            for (int i = 0; i < 4 && ++counter[i] == 0; i++) {
            }
            uint64_t a = counter[0], b = counter[1], c = counter[2], d = counter[3], k = key[0], l = key[1];
            for (int round = 0; round < 10; round++) {
                unsigned __int128 p = (unsigned __int128)0xD2E7470EE14C6C93 * a;
                unsigned __int128 q = (unsigned __int128)0xCA5A826395121157 * c;
                a = uint64_t(q >> 64) ^ b ^ k, b = uint64_t(q), c = uint64_t(p >> 64) ^ d ^ l, d = uint64_t(p);
                k += 0x9E3779B97F4A7C15, l += 0xBB67AE8584CAA73B;
            }
            uint64_t *to = words + 4 * block;
            to[0] = a, to[1] = b, to[2] = c, to[3] = d;
        }
        used = 0;
    }

    uint64_t next64() {
        if (used == 4 * BLOCKS) refill();
        return words[used++];
    }

    uint32_t next32() {  // the lower half first
        has_upper = !has_upper;
        if (has_upper) last = next64();
        return has_upper ? uint32_t(last) : uint32_t(last >> 32);
    }

    float next_float() { return (next32() >> 8) * (1.0f / 16777216.0f); }
};

float tail(Philox &philox, uint32_t magnitude) {
    const float edge = float(EDGE), inverse = float(1 / EDGE);
    for (;;) {
        float x = -inverse * log1pf(-philox.next_float()), y = -log1pf(-philox.next_float());
        if (y + y > x * x) return (magnitude >> 8) & 1 ? -(edge + x) : edge + x;
    }
}

float normal(Philox &philox) {
    for (;;) {
        uint32_t word = philox.next32(), layer = word & 255, magnitude = word >> 9;
        float x = magnitude * (ziggurat.width[layer] * SIGN[(word >> 8) & 1]);  // a branch would be wrong half the time
        if (magnitude < ziggurat.inside[layer]) return x;
        if (layer == 0) return tail(philox, magnitude);
        float low = ziggurat.height[layer], rise = ziggurat.height[layer - 1] - low;
        if (rise * philox.next_float() + low < std::exp(-0.5 * x * x)) return x;
    }
}

}  // namespace

// `num` standard normal numbers.
extern "C" void fill_normal(const uint64_t *place, float *numbers, int64_t num) {
    Philox philox(place);
    for (int64_t i = 0; i < num; i++) numbers[i] = normal(philox);
}

// `num` uniform numbers in [0, 1).
extern "C" void fill_uniform(const uint64_t *place, double *numbers, int64_t num) {
    Philox philox(place);
    for (int64_t i = 0; i < num; i++) numbers[i] = (philox.next64() >> 11) * (1.0 / 9007199254740992.0);
}
