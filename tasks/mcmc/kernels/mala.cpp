// The arithmetic of mala.py around the evaluation of the target, in one pass over the chains before it and one after.
#include <cmath>
#include <cstdint>

#pragma GCC optimize("no-tree-loop-distribute-patterns")  // rows are too short to call memcpy

namespace {

// Where the chains are, with log density and score there: x [chain, dim], value [chain], score [chain, dim].
template <typename T> struct State {
    T *x, *value, *score;
};

// eta of each chain, or one of all where there are no numbers.
template <typename T> struct StepSize {
    const T *numbers;
    double of_all;
    T of(int64_t chain) const { return numbers ? numbers[chain] : T(of_all); }
};

template <typename T>
void propose(const T *noise, State<T> state, StepSize<T> step_size, T *y, int64_t num_chains, int64_t dim) {
    for (int64_t chain = 0; chain < num_chains; chain++) {
        const T eta = step_size.of(chain), drift = eta / 2, sd = std::sqrt(eta);
        for (int64_t i = chain * dim; i < (chain + 1) * dim; i++) y[i] = state.x[i] + drift * state.score[i] + sd * noise[i];
    }
}

// `f(y) + ln q(x|y) - f(x) - ln q(y|x)` of one chain; not a number where the score at y is none.
template <typename T> T log_acceptance_ratio(State<T> state, State<T> proposal, T eta, int64_t chain, int64_t dim) {
    T trapezoid = 0, kinetic = 0;
#pragma omp simd reduction(+ : trapezoid, kinetic)
    for (int64_t i = chain * dim; i < (chain + 1) * dim; i++) {
        const T both = state.score[i] + proposal.score[i];
        trapezoid += (proposal.x[i] - state.x[i]) * both;
        kinetic += (state.score[i] - proposal.score[i]) * both;
    }
    return proposal.value[chain] - state.value[chain] - trapezoid / 2 + kinetic * (eta / 8);
}

template <typename T>
void decide(const double *uniform, State<T> state, State<T> proposal, StepSize<T> step_size, State<T> chosen, T *log_ratio,
            bool *is_accepted, bool *is_finite, int64_t num_chains, int64_t dim) {
    for (int64_t chain = 0; chain < num_chains; chain++) {
        const T ratio = log_acceptance_ratio(state, proposal, step_size.of(chain), chain, dim);
        const bool is_number = std::isfinite(ratio), is_outside = proposal.value[chain] == -INFINITY;
        log_ratio[chain] = ratio;
        is_accepted[chain] = is_number && std::log(uniform[chain]) < double(ratio);
        is_finite[chain] = is_number || is_outside;
        const State<T> from = is_accepted[chain] ? proposal : state;
        chosen.value[chain] = from.value[chain];
        for (int64_t i = chain * dim; i < (chain + 1) * dim; i++) chosen.x[i] = from.x[i], chosen.score[i] = from.score[i];
    }
}

template <typename T> State<T> state_at(void **tensors) { return {(T *)tensors[0], (T *)tensors[1], (T *)tensors[2]}; }

// tensors: state, step size, noise, y.
template <typename T> void propose_at(void **tensors, double eta, int64_t num_chains, int64_t dim) {
    propose<T>((T *)tensors[4], state_at<T>(tensors), {(T *)tensors[3], eta}, (T *)tensors[5], num_chains, dim);
}

// tensors: state, step size, proposal, uniform, chosen, log ratio, is accepted, is finite.
template <typename T> void decide_at(void **tensors, double eta, int64_t num_chains, int64_t dim) {
    decide<T>((double *)tensors[7], state_at<T>(tensors), state_at<T>(tensors + 4), {(T *)tensors[3], eta},
              state_at<T>(tensors + 8), (T *)tensors[11], (bool *)tensors[12], (bool *)tensors[13], num_chains, dim);
}

}  // namespace

extern "C" void propose_float32(void **t, double eta, int64_t n, int64_t d) { propose_at<float>(t, eta, n, d); }
extern "C" void propose_float64(void **t, double eta, int64_t n, int64_t d) { propose_at<double>(t, eta, n, d); }
extern "C" void decide_float32(void **t, double eta, int64_t n, int64_t d) { decide_at<float>(t, eta, n, d); }
extern "C" void decide_float64(void **t, double eta, int64_t n, int64_t d) { decide_at<double>(t, eta, n, d); }
