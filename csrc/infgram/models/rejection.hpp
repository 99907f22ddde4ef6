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
#include <cstddef>
#include <cstdint>
#include <vector>

#include "infgram/contexts/context.hpp"
#include "infgram/models/draw.hpp"
#include "infgram/models/sbis.hpp"
#include "infgram/rows/alphabet.hpp"

namespace infgram {

// Of proposals, before all weights are told instead: whether it comes to that does not depend on
// the token, so the law stays as it is.
inline constexpr int most_tries = 64;

// Whether proposals are drawn from: not where limits need all weights, and not at temperatures so
// low that few would be accepted.
[[nodiscard]] inline bool rejection_fits(const SamplingParameters& how) noexcept {
    return how.temperature >= 0.5 && how.temperature <= 1.0 && !how.cuts() && how.max_copy == 0;
}

// Of a level: the weight of a row, and how many rows have the weight 1.
struct RowWeight {
    double weight;
    double inverse;
};

// Whether a proposal is taken.
class Acceptance {
public:
    explicit Acceptance(const SamplingParameters& how)
        : takes_all_(how.temperature == 1.0), power_(1.0 / how.temperature - 1.0) {}

    // share: of the token's weight in that of all. A uniform number, unless all are taken.
    [[nodiscard]] bool operator()(double share, const Uniform& uniform) {
        if (takes_all_) return true;
        const double number = uniform();  // a share is no more than its power, which takes longer
        return number < share || number < power_(share);
    }

private:
    bool takes_all_;
    Power power_;
};

template <class Code>
class Rejection {
public:
    Rejection(const SbisParameters& law, const SamplingParameters& how)
        : decay_(law.decay), normalise_(law.normalise), accepts_(how) {}

    // A code, or Alphabet::unknown after so many tries that all should be counted instead.
    std::uint32_t operator()(Sbis<Code>& law, const Context<Code>& context,
                             const Uniform& uniform) {
        law.look(context);
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
            if (accepts_(of_code / total, uniform)) return code;
        }
        return Alphabet::unknown;
    }

    // Shared by whoever draws by the same law.
    [[nodiscard]] Acceptance& acceptance() noexcept { return accepts_; }

private:
    double decay_;
    bool normalise_;
    Acceptance accepts_;
    std::vector<RowWeight> weights_;
};

}  // namespace infgram
