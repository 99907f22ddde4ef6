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
inline constexpr std::size_t n_counted = n_orders + n_named;

// How often each side followed a context.
struct Sides {
    std::uint32_t no = 0;
    std::uint32_t yes = 0;
};

class Evidence {
public:
    // Of each context, the entries of the codes that are left at a question.
    struct Place {
        std::array<std::uint32_t, n_counted> begin;
        std::array<std::uint32_t, n_counted> end;
    };
    // Of each context, where the entries of the right side begin.
    using Middles = std::array<std::uint32_t, n_counted>;

    // From the levels of a context, the longest first, the empty context last. A suffix is the
    // shortest level that is at least as long.
    void take_suffixes(std::span<const Step> steps) {
        entries_.clear();
        longest_ = 0;
        std::size_t next = n_orders;  // the orders from here on have what follows them, or nothing
        for (std::size_t i = 0; i < steps.size() && next != 0; ++i) {
            for (; next != 0 && orders[next - 1] > steps[i].n; --next) none(next - 1);
            const bool serves =
                next != 0 && (i + 1 == steps.size() || steps[i + 1].n < orders[next - 1]);
            if (!serves) continue;
            const std::uint32_t begin = open();
            for (const Continuation& token : steps[i].table->tokens) add(token.code, token.matches);
            const std::uint32_t end = close();
            const std::uint32_t shorter = i + 1 == steps.size() ? 0 : steps[i + 1].n + 1;
            longest_ = std::max(longest_, static_cast<std::uint32_t>(next - 1));
            for (; next != 0 && orders[next - 1] >= shorter; --next)
                all_.begin[next - 1] = begin, all_.end[next - 1] = end;
        }
    }

    // From the named contexts' counts. for_each(visit): calls visit(Follower), by rising codes.
    template <class ForEach>
    void take_named(std::size_t i, ForEach&& for_each) {
        i += n_orders;
        all_.begin[i] = open();
        for_each([&](Follower follower) { add(follower.code, follower.count); });
        all_.end[i] = close();
    }

    // Which order is the longest that the corpus has.
    [[nodiscard]] std::uint32_t longest() const noexcept { return longest_; }
    [[nodiscard]] const Place& all() const noexcept { return all_; }

    // Splits what is left of each context at a code.
    void split(const Place& place, std::uint32_t code, Middles& middles) const noexcept {
        for (std::size_t i = 0; i < n_counted; ++i) {
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

    void none(std::size_t i) {
        if (entries_.empty()) entries_.push_back({0, 0});
        all_.begin[i] = all_.end[i] = 0;
    }
    std::uint32_t open() {
        total_ = 0;
        return static_cast<std::uint32_t>(entries_.size());
    }
    void add(std::uint32_t code, std::uint32_t count) {
        entries_.push_back({code, total_});
        total_ += count;
    }
    std::uint32_t close() {
        entries_.push_back({~0u, total_});
        return static_cast<std::uint32_t>(entries_.size() - 1);
    }

    std::vector<Entry> entries_;
    Place all_{};
    std::uint32_t longest_ = 0;
    std::uint32_t total_ = 0;
};

}  // namespace infgram::mix
