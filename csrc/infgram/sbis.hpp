// Selective Back-off Interpolation Sampling as one fused loop: levels, mixture, draw, advance.
//
// The readable definition is src/infgram/estimators.py; both do the same floating-point operations
// in the same order, so the same uniform numbers give the same tokens.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "infgram/chain.hpp"
#include "infgram/histogram.hpp"
#include "infgram/shard.hpp"

namespace infgram {

// The caller's source of uniform numbers in [0, 1).
struct Uniform {
    double (*draw)(void*);
    void* state;
    double operator()() const { return draw(state); }
};

struct SbisParameters {
    int k = 2;                   // levels to mix, -1 for all
    double decay = 0.1;          // level i has weight decay^i
    bool normalise = false;      // mix distributions instead of counts
    std::uint32_t window = 200;  // tokens of context that are seen
    double temperature = 1.0;    // 0: the heaviest token, the smallest code among equals
};

// x to a fixed power, remembering the last results: weights are made of few small counts.
class Power {
public:
    explicit Power(double exponent) : exponent_(exponent) {}

    double operator()(double x) {
        const std::uint64_t bits = std::bit_cast<std::uint64_t>(x);
        Known& known = known_[(bits * 0x9e3779b97f4a7c15ULL) >> 56];
        if (known.x != x) known = {x, std::pow(x, exponent_)};
        return known.power;
    }

private:
    struct Known {
        double x = 1.0;
        double power = 1.0;
    };
    double exponent_;
    std::array<Known, 256> known_{};
};

template <class Code>
class SbisSampler {
public:
    // Borrows the shards; owns its chains, one a shard.
    SbisSampler(std::span<const Shard<Code>> shards, std::vector<Chain> chains,
                const SbisParameters& parameters)
        : shards_(shards),
          chains_(std::move(chains)),
          parameters_(parameters),
          power_(parameters.temperature == 0.0 ? 1.0 : 1.0 / parameters.temperature),
          counts_(shards.front().n_codes()),
          weights_(shards.front().n_codes(), 0.0) {
        for (Chain& chain : chains_) {
            chain.reserve(64);
            trim(chain, parameters_.window);
        }
    }

    // Draws the next code and reads it. One uniform number a token, none at temperature 0.
    std::uint32_t operator()(const Uniform& uniform) {
        mix();
        const std::uint32_t code = draw(uniform);
        clear();
        for (std::size_t s = 0; s < shards_.size(); ++s) {
            advance(shards_[s], chains_[s], code);
            trim(chains_[s], parameters_.window);
        }
        return code;
    }

private:
    // weights_[c] = sum over levels i of decay^i * count_i(c) (/ m_i). Ranges of later levels
    // contain those of earlier ones, so the last level's codes are all there are.
    void mix() {
        double level_weight = 1.0;
        bool any = false;
        const auto add = [&](std::uint64_t m, std::span<const Range> ranges) {
            counts_.clear();
            for (std::size_t s = 0; s < ranges.size(); ++s)
                if (!ranges[s].empty()) counts_.add(shards_[s], ranges[s]);
            for (const std::uint32_t code : counts_.seen()) {
                const auto count = static_cast<double>(counts_[code]);
                weights_[code] +=
                    level_weight * (parameters_.normalise ? count / static_cast<double>(m) : count);
            }
            level_weight *= parameters_.decay;
            any = true;
        };
        for_each_level(
            shards_, std::span<const Chain>(chains_), parameters_.k, ranges_,
            [&](std::uint32_t, std::uint64_t m, std::span<const Range> ranges) { add(m, ranges); });
        if (any) return;
        // Nothing of the context occurs: every position of the corpus is as likely.
        std::uint64_t m = 0;
        for (std::size_t s = 0; s < shards_.size(); ++s) {
            ranges_[s] = shards_[s].all();
            m += shards_[s].m(ranges_[s]);
        }
        add(m, ranges_);
    }

    std::uint32_t draw(const Uniform& uniform) {
        const auto codes = counts_.codes();
        if (codes.empty()) throw_corrupt("next");
        std::uint32_t heaviest = codes[0];
        for (const std::uint32_t code : codes)
            if (weights_[code] > weights_[heaviest]) heaviest = code;
        if (parameters_.temperature == 0.0) return heaviest;
        if (codes.size() == 1) return uniform(), heaviest;
        const double max = weights_[heaviest];
        double total = 0.0;
        scaled_.clear();
        for (const std::uint32_t code : codes) {
            const double relative = weights_[code] / max;
            scaled_.push_back(power_(relative));
            total += scaled_.back();
        }
        const double drawn = uniform() * total;
        double reached = 0.0;
        for (std::size_t i = 0; i < codes.size(); ++i) {
            reached += scaled_[i];
            if (drawn < reached) return codes[i];
        }
        return heaviest;  // rounding: drawn == total
    }

    void clear() {
        for (const std::uint32_t code : counts_.seen()) weights_[code] = 0.0;
        counts_.clear();
    }

    std::span<const Shard<Code>> shards_;
    std::vector<Chain> chains_;
    SbisParameters parameters_;
    Power power_;
    Histogram counts_;             // of the level last added
    std::vector<double> weights_;  // by code; zero between tokens
    std::vector<double> scaled_;   // scratch: weights to the power 1 / temperature
    std::vector<Range> ranges_;    // scratch: one a shard
};

}  // namespace infgram
