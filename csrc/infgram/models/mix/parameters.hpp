// What is learnt, and how a question is answered with it: counts become log odds by maps, those are
// mixed by several sets of weights, the sets by three more, and a curve corrects the result
// (Mahoney 2005, "Adaptive weighing of context models for lossless data compression").
//
// The readable definition is src/infgram/models/mix/definition.py. Immutable once learnt: threads
// may share it.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "infgram/models/mix/live_counts.hpp"

namespace infgram::mix {

// Inputs of a question, in this order: Kneser-Ney's log odds, each context's, where the mixture
// adapts what the last codes and the last run of some contexts say, and a constant.
template <Kind kind>
inline constexpr std::size_t n_mapped = n_told<kind> + 2 * n_rings<kind>;
template <Kind kind>
inline constexpr std::size_t n_inputs = n_mapped<kind> + 2;
template <Kind kind>
inline constexpr std::size_t width = (n_inputs<kind> + 3) / 4 * 4;  // padded with zeros
inline constexpr double constant = 0.3;

inline constexpr std::array<std::uint32_t, 12> count_steps{0, 1,  2,  3,  4,  6,
                                                           9, 14, 22, 40, 80, 200};
inline constexpr std::uint32_t n_steps = count_steps.size() + 1;
inline constexpr std::size_t n_pairs = n_steps * n_steps;
inline constexpr std::size_t n_trusts = 10;
template <Kind kind>
inline constexpr std::size_t n_said = n_sets<kind> + 1;  // the sets, and the inputs' own weights
inline constexpr std::size_t n_points = 33;              // of a curve, from -8 to 8
inline constexpr double most_odds = 12.0;
inline constexpr double least_prob = 1e-6;
inline constexpr std::size_t n_symbols = 256;  // whose low byte chooses

// Of small counts, which of 13 steps they are.
inline constexpr auto small_steps = [] {
    std::array<std::uint8_t, count_steps.back() + 1> steps{};
    for (std::uint32_t n = 0; n < steps.size(); ++n)
        while (n > count_steps[steps[n]]) ++steps[n];
    return steps;
}();
constexpr std::uint8_t step_of(std::uint32_t count) noexcept {
    return count < small_steps.size() ? small_steps[count] : static_cast<std::uint8_t>(n_steps - 1);
}

inline double log_odds(double p) noexcept { return std::log(p / (1.0 - p)); }
inline double probability(double odds) noexcept { return 1.0 / (1.0 + std::exp(-odds)); }
inline double clipped(double p) noexcept { return std::clamp(p, least_prob, 1.0 - least_prob); }

// What the last codes say, in one order: none, one, two, three, four of them; and few or many.
inline constexpr std::size_t n_histories = 31;
inline constexpr std::size_t n_few = 7;
inline constexpr std::size_t history_size = n_histories * n_few * n_few;
// How long the last code has been the same, how many codes the context had, and which side it is.
inline constexpr std::size_t run_size = 8 * 8 * 2;

// Where each input's maps begin, and the end.
template <Kind kind>
inline constexpr auto first_maps = [] {
    std::array<std::size_t, n_mapped<kind> + 1> first{};
    for (std::size_t i = 0; i < n_mapped<kind>; ++i)
        first[i + 1] = first[i] + (i < n_told<kind>                   ? n_pairs
                                   : i < n_told<kind> + n_rings<kind> ? history_size
                                                                      : run_size);
    return first;
}();

// How a question came to its answer.
template <Kind kind>
struct Answer {
    std::array<double, width<kind>> x{};             // inputs
    std::array<std::int32_t, n_mapped<kind>> map;    // of each; -1: it has seen nothing
    std::array<std::uint8_t, n_inputs<kind>> trust;  // class of each input's own weight
    std::array<std::size_t, n_sets<kind>> row;       // of each set's weights
    std::array<double, n_said<kind>> said;  // log odds of each set, then of the own weights
    std::array<std::size_t, 3> final_row;
    std::array<double, 3> final_odds;
    double odds = 0.0;                 // their mean
    std::array<std::size_t, 2> curve;  // where the curves are read
    double fraction = 0.0;             // how far to their next point
    double prob = 0.5;                 // of yes
};

// Arrays of float32, which are what is stored.
template <Kind kind>
struct Parameters {
    std::vector<float> maps;                   // of each input: probabilities
    std::vector<float> weights;                // (rows of all sets, width)
    std::vector<float> own;                    // (n_inputs, n_trusts)
    std::array<std::vector<float>, 3> finals;  // by question, symbol, order and kind: (, n_said)
    std::array<std::vector<float>, 2> curves;  // by question, question and symbol: (, n_points)

    // Before anything is learnt.
    explicit Parameters(std::uint32_t n_questions) {
        constexpr std::array<double, n_steps> typical{0,  1,  2,  3,  4,   5.5, 8,
                                                      12, 18, 30, 60, 130, 300};
        for (std::size_t i = 0; i < n_told<kind>; ++i)
            for (const double no : typical)
                for (const double yes : typical) add_map(no, yes);
        for (std::size_t i = 0; i < n_rings<kind>; ++i)
            for (std::size_t n = 0; n < 5; ++n)
                for (std::size_t bits = 0; bits < std::size_t{1} << n; ++bits)
                    for (std::size_t few = 0; few < n_few * n_few; ++few) {
                        const auto yes = static_cast<double>(std::popcount(bits));
                        add_map(static_cast<double>(n) - yes, yes);
                    }
        for (std::size_t i = 0; i < n_rings<kind>; ++i)
            for (std::size_t at = 0; at < run_size; ++at)
                add_map(at % 2 == 0 ? 1.0 : 0.0, at % 2 == 0 ? 0.0 : 1.0);
        const std::size_t rows = first_rows(n_questions).back();
        for (std::size_t row = 0; row < rows; ++row)
            for (std::size_t i = 0; i < width<kind>; ++i) weights.push_back(first_weight(i));
        for (std::size_t i = 0; i < n_inputs<kind>; ++i)
            own.insert(own.end(), n_trusts, first_weight(i));
        const std::array<std::size_t, 3> n_final{n_questions, n_symbols, n_orders<kind> * 16};
        for (std::size_t f = 0; f < 3; ++f)
            finals[f].assign(n_final[f] * n_said<kind>, 1.0f / n_said<kind>);
        const std::array<std::size_t, 2> n_curves{n_questions, n_questions * n_symbols};
        for (std::size_t c = 0; c < 2; ++c)
            for (std::size_t i = 0; i < n_curves[c] * n_points; ++i)
                curves[c].push_back(static_cast<float>(
                    probability((static_cast<double>(i % n_points) - 16.0) / 2.0)));
    }

    // All arrays, in one order.
    [[nodiscard]] std::array<std::vector<float>*, 8> arrays() {
        return {&maps, &weights, &own, &finals[0], &finals[1], &finals[2], &curves[0], &curves[1]};
    }

    // In `weights`, the first row of each set, and the number of all.
    static std::array<std::size_t, n_sets<kind> + 1> first_rows(std::uint32_t n_questions) {
        std::array<std::size_t, n_sets<kind> + 1> first{};
        for (std::size_t s = 0; s < n_sets<kind>; ++s)
            first[s + 1] = first[s] + weight_sets[s].n_values +
                           std::size_t{weight_sets[s].per_question} * n_questions;
        return first;
    }

private:
    void add_map(double no, double yes) {
        maps.push_back(static_cast<float>((yes + 0.3) / (no + yes + 0.6)));
    }
    static float first_weight(std::size_t input) {
        return input == 0 ? 0.5f : input <= n_counted<kind> ? 0.5f / n_counted<kind> : 0.0f;
    }
};

// The sum of products, in four parts.
template <std::size_t n>
double dot(const float* weights, const std::array<double, n>& x) noexcept {
    std::array<double, 4> sums{};
    for (std::size_t i = 0; i < n; i += 4)
        for (std::size_t k = 0; k < 4; ++k)
            sums[k] += static_cast<double>(weights[i + k]) * x[i + k];
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

// How sure a context is: 0 nothing seen, 1 to 3 all yes, 4 and 5 all no, 6 both.
constexpr std::uint32_t certainty_of(std::int32_t pair) noexcept {
    if (pair < 0) return 0;
    const auto no = static_cast<std::uint32_t>(pair) / n_steps;
    const auto yes = static_cast<std::uint32_t>(pair) % n_steps;
    if (no == 0) return 1 + std::min(2u, (yes - 1) / 2);
    return yes == 0 ? 4 + std::min(1u, (no - 1) / 3) : 6;
}

template <Kind kind>
class Answerer {
public:
    using Told = Evidence<kind>;

    // Borrows the parameters, whose maps' log odds are in `map_odds`.
    Answerer(const Parameters<kind>& parameters, std::span<const double> map_odds,
             std::uint32_t n_questions)
        : parameters_(&parameters),
          map_odds_(map_odds),
          first_rows_(Parameters<kind>::first_rows(n_questions)) {}

    // kneser_ney: its probability of yes. recent: nothing is read of it where nothing adapts.
    void operator()(std::uint32_t number, const Question& question, const Text& text,
                    const Told& evidence, std::uint32_t longest, const typename Told::Place& place,
                    const typename Told::Middles& middles, const Recent<kind>& recent,
                    double kneser_ney, Answer<kind>& to) const {
        std::uint32_t with_data = 0;
        std::array<std::int32_t, n_told<kind>> pairs;
        for (std::size_t i = 0; i < n_told<kind>; ++i) {
            if (place.begin[i] == place.end[i]) {
                pairs[i] = -1;
                take_none(i, to);
                continue;
            }
            const Sides sides = evidence.sides(place, middles, i);
            const std::uint32_t no = step_of(sides.no);
            const std::uint32_t yes = step_of(sides.yes);
            pairs[i] = static_cast<std::int32_t>(no * n_steps + yes);
            to.trust[i + 1] = static_cast<std::uint8_t>(
                std::min<std::uint32_t>(step_of(sides.no + sides.yes), 4) +
                (no == 0 || yes == 0 ? 0 : 4));
            if (i < n_orders<kind>) with_data = static_cast<std::uint32_t>(i);
        }
        // memory brings the weights while the inputs are looked up
        choose(number, text, longest, with_data, pairs, to);
        to.x[0] = log_odds(clipped(kneser_ney));
        to.trust[0] = static_cast<std::uint8_t>(longest * n_trusts / n_orders<kind>);
        for (std::size_t i = 0; i < n_told<kind>; ++i)
            if (pairs[i] >= 0) take(i, static_cast<std::size_t>(pairs[i]), to);
        if constexpr (n_rings<kind> != 0) take_recent(question, recent, pairs, to);
        to.x[n_inputs<kind> - 1] = constant;
        to.trust[n_inputs<kind> - 1] = 0;
        mix(number, text.last[0] & (n_symbols - 1), to);
    }

private:
    static double bounded(double odds) noexcept { return std::clamp(odds, -most_odds, most_odds); }

    static void take_none(std::size_t i, Answer<kind>& to) noexcept {
        to.map[i] = -1;
        to.x[i + 1] = 0.0;
        to.trust[i + 1] = 0;
    }
    void take(std::size_t i, std::size_t map, Answer<kind>& to) const noexcept {
        map += first_maps<kind>[i];
        to.map[i] = static_cast<std::int32_t>(map);
        to.x[i + 1] = map_odds_[map];
    }

    void take_recent(const Question& question, const Recent<kind>& recent,
                     const std::array<std::int32_t, n_told<kind>>& pairs,
                     Answer<kind>& to) const noexcept {
        for (std::size_t r = 0; r < n_rings<kind>; ++r) {
            const std::size_t history = n_told<kind> + r;
            const std::size_t run = history + n_rings<kind>;
            const Ring& ring = recent.rings[r];
            std::uint32_t n = 0;
            std::size_t bits = 0;
            for (std::uint32_t i = 0; i < ring.size() && n < 4; ++i)
                if (ring[i] >= question.begin && ring[i] < question.end)
                    bits |= std::size_t{ring[i] >= question.middle} << n++;
            const std::int32_t pair = pairs[ring_contexts<kind>[r]];
            if (n == 0 || pair < 0) {
                take_none(history, to);
            } else {
                const auto seen = static_cast<std::size_t>(pair);
                const std::size_t few = std::min(seen / n_steps, n_few - 1) * n_few +
                                        std::min(seen % n_steps, n_few - 1);
                take(history, ((std::size_t{1} << n) - 1 + bits) * n_few * n_few + few, to);
                to.trust[history + 1] = static_cast<std::uint8_t>(n);
            }
            if (ring.size() == 0 || ring[0] < question.begin || ring[0] >= question.end) {
                take_none(run, to);
            } else {
                const std::uint32_t length = ring.run();
                const std::size_t types = std::clamp(recent.n_types[r], 1u, 8u) - 1;
                take(run, (length * 8 + types) * 2 + (ring[0] >= question.middle ? 1 : 0), to);
                to.trust[run + 1] = static_cast<std::uint8_t>(length);
            }
        }
    }

    // The weights of this situation.
    void choose(std::uint32_t question, const Text& text, std::uint32_t longest,
                std::uint32_t with_data, const std::array<std::int32_t, n_told<kind>>& pairs,
                Answer<kind>& to) const {
        Situation situation{text, question, longest, with_data, {}};
        for (std::size_t k = 0; k < certain_contexts<kind>.size(); ++k)
            situation.certainty[k] = certainty_of(pairs[certain_contexts<kind>[k]]);
        choose_rows(situation, to, std::make_index_sequence<n_sets<kind>>());
        for (const std::size_t row : to.row)
            for (std::size_t i = 0; i < width<kind>; i += 16)
                prefetch(&parameters_->weights[row * width<kind> + i]);
        to.final_row = {question, text.last[0] & (n_symbols - 1),
                        with_data * 16 + static_cast<std::size_t>(text.kinds & 15)};
    }

    // From the inputs to the answer.
    void mix(std::uint32_t question, std::uint32_t symbol, Answer<kind>& to) const {
        const Parameters<kind>& with = *parameters_;
        for (std::size_t s = 0; s < n_sets<kind>; ++s)
            to.said[s] = bounded(dot(&with.weights[to.row[s] * width<kind>], to.x));
        double own = 0.0;
        for (std::size_t i = 0; i < n_inputs<kind>; ++i)
            own += static_cast<double>(with.own[i * n_trusts + to.trust[i]]) * to.x[i];
        to.said[n_sets<kind>] = bounded(own);

        for (std::size_t f = 0; f < 3; ++f) {
            const float* weights = &with.finals[f][to.final_row[f] * n_said<kind>];
            double odds = 0.0;
            for (std::size_t s = 0; s < n_said<kind>; ++s)
                odds += static_cast<double>(weights[s]) * to.said[s];
            to.final_odds[f] = odds;
        }
        to.odds = (to.final_odds[0] + to.final_odds[1] + to.final_odds[2]) / 3.0;

        const double at = (std::clamp(to.odds, -7.99, 7.99) + 8.0) * 2.0;
        const auto point = static_cast<std::size_t>(at);
        to.fraction = at - static_cast<double>(point);
        to.curve = {question * n_points + point,
                    (std::size_t{question} * n_symbols + symbol) * n_points + point};
        double corrected = 0.0;
        for (std::size_t c = 0; c < 2; ++c) {
            const float* curve = &with.curves[c][to.curve[c]];
            corrected += static_cast<double>(curve[0]) * (1.0 - to.fraction) +
                         static_cast<double>(curve[1]) * to.fraction;
        }
        to.prob = clipped(0.5 * probability(to.odds) + 0.25 * corrected);
    }

    template <std::size_t... S>
    void choose_rows(const Situation& situation, Answer<kind>& to,
                     std::index_sequence<S...>) const {
        ((to.row[S] = first_rows_[S] + weight_sets[S].value(situation)), ...);
    }

    const Parameters<kind>* parameters_;
    std::span<const double> map_odds_;
    std::array<std::size_t, n_sets<kind> + 1> first_rows_;
};

}  // namespace infgram::mix
