// Counting what follows the named contexts of a text, so that parts of it can be left out again.
//
// Not for two threads.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "infgram/models/mix/counts.hpp"
#include "infgram/models/mix/sight.hpp"

namespace infgram::mix {

class CountedText {
public:
    // codes: a shard's text, a boundary first; every place from 1 on is counted. O(contexts) time,
    // and 4 bytes a context and place while it lives. symbols: by code.
    template <class Code>
    CountedText(std::span<const Code> codes, std::span<const std::uint32_t> symbols,
                const WordClasses& classes)
        : codes_(codes.begin(), codes.end()) {
        for (std::size_t i = 0; i < n_named; ++i) {
            std::vector<std::uint32_t> numbers = number(i, symbols, classes);
            const std::size_t n_before = first_.size();
            lay_out(numbers, keys_.size() - n_before);
            for (std::uint32_t& number : numbers) number = first_[n_before + number];
            begin_[i] = std::move(numbers);
        }
    }

    // Where the followers of a place's context begin, as NamedCounts has them.
    [[nodiscard]] const std::uint32_t* followers(std::size_t context,
                                                 std::size_t place) const noexcept {
        return &followers_[begin_[context][place]];
    }

    void prefetch_followers(std::size_t place) const noexcept {
        for (std::size_t i = 0; i < n_named; ++i) prefetch(followers(i, place));
    }

    // The places from begin to end count no more; those that were left out before do again.
    void leave_out(std::size_t begin, std::size_t end) noexcept {
        change(left_begin_, std::min(left_end_, begin), 1);
        change(std::max(left_begin_, end), left_end_, 1);
        change(begin, std::min(end, left_begin_), ~0u);
        change(std::max(begin, left_end_), end, ~0u);
        left_begin_ = begin;
        left_end_ = end;
    }

    // The counts, in a table that can be searched.
    [[nodiscard]] NamedCounts table(std::uint32_t n_codes) const {
        const std::size_t n = keys_.size() + keys_.size() / 2 + 2;
        std::vector<std::uint32_t> slots(2 * n, 0);
        std::vector<std::uint32_t> followers;
        for (std::size_t i = 0; i < keys_.size(); ++i) {
            std::size_t at = Slot::first(keys_[i], n);
            while (slots[2 * at + 1] != 0) at = at + 1 == n ? 0 : at + 1;
            const std::uint32_t* of = &followers_[first_[i]];
            const auto begin = static_cast<std::uint32_t>(followers.size());
            const Slot slot = Follower(*of).is_last() ? Slot::of_single(keys_[i], Follower(*of))
                                                      : Slot::of_several(keys_[i], begin);
            slots[2 * at] = slot.check;
            slots[2 * at + 1] = slot.value;
            if (slot.is_single()) continue;
            while (!Follower(*of).is_last()) followers.push_back(*of++);
            followers.push_back(*of);
        }
        return {std::move(slots), std::move(followers), n_codes};
    }

private:
    // The number of each place's context among those of its kind; appends the kind's
    // keys.
    std::vector<std::uint32_t> number(std::size_t kind, std::span<const std::uint32_t> symbols,
                                      const WordClasses& classes) {
        constexpr std::uint32_t none = ~0u;
        const std::size_t n_before = keys_.size();
        std::vector<std::uint32_t> table(std::bit_ceil(codes_.size() + codes_.size() / 2 + 2),
                                         none);
        std::vector<std::uint32_t> numbers(codes_.size(), 0);
        Text text;
        for (std::size_t place = 1; place < codes_.size(); ++place) {
            if (codes_[place - 1] == boundary)
                text = {};
            else
                text.read(symbols[codes_[place - 1]], classes);
            const std::uint64_t key = named_contexts[kind].key(text);
            for (std::size_t at = Slot::first(key, table.size());; ++at) {
                std::uint32_t& slot = table[at & (table.size() - 1)];
                if (slot == none) {
                    slot = static_cast<std::uint32_t>(keys_.size() - n_before);
                    keys_.push_back(key);
                }
                if (keys_[n_before + slot] == key) {
                    numbers[place] = slot;
                    break;
                }
            }
        }
        return numbers;
    }

    // Appends the followers of a kind's contexts, and where each one's begin.
    void lay_out(std::span<const std::uint32_t> numbers, std::size_t n) {
        std::vector<std::uint32_t> ends(n + 1, 0);
        for (std::size_t place = 1; place < numbers.size(); ++place) ++ends[numbers[place] + 1];
        for (std::size_t i = 0; i < n; ++i) ends[i + 1] += ends[i];
        std::vector<std::uint8_t> next(numbers.size());
        std::vector<std::uint32_t> at(ends.begin(), ends.end() - 1);
        for (std::size_t place = 1; place < numbers.size(); ++place)
            next[at[numbers[place]]++] = codes_[place];
        for (std::size_t i = 0; i < n; ++i) {
            const auto of = std::span(next).subspan(ends[i], ends[i + 1] - ends[i]);
            std::ranges::sort(of);
            first_.push_back(static_cast<std::uint32_t>(followers_.size()));
            for (std::size_t k = 0; k < of.size();) {
                const std::size_t begin = k;
                while (k < of.size() && of[k] == of[begin]) ++k;
                followers_.push_back(
                    Follower(of[begin], k == of.size(), static_cast<std::uint32_t>(k - begin))
                        .packed());
            }
        }
    }

    void change(std::size_t begin, std::size_t end, std::uint32_t by) noexcept {
        for (const std::vector<std::uint32_t>& of_kind : begin_)
            for (std::size_t place = begin; place < end; ++place) {
                std::uint32_t at = of_kind[place];
                while (Follower(followers_[at]).code() != codes_[place]) ++at;
                followers_[at] += by;
            }
    }

    std::vector<std::uint8_t> codes_;
    std::size_t left_begin_ = 0;  // places that are left out
    std::size_t left_end_ = 0;
    std::vector<std::uint64_t> keys_;                        // of all contexts
    std::vector<std::uint32_t> first_;                       // where the followers of each begin
    std::vector<std::uint32_t> followers_;                   // of one context after another
    std::array<std::vector<std::uint32_t>, n_named> begin_;  // of each place's context
};

}  // namespace infgram::mix
