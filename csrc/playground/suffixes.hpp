// Sorts the suffixes of a text, in linear time: induced sorting (Nong, Zhang and Chan 2009).
//
// A suffix falls or rises, as it is greater or smaller than the one behind it; behind the text's
// end stands what is smaller than any symbol. A valley is a suffix that rises behind one that
// falls. Of each symbol's suffixes those that fall come first. Once the valleys are in order, one
// pass from the left puts all that fall where they belong, each found by the one behind it, and one
// from the right all that rise. The valleys are put in order by the same two passes, which sort
// them up to the next valley, and where that leaves some equal, by sorting a text at most half as
// long, with a symbol a valley.
//
// Threads may sort, each a text of its own.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "infgram/rows/types.hpp"

namespace infgram::playground {

namespace detail {

template <class Symbol>
class InducedSort {
public:
    // n_symbols: more than the largest. sorted: as long as the text, which is not empty.
    InducedSort(std::span<const Symbol> text, std::size_t n_symbols, std::span<Position> sorted)
        : text_(text), sorted_(sorted), rises_(text.size()), ends_(n_symbols + 1, 0) {
        for (std::size_t i = text.size() - 1; i-- > 0;)
            rises_[i] = text[i] < text[i + 1] || (text[i] == text[i + 1] && rises_[i + 1]);
        for (const Symbol symbol : text) ++ends_[std::size_t{symbol} + 1];
        for (std::size_t s = 1; s < ends_.size(); ++s) ends_[s] += ends_[s - 1];
    }

    void run() {
        std::ranges::fill(sorted_, none);
        std::vector<Position> behind = ends();
        for (Position i = 1; i < text_.size(); ++i)
            if (is_valley(i)) sorted_[--behind[text_[i]]] = i;
        induce();
        sort_valleys();
        induce();
    }

private:
    static constexpr Position none = 0xffffffff;

    // Of each symbol, where its suffixes begin and where they end.
    [[nodiscard]] std::vector<Position> begins() const { return {ends_.begin(), ends_.end() - 1}; }
    [[nodiscard]] std::vector<Position> ends() const { return {ends_.begin() + 1, ends_.end()}; }
    [[nodiscard]] bool is_valley(Position i) const { return i != 0 && rises_[i] && !rises_[i - 1]; }

    // From valleys at the ends of their symbols, in the order that they should have, to all.
    void induce() {
        std::vector<Position> at = begins();
        const auto last = static_cast<Position>(text_.size() - 1);
        sorted_[at[text_[last]]++] = last;
        for (std::size_t r = 0; r < sorted_.size(); ++r) {
            const Position i = sorted_[r];
            if (i != none && i != 0 && !rises_[i - 1]) sorted_[at[text_[i - 1]]++] = i - 1;
        }
        at = ends();
        for (std::size_t r = sorted_.size(); r-- > 0;) {
            const Position i = sorted_[r];
            if (i != none && i != 0 && rises_[i - 1]) sorted_[--at[text_[i - 1]]] = i - 1;
        }
    }

    // From valleys in order up to the next one to valleys in order, at the ends of their symbols.
    void sort_valleys() {
        const auto valleys = [&](Position i) { return is_valley(i); };
        const auto behind = std::ranges::copy_if(sorted_, sorted_.begin(), valleys).out;
        const auto n = static_cast<std::size_t>(behind - sorted_.begin());
        const std::span<Position> order = sorted_.first(n);
        const std::span<Position> names = sorted_.last(n);  // in the order of the text
        const std::size_t n_names = name(order);
        if (n_names == n) {
            for (std::size_t v = 0; v < n; ++v) order[names[v]] = static_cast<Position>(v);
        } else {
            InducedSort<Position>(names, n_names, order).run();
        }
        std::size_t v = 0;
        for (Position i = 1; i < text_.size(); ++i)
            if (is_valley(i)) names[v++] = i;
        for (Position& each : order) each = names[each];
        std::ranges::fill(sorted_.subspan(n), none);
        std::vector<Position> at = ends();
        for (std::size_t r = n; r-- > 0;) {
            const Position i = order[r];
            order[r] = none;
            sorted_[--at[text_[i]]] = i;
        }
    }

    // Gives each valley the number of different ones below it, and puts the numbers, in the order
    // of the text, at the end. Returns how many are different.
    std::size_t name(std::span<const Position> order) {
        const std::size_t n = order.size();
        std::ranges::fill(sorted_.subspan(n), none);
        std::size_t n_names = 0;
        for (std::size_t r = 0; r < n; ++r) {
            if (r == 0 || !are_equal(order[r - 1], order[r])) ++n_names;
            // No two valleys stand beside each other, so there is room.
            sorted_[n + order[r] / 2] = static_cast<Position>(n_names - 1);
        }
        std::size_t to = sorted_.size();
        for (std::size_t at = sorted_.size(); at-- > n;)
            if (sorted_[at] != none) sorted_[--to] = sorted_[at];
        return n_names;
    }

    // Whether two valleys are equal up to the next one. Those that meet the end are not.
    [[nodiscard]] bool are_equal(Position a, Position b) const {
        const auto end = static_cast<Position>(text_.size());
        for (Position i = 0; std::max(a, b) + i < end && text_[a + i] == text_[b + i]; ++i)
            if (i != 0 && (is_valley(a + i) || is_valley(b + i)))
                return is_valley(a + i) && is_valley(b + i);
        return false;
    }

    std::span<const Symbol> text_;
    std::span<Position> sorted_;
    std::vector<bool> rises_;
    std::vector<Position> ends_;  // behind a zero, of each symbol where its suffixes end
};

}  // namespace detail

// Where the suffixes of a text begin, in their order; the shorter of two comes first where it
// begins the other. sorted: as long as the text, of fewer than 2^31 bytes. O(n) time, and some
// bits a byte beside its arguments.
inline void sort_suffixes(std::span<const std::uint8_t> text, std::span<Position> sorted) {
    if (!text.empty()) detail::InducedSort<std::uint8_t>(text, 256, sorted).run();
}

}  // namespace infgram::playground
