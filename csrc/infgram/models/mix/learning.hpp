// Learning: each question's answer changes the parameters a little, by the gradient of its own
// logarithmic loss; maps and curves are running means.
//
// Deterministic. Not for two threads.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "infgram/models/mix/parameters.hpp"

namespace infgram::mix {

// Owns parameters, and changes them by answers.
template <Kind kind>
class Learner {
public:
    // is_new: nothing is learnt so far, so that the first answers count much.
    Learner(Parameters<kind> parameters, bool is_new) : parameters_(std::move(parameters)) {
        for (const double p : parameters_.maps) {
            maps_.push_back({p, is_new ? first_seen : most_seen});
            map_odds_.push_back(log_odds(p));
        }
        for (std::size_t c = 0; c < 2; ++c)
            for (const double p : parameters_.curves[c])
                curves_[c].push_back({p, is_new ? first_seen_of_curves : most_seen_of_curves});
    }

    [[nodiscard]] const Parameters<kind>& parameters() const noexcept { return parameters_; }

    // Log odds of the maps, as they are now.
    [[nodiscard]] std::span<const double> map_odds() const noexcept { return map_odds_; }

    void learn(const Answer<kind>& answer, bool yes, double rate) {
        Parameters<kind>& with = parameters_;
        for (const std::int32_t map : answer.map)
            if (map >= 0) prefetch(&maps_[static_cast<std::size_t>(map)]);
        const double truth = yes ? 1.0 : 0.0;
        for (std::size_t c = 0; c < 2; ++c) {
            correct(c, answer.curve[c], truth, 1.0 - answer.fraction);
            correct(c, answer.curve[c] + 1, truth, answer.fraction);
        }
        for (std::size_t f = 0; f < 3; ++f) {
            const double step = final_rate * (truth - probability(answer.final_odds[f]));
            float* weights = &with.finals[f][answer.final_row[f] * n_said<kind>];
            for (std::size_t s = 0; s < n_said<kind>; ++s)
                weights[s] = static_cast<float>(weights[s] + step * answer.said[s]);
        }
        std::array<float, width<kind>> x;
        for (std::size_t i = 0; i < width<kind>; ++i) x[i] = static_cast<float>(answer.x[i]);
        for (std::size_t s = 0; s < n_sets<kind>; ++s) {
            const auto step = static_cast<float>(rate * (truth - probability(answer.said[s])));
            float* weights = &with.weights[answer.row[s] * width<kind>];
            for (std::size_t i = 0; i < width<kind>; ++i) weights[i] += step * x[i];
        }
        const double step = rate * (truth - probability(answer.said[n_sets<kind>]));
        for (std::size_t i = 0; i < n_inputs<kind>; ++i) {
            float& weight = with.own[i * n_trusts + answer.trust[i]];
            weight = static_cast<float>(weight + step * answer.x[i]);
        }
        for (const std::int32_t map : answer.map)
            if (map >= 0) count(static_cast<std::size_t>(map), truth);
    }

    // The mean of the weights at the times this is called becomes what is learnt.
    void note() {
        const auto arrays = parameters_.arrays();
        for (std::size_t i = 1; i < 6; ++i) {  // all but maps and curves, which are means already
            sums_[i].resize(arrays[i]->size(), 0.0);
            for (std::size_t k = 0; k < arrays[i]->size(); ++k) sums_[i][k] += (*arrays[i])[k];
        }
        ++n_noted_;
    }
    // What was learnt.
    const Parameters<kind>& finish() {
        for (std::size_t i = 0; i < maps_.size(); ++i)
            parameters_.maps[i] = static_cast<float>(maps_[i].prob);
        if (n_noted_ == 0) return parameters_;
        const auto arrays = parameters_.arrays();
        for (std::size_t i = 1; i < 6; ++i)
            for (std::size_t k = 0; k < arrays[i]->size(); ++k)
                (*arrays[i])[k] = static_cast<float>(sums_[i][k] / n_noted_);
        return parameters_;
    }

private:
    struct Mean {
        double prob;
        double seen;
    };

    static constexpr double final_rate = 0.002;
    static constexpr double first_seen = 3.0;
    static constexpr double first_seen_of_curves = 20.0;
    // Where the text counts, what was long ago counts less.
    static constexpr double most_seen = kind.adapts ? 400.0 : 1e18;
    static constexpr double most_seen_of_curves = kind.adapts ? 200.0 : 1e18;
    static constexpr double surest = 0.9998;  // of maps

    void count(std::size_t map, double truth) {
        Mean& mean = maps_[map];
        mean.seen = std::min(mean.seen + 1.0, most_seen);
        mean.prob += (truth - mean.prob) / mean.seen;
        mean.prob = std::min(std::max(mean.prob, 1.0 - surest), surest);
        // a mean of many hardly moves, and logarithms take long
        if (mean.seen < 64.0 || (static_cast<std::int64_t>(mean.seen) & 15) == 0)
            map_odds_[map] = log_odds(mean.prob);
    }

    void correct(std::size_t curve, std::size_t at, double truth, double share) {
        Mean& point = curves_[curve][at];
        point.seen = std::min(point.seen + share, most_seen_of_curves);
        point.prob = clipped(point.prob + (truth - point.prob) * share / point.seen);
        parameters_.curves[curve][at] = static_cast<float>(point.prob);
    }

    Parameters<kind> parameters_;
    std::vector<Mean> maps_;
    std::vector<double> map_odds_;
    std::array<std::vector<Mean>, 2> curves_;
    std::array<std::vector<double>, 8> sums_;
    double n_noted_ = 0.0;
};

}  // namespace infgram::mix
