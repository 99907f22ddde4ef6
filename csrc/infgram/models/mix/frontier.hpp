// A law that is a tree of questions, told only as far as it must be: the heaviest part is opened
// first. Exact: what stays closed cannot change the result.
//
// Not for two threads.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "infgram/contexts/context.hpp"
#include "infgram/models/mix/evidence.hpp"
#include "infgram/models/mix/questions.hpp"

namespace infgram::mix {

template <class Evidence>
class Frontier {
public:
    using Place = typename Evidence::Place;

    explicit Frontier(const Questions& questions) : questions_(&questions) {}

    // Begins with the first question. ask(question, place, middles) gives the probability of yes.
    void begin(const Place& all) {
        parts_.clear();
        places_.clear();
        places_.push_back(all);
        const auto end = questions_->size() + 1;
        parts_.push_back({questions_->root(), 0, end, 1.0});
    }

    // Writes the weights of the codes that may be among the k heaviest, and of some others.
    template <class Ask>
    void weigh_heaviest(std::size_t k, Weights& weights, Ask&& ask) {
        for (std::size_t at; (at = heaviest_closed()) != parts_.size();) {
            masses_.clear();
            for (const Part& part : parts_)
                if (part.is_code()) masses_.push_back(part.mass);
            if (masses_.size() >= k) {
                const auto last = masses_.begin() + static_cast<std::ptrdiff_t>(k - 1);
                std::ranges::nth_element(masses_, last, std::greater{});
                if (*last > parts_[at].mass) break;
            }
            open(at, ask);
        }
        for (const Part& part : parts_)
            if (part.is_code()) {
                weights.of[part.code()] = part.mass;
                weights.codes.push_back(part.code());
            }
    }

    // The code at which a uniform number falls when the codes' probabilities to a power stand in a
    // row. What a closed part adds to the row has bounds: all of it on one code, or the same on
    // each.
    template <class Ask>
    std::uint32_t draw(double power, double uniform, Ask&& ask) {
        while (true) {
            double low = 0.0;
            double high = 0.0;
            for (Part& part : parts_) {
                part.bound(power);
                low += part.low;
                high += part.high;
            }
            double low_before = 0.0;
            double high_before = 0.0;
            for (const Part& part : parts_) {
                if (part.is_code()) {
                    const double low_behind = low - low_before - part.low;
                    const double high_behind = high - high_before - part.high;
                    const bool begins =
                        high_before <= uniform * (high_before + part.low + low_behind);
                    const bool ends =
                        uniform * (low_before + part.high + high_behind) < low_before + part.high;
                    if (begins && ends) return part.code();
                }
                low_before += part.low;
                high_before += part.high;
            }
            const std::size_t at = heaviest_closed();
            if (at == parts_.size()) return last_reached(uniform * low);
            open(at, ask);
        }
    }

private:
    // Codes next to each other: a question that was not asked yet, or one code.
    struct Part {
        std::int32_t at;  // the question, or ~code
        std::uint32_t place;
        std::uint32_t n_codes;
        double mass;
        double low = -1.0;  // of the sum of its codes' powers; -1: not computed
        double high = -1.0;

        [[nodiscard]] bool is_code() const noexcept { return at < 0; }
        [[nodiscard]] std::uint32_t code() const noexcept {
            return static_cast<std::uint32_t>(~at);
        }
        void bound(double power) noexcept {
            if (low >= 0.0) return;
            const double one = std::pow(mass, power);
            const double each = is_code() ? one : one * std::pow(n_codes, 1.0 - power);
            low = std::min(one, each);
            high = std::max(one, each);
        }
    };

    [[nodiscard]] std::size_t heaviest_closed() const noexcept {
        std::size_t found = parts_.size();
        for (std::size_t i = 0; i < parts_.size(); ++i)
            if (!parts_[i].is_code() &&
                (found == parts_.size() || parts_[i].mass > parts_[found].mass))
                found = i;
        return found;
    }

    // Rounding can leave everything known and nothing decided: the first that reaches there.
    [[nodiscard]] std::uint32_t last_reached(double drawn) const noexcept {
        double reached = 0.0;
        for (const Part& part : parts_)
            if ((reached += part.low) > drawn) return part.code();
        return parts_.back().code();
    }

    template <class Ask>
    void open(std::size_t i, Ask&& ask) {
        const Part part = parts_[i];
        const Question& question = (*questions_)[part.at];
        typename Evidence::Middles middles;
        const double yes = ask(part.at, places_[part.place], middles);
        const auto right = static_cast<std::uint32_t>(places_.size());
        places_.push_back(places_[part.place]);
        Evidence::narrow(places_[part.place], middles, false);
        Evidence::narrow(places_[right], middles, true);
        parts_[i] = {question.no, part.place, question.middle - question.begin,
                     part.mass * (1.0 - yes)};
        parts_.insert(parts_.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                      {question.yes, right, question.end - question.middle, part.mass * yes});
    }

    const Questions* questions_;
    std::vector<Part> parts_;  // rising codes
    std::vector<Place> places_;
    std::vector<double> masses_;
};

}  // namespace infgram::mix
