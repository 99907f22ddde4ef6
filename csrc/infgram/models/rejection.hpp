// Drawing from SBIS by rejection: a row of a level is proposed, and the token in it accepted or
// not.
//
// The law at temperature T is proportional to w(token)^(1/T), where the weight w is that of all
// rows that have the token next. A row that is drawn by the weights of rows proposes a token with
// probability w/W, W being the sum of all weights; accepted with probability (w/W)^(1/T - 1), which
// is at most 1 where T is, it has the law (von Neumann 1951). Nothing is counted but the rows of
// the tokens proposed.
//
// The readable definition is `draw_row` in src/infgram/models/definition.py; both do the same
// floating-point operations in the same order.
//
// Not for two threads: each has one of its own.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "infgram/contexts/context.hpp"
#include "infgram/models/draw.hpp"
#include "infgram/models/sbis.hpp"
#include "infgram/rows/alphabet.hpp"
#include "infgram/rows/match64.hpp"

namespace infgram {

// Of proposals, before all weights are told instead: whether it comes to that does not depend on
// the token, so the law stays as it is.
inline constexpr int most_tries = 64;

// Whether proposals are drawn from: not where limits need all weights, and not at temperatures so
// low that few would be accepted.
[[nodiscard]] inline bool rejection_fits(const SamplingParameters& how) noexcept {
    return how.temperature >= 0.5 && how.temperature <= 1.0 && !how.cuts() && how.max_copy == 0;
}

template <class Code>
class Rejection {
public:
    Rejection(const SbisParameters& law, const SamplingParameters& how)
        : k_(law.k < 0 ? 0 : static_cast<std::size_t>(law.k)),
          decay_(law.decay),
          normalise_(law.normalise),
          accepts_all_(how.temperature == 1.0),
          accepted_(1.0 / how.temperature - 1.0) {
        double weight = 1.0;
        for (std::size_t i = 0; i < few_levels; ++i, weight *= decay_)
            few_[i] = {weight, 1.0 / weight};
        while (n_few_ < few_levels && few_[n_few_].weight != 0.0) ++n_few_;
    }

    // A code, or Alphabet::unknown after so many tries that all should be counted instead.
    std::uint32_t operator()(Sbis<Code>& law, const Context<Code>& context,
                             const Uniform& uniform) {
        is_narrow_ = false;
        if constexpr (sizeof(Code) == 1) {
            if (context.shards().size() == 1 && !context.shards()[0].is_compact() &&
                k_ - 1 < few_levels) {
                const Chain& chain = context.chains()[0];
                const std::size_t n = std::min({chain.size(), k_, n_few_});
                const Shard<Code>& shard = context.shards()[0];
                if (n != 0 && chain.back().range.size() <= 64 &&
                    !shard.has_end(chain.back().range)) {
                    const Row first = chain.back().range.begin;
                    if (n == 1) return narrow<1>(shard, chain.data(), first, uniform);
                    if (n == 2) return narrow<2>(shard, chain.data(), first, uniform);
                    return narrow<3>(shard, chain.data(), first, uniform);
                }
            }
        }
        law.look(context);
        return wide(law, uniform);
    }

    // Which rows have the code drawn last, if all levels of the context lie among them.
    [[nodiscard]] const RowsOfCode* rows() const noexcept { return is_narrow_ ? &rows_ : nullptr; }

private:
    static constexpr std::size_t few_levels = 3;

    struct Weight {
        double weight;   // of a row
        double inverse;  // rows a weight
    };

    [[nodiscard]] bool accepts(double share, const Uniform& uniform) {
        return accepts_all_ || uniform() < accepted_(share);
    }

    // n: of the levels, so that loops over them are none.
    template <std::size_t n>
    std::uint32_t narrow(const Shard<Code>& shard, const Level* levels, Row first,
                         const Uniform& uniform) {
        std::array<Weight, n> weights;
        std::array<double, n> reach;
        std::array<std::uint64_t, n> bits;
        double total = 0.0;
        for (std::size_t i = 0; i < n; ++i) {
            const Range range = levels[i].range;
            const double m = range.size();
            weights[i] = few_[i];
            if (normalise_) {
                weights[i].weight /= m;
                weights[i].inverse = 1.0 / weights[i].weight;
            }
            total += reach[i] = weights[i].weight * m;
            bits[i] = low_bits(range.size()) << (range.begin - first);
        }
        const Code* next = shard.next() + first;
        for (int i = 0; i < most_tries; ++i) {
            double left = uniform() * total;
            double row = left * weights[0].inverse;
            Range range = levels[0].range;
            for (std::size_t j = 1; j < n; ++j) {  // which level is as good as random: no branch
                left -= reach[j - 1];
                row = left >= 0.0 ? left * weights[j].inverse : row;
                range = left >= 0.0 ? levels[j].range : range;
            }
            const std::uint32_t place = std::min(static_cast<std::uint32_t>(row), range.size() - 1);
            const Code code = next[range.begin - first + place];
            const std::uint64_t found = match64(next, code);
            double weight = 0.0;
            for (std::size_t j = 0; j < n; ++j)
                weight += weights[j].weight * static_cast<double>(count_bits(found & bits[j]));
            if (accepts(weight / total, uniform)) {
                if (code >= shard.n_codes()) throw_corrupt("next");
                rows_ = {first, found};
                is_narrow_ = true;
                return code;
            }
        }
        return Alphabet::unknown;
    }

    std::uint32_t wide(Sbis<Code>& law, const Uniform& uniform) {
        weights_.clear();
        double total = 0.0;
        double weight = 1.0;
        for (std::size_t i = 0; i < law.n_mixed(); ++i, weight *= decay_) {
            const auto m = static_cast<double>(law.m(i));
            const double of_row = normalise_ ? weight / m : weight;
            if (of_row == 0.0) break;
            weights_.push_back({of_row, 1.0 / of_row});
            total += of_row * m;
        }
        const std::size_t n = weights_.size();
        for (int i = 0; i < most_tries; ++i) {
            double left = uniform() * total;
            std::size_t level = 0;
            for (double reach; level + 1 < n; ++level, left -= reach) {
                reach = weights_[level].weight * static_cast<double>(law.m(level));
                if (left < reach) break;
            }
            const std::uint64_t m = law.m(level);
            const double row = std::min(left * weights_[level].inverse, static_cast<double>(m - 1));
            const std::uint32_t code = law.next(level, static_cast<std::uint64_t>(row));
            double of_code = 0.0;
            for (std::size_t j = 0; j < n; ++j) {
                of_code += weights_[j].weight * static_cast<double>(law.count(j, code));
            }
            if (accepts(of_code / total, uniform)) return code;
        }
        return Alphabet::unknown;
    }

    std::size_t k_;
    double decay_;
    bool normalise_;
    bool accepts_all_;
    Power accepted_;
    std::array<Weight, few_levels> few_{};
    std::size_t n_few_ = 0;
    std::vector<Weight> weights_;
    RowsOfCode rows_;
    bool is_narrow_ = false;
};

}  // namespace infgram
