// Drawing tokens, one after another: an estimator's weights, shaped by temperature and limits, one
// uniform number a token.
//
// The readable definition is `draw` in src/infgram/models/definition.py; both do the same
// floating-point operations in the same order, so the same uniform numbers give the same tokens.
//
// Not for two threads: each has a sampler of its own.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <numeric>
#include <optional>
#include <span>
#include <vector>

#include "infgram/contexts/context.hpp"
#include "infgram/contexts/copying.hpp"
#include "infgram/rows/alphabet.hpp"

namespace infgram {

// The caller's source of uniform numbers in [0, 1).
struct Uniform {
    double (*draw)(void*);
    void* state;
    double operator()() const { return draw(state); }
};

struct SamplingParameters {
    double temperature = 1.0;    // 0: the heaviest token, the smallest code among equals
    std::uint32_t top_k = 0;     // only so many of the heaviest tokens; 0: all
    double top_p = 1.0;          // only the heaviest tokens that together have this share
    double min_p = 0.0;          // only tokens with this share of the heaviest one's probability
    std::uint32_t max_copy = 0;  // longest verbatim run of generated tokens; 0: any

    [[nodiscard]] bool cuts() const noexcept { return top_k != 0 || top_p < 1.0 || min_p > 0.0; }
};

// x to a fixed power, remembering the last results: weights are made of few small counts.
class Power {
public:
    explicit Power(double exponent) : exponent_(exponent) {}

    double operator()(double x) {
        if (exponent_ == 1.0) return x;
        const std::uint64_t bits = std::bit_cast<std::uint64_t>(x);
        Known& known = known_[(bits * 0x9e3779b97f4a7c15ULL) >> 54];
        if (known.x != x) known = {x, std::pow(x, exponent_)};
        return known.power;
    }

private:
    struct Known {
        double x = 1.0;
        double power = 1.0;
    };
    double exponent_;
    std::array<Known, 1024> known_{};
};

// Draws from weights.
class Draw {
public:
    explicit Draw(const SamplingParameters& parameters)
        : parameters_(parameters),
          power_(parameters.temperature == 0.0 ? 1.0 : 1.0 / parameters.temperature) {}

    // One of weights.codes, which is not empty. One uniform number, none at temperature 0.
    std::uint32_t operator()(const Weights& weights, const Uniform& uniform) {
        const auto& codes = weights.codes;
        double heaviest = 0.0;
        for (const std::uint32_t code : codes) heaviest = std::max(heaviest, weights.of[code]);
        std::size_t chosen = 0;
        if (parameters_.temperature == 0.0) {
            while (weights.of[codes[chosen]] != heaviest && chosen + 1 < codes.size()) ++chosen;
            return codes[chosen];
        }
        shares_.resize(codes.size());
        for (std::size_t i = 0; i < codes.size(); ++i)
            shares_[i] = power_(weights.of[codes[i]] / heaviest);
        if (parameters_.cuts()) cut();
        double reached = 0.0;
        for (double& share : shares_) share = reached += share;
        const double drawn = uniform() * reached;
        // The first code whose share reaches beyond what was drawn; counted, not searched for,
        // because where it is cannot be predicted.
        for (const double share : shares_) chosen += drawn >= share ? 1 : 0;
        return codes[std::min(chosen, codes.size() - 1)];  // rounding: drawn == reached
    }

private:
    // Sets to zero what top_k, then top_p of what is left, then min_p leave out. The heaviest
    // stays.
    void cut() {
        order_.resize(shares_.size());
        std::iota(order_.begin(), order_.end(), std::uint32_t{0});
        std::ranges::stable_sort(order_, std::greater{},
                                 [&](std::uint32_t i) { return shares_[i]; });
        std::size_t kept = order_.size();
        if (parameters_.top_k != 0) kept = std::min<std::size_t>(kept, parameters_.top_k);
        double total = 0.0;
        for (std::size_t i = 0; i < kept; ++i) total += shares_[order_[i]];
        double reached = 0.0;
        std::size_t n = 0;
        while (n < kept && (n == 0 || reached < parameters_.top_p * total) &&
               shares_[order_[n]] >= parameters_.min_p * shares_[order_[0]])
            reached += shares_[order_[n++]];
        for (std::size_t i = n; i < order_.size(); ++i) shares_[order_[i]] = 0.0;
    }

    SamplingParameters parameters_;
    Power power_;
    std::vector<double> shares_;
    std::vector<std::uint32_t> order_;
};

// An estimator that looks at more of a text than levels: it reads each code beside the context, and
// goes on where another one is.
template <class Estimator>
concept ReadsText = requires(Estimator& estimator, const Estimator& other, std::uint32_t code) {
    estimator.read(code);
    estimator.resume(other);
};

// An estimator that learns from each code before it is read.
template <class Estimator>
concept Learns = Estimator::learns;

// An estimator that draws from its own law, and from its powers, faster than all weights are told:
// the code at which a uniform number falls when they stand in a row. And that tells the k heaviest
// weights faster than all.
template <class Estimator>
concept Draws = requires(Estimator& estimator, double number, Weights& weights) {
    { estimator.draw(number) } -> std::same_as<std::uint32_t>;
    { estimator.draw(number, number) } -> std::same_as<std::uint32_t>;
    estimator.weigh_heaviest(std::size_t{1}, weights);
};

template <class Code, class Estimator>
class Sampler {
public:
    // Owns the context, of which it keeps what the estimator looks at. Backs off to shorter
    // contexts by `estimator.back_off()` where a copy limit leaves no token.
    Sampler(Context<Code> context, Estimator estimator, const SamplingParameters& parameters)
        : context_(std::move(context)),
          estimator_(std::move(estimator)),
          parameters_(parameters),
          draw_(parameters),
          limit_(parameters.max_copy, context_.n_codes()) {
        weights_.of.assign(context_.n_codes(), 0.0);
        // A copy limit looks at every level, and backs off to any.
        const std::optional<std::size_t> k = estimator_.n_levels();
        if (k && parameters.max_copy == 0) context_.keep_first(*k);
    }

    // Whether tables of neighbours would be used, and their use from now on.
    [[nodiscard]] bool keeps_first() const noexcept { return context_.keeps_first(); }
    void borrow(std::span<const Neighbours> neighbours) noexcept { context_.borrow(neighbours); }

    // Draws the next code and reads it; Alphabet::unknown if a copy limit leaves none.
    std::uint32_t operator()(const Uniform& uniform) {
        estimator_.look(context_);
        const std::uint32_t code = choose(uniform);
        if (code == Alphabet::unknown) return code;
        if constexpr (Learns<Estimator>) estimator_.learn(context_, code);
        context_.read(code);
        if constexpr (ReadsText<Estimator>) estimator_.read(code);
        ++n_generated_;
        return code;
    }

private:
    // Where not all weights matter.
    std::optional<std::uint32_t> choose_early(const Uniform& uniform) {
        const double temperature = parameters_.temperature;
        const std::size_t k = temperature == 0.0 ? 1 : parameters_.top_k;
        if (k != 0) {
            weights_.clear();
            estimator_.weigh_heaviest(k, weights_);
            return draw_(weights_, uniform);
        }
        if (parameters_.cuts()) return std::nullopt;
        return temperature == 1.0 ? estimator_.draw(uniform())
                                  : estimator_.draw(uniform(), 1.0 / temperature);
    }

    std::uint32_t choose(const Uniform& uniform) {
        if constexpr (Draws<Estimator>)
            if (parameters_.max_copy == 0)
                if (const auto code = choose_early(uniform)) return *code;
        const std::uint32_t only =
            parameters_.max_copy == 0 ? estimator_.only_code() : Alphabet::unknown;
        if (only != Alphabet::unknown) {
            if (parameters_.temperature != 0.0) uniform();
            return only;
        }
        do {
            weights_.clear();
            estimator_.weigh(weights_);
            if (weights_.codes.empty()) throw_corrupt("next");
            limit_.apply(context_, n_generated_, weights_);
        } while (weights_.codes.empty() && estimator_.back_off());
        return weights_.codes.empty() ? Alphabet::unknown : draw_(weights_, uniform);
    }

    Context<Code> context_;
    Estimator estimator_;
    SamplingParameters parameters_;
    Draw draw_;
    CopyLimit<Code> limit_;
    Weights weights_;
    std::uint64_t n_generated_ = 0;
};

}  // namespace infgram
