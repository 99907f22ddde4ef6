// What followed each context of a token, narrowed from question to question.
//
// Not for two threads: each has its own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "infgram/models/mix/counts.hpp"
#include "infgram/models/mix/questions.hpp"
#include "infgram/models/mix/sight.hpp"
#include "infgram/models/steps.hpp"

namespace infgram::mix {

// Contexts that say how often each side of a question was the case: suffixes, then named ones.
template <Kind kind>
inline constexpr std::size_t n_counted = n_orders<kind> + n_named<kind>;
inline constexpr std::size_t most_codes = 256;  // of an alphabet: tokens of 8 bits

// Where a mixture adapts, each context tells twice: of corpus and live text together, and of the
// live text alone.
template <Kind kind>
inline constexpr std::size_t n_told = kind.adapts ? 2 * n_counted<kind> : n_counted<kind>;

// How often each side followed a context.
struct Sides {
    std::uint32_t no = 0;
    std::uint32_t yes = 0;
};

// The corpus's tokens after each suffix, from the levels of a context, the longest first, the empty
// context last. A suffix is the shortest level that is at least as long; nullptr: there is none.
template <Kind kind>
std::array<const ContinuationTable*, n_orders<kind>> suffixes_of(std::span<const Step> steps) {
    std::array<const ContinuationTable*, n_orders<kind>> found{};
    std::size_t next = n_orders<kind>;  // the orders from here on have been found, or do not exist
    const ContinuationTable* serving = nullptr;
    for (const Step& step : steps) {
        if (step.is_live()) continue;
        // those longer than this level and not than the one before are served by that
        for (; next != 0 && orders<kind>[next - 1] > step.n; --next) found[next - 1] = serving;
        serving = step.table;
    }
    for (; next != 0; --next) found[next - 1] = serving;
    return found;
}

template <Kind kind>
class Evidence {
public:
    static constexpr std::size_t n = n_told<kind>;

    // Of each context, the entries of the codes that are left at a question.
    struct Place {
        std::array<std::uint32_t, n> begin;
        std::array<std::uint32_t, n> end;
    };
    // Of each context, where the entries of the right side begin.
    using Middles = std::array<std::uint32_t, n>;

    void clear() noexcept { n_entries_ = 0; }

    // What followed a context. for_each(visit): calls visit(Follower), by rising codes below
    // most_codes. Once for each context.
    template <class ForEach>
    void take(std::size_t i, ForEach&& for_each) {
        Entry* at = &entries_[n_entries_];
        std::uint32_t total = 0;
        for_each([&](Follower follower) {
            *at++ = {follower.code, total};
            total += follower.count;
        });
        *at = {~0u, total};
        all_.begin[i] = static_cast<std::uint32_t>(n_entries_);
        n_entries_ = static_cast<std::size_t>(at - entries_.data());
        all_.end[i] = static_cast<std::uint32_t>(n_entries_++);
    }
    // The same as followed another one.
    void take_same(std::size_t i, std::size_t other) noexcept {
        all_.begin[i] = all_.begin[other];
        all_.end[i] = all_.end[other];
    }
    void take_none(std::size_t i) noexcept { all_.begin[i] = all_.end[i] = 0; }

    // Which order is the longest that has anything.
    [[nodiscard]] std::uint32_t longest() const noexcept {
        std::size_t i = n_orders<kind>;
        while (i > 1 && all_.begin[i - 1] == all_.end[i - 1]) --i;
        return static_cast<std::uint32_t>(i - 1);
    }
    [[nodiscard]] const Place& all() const noexcept { return all_; }

    // Splits what is left of each context at a code.
    void split(const Place& place, std::uint32_t code, Middles& middles) const noexcept {
        for (std::size_t i = 0; i < n; ++i) {
            std::uint32_t at = place.begin[i];
            while (at != place.end[i] && entries_[at].code < code) ++at;
            middles[i] = at;
        }
    }
    [[nodiscard]] Sides sides(const Place& place, const Middles& middles,
                              std::size_t i) const noexcept {
        const std::uint32_t middle = entries_[middles[i]].before;
        return {middle - entries_[place.begin[i]].before, entries_[place.end[i]].before - middle};
    }
    // Goes on to one side.
    static void narrow(Place& place, const Middles& middles, bool yes) noexcept {
        (yes ? place.begin : place.end) = middles;
    }

private:
    struct Entry {
        std::uint32_t code;
        std::uint32_t before;  // counts of the entries before it
    };

    std::vector<Entry> entries_ = std::vector<Entry>(n * (most_codes + 1));
    std::size_t n_entries_ = 0;
    Place all_{};
};

}  // namespace infgram::mix
