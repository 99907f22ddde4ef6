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

#include "infgram/alphabet.hpp"
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
        find_levels();
        const std::uint32_t only = only_code();
        const std::uint32_t code = only == Alphabet::unknown ? draw(uniform) : only;
        if (only != Alphabet::unknown && parameters_.temperature != 0.0) uniform();
        for (std::size_t s = 0; s < shards_.size(); ++s) {
            advance(shards_[s], chains_[s], code);
            trim(chains_[s], parameters_.window);
        }
        return code;
    }

private:
    // The levels to mix: their m, and their ranges, one a shard. Where nothing of the context
    // occurs, every position of the corpus is as likely.
    void find_levels() {
        ms_.clear();
        ranges_.clear();
        for_each_level(shards_, std::span<const Chain>(chains_), parameters_.k, scratch_,
                       [&](std::uint32_t, std::uint64_t m, std::span<const Range> ranges) {
                           ms_.push_back(m);
                           ranges_.insert(ranges_.end(), ranges.begin(), ranges.end());
                       });
        if (!ms_.empty()) return;
        ms_.push_back(0);
        for (const auto& shard : shards_) {
            ranges_.push_back(shard.all());
            ms_.back() += shard.m(shard.all());
        }
    }

    // The only code that follows any level, if that is quick to see: ranges of later levels
    // contain those of earlier ones, so the last level has every code there is.
    [[nodiscard]] std::uint32_t only_code() const {
        return shards_.size() == 1 ? shards_[0].only_next(ranges_.back()) : Alphabet::unknown;
    }

    // weights_[c] = sum over levels i of decay^i * count_i(c) (/ m_i). Leaves in counts_ the last
    // level.
    void mix() {
        double level_weight = 1.0;
        for (std::size_t i = 0; i < ms_.size(); ++i) {
            counts_.clear();
            for (std::size_t s = 0; s < shards_.size(); ++s) {
                const Range range = ranges_[i * shards_.size() + s];
                if (!range.empty()) counts_.add(shards_[s], range);
            }
            const double scale = parameters_.normalise ? static_cast<double>(ms_[i]) : 1.0;
            for (const std::uint32_t code : counts_.seen())
                weights_[code] += level_weight * (static_cast<double>(counts_[code]) / scale);
            level_weight *= parameters_.decay;
        }
    }

    std::uint32_t draw(const Uniform& uniform) {
        mix();
        const auto codes = counts_.codes();
        if (codes.empty()) throw_corrupt("next");
        double heaviest = 0.0;
        for (const std::uint32_t code : codes) heaviest = std::max(heaviest, weights_[code]);
        std::size_t chosen = 0;
        if (parameters_.temperature == 0.0) {
            while (weights_[codes[chosen]] != heaviest) ++chosen;
        } else {
            double reached = 0.0;
            reached_.clear();
            for (const std::uint32_t code : codes)
                reached_.push_back(reached += power_(weights_[code] / heaviest));
            const double drawn = uniform() * reached;
            // The first code whose share reaches beyond what was drawn; counted, not searched for,
            // because where it is cannot be predicted.
            for (const double share : reached_) chosen += drawn >= share ? 1 : 0;
            chosen = std::min(chosen, codes.size() - 1);  // rounding: drawn == reached
        }
        for (const std::uint32_t code : codes) weights_[code] = 0.0;
        return codes[chosen];
    }

    std::span<const Shard<Code>> shards_;
    std::vector<Chain> chains_;
    SbisParameters parameters_;
    Power power_;
    Histogram counts_;               // of the level last added
    std::vector<double> weights_;    // by code; zero between tokens
    std::vector<double> reached_;    // scratch: cumulative weights to the power 1 / temperature
    std::vector<std::uint64_t> ms_;  // of the levels to mix
    std::vector<Range> ranges_;      // of the levels to mix, one a shard for each level
    std::vector<Range> scratch_;
};

}  // namespace infgram
