// From the sources' probability of a token to the probability that the target accepts it.
//
// A map for each kind of evidence, learnt online: 33 points, evenly spaced on the scale of log
// odds, between which it is linear, and each acceptance or rejection moves the two points next to
// what was predicted (the adaptive probability maps of Mahoney's PAQ coders).
//
// Not for two threads: the engine takes turns.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "infgram/draft/candidates.hpp"
#include "infgram/rows/types.hpp"

namespace infgram::draft {

class AcceptanceMap {
public:
    static constexpr std::size_t n_points = 33;
    static constexpr std::size_t n_lengths = 6;  // 0 to 1, 2 to 3, 4 to 7, 8 to 15, 16 to 31, 32 up
    static constexpr std::size_t n_kinds = n_origins * n_lengths * 2;
    // Two numbers a point: the probability, and how many observations it rests on.
    static constexpr std::size_t n_numbers = 2 * n_kinds * n_points;

    AcceptanceMap() : points_(n_kinds * n_points) {
        for (std::size_t i = 0; i < points_.size(); ++i)
            points_[i] = {logistic(log_odds(i % n_points)), 0.0};
    }

    // What is known of a candidate: who says so, how long a match, is it the likeliest?
    [[nodiscard]] static std::uint32_t kind(const Support& support, bool is_first) noexcept {
        const auto log = static_cast<std::uint32_t>(std::bit_width(support.n | 1)) - 1;
        const auto length = std::min<std::uint32_t>(log, n_lengths - 1);
        const auto origin = static_cast<std::uint32_t>(support.origin);
        return (origin * static_cast<std::uint32_t>(n_lengths) + length) * 2 + (is_first ? 1 : 0);
    }

    [[nodiscard]] double operator()(std::uint32_t kind, double prob) const noexcept {
        const Place place = find(kind, prob);
        return points_[place.below].prob * (1.0 - place.share) +
               points_[place.below + 1].prob * place.share;
    }

    void observe(std::uint32_t kind, double prob, bool accepted) noexcept {
        const Place place = find(kind, prob);
        move(points_[place.below], 1.0 - place.share, accepted);
        move(points_[place.below + 1], place.share, accepted);
    }

    [[nodiscard]] std::vector<double> numbers() const {
        std::vector<double> numbers;
        numbers.reserve(n_numbers);
        for (const Point& point : points_) numbers.insert(numbers.end(), {point.prob, point.n});
        return numbers;
    }
    void set(std::span<const double> numbers) {
        if (numbers.size() != n_numbers)
            throw InvalidParameter("acceptance: expected " + std::to_string(n_numbers) +
                                   " numbers, found " + std::to_string(numbers.size()));
        for (std::size_t i = 0; i < points_.size(); ++i) {
            const Point point{numbers[2 * i], numbers[2 * i + 1]};
            if (!(point.prob >= 0.0 && point.prob <= 1.0 && point.n >= 0.0))
                throw InvalidParameter("acceptance: expected probabilities and their weights");
            points_[i] = point;
        }
    }

private:
    static constexpr double most = 8.0;  // log odds
    static constexpr double step = 2 * most / (n_points - 1);
    static constexpr double prior = 12.0;     // observations that the first line counts for
    static constexpr double memory = 1000.0;  // observations, of which older ones are forgotten

    struct Point {
        double prob;
        double n;
    };
    struct Place {
        std::size_t below;
        double share;  // of the point above
    };

    static double logistic(double x) noexcept { return 1.0 / (1.0 + std::exp(-x)); }
    static double log_odds(std::size_t point) noexcept {
        return static_cast<double>(point) * step - most;
    }

    [[nodiscard]] static Place find(std::uint32_t kind, double prob) noexcept {
        const double inside = std::clamp(prob, 1e-6, 1.0 - 1e-6);
        const double odds = std::log(inside / (1.0 - inside));
        const double at = std::clamp((odds + most) / step, 0.0, n_points - 1.0);
        const auto below = std::min(static_cast<std::size_t>(at), n_points - 2);
        return {kind * n_points + below, at - static_cast<double>(below)};
    }

    static void move(Point& point, double share, bool accepted) noexcept {
        point.n = std::min(point.n + share, memory);
        point.prob += ((accepted ? 1.0 : 0.0) - point.prob) * share / (point.n + prior);
    }

    std::vector<Point> points_;
};

}  // namespace infgram::draft
