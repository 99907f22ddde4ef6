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
#include "infgram/rows/numbers.hpp"

namespace infgram::mix {

// The positions [begin, end) of a text.
struct Stretch {
    Position begin;
    Position end;
};

template <Kind kind>
class CountedText {
public:
    // text: a shard's, a boundary first. pieces: rising, of what is counted; before: what stands
    // before each. symbols: by code. A place is one of a piece; they are counted from 1 on.
    // O(contexts) time, and 4 bytes a context and place while it lives.
    template <class Code>
    CountedText(std::span<const Code> text, std::span<const Stretch> pieces,
                std::vector<Text> before, std::span<const std::uint32_t> symbols,
                const WordClasses& classes)
        : pieces_(pieces.begin(), pieces.end()), before_(std::move(before)), codes_(1, boundary) {
        for (const Stretch& piece : pieces_) {
            const auto codes = text.subspan(piece.begin, piece.end - piece.begin);
            codes_.insert(codes_.end(), codes.begin(), codes.end());
        }
        for (std::size_t i = 0; i < n_named<kind>; ++i) {
            std::vector<std::uint32_t> numbers = number(i, symbols, classes);
            const std::size_t n_before = first_.size();
            lay_out(numbers, keys_.size() - n_before);
            for (std::uint32_t& number : numbers) number = first_[n_before + number];
            begin_[i] = std::move(numbers);
        }
    }

    // Calls visit(Follower) for each token that followed a place's context, by rising codes.
    template <class Visit>
    void for_each(std::size_t context, std::size_t place, Visit&& visit) const {
        for (const std::uint32_t* at = &followers_[begin_[context][place]];; ++at) {
            const Packed follower(*at);
            if (follower.count() != 0) visit(Follower{follower.code(), follower.count()});
            if (follower.is_last()) break;
        }
    }

    // Which place a position is, or else the next one that is a place.
    [[nodiscard]] std::size_t place_of(Position position) const noexcept {
        std::size_t place = 1;
        for (const Stretch& piece : pieces_) {
            if (position < piece.end) return place + (position - std::min(position, piece.begin));
            place += piece.end - piece.begin;
        }
        return place;
    }

    void prefetch_followers(std::size_t place) const noexcept {
        for (const auto& of_kind : begin_)
            prefetch(&followers_[of_kind[std::min(place, codes_.size() - 1)]]);
    }

    // The positions from first to last count no more; those that were left out before do again.
    void leave_out(Position first, Position last) noexcept {
        const std::size_t begin = place_of(first);
        const std::size_t end = place_of(last);
        change(left_begin_, std::min(left_end_, begin), 1);
        change(std::max(left_begin_, end), left_end_, 1);
        change(begin, std::min(end, left_begin_), ~0u);
        change(std::max(begin, left_end_), end, ~0u);
        left_begin_ = begin;
        left_end_ = end;
    }

    // The counts, in a table that can be searched.
    [[nodiscard]] NamedCounts table(std::uint32_t n_codes) const {
        constexpr std::size_t per_bucket = 16;
        const std::size_t n = keys_.size() / per_bucket + 1;
        std::vector<std::uint32_t> starts(n + 1, 0);  // of each bucket's contexts in `order`
        for (const std::uint64_t key : keys_) ++starts[NamedCounts::bucket(key, n) + 1];
        for (std::size_t i = 0; i < n; ++i) starts[i + 1] += starts[i];
        std::vector<std::uint32_t> order(keys_.size());
        std::vector<std::uint32_t> at(starts.begin(), starts.end() - 1);
        for (std::uint32_t i = 0; i < keys_.size(); ++i)
            order[at[NamedCounts::bucket(keys_[i], n)]++] = i;
        const auto table = std::make_shared<Table>();
        for (std::size_t bucket = 0; bucket < n; ++bucket) {
            table->offsets.push_back(static_cast<std::uint32_t>(table->bytes.size()));
            for (std::uint32_t i = starts[bucket]; i < starts[bucket + 1]; ++i) {
                prefetch(
                    &followers_[first_[order[std::min<std::size_t>(i + 8, order.size() - 1)]]]);
                write(order[i], table->bytes);
            }
        }
        table->offsets.push_back(static_cast<std::uint32_t>(table->bytes.size()));
        return {table->offsets, table->bytes, table, n_codes};
    }

private:
    struct Table {
        std::vector<std::uint32_t> offsets;
        std::vector<std::uint8_t> bytes;
    };

    // A code, whether it is the last that followed its context, how often it did.
    class Packed {
    public:
        constexpr Packed(std::uint32_t code, bool is_last, std::uint32_t count)
            : packed_(code << 24 | std::uint32_t{is_last} << 23 | count) {}
        constexpr explicit Packed(std::uint32_t packed) : packed_(packed) {}

        [[nodiscard]] constexpr std::uint32_t packed() const noexcept { return packed_; }
        [[nodiscard]] constexpr std::uint32_t code() const noexcept { return packed_ >> 24; }
        [[nodiscard]] constexpr bool is_last() const noexcept { return (packed_ >> 23 & 1) != 0; }
        [[nodiscard]] constexpr std::uint32_t count() const noexcept {
            return packed_ & ((1u << 23) - 1);
        }

    private:
        std::uint32_t packed_;
    };

    // Appends a context to a bucket.
    void write(std::uint32_t context, std::vector<std::uint8_t>& to) const {
        const std::uint32_t head = NamedCounts::check(keys_[context]) << 1;
        const std::uint32_t* first = &followers_[first_[context]];
        const bool is_once = Packed(*first).is_last() && Packed(*first).count() == 1;
        to.push_back(static_cast<std::uint8_t>(head | (is_once ? 1 : 0)));
        to.push_back(static_cast<std::uint8_t>(head >> 8));
        if (is_once) return to.push_back(static_cast<std::uint8_t>(Packed(*first).code()));
        std::vector<std::uint8_t> all;
        for (const std::uint32_t* at = first;; ++at) {
            all.push_back(static_cast<std::uint8_t>(Packed(*at).code()));
            write_number(Packed(*at).count(), all);
            if (Packed(*at).is_last()) break;
        }
        write_number(static_cast<std::uint32_t>(all.size()), to);
        to.insert(to.end(), all.begin(), all.end());
    }

    // Calls visit(place, the text before it).
    template <class Visit>
    void for_each_text(std::span<const std::uint32_t> symbols, const WordClasses& classes,
                       Visit&& visit) const {
        std::size_t place = 1;
        for (std::size_t i = 0; i < pieces_.size(); ++i) {
            Text text = before_[i];
            for (Position p = pieces_[i].begin; p < pieces_[i].end; ++p, ++place) {
                visit(place, std::as_const(text));
                text.read_code(codes_[place], symbols, classes);
            }
        }
    }

    // The number of each place's context among those of its kind; appends the kind's
    // keys.
    std::vector<std::uint32_t> number(std::size_t of, std::span<const std::uint32_t> symbols,
                                      const WordClasses& classes) {
        constexpr std::uint32_t none = ~0u;
        const std::size_t n_before = keys_.size();
        std::vector<std::uint32_t> table(std::bit_ceil(codes_.size() + codes_.size() / 2 + 2),
                                         none);
        std::vector<std::uint64_t> of_place(codes_.size(), 0);
        for_each_text(symbols, classes, [&](std::size_t place, const Text& text) {
            of_place[place] = named_contexts[of].key(text);
        });
        std::vector<std::uint32_t> numbers(codes_.size(), 0);
        for (std::size_t place = 1; place < codes_.size(); ++place) {
            const std::uint64_t ahead = of_place[std::min(place + 16, codes_.size() - 1)];
            prefetch(&table[NamedCounts::bucket(ahead, table.size())]);
            const std::uint64_t key = of_place[place];
            for (std::size_t at = NamedCounts::bucket(key, table.size());; ++at) {
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
                    Packed(of[begin], k == of.size(), static_cast<std::uint32_t>(k - begin))
                        .packed());
            }
        }
    }

    void change(std::size_t begin, std::size_t end, std::uint32_t by) noexcept {
        for (std::size_t of = 0; of < n_named<kind>; ++of)
            for (std::size_t place = begin; place < end; ++place) {
                const std::vector<std::uint32_t>& of_kind = begin_[of];
                prefetch(&followers_[of_kind[std::min(place + 16, codes_.size() - 1)]]);
                std::uint32_t at = of_kind[place];
                while (Packed(followers_[at]).code() != codes_[place]) ++at;
                followers_[at] += by;
            }
    }

    std::vector<Stretch> pieces_;
    std::vector<Text> before_;
    std::vector<std::uint8_t> codes_;
    std::size_t left_begin_ = 0;  // places that are left out
    std::size_t left_end_ = 0;
    std::vector<std::uint64_t> keys_;       // of all contexts
    std::vector<std::uint32_t> first_;      // where the followers of each begin
    std::vector<std::uint32_t> followers_;  // of one context after another
    std::array<std::vector<std::uint32_t>, n_named<kind>> begin_;  // of each place's context
};

}  // namespace infgram::mix
