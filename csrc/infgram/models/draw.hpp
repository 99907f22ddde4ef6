// Drawing from weights: shaped by temperature and limits, one uniform number a token.
//
// The readable definition is `draw` in src/infgram/models/definition.py; both do the same
// floating-point operations in the same order, so the same uniform numbers give the same tokens.
//
// Not for two threads: each has one of its own.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <numeric>
#include <vector>

#include "infgram/contexts/context.hpp"

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

}  // namespace infgram
